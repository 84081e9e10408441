//! Persistence templates that `expire_quiescent_template` has ended: nobody comes back by them, and nobody waits for them.

use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::{VIP, Waiting, own_notes, weights};
use crate::{OURS, run, set_up, until};

#[test]
fn nobody_waits_for_a_template_that_has_ended() {
    lab::isolate();
    own_notes();
    for address in ["10.0.0.1", "10.1.0.1", "10.1.0.2"] {
        assert_eq!(run("ip", &format!("addr add {address}/32 dev lo")).0, 0);
    }
    let setting = "/proc/thread-self/root/proc/sys/net/ipv4/vs/expire_quiescent_template";
    std::fs::write(setting, "1").unwrap();
    set_up(&format!("-A -t {VIP} -s wrr -p 300\n-a -t {VIP} -r 10.1.0.1:80 -m -w 3\n"));
    let first = TcpListener::bind("10.1.0.1:80").unwrap();
    let second = TcpListener::bind("10.1.0.2:80").unwrap();
    let client = TcpStream::connect(VIP).unwrap();
    let taken = first.accept().unwrap().0;
    set_up(&format!("-a -t {VIP} -r 10.1.0.2:80 -m -w 1\n"));

    let begin = Instant::now();
    let waiting = Waiting::start("--drain -r 10.1.0.1 --wait 60");
    // The client comes back, and has another server.
    let _again = TcpStream::connect(VIP).unwrap();
    let _taken = second.accept().unwrap();
    let rows = |words: &str| run(OURS, &format!("-L -c -n {words}")).1;
    let ended = " 10.1.0.1:65535\n";
    assert!(rows("").contains(ended), "{}", rows(""));
    for words in ["-r 10.1.0.1", "-r 10.1.0.1:80", "-t 10.0.0.1:80", "-t 10.0.0.1:80 -r 10.1.0.1:80"] {
        assert!(rows(words).contains(ended), "{words}: {} {}", rows(words), rows(""));
    }
    assert!(!rows("-r 10.1.0.2").contains(ended) && !rows("-u 10.0.0.1:80").contains(ended));
    let summary = run(OURS, "-L -c --summary server").1;
    assert!(summary.contains("          1 10.1.0.1 (templates that have ended)\n"), "{summary}");
    assert!(summary.contains(" 10.1.0.1:80\n") && !summary.contains("65535"), "{summary}");
    let summary = run(OURS, "-L -c --summary service --json").1;
    // Since Linux 7.2 it still shows its service.
    let keeps_service = std::path::Path::new("/proc/net/ip_vs_status").exists();
    assert_eq!(summary.contains(r#"{"ended":"10.0.0.1","connections":1}"#), !keeps_service, "{summary}");

    // A reset ends the connection at once.
    std::io::Write::write_all(&mut &taken, b"x").unwrap();
    until("a byte arrives", || client.peek(&mut [0]).is_ok_and(|length| length == 1));
    drop(client);
    let (status, out, said) = waiting.end();
    assert_eq!((status, out.contains(" is drained and deleted; ")), (Some(0), true), "{said}");
    assert!(begin.elapsed() < Duration::from_secs(30));
    assert!(rows("").contains(ended), "the kernel has it until its time is over");
    assert_eq!(weights(), [None, Some(1)]);
    drop(taken);
    // Where clients come back, they are waited for.
    std::fs::write(setting, "0").unwrap();
    let (status, _, said) = run(OURS, "--drain -r 10.1.0.2 --force --ignore-inactive --wait 0 --quiet");
    assert!(status == 1 && said.contains(" and 1 persistent connections, "), "{said}");
}

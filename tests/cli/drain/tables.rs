//! Drains in tables of every kind, and drains that are refused.

use std::process::{Command, Stdio};

use ipvs::{Client, Destination, ForwardingMethod, ServiceId};
use nix::mount::{MsFlags, mount};

use super::{FIRST, LINE, VIP, drain, own_notes, servers, weights};
use crate::{OURS, as_nobody, feed, run, services, set_up, table};

#[test]
fn a_server_leaves_every_service_that_has_it() {
    lab::isolate();
    own_notes();
    let lines = "-A -t 10.0.0.1:80 -s wrr -p 300 -M 255.255.255.0\n\
        -a -t 10.0.0.1:80 -r 10.1.0.1:80 -i -w 7 --tun-type gue --tun-port 6080 --tun-csum\n\
        -a -t 10.0.0.1:80 -r 10.1.0.2:80 -g -w 1\n\
        -A -t 10.0.0.1:443 -s rr\n\
        -a -t 10.0.0.1:443 -r 10.1.0.1:8443 -m -w 3 -x 100 -y 50\n\
        -a -t 10.0.0.1:443 -r 10.1.0.2:8443 -m -w 1\n\
        -A -u 10.0.0.1:53 -s rr\n\
        -a -u 10.0.0.1:53 -r 10.1.0.2:53 -g -w 1\n\
        -A -f 7 -s sh\n\
        -a -f 7 -r 10.1.0.1:0 -g -w 5\n\
        -a -f 7 -r 10.1.0.2:0 -g -w 1\n\
        -A -t [2001:db8::1]:80 -s rr\n\
        -a -t [2001:db8::1]:80 -r [2001:db8:1::1]:80 -g -w 2\n\
        -a -t [2001:db8::1]:80 -r [2001:db8:1::2]:80 -g -w 1\n";
    assert_eq!(feed(OURS, "-R", lines).0, 0);
    let before = services();
    let (status, out, said) = drain("--quiet");
    assert_eq!((status, out.lines().count(), said.as_str()), (0, 3, ""), "{out}");
    assert!(!table().contains("10.1.0.1"));
    // Each of the lines brings one back; --undrain finds nothing more to do.
    for line in out.lines() {
        let words = line.split_once(": ipvsadm ").unwrap().1;
        assert_eq!(run(OURS, &format!("{words} --quiet")), (0, String::new(), String::new()));
    }
    // To sh the order counts, so it is saved: who comes back is the newest.
    let (first, second) = ("-a -f 7 -r 10.1.0.1:0 -g -w 5\n", "-a -f 7 -r 10.1.0.2:0 -g -w 1\n");
    let before = before.replace(&format!("{first}{second}"), &format!("{second}{first}"));
    assert_eq!(services(), before);
    assert_eq!(run(OURS, "--undrain").1.matches(", and is left as it is\n").count(), 3);
    let six = run(OURS, "--drain -t [2001:db8::1]:80 -r 2001:db8:1::1");
    assert_eq!((six.0, drain("--quiet -f 7").0, drain("--quiet -t 10.0.0.1:443").0), (0, 0, 0), "{six:?}");
    assert_eq!(run(OURS, "--undrain").0, 0);
    assert_eq!(services(), before);
    // With a service or a port, no other.
    assert_eq!(run(OURS, "--drain -r 10.1.0.1:8443").1.lines().count(), 1);
    assert_eq!(run(OURS, "--undrain -r 10.1.0.1:80").0, 2);
    assert_eq!(run(OURS, "--undrain -r 10.1.0.1:8443").0, 0);
    assert_eq!(services(), before);
}

/// The line that brings a server back is said, wherever that goes.
#[test]
fn a_full_disk_loses_no_line() {
    let _servers = servers(0);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = Command::new(OURS).args(["--drain", "-r", "10.1.0.1"]).stdout(full).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let line = format!("{FIRST} is drained and deleted; this brings it back: ipvsadm -a {LINE}\n");
    let expected = format!("{line}cannot write the output: No space left on device\n");
    assert_eq!((output.status.code(), said), (Some(1), expected));
    assert_eq!(weights(), [None, Some(1)]);
}

/// Servers that are back, and noted as drained for ever, are no success.
#[test]
fn notes_that_stay_are_told() {
    let _servers = servers(0);
    assert_eq!(drain("").0, 0);
    let remount = |flags| {
        mount(None::<&str>, "/run/ipvsadm", None::<&str>, MsFlags::MS_REMOUNT | flags, None::<&str>).unwrap();
    };
    remount(MsFlags::MS_RDONLY);
    let (status, shown, said) = run(OURS, "--undrain");
    assert_eq!((status, shown), (1, format!("{FIRST} is back with weight 3\n")));
    assert!(said.starts_with("the servers are back, but still noted as drained: cannot write "), "{said}");
    assert!(said.ends_with("; ipvsadm --undrain again clears the notes\n"), "{said}");
    remount(MsFlags::empty());
    assert_eq!(run(OURS, "--undrain").0, 0);
    assert_eq!(run(OURS, "--undrain").0, 2);
}

/// Another program has made it.
#[test]
fn a_server_that_no_line_can_make_comes_back_as_it_was() {
    lab::isolate();
    own_notes();
    set_up("-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.2 -g\n");
    let mut client = Client::open().unwrap();
    let web = ServiceId::tcp([10, 0, 0, 1].into(), 80);
    let odd = Destination::new([10, 1, 0, 1].into(), 8080, ForwardingMethod::DirectRouting).with_weight(3);
    client.add_destination(&web, &odd).unwrap();
    let line = "TCP 10.0.0.1:80 -> 10.1.0.1:8080 is drained and deleted; this brings it back: \
                ipvsadm --undrain -t 10.0.0.1:80 -r 10.1.0.1:8080\n";
    assert_eq!(drain(""), (0, line.to_owned(), String::new()));
    assert_eq!(run(OURS, "--undrain -t 10.0.0.1:80 -r 10.1.0.1:8080").0, 0);
    let servers = client.destinations(&web).unwrap();
    assert!(servers.iter().any(|entry| entry.destination == odd), "{servers:?}");
}

#[test]
fn two_drains_at_once_leave_a_server() {
    let _servers = servers(0);
    for _ in 0..5 {
        let both = ["10.1.0.1", "10.1.0.2"].map(|server| {
            Command::new(OURS)
                .args(["--drain", "-r", server])
                .stderr(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        });
        let mut statuses = both.map(|mut child| child.wait().unwrap().code());
        statuses.sort_unstable();
        assert_eq!(statuses, [Some(0), Some(2)], "{}", table());
        assert_eq!(run(OURS, "--undrain").0, 0);
        assert_eq!(weights(), [Some(3), Some(1)]);
    }
}

#[test]
fn what_cannot_be_drained_is_told_and_changes_nothing() {
    drop(servers(0));
    let before = table();
    for (line, status, said) in [
        ("--drain -r 10.1.0.9", 255, "No such destination: '10.1.0.9'; ipvsadm -L -n lists them"),
        ("--drain -r 10.1.0.1:81", 255, "No such destination: '10.1.0.1:81'; ipvsadm -L -n lists them"),
        (
            "--drain -t 10.0.0.9:80 -r 10.1.0.1",
            255,
            "No such service: 'TCP 10.0.0.9:80'; ipvsadm -L -n lists them",
        ),
        (
            "--drain -t 10.0.0.1:80",
            2,
            "You need to supply the 'real-server' option for the 'drain' command; add -r ADDRESS[:PORT]",
        ),
        ("--drain -r 10.1.0.1 --wait x", 2, "illegal wait specified: 'x'; a number from 0 to 2147483647"),
        (
            "--drain -r 10.1.0.1 -w 0",
            2,
            "Illegal 'weight' option with the 'drain' command; leave it out: -w goes with -a, -e, --explain",
        ),
        (
            "-d -t 10.0.0.1:80 -r 10.1.0.1 --wait 3",
            2,
            "Illegal 'wait' option with the 'delete-server' command; leave it out: --wait goes with --drain",
        ),
        (
            "--undrain --force",
            2,
            "Illegal 'force' option with the 'undrain' command; leave it out: --force goes with --drain",
        ),
    ] {
        assert_eq!(run(OURS, line), (status, String::new(), format!("{said}\n")), "{line}");
    }
    let (status, _, said) = as_nobody("--drain -r 10.1.0.1");
    assert_eq!((status, said.lines().count()), (2, 1), "{said}");
    let (status, _, said) = feed(OURS, "-R", "--drain -r 10.1.0.1\n");
    assert!(status == 255 && said.ends_with("a restore cannot contain a drain\n"), "{said}");
    assert_eq!(table(), before);
    // Where nothing can be noted, the drain is not kept from its work.
    std::fs::remove_dir_all("/run/ipvsadm").unwrap_err();
    mount(Some("lab"), "/run/ipvsadm", Some("tmpfs"), MsFlags::MS_RDONLY, Some("mode=700")).unwrap();
    let (status, out, said) = drain("");
    assert_eq!((status, out.contains("ipvsadm -a")), (0, true));
    assert!(
        said.starts_with(
            "warning: --undrain will not know of this drain: cannot write '/run/ipvsadm/drained-"
        ),
        "{said}"
    );
}

#[test]
fn each_namespace_has_notes_of_its_own() {
    drop(servers(0));
    assert_eq!(drain("").0, 0);
    for line in ["netns add blue", "-n blue link set lo up"] {
        assert_eq!(run("ip", line).0, 0);
    }
    assert_eq!(run(OURS, "--undrain --netns blue").0, 2);
    let lines = format!(
        "-A -t {VIP} -s rr\n-a -t {VIP} -r 10.1.0.5:80 -g -w 5\n-a -t {VIP} -r 10.1.0.6:80 -g -w 6\n"
    );
    assert_eq!(feed(OURS, "-R --netns blue", &lines).0, 0);
    let (status, out, _) = run(OURS, "--drain -r 10.1.0.5 --netns blue");
    assert_eq!(status, 0);
    assert!(out.ends_with(": ipvsadm --netns blue -a -t 10.0.0.1:80 -r 10.1.0.5:80 -g -w 5\n"), "{out}");
    assert_eq!(
        run("ip", &format!("netns exec blue {OURS} --undrain")).1,
        "TCP 10.0.0.1:80 -> 10.1.0.5:80 is back with weight 5\n"
    );
    assert_eq!(run(OURS, "--undrain").1, format!("{FIRST} is back with weight 3\n"));
}

/// The original takes the first address of a name; a drain of half a server would be no drain.
#[test]
fn a_name_of_several_servers_is_refused() {
    lab::isolate();
    own_notes();
    std::fs::write("/run/several-hosts", "10.1.0.1 web.test\n10.1.0.2 web.test\n10.1.0.3 one.test\n")
        .unwrap();
    lab::lay_over("/run/several-hosts", "/etc/hosts");
    set_up(&format!(
        "-A -t {VIP} -s rr\n-a -t {VIP} -r 10.1.0.1 -m\n-a -t {VIP} -r 10.1.0.2 -m\n-a -t {VIP} -r one.test -m\n"
    ));
    let before = table();
    for line in ["--drain -r web.test", "--drain -r web.test:80", "--undrain -r web.test"] {
        let (status, out, said) = run(OURS, line);
        assert_eq!((status, out.as_str()), (2, ""), "{line}");
        assert!(said.starts_with("the name of the server stands for several addresses: '10.1.0."), "{said}");
        assert!(
            said.contains("10.1.0.1") && said.contains("10.1.0.2") && said.ends_with("'; name one of them\n"),
            "{said}"
        );
    }
    // Nor does any other command that the original lacks take a part of what is meant.
    for (line, what) in [
        ("-L -c -r web.test".to_owned(), "server"),
        ("-L -c --summary client -r web.test:80".to_owned(), "server"),
        ("-L -c -t web.test:80".to_owned(), "service"),
        ("--drain -t web.test:80 -r 10.1.0.1".to_owned(), "service"),
        ("--check -r web.test".to_owned(), "server"),
        ("--check -r 10.1.0.9 --director web.test".to_owned(), "director"),
        ("--watch -t web.test:80".to_owned(), "service"),
        (format!("--explain 10.9.9.9 -t {VIP} --without web.test"), "server"),
        ("-R --diff --only -t web.test:80 --file /dev/null".to_owned(), "service"),
    ] {
        let (status, out, said) = run(OURS, &line);
        assert_eq!((status, out.as_str()), (2, ""), "{line}");
        let expected = format!("the name of the {what} stands for several addresses: '10.1.0.");
        assert!(said.starts_with(&expected), "{line}: {said}");
    }
    assert_eq!(table(), before);
    assert_eq!(run(OURS, "--drain -r one.test").0, 0);
    assert_eq!(run(OURS, "--undrain -r one.test").0, 0);
    // Other commands take the first, as the original does.
    assert_eq!(run(OURS, &format!("-d -t {VIP} -r web.test")).0, 0);
}

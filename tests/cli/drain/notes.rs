//! Notes of drains: each lives as long as the state that it is about, is of its namespace alone, and is root's.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use super::{VIP, drain, own_notes, weights};
use crate::{OURS, feed, run, set_up};

const FIRST: &str = "-t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 3";

/// The table, with these servers in the service.
fn lines(servers: &[&str]) -> String {
    let servers: Vec<String> = servers.iter().map(|server| format!("-a {server}\n")).collect();
    format!("-A -t {VIP} -s wrr\n{}", servers.concat())
}

fn begin() {
    lab::isolate();
    own_notes();
    set_up(&lines(&[FIRST, "-t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 1"]));
}

/// Fills the table with both servers, or the second alone, by a command.
fn fill(command: &str, with_first: bool) {
    let second = "-t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 1";
    let servers: &[&str] = if with_first { &[FIRST, second] } else { &[second] };
    assert_eq!(feed(OURS, command, &lines(servers)).0, 0);
}

#[test]
fn a_server_that_was_brought_back_and_taken_out_stays_out() {
    begin();
    let done = |command: &str| assert_eq!(run(OURS, &format!("{command} --quiet")).0, 0, "{command}");
    let line = |command: &str| assert_eq!(feed(OURS, "-R", &format!("{command}\n")).0, 0, "{command}");
    let back: [&dyn Fn(); 5] = [
        &|| done(&format!("-a {FIRST}")),
        &|| line(&format!("-a {FIRST}")),
        &|| fill("-R --apply", true),
        &|| fill("-R --replace", true),
        &|| {
            done("-D -t 10.0.0.1:80");
            fill("-R", true);
            let json = run(OURS, "-S --json").1;
            done("-C");
            assert_eq!(feed(OURS, "-R --json", &json).0, 0);
        },
    ];
    let out: [&dyn Fn(); 6] = [
        &|| done("-d -t 10.0.0.1:80 -r 10.1.0.1:80"),
        &|| line("-d -t 10.0.0.1:80 -r 10.1.0.1:80"),
        &|| done("-e -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 0"),
        &|| line("-e -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 0"),
        &|| fill("-R --apply", false),
        &|| {
            done("-D -t 10.0.0.1:80");
            fill("-R", false);
        },
    ];
    for (by, back) in back.iter().enumerate() {
        for (of, out) in out.iter().enumerate() {
            assert_eq!(drain("--quiet").0, 0);
            back();
            assert_eq!(weights(), [Some(3), Some(1)], "{by}");
            out();
            let before = weights();
            assert!(matches!(before, [None | Some(0), Some(1)]), "{of}: {before:?}");
            assert_eq!(run(OURS, "--drain -r 10.1.0.2 --force").0, 0);
            let second = "TCP 10.0.0.1:80 -> 10.1.0.2:80 is back with weight 1\n";
            assert_eq!(run(OURS, "--undrain"), (0, second.to_owned(), String::new()), "{by} {of}");
            assert_eq!(weights(), before, "{by} {of}");
            fill("-R --replace", true);
        }
    }
}

/// The original leaves no word of what it does, but the table.
#[test]
fn what_another_program_does_is_seen_in_the_table() {
    begin();
    let original = |words: &str| assert_eq!(run(lab::ORIGINAL, words).0, 0, "{words}");
    let second = || {
        assert_eq!(run(OURS, "--drain -r 10.1.0.2 --force").0, 0);
        run(OURS, "--undrain").1
    };
    let expected = "TCP 10.0.0.1:80 -> 10.1.0.2:80 is back with weight 1\n";
    // Back with weight 0; back, seen by a drain, and out again; deleted where a drain has left it with weight 0.
    assert_eq!(drain("").0, 0);
    original("-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 0");
    assert_eq!((second().as_str(), weights()), (expected, [Some(0), Some(1)]));
    original("-e -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 3");
    assert_eq!(drain("").0, 0);
    original("-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 3");
    assert_eq!(run(OURS, "--drain -r 10.1.0.2 --force").0, 0);
    original("-d -t 10.0.0.1:80 -r 10.1.0.1:80");
    assert_eq!((run(OURS, "--undrain").1.as_str(), weights()), (expected, [None, Some(1)]));
    assert_eq!(run(OURS, "--undrain").0, 2);
    // A table that is cleared and filled again is not a server that is back.
    original("-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 3");
    assert_eq!(drain("").0, 0);
    original("-C");
    fill("-R", false);
    assert_eq!(run(OURS, "--undrain").0, 0);
    assert_eq!(weights(), [Some(3), Some(1)]);
}

#[test]
fn the_notes_of_a_namespace_that_is_gone_are_no_others() {
    lab::isolate();
    own_notes();
    let ip = |words: &str| assert_eq!(run("ip", words).0, 0, "{words}");
    let number = || fs::metadata("/run/netns/blue").unwrap().ino();
    let table =
        "-A -t 10.0.0.1:80 -s wrr\n-a -t 10.0.0.1:80 -r 10.1.0.1 -g\n-a -t 10.0.0.1:80 -r 10.1.0.2 -g\n";
    ip("netns add blue");
    let first = number();
    ip("-n blue link set lo up");
    let filled = feed(OURS, "-R --netns blue", table);
    assert_eq!(filled, (0, String::new(), String::new()));
    let (status, _, said) = run(OURS, "--drain -r 10.1.0.1 --netns blue");
    assert_eq!((status, said.as_str()), (0, ""));
    ip("netns del blue");
    // The kernel hands the number out again: to the first that asks, most often.
    let mut tries = 0;
    loop {
        ip("netns add blue");
        if number() == first {
            break;
        }
        ip("netns del blue");
        tries += 1;
        assert!(tries < 300, "the number {first} does not come again");
    }
    assert_eq!(feed(OURS, "-R --netns blue", "-A -t 10.0.0.1:80 -s wrr\n").0, 0);
    let (status, out, said) = run(OURS, "--undrain --netns blue");
    assert_eq!((status, out.as_str()), (2, ""), "{said}");
    assert!(said.starts_with("nothing to undrain: "), "{said}");
    assert!(!run(OURS, "-Sn --netns blue").1.contains("10.1.0.1"));
}

/// Whoever can write the notes decides what root adds to the table.
#[test]
fn notes_that_others_can_write_are_refused() {
    begin();
    fs::remove_dir_all("/run/ipvsadm").unwrap_err(); // it is a mount point
    nix::mount::umount("/run/ipvsadm").unwrap();
    let _ = fs::remove_dir_all("/run/ipvsadm");
    let umask = |mask: &str, words: &str| {
        let line = format!("umask {mask}; exec {OURS} {words}");
        Command::new("sh").args(["-c", &line]).output().unwrap().status.code()
    };
    let mode = |path: &str| fs::metadata(path).unwrap().mode() & 0o7777;
    let note = || {
        let entry = fs::read_dir("/run/ipvsadm").unwrap().next().unwrap().unwrap().path();
        entry.into_os_string().into_string().unwrap()
    };
    for mask in ["0", "777", "022"] {
        assert_eq!(umask(mask, "--drain -r 10.1.0.1"), Some(0));
        assert_eq!((mode("/run/ipvsadm"), mode(&note())), (0o700, 0o600), "{mask}");
        assert_eq!(umask(mask, "--undrain"), Some(0));
        fs::remove_dir("/run/ipvsadm").unwrap();
    }
    assert_eq!(drain("").0, 0);
    let note = note();
    for path in ["/run/ipvsadm", &note] {
        let before = mode(path);
        fs::set_permissions(path, Permissions::from_mode(before | 0o002)).unwrap();
        let (status, out, said) = run(OURS, "--undrain");
        assert_eq!((status, out.as_str(), weights()), (2, "", [None, Some(1)]));
        let expected = format!(
            "cannot read what drains have noted: '{path}' can be written by others, who would decide what comes back: look \
             what is in it, and remove it; ipvsadm -a brings a server back\n"
        );
        assert_eq!(said, expected);
        let (status, _, said) = run(OURS, "--drain -r 10.1.0.2 --force");
        let warned = said.starts_with("warning: --undrain will not know of this drain: ");
        assert_eq!((status, warned, said.contains("can be written by others")), (0, true, true), "{said}");
        assert_eq!(run(OURS, "-a -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 1"), (0, String::new(), String::new()));
        fs::set_permissions(path, Permissions::from_mode(before)).unwrap();
    }
    std::os::unix::fs::chown(&note, Some(1234), None).unwrap();
    assert!(run(OURS, "--undrain").2.contains("belongs to the user 1234"));
    std::os::unix::fs::chown(&note, Some(0), None).unwrap();
    assert_eq!(run(OURS, "--undrain").1, "TCP 10.0.0.1:80 -> 10.1.0.1:80 is back with weight 3\n");
}

/// A reboot takes the table and `/run`: a server that was drained when the table was saved is brought back all the same.
#[test]
fn a_drain_outlives_a_save_and_a_reboot() {
    begin();
    // One is deleted, one has weight 0, and one is in use.
    set_up("-a -t 10.0.0.1:80 -r 10.1.0.3:80 -m -w 7 -x 9 -y 4\n");
    assert_eq!(drain("").0, 0);
    assert_eq!(run(OURS, "-e -t 10.0.0.1:80 -r 10.1.0.3:80 -m -w 7 -x 9 -y 4").0, 0);
    let note = || fs::read_dir("/run/ipvsadm").unwrap().next().map(|entry| entry.unwrap().path());
    let drained = fs::read_to_string(note().unwrap()).unwrap();
    let waiting = drained.replace(r#""drained":["#, concat!(
        r#""drained":[{"service":{"protocol":"tcp","address":"10.0.0.1","port":80},"server":{"address":"10.1.0.3","#,
        r#""port":80,"forwarding":"masquerade","weight":7,"upper_threshold":9,"lower_threshold":4},"state":"waiting"},"#,
    ));
    assert_eq!(run(OURS, "-e -t 10.0.0.1:80 -r 10.1.0.3:80 -m -w 0 -x 9 -y 4").0, 0);
    fs::write(note().unwrap(), waiting).unwrap();
    let saved = run(OURS, "-S --full").1;
    let expected = "# drained: -a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 3\n\
                    # drained: -a -t 10.0.0.1:80 -r 10.1.0.3:80 -m -w 7 -x 9 -y 4\n";
    assert!(saved.ends_with(expected), "{saved}");
    assert!(!run(OURS, "-S").1.contains('#'), "the original knows no such comments");
    fs::write("/run/saved-rules", &saved).unwrap();
    for mode in ["-R", "-R --replace", "-R --apply"] {
        fs::remove_file(note().unwrap()).unwrap();
        assert_eq!(run(lab::ORIGINAL, "-C").0, 0);
        let (status, _, said) = run(OURS, &format!("{mode} --file /run/saved-rules"));
        assert_eq!((status, said.as_str()), (0, ""), "{mode}");
        let without_head = |saved: &str| saved.split_once('\n').unwrap().1.to_owned();
        assert_eq!(without_head(&run(OURS, "-S --full").1), without_head(&saved), "{mode}");
        let (status, out, said) = run(OURS, "--undrain");
        assert_eq!((status, out.lines().count(), said.as_str()), (0, 2, ""), "{mode} {out}");
        assert_eq!(weights(), [Some(3), Some(1)]);
        assert!(run(OURS, "-S --full").1.ends_with("-r 10.1.0.3:80 -m -w 7 -x 9 -y 4\n"));
        // They are in use: a file that says otherwise is older.
        assert_eq!(feed(OURS, "-R", expected), (0, String::new(), String::new()));
        assert_eq!(run(OURS, "--undrain").0, 2);
        assert_eq!(run(OURS, "--drain -r 10.1.0.1").0, 0);
    }
    // A look changes nothing, and notes nothing.
    assert_eq!(run(OURS, "--undrain").0, 0);
    assert_eq!(run(OURS, "-d -t 10.0.0.1:80 -r 10.1.0.1:80").0, 0);
    run(OURS, "-R --diff --file /run/saved-rules");
    run(OURS, "-R --apply --dry-run --file /run/saved-rules");
    assert_eq!(run(OURS, "--undrain").0, 2);
}

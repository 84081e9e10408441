//! Save: what the original's files lose, and this tool's do not.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::process::Command;

use crate::undo::{TRACE, injected};
use crate::{OURS, feed, run, set_up, table};

const SAVE: &str = env!("CARGO_BIN_EXE_ipvsadm-save");
const RESTORE: &str = env!("CARGO_BIN_EXE_ipvsadm-restore");

/// Gives the test separate names.
fn hosts(lines: &str) {
    let file = format!("/run/hosts-{:?}", std::thread::current().id());
    fs::write(&file, lines).unwrap();
    lab::lay_over(&file, "/etc/hosts");
}

#[test]
fn names_that_do_not_resolve_back_are_saved_as_numbers() {
    let rules = "-A -t 10.0.0.1:81 -s rr\n\
        -a -t 10.0.0.1:81 -r 10.1.0.1:81 -g -w 1\n\
        -a -t 10.0.0.1:81 -r 10.1.0.2:81 -g -w 1\n\
        -A -t [2001:db8::1]:81 -s rr\n";
    let start = || {
        lab::isolate();
        hosts("10.0.0.1 vip\n10.1.0.1 web\n10.1.0.2 web\n2001:db8::1 six\n");
        set_up(rules);
    };
    // Two servers with one name become one, and the IPv6 name is not resolved at all.
    start();
    let saved = run(lab::ORIGINAL, "-S").1;
    run(lab::ORIGINAL, "-C");
    assert_ne!(feed(lab::ORIGINAL, "-R", &saved).0, 0);
    assert_eq!(table(), "-A -t 10.0.0.1:81 -s rr\n-a -t 10.0.0.1:81 -r 10.1.0.1:81 -g -w 1\n");

    start();
    let (status, saved, said) = run(OURS, "-S");
    assert_eq!(status, 0);
    assert_eq!(
        said,
        "saved as numbers: these names do not resolve back to the same address or port: six, web\n"
    );
    assert!(
        saved.starts_with("-A -t vip:81 -s rr\n-a -t vip:81 -r web:81 -g -w 1\n-a -t vip:81 -r 10.1.0.2:81 ")
    );
    run(OURS, "-C");
    assert_eq!(feed(OURS, "-R", &saved), (0, String::new(), String::new()));
    assert_eq!(table(), rules);
}

const EVERYTHING: &str = "--set 901 121 301\n\
    -A -t 10.0.0.1:80 -s wrr\n\
    -a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 1 -x 100 -y 50\n\
    -a -t 10.0.0.1:80 -r 10.1.0.2:8080 -m -w 0 -x 7 -y 0\n\
    -A -t 10.0.0.2:443 -s sh -p 600 -M 255.255.255.0 -b sh-fallback,sh-port\n\
    -a -t 10.0.0.2:443 -r 10.1.0.2:443 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum\n\
    -A -u 10.0.0.1:5060 -s rr -p 120 --pe sip\n\
    -A -f 10 -6 -s lc -p 300 -M 64\n\
    --start-daemon master --mcast-interface lo --syncid 7 --sync-maxlen 1000 --mcast-group 224.0.0.90 --mcast-port 9000 --mcast-ttl 3\n";

/// A full save without its head, which has the date.
fn full() -> String {
    let (status, saved, said) = run(OURS, "-S --full");
    assert_eq!((status, said.as_str()), (0, ""));
    let (head, lines) = saved.split_once('\n').unwrap();
    assert!(head.starts_with(concat!("# saved by ipvsadm ", env!("CARGO_PKG_VERSION"), " on 20")), "{head}");
    lines.to_owned()
}

#[test]
fn a_full_save_loses_nothing() {
    // The original's file has neither thresholds nor timeouts nor daemons.
    lab::isolate();
    set_up(EVERYTHING);
    let saved = run(lab::ORIGINAL, "-Sn").1;
    assert!(!saved.contains("-x") && !saved.contains("--set") && !saved.contains("daemon"));

    assert_eq!(full(), EVERYTHING);
    // The original accepts every line of it, and so does this tool, with the head.
    for (tool, lines) in [(lab::ORIGINAL, full()), (OURS, run(SAVE, "--full").1)] {
        lab::isolate();
        assert_eq!(feed(tool, "-R", &lines), (0, String::new(), String::new()));
        assert_eq!(full(), EVERYTHING);
    }
}

#[test]
fn a_file_is_written_whole_or_not_at_all() {
    lab::isolate();
    set_up(EVERYTHING);
    let dir = format!("/run/files-{:?}", std::thread::current().id());
    fs::create_dir(&dir).unwrap();
    let (file, link) = (format!("{dir}/ipvsadm"), format!("{dir}/link"));
    fs::write(&file, "before\n").unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    chown(&file, Some(0), Some(4)).unwrap();
    symlink("ipvsadm", &link).unwrap();
    assert_eq!(run(OURS, &format!("-Sn --file {link}")), (0, String::new(), String::new()));
    assert_eq!(fs::read_to_string(&file).unwrap(), run(OURS, "-Sn").1);
    let kept = fs::metadata(&file).unwrap();
    assert_eq!((kept.mode() & 0o7777, kept.gid()), (0o640, 4));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 2, "nothing is left beside it");

    // The save is read back from the file.
    run(OURS, "-C");
    assert_eq!(run(RESTORE, &format!("--file {file}")), (0, String::new(), String::new()));
    assert_eq!(run(SAVE, &format!("-n --file {dir}/second")), (0, String::new(), String::new()));
    assert_eq!(fs::read_to_string(format!("{dir}/second")).unwrap(), fs::read_to_string(&file).unwrap());

    // A device is written to directly.
    assert_eq!(run(OURS, "-Sn --file /proc/self/fd/1"), run(OURS, "-Sn"));
    assert_eq!(run(OURS, "-Sn --file /dev/full").0, 1);

    let (status, _, said) = run(OURS, "-Sn --file /run/no/such/folder/file");
    assert_eq!(
        (status, said.as_str()),
        (1, "cannot write '/run/no/such/folder/file': No such file or directory\n")
    );
    let (status, _, said) = run(OURS, "-R --file /run/no-such-file");
    assert_eq!((status, said.as_str()), (2, "cannot read '/run/no-such-file': No such file or directory\n"));
}

#[test]
fn a_full_disk_leaves_the_file_as_it_was() {
    lab::isolate();
    let dir = format!("/run/full-{:?}", std::thread::current().id());
    fs::create_dir(&dir).unwrap();
    let options = Some("size=8k");
    nix::mount::mount(Some("lab"), dir.as_str(), Some("tmpfs"), nix::mount::MsFlags::empty(), options)
        .unwrap();
    fs::write(format!("{dir}/ipvsadm"), "before\n").unwrap();
    let rules = (1..500)
        .fold(String::new(), |rules, port| rules + "-A -t 10.0.0.1:" + &port.to_string() + " -s rr\n");
    set_up(&rules);
    let (status, _, said) = run(OURS, &format!("-Sn --file {dir}/ipvsadm"));
    assert_eq!((status, said), (1, format!("cannot write '{dir}/ipvsadm': No space left on device\n")));
    assert_eq!(fs::read_to_string(format!("{dir}/ipvsadm")).unwrap(), "before\n");
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_save_to_a_terminal_says_that_no_file_was_written() {
    lab::isolate();
    set_up("-A -t 10.0.0.1:81 -s rr\n");
    let terminal =
        Command::new("script").args(["-qec", &format!("{OURS} -Sn"), "/dev/null"]).output().unwrap();
    let shown = String::from_utf8(terminal.stdout).unwrap().replace('\r', "");
    let said = "nothing was written to a file; ipvsadm -S > FILE does, or ipvsadm -S --file FILE\n";
    let mut lines: Vec<&str> = shown.split_inclusive('\n').collect();
    lines.sort_unstable();
    assert_eq!(lines, ["-A -t 10.0.0.1:81 -s rr\n", said]);
}

#[test]
fn the_siblings_print_the_version() {
    lab::isolate();
    let rules = "-A -t 10.0.0.9:80 -s rr\n";
    set_up(rules);
    let version = run(OURS, "-v");
    assert!(version.1.contains("\nipvsadm-rs "), "{version:?}");
    for line in ["--version", "-v", "--file /run/none --version"] {
        assert_eq!(run(SAVE, line), version, "{line}");
        assert_eq!(feed(RESTORE, line, ""), version, "{line}");
    }
    assert_eq!(table(), rules);
    assert!(!fs::exists("/run/none").unwrap());
}

#[test]
fn one_file_is_all_three_programs() {
    lab::isolate();
    let rules = "-A -t 10.0.0.9:80 -s rr\n";
    set_up(rules);
    fs::create_dir_all("/run/one").unwrap();
    for (name, sibling) in [("ipvsadm-save", SAVE), ("ipvsadm-restore", RESTORE)] {
        let link = format!("/run/one/{name}");
        symlink(OURS, &link).unwrap();
        for line in ["--nonsense", "--version"] {
            assert_eq!(run(&link, line), run(sibling, line), "{name} {line}");
        }
    }
    assert_eq!(run("/run/one/ipvsadm-save", "-n"), (0, rules.into(), String::new()));
    assert_eq!(feed("/run/one/ipvsadm-restore", "", "-A -f 1 -s wrr\n"), (0, String::new(), String::new()));
    assert_eq!(table(), "-A -f 1 -s wrr\n");
}

/// The message about a word that a sibling does not know.
fn refused(word: &str, sibling: &str) -> String {
    let options = if sibling == SAVE { "the options are -n, --full and" } else { "the one option is" };
    let name = if sibling == SAVE { "ipvsadm-save" } else { "ipvsadm-restore" };
    format!("'{word}' is not an option of {name}; {options} --file PATH\n")
}

#[test]
fn words_that_are_no_options_of_a_save_are_refused() {
    lab::isolate();
    hosts("10.0.0.1 vip\n");
    set_up("-A -t 10.0.0.1:81 -s rr\n");
    // A dash from a text processor: the original saves names without any message.
    assert_eq!(run("/sbin/ipvsadm-save", "\u{2013}n"), (0, "-A -t vip:81 -s rr\n".into(), String::new()));
    let file = "/run/no-save";
    for word in ["\u{2013}n", "numeric", "-x", "--fulll", "-", "-R", "-C", "--sort", "--replace", "--as"] {
        for line in
            [word.to_owned(), format!("-n {word}"), format!("{word} --full"), format!("--file {file} {word}")]
        {
            assert_eq!(run(SAVE, &line), (1, String::new(), refused(word, SAVE)), "{line}");
        }
    }
    assert_eq!(run(SAVE, "-nx 1"), (1, String::new(), refused("-nx", SAVE)));
    assert_eq!(run(SAVE, &format!("-- {file}")), (1, String::new(), refused(file, SAVE)));
    assert_eq!(
        run(SAVE, "-n --file"),
        (1, String::new(), "--file: missing argument; PATH stands behind it\n".into())
    );
    assert_eq!(
        run(SAVE, "--full=yes"),
        (1, String::new(), "--full=yes: option does not take an argument\n".into())
    );
    let twice = format!("--file {file} --file={file}");
    assert_eq!(
        run(SAVE, &twice),
        (2, String::new(), "multiple 'file' options specified; give --file once\n".into())
    );
    // The original's usage, with either option.
    for word in ["-h", "--help"] {
        assert_eq!(run(SAVE, word), run("/sbin/ipvsadm-save", word));
    }
    assert!(!fs::exists(file).unwrap());
    // Known options may be repeated, as with the original.
    let numbers = (0, "-A -t 10.0.0.1:81 -s rr\n".into(), String::new());
    assert_eq!(run("/sbin/ipvsadm-save", "-n -n"), numbers);
    for line in ["-n", "-n -n", "-nn", "--numeric"] {
        assert_eq!(run(SAVE, line), numbers, "{line}");
    }
    for line in ["--full --file={}", "--file {} --full", "-n --full --file {}"] {
        assert_eq!(run(SAVE, &line.replace("{}", file)), (0, String::new(), String::new()), "{line}");
        assert!(fs::read_to_string(file).unwrap().contains("--set"), "{line}");
        fs::remove_file(file).unwrap();
    }
}

#[test]
fn words_that_are_no_options_of_a_restore_change_nothing() {
    let rules = "-A -t 10.0.0.9:80 -s rr\n";
    let file = "/run/rules-to-restore";
    fs::write(file, "-A -t 10.0.0.1:80 -s wrr\n").unwrap();
    lab::isolate();
    set_up(rules);
    assert_eq!(run("/sbin/ipvsadm-restore", &format!("--file={file}")), (0, String::new(), String::new()));
    assert_eq!(table(), "", "the original clears, whatever its words are");
    set_up(rules);
    for (line, word) in [
        (format!("-f {file}"), "-f"),
        (file.to_owned(), file),
        (format!("--file {file} {file}"), file),
        ("--help".into(), "--help"),
        ("-h".into(), "-h"),
        ("-n".into(), "-n"),
        ("--files=x".into(), "--files=x"),
        ("--dry-run".into(), "--dry-run"),
        ("-C".into(), "-C"),
        ("\u{2013}\u{2013}file".into(), "\u{2013}\u{2013}file"),
    ] {
        // With an empty input, and with one that contains a table.
        for input in ["", "-A -t 10.0.0.2:80\n"] {
            assert_eq!(feed(RESTORE, &line, input), (255, String::new(), refused(word, RESTORE)), "{line}");
            assert_eq!(table(), rules, "{line}");
        }
    }
    assert_eq!(
        run(RESTORE, "--file"),
        (255, String::new(), "--file: missing argument; PATH stands behind it\n".into())
    );
    let twice = format!("--file {file} --file {file}");
    assert_eq!(
        run(RESTORE, &twice),
        (2, String::new(), "multiple 'file' options specified; give --file once\n".into())
    );
    assert_eq!(table(), rules);
    for line in [format!("--file={file}"), format!("--file {file}")] {
        run(OURS, "-C");
        assert_eq!(feed(RESTORE, &line, ""), (0, String::new(), String::new()), "{line}");
        assert_eq!(table(), "-A -t 10.0.0.1:80 -s wrr\n", "{line}");
    }
}

#[test]
fn a_sibling_beside_another_ipvsadm_does_nothing() {
    let folder = "/run/beside-the-original";
    fs::create_dir(folder).unwrap();
    fs::copy(lab::ORIGINAL, format!("{folder}/ipvsadm")).unwrap();
    lab::isolate();
    set_up("-A -t 10.0.0.9:80 -s rr\n");
    for sibling in [SAVE, RESTORE] {
        let copy = format!("{folder}/{}", sibling.rsplit('/').next().unwrap());
        fs::copy(sibling, &copy).unwrap();
        let (status, stdout, _) = feed(&copy, "", "-A -t 10.0.0.1:80\n");
        assert_eq!((status, stdout.as_str()), (255, ""));
        assert_eq!(table(), "-A -t 10.0.0.9:80 -s rr\n");
    }
}

/// Somebody else may have set `PATH`, or filled the current folder.
#[test]
fn a_sibling_runs_no_program_of_the_current_folder_or_of_path() {
    let (alone, here) = ("/run/alone", "/run/of-a-stranger");
    lab::isolate();
    for folder in [alone, here] {
        fs::create_dir(folder).unwrap();
    }
    let (stranger, called) = (format!("{here}/ipvsadm"), format!("{here}/called"));
    fs::write(&stranger, format!("#!/bin/sh\necho $0 >>{called}\n")).unwrap();
    assert!(Command::new("chmod").args(["+x", &stranger]).status().unwrap().success());
    for sibling in [SAVE, RESTORE] {
        let copy = format!("{alone}/{}", sibling.rsplit('/').next().unwrap());
        fs::copy(sibling, &copy).unwrap();
        for path in [None, Some(""), Some("."), Some(here)] {
            let mut command = Command::new(&copy);
            command.env_remove("PATH").current_dir(here).stdin(std::process::Stdio::null());
            command.envs(path.map(|path| ("PATH", path)));
            let output = command.output().unwrap();
            // The original is where systems have it, and knows no word of this one's.
            assert_eq!(output.status.code(), Some(255), "{copy} {path:?}: {output:?}");
            assert!(!fs::exists(&called).unwrap(), "{copy} {path:?}");
        }
    }
}

#[test]
fn a_part_of_the_table_replaces_no_file() {
    lab::isolate();
    set_up(EVERYTHING);
    let save = |inject: &str| {
        (injected(inject, "-S --full", "before\n"), fs::read_to_string("/run/injected").unwrap())
    };
    let (told, saved) = save("recvfrom:delay_exit=0");
    assert_eq!(told, (0, String::new(), String::new()));
    assert!(saved.ends_with(EVERYTHING));
    // The kernel's replies: to the requests for services, for the servers of each, and for daemons. Each in turn ends
    // with an error.
    let trace = fs::read_to_string(TRACE).unwrap();
    let ends = trace.lines().enumerate().filter(|(_, line)| line.contains("NLMSG_DONE"));
    let ends: Vec<(usize, u32)> = ends
        .map(|(at, line)| {
            (at + 1, line.split_once("nlmsg_seq=").unwrap().1.split_once(',').unwrap().0.parse().unwrap())
        })
        .collect();
    assert_eq!(ends.len(), 1 + EVERYTHING.matches("-A ").count() + 1, "{trace}");
    for (at, sequence) in ends {
        // 20 bytes of NLMSG_DONE with NLM_F_MULTI, and -ENOMEM.
        let end = [20, 2 << 16 | 3, sequence, 0, (-12_i32).cast_unsigned()];
        let bytes = end.map(|word: u32| format!("{:08x}", word.swap_bytes())).concat();
        let (told, saved) = save(&format!("recvfrom:poke_exit=@arg2={bytes}:when={at}"));
        assert_eq!((told.0, told.1.as_str(), told.2.lines().count()), (1, "", 1), "{told:?}");
        assert_eq!(saved, "before\n");
    }
}

#[test]
fn a_save_that_fails_gives_a_pipe_nothing() {
    lab::isolate();
    set_up(&(1..=12).map(|number| format!("-A -t 10.0.0.{number}:80 -s rr")).collect::<Vec<_>>().join("\n"));
    for call in [4, 6, 10] {
        let mut strace = Command::new("strace");
        strace.args(["-o", "/dev/null", "-e", "trace=sendto", "-e"]);
        strace.args([&format!("inject=sendto:error=EIO:when={call}+"), OURS, "-S", "--full"]);
        let (status, saved, said) = crate::answer(strace.output().unwrap());
        assert_eq!((status, saved.as_str()), (1, ""), "{call}: {said}");
    }
    let closed = Command::new("sh").args(["-c", &format!("{OURS} -S --file /dev/fd/1 >&-")]).output();
    let (status, _, said) = crate::answer(closed.unwrap());
    assert!(status == 1 && said.contains("stdout is closed"), "{status}: {said}");
}

//! `--file`: where it writes, and what it refuses. The shell's `>>` shows what the kernel lets the same user open.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::process::{Command, Stdio};

use crate::{Answer, OURS, answer, set_up};

const SAVE: &str = env!("CARGO_BIN_EXE_ipvsadm-save");
const RESTORE: &str = env!("CARGO_BIN_EXE_ipvsadm-restore");
pub(crate) const NOBODY: u32 = 65534;

/// The table of each test, and its save.
pub(crate) const RULES: &str = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 1\n";

/// A network with that table, and an empty folder for the test.
pub(crate) fn start(name: &str) -> String {
    lab::isolate();
    set_up(RULES);
    let folder = format!("/run/file-{name}");
    fs::create_dir(&folder).unwrap();
    folder
}

/// Runs a script in a folder, with the tool as `$OURS`.
pub(crate) fn shell(folder: &str, script: &str) -> Answer {
    let mut shell = Command::new("bash");
    shell.args(["-c", script]).current_dir(folder).env("OURS", OURS).stdin(Stdio::null());
    answer(shell.output().unwrap())
}

pub(crate) fn save(path: &str) -> Answer {
    answer(Command::new(OURS).args(["-S", "-n", "--file", path]).output().unwrap())
}

pub(crate) const DONE: (i32, &str, &str) = (0, "", "");

pub(crate) fn same(told: &Answer) -> (i32, &str, &str) {
    (told.0, &told.1, &told.2)
}

/// The content of a file.
pub(crate) fn held(path: &str) -> String {
    fs::read_to_string(path).unwrap()
}

pub(crate) fn names(folder: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn descriptors_are_written_to_where_they_stand() {
    let folder = start("descriptors");
    symlink("/proc/self/fd/1", format!("{folder}/stdout")).unwrap();
    symlink("stdout", format!("{folder}/again")).unwrap();
    for path in ["/proc/self/fd/1", "/dev/fd/1", "stdout", "again", "/proc/thread-self/fd/1"] {
        fs::write(format!("{folder}/log"), "before\n").unwrap();
        let inode = fs::metadata(format!("{folder}/log")).unwrap().ino();
        let script = format!("{{ $OURS -Sn --file {path}; echo behind; }} >> log");
        assert_eq!(same(&shell(&folder, &script)), DONE, "{path}");
        assert_eq!(held(&format!("{folder}/log")), format!("before\n{RULES}behind\n"), "{path}");
        assert_eq!(fs::metadata(format!("{folder}/log")).unwrap().ino(), inode, "{path}");
    }
    // Not from the beginning, and later output does not overwrite it.
    for path in ["/dev/fd/3", "/proc/self/fd/3"] {
        let script = format!("exec 3> log; echo first >&3; $OURS -Sn --file {path}; echo last >&3");
        assert_eq!(same(&shell(&folder, &script)), DONE, "{path}");
        assert_eq!(held(&format!("{folder}/log")), format!("first\n{RULES}last\n"), "{path}");
    }
    // A descriptor of another process, not this one's of the same number.
    let script =
        "exec 5> theirs; echo first >&5; $OURS -Sn --file /proc/$$/fd/5 5> mine; cat mine theirs >&2";
    assert_eq!(same(&shell(&folder, script)), (0, "", &*format!("first\n{RULES}")));
    assert_eq!(same(&shell(&folder, "rm theirs mine")), DONE);
    // A file that was removed.
    let script = "exec 1<> gone; rm gone; $OURS -Sn --file stdout; cat < /proc/self/fd/1 >&2";
    assert_eq!(same(&shell(&folder, script)), (0, "", RULES));
    // After earlier output, in a line of the same restore.
    let script = r"printf -- '--set 1 1 1 --dry-run\n-S -n --file /dev/fd/1\n' | $OURS -R";
    assert_eq!(same(&shell(&folder, script)), (0, &*format!("--set 1 1 1\n{RULES}"), ""));
    // A process substitution, and a socket, which cannot be opened.
    assert_eq!(same(&shell(&folder, "$OURS -Sn --file >(cat >&2); wait $!")), (0, "", RULES));
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let status = Command::new(OURS)
        .args(["-Sn", "--file", "/proc/self/fd/1"])
        .stdout(Stdio::from(std::os::fd::OwnedFd::from(ours)))
        .status();
    assert!(status.unwrap().success());
    assert_eq!(crate::rest(theirs), RULES);
    assert_eq!(names(&folder), ["again", "log", "stdout"]);
}

#[test]
fn descriptors_that_cannot_be_written_to_are_errors() {
    let folder = start("no-descriptors");
    // One for reading, those opened by the tool itself, and one that does not exist.
    let bad = |number| format!("cannot write '/dev/fd/{number}': Bad file descriptor\n");
    fs::write(format!("{folder}/log"), "before\n").unwrap();
    assert_eq!(shell(&folder, "$OURS -Sn --file /dev/fd/5 5< log"), (1, String::new(), bad(5)));
    for number in 3..=4 {
        assert_eq!(save(&format!("/dev/fd/{number}")), (1, String::new(), bad(number)));
    }
    let none = "cannot write '/dev/fd/99': No such file or directory\n";
    assert_eq!(save("/dev/fd/99"), (1, String::new(), none.into()));
    assert_eq!(held(&format!("{folder}/log")), "before\n");
    // One that is no longer read.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(OURS).args(["-S", "--file", "/dev/fd/1"]).stdout(writer).output().unwrap();
    assert_eq!(answer(output), (1, String::new(), "cannot write '/dev/fd/1': Broken pipe\n".into()));
}

#[test]
fn pipes_and_devices_are_written_through() {
    let folder = start("pipes");
    nix::unistd::mkfifo(format!("{folder}/pipe").as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    symlink("pipe", format!("{folder}/link")).unwrap();
    for path in ["pipe", "link"] {
        let script = format!("cat pipe >&2 & $OURS -Sn --file {path}; wait");
        assert_eq!(same(&shell(&folder, &script)), (0, "", RULES));
        let script = format!("echo '{RULES}' > pipe & $OURS -R --dry-run --file {path}; wait");
        assert_eq!(same(&shell(&folder, &script)), (0, RULES, ""));
    }
    assert_eq!(save("/dev/null"), (0, String::new(), String::new()));
    assert_eq!(
        save("/dev/full"),
        (1, String::new(), "cannot write '/dev/full': No space left on device\n".into())
    );
    assert_eq!(names(&folder), ["link", "pipe"]);
}

#[test]
fn a_dash_is_stdin_and_stdout() {
    let folder = start("dash");
    assert_eq!(same(&shell(&folder, "$OURS -Sn --file -")), (0, RULES, ""));
    assert_eq!(same(&shell(&folder, &format!("{SAVE} -n --file=- > saved && $OURS -C"))), DONE);
    assert_eq!(held(&format!("{folder}/saved")), RULES);
    assert_eq!(same(&shell(&folder, &format!("{RESTORE} --file - < saved; $OURS -Sn"))), (0, RULES, ""));
    assert_eq!(same(&shell(&folder, "$OURS -Sn --file ./-")), DONE);
    assert_eq!(names(&folder), ["-", "saved"]);
}

#[test]
fn links_are_followed_and_stay() {
    let folder = start("links");
    let at = |name: &str| format!("{folder}/{name}");
    fs::create_dir(at("below")).unwrap();
    symlink("below", at("folder")).unwrap();
    symlink("missing", at("below/dangling")).unwrap();
    symlink("folder/dangling", at("far")).unwrap();
    symlink(at("absolute-target"), at("absolute")).unwrap();
    symlink("no/such/folder", at("nowhere")).unwrap();
    symlink("folder", at("to-folder")).unwrap();
    symlink("two", at("one")).unwrap();
    symlink("one", at("two")).unwrap();
    // From the first, forty links: the kernel's maximum.
    for number in 0..41 {
        symlink(format!("chain-{}", number + 1), at(&format!("chain-{number}"))).unwrap();
    }
    let links = names(&folder);
    for (path, file) in [
        ("far", "below/missing"),
        ("absolute", "absolute-target"),
        ("chain-1", "chain-41"),
        (&format!("/proc/self/root{}", at("far")), "below/missing"),
    ] {
        // Without and with an existing file.
        for _ in 0..2 {
            assert_eq!(same(&shell(&folder, &format!("$OURS -Sn --file {path}"))), DONE, "{path}");
            assert_eq!(held(&at(file)), RULES, "{path}");
            assert!(!fs::symlink_metadata(at(file)).unwrap().is_symlink(), "{path}");
            fs::write(at(file), "before\n").unwrap();
        }
        fs::remove_file(at(file)).unwrap();
    }
    fs::write(at("chain-41"), "before\n").unwrap();
    for (path, reason) in [
        ("one", "Too many levels of symbolic links"),
        ("chain-0", "Too many levels of symbolic links"),
        ("nowhere", "No such file or directory"),
        ("to-folder", "Is a directory"),
        ("folder/", "Is a directory"),
        (".", "Is a directory"),
        ("..", "Is a directory"),
        ("chain-41/", "Not a directory"),
        ("chain-41/x", "Not a directory"),
        ("''", "No such file or directory"),
    ] {
        let (status, _, said) = shell(&folder, &format!("$OURS -Sn --file {path}"));
        assert_eq!((status, said), (1, format!("cannot write '{}': {reason}\n", path.trim_matches('\''))));
        assert_ne!(shell(&folder, &format!(": >> {path}")).0, 0, "{path}: nor would the shell");
    }
    assert_eq!(held(&at("chain-41")), "before\n");
    fs::remove_file(at("chain-41")).unwrap();
    assert_eq!(names(&folder), links);
    assert_eq!(names(&at("below")), ["dangling"]);
}

/// Sets the kernel's protections of sticky folders.
fn protect(what: &str, value: &str) {
    fs::write(format!("/proc/sys/fs/protected_{what}"), value).unwrap();
}

#[test]
fn what_the_kernel_protects_is_not_written() {
    let folder = start("protected");
    let at = |name: &str| format!("{folder}/{name}");
    fs::create_dir(at("target")).unwrap();
    let mut refused = 0;
    for (level, mode, folders_owner, owner) in [
        ("0", 0o1777, 0, NOBODY),
        ("1", 0o1777, 0, NOBODY),
        ("1", 0o1777, NOBODY, NOBODY),
        ("1", 0o1777, 0, 0),
        ("1", 0o777, 0, NOBODY),
        ("1", 0o1775, 0, NOBODY),
        ("2", 0o1775, 0, NOBODY),
        ("1", 0o1755, 0, NOBODY),
    ] {
        protect("symlinks", if level == "0" { "0" } else { "1" });
        protect("regular", level);
        protect("fifos", level);
        let shared = at("shared");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, Permissions::from_mode(mode)).unwrap();
        chown(&shared, Some(folders_owner), None).unwrap();
        fs::write(format!("{shared}/file"), "before\n").unwrap();
        for (link, target) in [("link", "../target/file"), ("dangling", "../target/new"), ("both", "file")] {
            symlink(target, format!("{shared}/{link}")).unwrap();
        }
        nix::unistd::mkfifo(format!("{shared}/pipe").as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for name in ["file", "link", "dangling", "both", "pipe"] {
            lchown(format!("{shared}/{name}"), Some(owner), None).unwrap();
        }
        // A reader of the pipe, so that it can be opened.
        let _reader = File::options().read(true).write(true).open(format!("{shared}/pipe")).unwrap();
        for name in ["file", "link", "dangling", "both", "pipe"] {
            let path = format!("{shared}/{name}");
            let (allowed, ..) = shell(&folder, &format!(": >> {path}"));
            let _ = fs::remove_file(at("target/new"));
            fs::write(at("target/file"), "before\n").unwrap();
            let (status, _, said) = save(&path);
            let case = format!("level {level}, folder {mode:o} of {folders_owner}, {name} of {owner}");
            assert_eq!(status, i32::from(allowed != 0), "{case}: {said}");
            if status == 0 {
                assert_eq!(said, "", "{case}");
                continue;
            }
            refused += 1;
            let why = "Permission denied; another user put it into a folder where all may write\n";
            assert_eq!(said, format!("cannot write '{path}': {why}"), "{case}");
            assert_eq!(held(&at("target/file")), "before\n", "{case}");
            assert_eq!(held(&format!("{shared}/file")), "before\n", "{case}");
            assert_eq!(names(&at("target")), ["file"], "{case}");
        }
        fs::remove_dir_all(&shared).unwrap();
        fs::remove_file(at("target/file")).unwrap();
    }
    assert!(refused >= 5, "the kernel refused {refused}");
}

#[test]
fn a_save_to_a_closed_stdout_is_an_error() {
    let folder = start("closed");
    let said = "cannot write the output: stdout is closed, or is only /dev/null; ipvsadm -S > FILE writes a file, \
                or ipvsadm -S --file FILE\n";
    for tool in ["$OURS -Sn", "$OURS -S --file -", SAVE] {
        assert_eq!(shell(&folder, &format!("{tool} >&-")), (1, String::new(), said.into()), "{tool}");
        assert_eq!(
            shell(&folder, &format!("{tool} > /dev/null")),
            (0, String::new(), String::new()),
            "{tool}"
        );
        assert_eq!(shell(&folder, &format!("{tool} >&- 2>&- <&-")).0, 1, "{tool}");
    }
    // The original does not check.
    assert_eq!(shell(&folder, &format!("{} -Sn >&-", lab::ORIGINAL)), (0, String::new(), String::new()));
    // A file needs no stdout, and neither does a command without output.
    assert_eq!(shell(&folder, "$OURS -Sn --file rules >&-"), (0, String::new(), String::new()));
    assert_eq!(shell(&folder, "$OURS -R --file rules --apply >&-"), (0, String::new(), String::new()));
}

//! A file that `--file` replaces: complete and on the disk, and as private as the old one.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;

use nix::mount::{MsFlags, mount};

use crate::files::{DONE, NOBODY, RULES, held, names, same, save, shell, start};
use crate::{Answer, OURS, answer, run, until};

const ACL: &str = "system.posix_acl_access";
const LABEL: &str = "security.selinux";

/// Sets an attribute of a file in the kernel's format.
fn set_attribute(path: &str, name: &str, value: &[u8]) {
    rustix::fs::setxattr(path, name, value, rustix::fs::XattrFlags::empty()).unwrap();
}

fn attribute(path: &str, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 4096];
    let length = rustix::fs::getxattr(path, name, &mut value).ok()?;
    value.truncate(length);
    Some(value)
}

/// An ACL that lets only the owner read and write.
fn acl() -> Vec<u8> {
    const NONE: u32 = u32::MAX;
    let entries: [(u16, u16, u32); 5] =
        [(1, 6, NONE), (2, 4, NOBODY), (4, 0, NONE), (16, 4, NONE), (32, 0, NONE)];
    let entry = |(kind, allowed, who): (u16, u16, u32)| {
        [&kind.to_le_bytes()[..], &allowed.to_le_bytes(), &who.to_le_bytes()].concat()
    };
    [2u32.to_le_bytes().to_vec(), entries.map(entry).concat()].concat()
}

#[test]
fn who_may_read_and_write_stays_as_it_was() {
    let folder = start("modes");
    let at = |name: &str| format!("{folder}/{name}");
    let mode = |name: &str| fs::metadata(at(name)).unwrap().mode() & 0o7777;
    // A new file gets its mode from the umask.
    for (umask, expected) in [("022", 0o644), ("077", 0o600), ("027", 0o640), ("000", 0o666)] {
        assert_eq!(
            same(&shell(&folder, &format!("umask {umask}; $OURS -Sn --file new && : > shells"))),
            DONE
        );
        assert_eq!((mode("new"), mode("shells")), (expected, expected), "umask {umask}");
        assert_eq!(same(&shell(&folder, "rm new shells")), DONE);
    }
    // An existing file keeps its mode, whatever the umask, and its owner.
    for expected in [0o600, 0o640, 0o664, 0o604, 0o444, 0] {
        fs::write(at("file"), "before\n").unwrap();
        fs::set_permissions(at("file"), Permissions::from_mode(expected)).unwrap();
        chown(at("file"), Some(NOBODY), Some(4)).unwrap();
        assert_eq!(same(&shell(&folder, "umask 077; $OURS -Sn --file file")), DONE);
        let now = fs::metadata(at("file")).unwrap();
        assert_eq!((mode("file"), now.uid(), now.gid()), (expected, NOBODY, 4));
        fs::remove_file(at("file")).unwrap();
    }
    // Its ACL and its label, or their absence even if the folder gives them to new files.
    fs::write(at("listed"), "before\n").unwrap();
    set_attribute(&at("listed"), ACL, &acl());
    set_attribute(&at("listed"), LABEL, b"system_u:object_r:system_conf_t:s0\0");
    fs::write(at("plain"), "before\n").unwrap();
    fs::set_permissions(at("plain"), Permissions::from_mode(0o600)).unwrap();
    set_attribute(&folder, "system.posix_acl_default", &acl());
    for name in ["listed", "plain"] {
        let kept = |name: &str| (attribute(&at(name), ACL), attribute(&at(name), LABEL), mode(name));
        let before = kept(name);
        assert_eq!(before.0.is_some(), name == "listed");
        assert_eq!(same(&save(&at(name))), DONE);
        assert_eq!(held(&at(name)), RULES);
        assert_eq!(kept(name), before, "{name}");
    }
}

/// Runs the tool as a user with `CAP_NET_ADMIN` only.
fn as_nobody(folder: &str, path: &str) -> Answer {
    let tool = "/run/ipvsadm-for-a-user";
    fs::copy(OURS, tool).unwrap();
    fs::set_permissions(tool, Permissions::from_mode(0o755)).unwrap();
    let capabilities =
        ["--inh-caps=-all,+net_admin", "--ambient-caps=-all,+net_admin", "--bounding-set=-all,+net_admin"];
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).args(capabilities);
    answer(command.args([tool, "-S", "--full", "--file", path]).current_dir(folder).output().unwrap())
}

#[test]
fn a_file_that_no_new_one_can_replace_is_named_with_what_writes_into_it() {
    let folder = start("in the way");
    let at = |name: &str| format!("{folder}/{name}");
    let said = |path: &str, reason: &str, options: &str, quoted: &str| {
        let command = format!(
            "ipvsadm -S{options} > {quoted} writes into it, and leaves an incomplete file if that fails"
        );
        let message =
            format!("cannot write '{path}': {reason}; a new file cannot replace it, but {command}\n");
        (1, String::new(), message)
    };
    // A file that is bind-mounted over another, as into a container.
    fs::write(at("outside"), "before\n").unwrap();
    fs::write(at("inside"), "").unwrap();
    lab::lay_over(at("outside"), at("inside"));
    let path = at("inside");
    let busy = said(&path, "Device or resource busy", " -n", &format!("'{path}'"));
    assert_eq!(save(&path), busy);
    // The command does what the message says.
    assert_eq!(same(&shell(&folder, &format!("$OURS -Sn > '{path}'"))), DONE);
    assert_eq!(held(&at("outside")), RULES);

    // The same in a read-only folder.
    fs::create_dir(at("read-only")).unwrap();
    fs::write(at("read-only/rules"), "").unwrap();
    lab::lay_over(at("read-only"), at("read-only"));
    lab::lay_over(at("outside"), at("read-only/rules"));
    let nothing = None::<&str>;
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    mount(nothing, at("read-only").as_str(), nothing, flags, nothing).unwrap();
    let path = at("read-only/rules");
    assert_eq!(save(&path), said(&path, "Read-only file system", " -n", &format!("'{path}'")));
    // A file that cannot be written into either has no such fix.
    let read_only = format!("cannot write '{}': Read-only file system\n", at("read-only/new"));
    assert_eq!(save(&at("read-only/new")), (1, String::new(), read_only));

    // A user's own file in a folder of root's, one of root's that all may write, and one that the user may not write.
    fs::create_dir(at("roots")).unwrap();
    fs::create_dir(at("shared")).unwrap();
    fs::set_permissions(at("shared"), Permissions::from_mode(0o777)).unwrap();
    for (name, owner, mode) in
        [("roots/own", NOBODY, 0o600), ("shared/file", 0, 0o666), ("roots/other", 0, 0o644)]
    {
        fs::write(at(name), "before\n").unwrap();
        chown(at(name), Some(owner), Some(owner)).unwrap();
        fs::set_permissions(at(name), Permissions::from_mode(mode)).unwrap();
    }
    let plain = |path: &str, reason: &str| (1, String::new(), format!("cannot write '{path}': {reason}\n"));
    assert_eq!(
        as_nobody(&folder, "roots/own"),
        said("roots/own", "Permission denied", " --full", "roots/own")
    );
    assert_eq!(
        as_nobody(&folder, "shared/file"),
        said("shared/file", "Operation not permitted", " --full", "shared/file")
    );
    assert_eq!(as_nobody(&folder, "roots/other"), plain("roots/other", "Permission denied"));
    assert_eq!(as_nobody(&folder, "roots/new"), plain("roots/new", "Permission denied"));
    for name in ["roots/own", "shared/file", "roots/other"] {
        assert_eq!(held(&at(name)), "before\n");
    }
    assert_eq!(
        (names(&at("roots")), names(&at("shared"))),
        (vec!["other".into(), "own".into()], vec!["file".into()])
    );
    assert_eq!(names(&folder), ["inside", "outside", "read-only", "roots", "shared"]);
}

#[test]
fn a_save_is_on_the_disk_before_it_is_in_its_place_and_after() {
    let folder = start("disk");
    let (file, trace) = (format!("{folder}/rules"), format!("{folder}-trace"));
    for is_new in [true, false] {
        let calls = "trace=fsync,fdatasync,sync_file_range,syncfs,rename,renameat,renameat2,link,linkat";
        let mut strace = Command::new("strace");
        strace.args(["-y", "-o", &trace, "-e", calls, OURS, "-Sn", "--file", &file]);
        assert_eq!(same(&answer(strace.output().unwrap())), DONE);
        let trace = held(&trace);
        let calls: Vec<&str> = trace.lines().filter(|line| line.ends_with(" = 0")).collect();
        let [written, placed, kept] = calls[..] else { panic!("{trace}") };
        let beside = format!("{folder}/.ipvsadm-");
        assert!(written.starts_with("fsync(") && written.contains(&format!("<{beside}")), "{trace}");
        assert!(placed.starts_with("rename") && placed.contains(&format!("\"{beside}")), "{trace}");
        assert!(placed.contains(&format!("\"{file}\"")), "{trace}");
        assert!(
            kept.starts_with("fsync(") && kept.contains(&format!("<{folder}>)")),
            "{trace}, new: {is_new}"
        );
    }
}

#[test]
fn saves_at_the_same_time_leave_one_of_them_whole() {
    let folder = start("together");
    let file = format!("{folder}/rules");
    // The first has written everything, and waits before the rename; the second overtakes it.
    let wait = ["-e", "trace=fsync", "-e", "inject=fsync:delay_enter=3000000:when=1"];
    let mut first = Command::new("strace");
    let mut first =
        first.args(["-o", "/dev/null"]).args(wait).args([OURS, "-S", "--file", &file]).spawn().unwrap();
    until("a second file", || names(&folder).len() == 1);
    assert_eq!(same(&save(&file)), DONE);
    assert_eq!(held(&file), RULES);
    assert_eq!(names(&folder).len(), 2, "the first is still at it");
    assert!(first.wait().unwrap().success());
    assert_eq!(held(&file), run(OURS, "-S").1);
    assert_ne!(held(&file), RULES);
    assert_eq!(names(&folder), ["rules"]);
}

#[test]
fn folders_that_can_be_written_in_part_leave_no_second_file() {
    let folder = start("odd");
    let at = |name: &str| format!("{folder}/{name}");
    // Nothing can be removed from this one.
    let flags = |flags| rustix::fs::ioctl_setflags(fs::File::open(&folder).unwrap(), flags).unwrap();
    fs::write(at("rules"), "before\n").unwrap();
    flags(rustix::fs::IFlags::APPEND);
    for name in ["rules", "new"] {
        let (status, _, said) = save(&at(name));
        assert_eq!(status, 1);
        assert!(said.starts_with(&format!("cannot write '{}': Operation not permitted", at(name))), "{said}");
    }
    assert_eq!((names(&folder), held(&at("rules"))), (vec!["rules".to_owned()], "before\n".to_owned()));
    flags(rustix::fs::IFlags::empty());
    // This one can be written but not read, so it cannot be synced.
    fs::create_dir(at("drop")).unwrap();
    fs::set_permissions(at("drop"), Permissions::from_mode(0o1733)).unwrap();
    assert_eq!(same(&as_nobody(&folder, "drop/rules")), DONE);
    assert!(held(&at("drop/rules")).ends_with(RULES));
    assert_eq!(names(&at("drop")), ["rules"]);
}

#[test]
fn a_disk_that_fails_is_told() {
    let folder = start("failing");
    let file = format!("{folder}/rules");
    for (injected, reason, left) in [
        ("write:error=EIO:when=1", "Input/output error", "before\n"),
        ("write:error=EDQUOT:when=1", "Disk quota exceeded", "before\n"),
        ("fchown:error=EPERM", "Operation not permitted", "before\n"),
        ("fsync:error=EIO:when=1", "Input/output error", "before\n"),
        ("rename,renameat,renameat2:error=ENOSPC", "No space left on device", "before\n"),
        ("fsync:error=EIO:when=2", "Input/output error", RULES),
        // Not every file system syncs folders.
        ("fsync:error=EINVAL:when=2", "", RULES),
    ] {
        fs::write(&file, "before\n").unwrap();
        let traced = format!("trace={}", injected.split(':').next().unwrap());
        let mut strace = Command::new("strace");
        strace.args(["-o", "/dev/null", "-e", &traced, "-e", &format!("inject={injected}")]);
        let told = answer(strace.args([OURS, "-S", "-n", "--file", &file]).output().unwrap());
        if reason.is_empty() {
            assert_eq!(same(&told), DONE, "{injected}");
        } else {
            assert_eq!(told.0, 1, "{injected}");
            assert!(
                told.2.starts_with(&format!("cannot write '{file}': {reason}")),
                "{injected}: {}",
                told.2
            );
        }
        assert_eq!(held(&file), left, "{injected}");
        assert_eq!(names(&folder), ["rules"], "{injected}");
    }
}

//! Running programs that manage a director by their own configuration.

mod keepalived;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::Dir;

/// What the running programs manage, each with the name of one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Supervisors {
    /// It fills the table from its own configuration.
    pub(crate) fill_table: Option<&'static str>,
    /// It decides which machine has the virtual addresses.
    pub(crate) move_addresses: Option<&'static str>,
    /// Processes are hidden from this one, so that there may be others.
    pub(crate) are_hidden: bool,
}

/// A program; the kernel shows 15 characters of its name.
struct Program {
    name: &'static str,
    fills_table: bool,
    moves_addresses: bool,
}

const fn program(name: &'static str, fills_table: bool, moves_addresses: bool) -> Program {
    Program { name, fills_table, moves_addresses }
}

const PROGRAMS: [Program; 20] = [
    program("keepalived", true, true),
    program("ldirectord", true, false),
    program("heartbeat", false, true),
    program("corosync", false, true),
    program("pacemakerd", false, true),
    program("rgmanager", false, true),
    program("pulse", true, true),
    program("lvsd", true, true),
    program("surealived", true, false),
    program("seesaw_engine", true, true),
    program("seesaw_ncc", true, true),
    program("ucarp", false, true),
    program("carp", false, true),
    program("vrrpd", false, true),
    program("uvrrpd", false, true),
    program("exabgp", false, true),
    program("kube-vip", false, true),
    program("kube-proxy", true, false),
    program("kube-router", true, true),
    program("gorb", true, false),
];

impl Supervisors {
    /// The programs in this process's network namespace, from the directory of all processes.
    pub(crate) fn running(proc: &Path) -> Self {
        let network = |process: &Path| fs::read_link(process.join("ns/net"));
        let own = network(&proc.join("self")).ok();
        let mut all = Self { are_hidden: is_elsewhere(proc), ..Self::seen_without_process(proc) };
        for process in processes(proc) {
            let comm = fs::read_to_string(process.join("comm"));
            all.are_hidden |= is_denied(&comm);
            let known = program_of(&process, &comm.unwrap_or_default());
            // Whose network namespace may not be seen is probably in this one.
            let is_here = |network: io::Result<PathBuf>| is_denied(&network) || network.ok() == own;
            let known = known.filter(|_| is_here(network(&process)) || keepalived::manages(&process, proc));
            let known = known.filter(|_| may_change_the_table(proc, &process));
            if let Some(Program { name, fills_table, moves_addresses }) = known {
                all.fill_table = all.fill_table.or(fills_table.then_some(name));
                all.move_addresses = all.move_addresses.or(moves_addresses.then_some(name));
            }
        }
        all
    }

    /// What shows in this network namespace, whatever processes can be seen: those of other containers cannot.
    fn seen_without_process(proc: &Path) -> Self {
        let read = |file: &str| fs::read_to_string(proc.join("net").join(file)).unwrap_or_default();
        let has_link = read("dev").lines().any(|line| line.trim_start().starts_with("kube-ipvs0:"));
        // A socket of VRRP, which is IP protocol 112.
        let is_vrrp = |row: &str| row.split_whitespace().nth(1).is_some_and(|local| local.ends_with(":0070"));
        let speaks_vrrp = ["raw", "raw6"].iter().any(|file| read(file).lines().any(is_vrrp));
        Self {
            fill_table: has_link.then_some("kube-proxy"),
            move_addresses: speaks_vrrp.then_some("a program that speaks VRRP"),
            are_hidden: false,
        }
    }
}

fn is_denied<T>(result: &io::Result<T>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

/// Whether the processes that may be supervisors are not below a directory of processes: because they are hidden from this user,
/// or because this one has its own kind of them, in the network namespace of the whole machine, as a container may.
fn is_elsewhere(proc: &Path) -> bool {
    const FIRST: &str = "pid:[4026531836]";
    /// Only the first network namespace has this setting.
    const OF_FIRST: &str = "sys/net/core/dev_weight";
    let is_first = |pids: PathBuf| pids == Path::new(FIRST);
    let of_container = fs::read_link(proc.join("self/ns/pid")).is_ok_and(|pids| !is_first(pids));
    !proc.join("1").exists() || of_container && proc.join(OF_FIRST).exists()
}

/// Whether a supervisor has services in its configuration, as far as that is known: keepalived may do VRRP alone.
pub(crate) fn has_services(name: &str) -> bool {
    let is_it = |process: &PathBuf| {
        let comm = fs::read_to_string(process.join("comm")).unwrap_or_default();
        program_of(process, &comm).is_some_and(|program| program.name == name)
    };
    name == "keepalived"
        && processes(Path::new("/proc")).any(|it| is_it(&it) && keepalived::has_services(&it))
}

/// A running program that makes the services of its configuration when it starts, and never again.
pub(crate) fn makes_once() -> Option<&'static str> {
    Supervisors::running(Path::new("/proc")).fill_table.filter(|name| has_services(name))
}

/// The program that a process runs, by its own name for itself or by that of its file: either may be another.
fn program_of(process: &Path, comm: &str) -> Option<&'static Program> {
    let by_comm = PROGRAMS.iter().find(|program| is_called(comm.trim_end(), program.name));
    by_comm.or_else(|| {
        let file = fs::read_link(process.join("exe")).ok()?;
        let name = file.file_name()?.to_str()?;
        let name = name.strip_suffix(" (deleted)").unwrap_or(name);
        PROGRAMS.iter().find(|program| program.name == name)
    })
}

/// The folders of all processes.
fn processes(proc: &Path) -> impl Iterator<Item = PathBuf> {
    let is_number = |name: &OsString| name.as_bytes().iter().all(u8::is_ascii_digit);
    names_in(proc).into_iter().filter(is_number).map(|name| proc.join(name))
}

/// The names in a folder. (`fs::read_dir` panics if the folder cannot be closed.)
fn names_in(folder: &Path) -> Vec<OsString> {
    let folder = fs::File::open(folder).ok().and_then(|folder| Dir::read_from(folder).ok());
    let entries = folder.into_iter().flatten().flatten();
    entries.map(|entry| OsStr::from_bytes(entry.file_name().to_bytes()).to_owned()).collect()
}

/// Whether a process may change the kernel's table: anybody can give a process any name. It is root's, or it has
/// `CAP_NET_ADMIN` in this process's user namespace.
fn may_change_the_table(proc: &Path, process: &Path) -> bool {
    const NET_ADMIN: u64 = 1 << 12;
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    // Not the owner of its folder: that is root if its memory may not be dumped.
    let effective = field("Uid").and_then(|ids| ids.split_whitespace().nth(1));
    let capabilities =
        field("CapEff").and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0);
    let users = |process: &Path| fs::read_link(process.join("ns/user")).ok();
    let is_ours = || users(process).is_some_and(|theirs| Some(theirs) == users(&proc.join("self")));
    effective == Some("0") || capabilities & NET_ADMIN != 0 && is_ours()
}

/// Whether a process has a program's name, alone or followed by its task: `keepalived_vrrp`.
fn is_called(comm: &str, name: &str) -> bool {
    comm.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', ' ', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supervisor_is_known_by_its_name() {
        let does = |fill_table, move_addresses| Supervisors { fill_table, move_addresses, are_hidden: false };
        for (name, expected) in [
            ("systemd", Supervisors::default()),
            ("keepalived-exporter", Supervisors::default()),
            ("ucarping", Supervisors::default()),
            ("keepalived", does(Some("keepalived"), Some("keepalived"))),
            ("keepalived_vrrp", does(Some("keepalived"), Some("keepalived"))),
            ("ldirectord /etc", does(Some("ldirectord"), None)),
            ("kube-proxy", does(Some("kube-proxy"), None)),
            ("pacemakerd", does(None, Some("pacemakerd"))),
        ] {
            let proc = tempfile::tempdir().unwrap();
            for (pid, comm) in [("1", "init"), ("17", name)] {
                fs::create_dir(proc.path().join(pid)).unwrap();
                fs::write(proc.path().join(pid).join("comm"), format!("{comm}\n")).unwrap();
                fs::write(proc.path().join(pid).join("status"), "Name:\tx\nUid:\t0\t0\t0\t0\n").unwrap();
            }
            assert_eq!(Supervisors::running(proc.path()), expected, "{name}");
            // In another network namespace it manages another director.
            for (pid, network) in [("self", "net:[1]"), ("17", "net:[2]")] {
                fs::create_dir_all(proc.path().join(pid).join("ns")).unwrap();
                std::os::unix::fs::symlink(network, proc.path().join(pid).join("ns/net")).unwrap();
            }
            assert_eq!(Supervisors::running(proc.path()), Supervisors::default(), "{name}");
        }
    }

    #[test]
    fn a_supervisor_shows_without_its_process() {
        for (file, text, fill_table, move_addresses) in [
            ("dev", "Inter-|\n face |bytes\n    lo: 1 2\nkube-ipvs0: 0 0\n", Some("kube-proxy"), None),
            ("dev", "    lo: 1 2\n  kube-br: 0 0\n", None, None),
            (
                "raw",
                "  sl  local_address rem_address   st\n 112: 00000000:0070 00000000:0000 07 0:0\n",
                None,
                Some("a program that speaks VRRP"),
            ),
            ("raw", "   1: 00000000:0001 00000000:0070 07 0:0\n", None, None),
        ] {
            let proc = tempfile::tempdir().unwrap();
            fs::create_dir(proc.path().join("net")).unwrap();
            fs::write(proc.path().join("net").join(file), text).unwrap();
            let found = Supervisors::running(proc.path());
            assert_eq!((found.fill_table, found.move_addresses), (fill_table, move_addresses), "{text}");
        }
    }

    #[test]
    fn a_supervisor_is_known_by_its_file() {
        for (file, expected) in [
            ("/usr/sbin/keepalived", Some("keepalived")),
            ("/usr/sbin/keepalived (deleted)", Some("keepalived")),
            ("/usr/bin/keepalived-exporter", None),
            ("/usr/bin/perl", None),
        ] {
            let proc = tempfile::tempdir().unwrap();
            let process = proc.path().join("17");
            fs::create_dir(&process).unwrap();
            fs::write(process.join("comm"), "lb-agent\n").unwrap();
            fs::write(process.join("status"), "Name:\tx\nUid:\t0\t0\t0\t0\n").unwrap();
            std::os::unix::fs::symlink(file, process.join("exe")).unwrap();
            assert_eq!(Supervisors::running(proc.path()).fill_table, expected, "{file}");
        }
    }

    #[test]
    fn a_name_alone_makes_no_supervisor() {
        let admin = "CapEff:\t0000000000001000\n";
        for (status, user, expected) in [
            ("Uid:\t0\t0\t0\t0\n".to_owned(), "user:[1]", true),
            ("Uid:\t65534\t65534\t65534\t65534\n".to_owned(), "user:[1]", false),
            // It has become somebody else, or is about to.
            ("Uid:\t0\t65534\t0\t65534\n".to_owned(), "user:[1]", false),
            (format!("Uid:\t990\t990\t990\t990\n{admin}"), "user:[1]", true),
            // Root of its own user namespace.
            (format!("Uid:\t65534\t65534\t65534\t65534\n{admin}"), "user:[2]", false),
            (String::new(), "user:[1]", false),
        ] {
            let proc = tempfile::tempdir().unwrap();
            for (pid, user) in [("self", "user:[1]"), ("17", user)] {
                fs::create_dir_all(proc.path().join(pid).join("ns")).unwrap();
                for (name, link) in [("net", "net:[1]"), ("user", user)] {
                    std::os::unix::fs::symlink(link, proc.path().join(pid).join("ns").join(name)).unwrap();
                }
            }
            fs::write(proc.path().join("17/comm"), "keepalived\n").unwrap();
            fs::write(proc.path().join("17/status"), &status).unwrap();
            let found = Supervisors::running(proc.path()).fill_table;
            assert_eq!(found.is_some(), expected, "{status}{user}");
        }
    }
}

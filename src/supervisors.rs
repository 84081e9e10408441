//! Running programs that manage a director by their own configuration.

use std::ffi::OsStr;
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
        let mut all = Self { are_hidden: is_elsewhere(proc), ..Self::default() };
        // Not `fs::read_dir`, which panics if the directory cannot be closed.
        let folder = fs::File::open(proc).ok().and_then(|folder| Dir::read_from(folder).ok());
        for entry in folder.into_iter().flatten().flatten() {
            let name = entry.file_name().to_bytes();
            if !name.iter().all(u8::is_ascii_digit) {
                continue;
            }
            let process = proc.join(OsStr::from_bytes(name));
            let comm = fs::read_to_string(process.join("comm"));
            all.are_hidden |= is_denied(&comm);
            let comm = comm.unwrap_or_default();
            let known = PROGRAMS.iter().find(|program| is_called(comm.trim_end(), program.name));
            // Whose network namespace may not be seen is probably in this one.
            let is_here = |network: io::Result<PathBuf>| is_denied(&network) || network.ok() == own;
            let known = known.filter(|_| is_here(network(&process)) && may_change_the_table(proc, &process));
            if let Some(Program { name, fills_table, moves_addresses }) = known {
                all.fill_table = all.fill_table.or(fills_table.then_some(name));
                all.move_addresses = all.move_addresses.or(moves_addresses.then_some(name));
            }
        }
        all
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
    const KEEPALIVED: &str = "/etc/keepalived/keepalived.conf";
    name == "keepalived" && fs::read_to_string(KEEPALIVED).is_ok_and(|text| names_a_service(&text))
}

/// Whether keepalived's configuration has a virtual server, outside of comments.
fn names_a_service(text: &str) -> bool {
    text.lines().any(|line| line.trim_start().starts_with("virtual_server "))
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
    fn keepalived_may_have_no_services() {
        assert!(names_a_service("vrrp_instance a {\n}\n  virtual_server 192.0.2.1 80 {\n"));
        assert!(!names_a_service("vrrp_instance a {\n}\n# virtual_server 192.0.2.1 80 {\n"));
    }

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

//! Why the kernel refused a change. An errno can have several causes: the table, this machine or another request
//! reveals the actual one, and the message continues with the word at fault and the fix.

mod object;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ipvs::{
    Change, Client, DaemonState, Destination, DestinationId, Error, Family, ForwardingMethod, Netmask,
    Persistence, Scheduler, Service, ServiceId, SyncDaemon, Timeouts,
};

use crate::connect;
use crate::format;
use crate::messages::{self, Failure, text};
use crate::nearest;
use crate::shell;

/// The word at fault, and the fix.
type Cause = (String, String);

/// The kernel refused a change, or could not be reached. One of many: what is there instead is not searched for.
pub(crate) fn refused(error: &Error, change: Option<&Change>) -> Failure {
    let cause = |errno, change: &Change| cause(errno, change).or_else(|| object::cause(errno, change));
    explained(error, change, cause)
}

/// The same for the one change of a command line, with the nearest of what is there.
pub(crate) fn refused_alone(error: &Error, change: &Change) -> Failure {
    let cause = |errno, change: &Change| {
        cause(errno, change).or_else(|| {
            let (word, fix) = object::cause(errno, change)?;
            Some((word, object::nearest_to(errno, change).unwrap_or(fix)))
        })
    };
    explained(error, Some(change), cause)
}

/// There is no service of this name to list.
pub(crate) fn no_such_service(error: &Error, id: &ServiceId) -> Failure {
    let failure = messages::refused(error, None);
    if messages::is_quiet() {
        return failure;
    }
    let fix = object::nearest_service(id).unwrap_or(THOSE_THERE.to_owned());
    Failure { message: format!("{}: '{id}'; {fix}", failure.message), ..failure }
}

fn explained(
    error: &Error,
    change: Option<&Change>,
    cause: impl Fn(i32, &Change) -> Option<Cause>,
) -> Failure {
    let failure = messages::refused(error, change);
    let cause = match (error, change) {
        (Error::Kernel { errno, .. }, Some(change)) => cause(*errno, change),
        _ => None,
    };
    match cause {
        Some((word, fix)) => {
            let message = format!("{}: '{}'; {fix}", failure.message, text(word.as_bytes()));
            Failure { message, ..failure }
        }
        None => failure,
    }
}

const THOSE_THERE: &str = "ipvsadm -Ln lists those that are there";

fn cause(errno: i32, change: &Change) -> Option<Cause> {
    match (errno, change) {
        (libc::ENOENT, Change::AddService(service) | Change::EditService(service)) => {
            Some(missing_module(service))
        }
        (
            libc::EINVAL,
            Change::AddDestination { service: id, destination: server }
            | Change::EditDestination { service: id, destination: server },
        ) => Some(server_cause(id, server)),
        (
            libc::ERANGE,
            Change::AddDestination { service: _, destination: server }
            | Change::EditDestination { service: _, destination: server },
        ) => {
            let (lower, upper) = (server.lower_threshold, server.upper_threshold);
            Some((lower.to_string(), format!("-y may not be above -x, which is {upper}")))
        }
        (libc::EINVAL, Change::SetTimeouts(timeouts)) => long_timeout(timeouts),
        (libc::EAFNOSUPPORT, _) => ipv6_word(change)
            .map(|word| (word, "the kernel runs without IPv6: see ipv6.disable in /proc/cmdline".to_owned())),
        (_, Change::StartDaemon(daemon)) => daemon_cause(errno, daemon),
        _ => None,
    }
}

/// The kernel looks up the scheduler first: if it has that, the engine is missing.
fn missing_module(service: &Service) -> Cause {
    let of = |name: &[u8], prefix: &str| {
        let module = format!("{prefix}{}", text(name));
        let fix = connect::how_to_load(&module).unwrap_or_else(|| {
            let known = if prefix == "ip_vs_" {
                nearest::scheduler(&text(name))
            } else {
                nearest::engine(&text(name))
            };
            let meant = known.map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
            format!("the kernel has no module {module}{meant}")
        });
        (String::from_utf8_lossy(name).into_owned(), fix)
    };
    match service.engine.filter(|_| has_scheduler(service.scheduler)) {
        Some(engine) => of(engine.as_bytes(), "ip_vs_pe_"),
        None => of(service.scheduler.as_bytes(), "ip_vs_"),
    }
}

/// Whether the kernel has a scheduler, built in or as a module: it is looked up before the netmask of this service is
/// refused.
fn has_scheduler(scheduler: Scheduler) -> bool {
    let probe = || {
        let mut service = Service::new(ServiceId::fwmark(u32::MAX, Family::V6)?, scheduler);
        service.persistence = Some(Persistence { timeout: 1, netmask: Netmask::V6(0) });
        Some(Client::open().ok()?.add_service(&service).err()?.errno())
    };
    probe() == Some(Some(libc::EINVAL))
}

/// Why a real server is refused.
fn server_cause(service: &ServiceId, server: &Destination) -> Cause {
    let Destination { id: DestinationId { address, .. }, forwarding, .. } = *server;
    let single_host = || "a real server has the address of a single host".to_owned();
    let mapped = address.to_canonical();
    let fix = match address {
        _ if address.is_multicast() || address.is_unspecified() => single_host(),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            "IPVS stores no interface with an address: use an address of the server that is not link-local"
                .to_owned()
        }
        _ if mapped != address => format!("write an IPv4 server as {mapped}, with -i"),
        _ if Family::from(address) != service.family() => match forwarding {
            ForwardingMethod::Tunnel(_) => daemon_conflict(),
            _ => "a server of another family than its service is reached by a tunnel alone (-i)".to_owned(),
        },
        IpAddr::V4(_) if has_no_address() => {
            "this network namespace has no address yet: ip link set dev lo up".to_owned()
        }
        _ => single_host(),
    };
    (address.to_string(), fix)
}

/// Sync daemons and servers of another family than their service's exclude each other.
fn daemon_conflict() -> String {
    let daemons = Client::open().and_then(|mut client| client.daemons());
    if matches!(&daemons, Ok(daemons) if daemons.is_empty()) {
        return "this kernel takes no server of another family than its service's".to_owned();
    }
    let daemons = daemons.unwrap_or_default();
    let stop = |daemon: &SyncDaemon| {
        format::command_line(&Change::StopDaemon { state: daemon.state, sync_id: daemon.sync_id })
    };
    let stops: Vec<String> = daemons.iter().map(stop).collect();
    let joint = if stops.is_empty() { "" } else { ": " };
    let stops = stops.join(" && ");
    format!("no server may be of another family than its service while a sync daemon runs{joint}{stops}")
}

/// Without any address the kernel has no table of local addresses, and takes every IPv4 address for a broadcast
/// address.
fn has_no_address() -> bool {
    // On a router the file is long; its beginning is enough.
    let first = File::open("/proc/net/fib_trie").and_then(|mut tables| tables.read(&mut [0]));
    first.is_ok_and(|length| length == 0)
}

/// The kernel counts in ticks; with a thousand a second, this is its maximum.
fn long_timeout(timeouts: &Timeouts) -> Option<Cause> {
    const MAX_SECONDS: u32 = 2_147_483;
    let Timeouts { tcp, tcp_fin, udp } = *timeouts;
    let long = [tcp, tcp_fin, udp].into_iter().find(|seconds| *seconds > MAX_SECONDS)?;
    Some((long.to_string(), format!("this kernel takes at most {MAX_SECONDS} seconds")))
}

/// The IPv6 address in a change.
fn ipv6_word(change: &Change) -> Option<String> {
    let of_service = |id: &ServiceId| (id.family() == Family::V6).then(|| id.to_string());
    match change {
        Change::AddService(service) | Change::EditService(service) => of_service(&service.id),
        Change::DeleteService(id) | Change::Zero(Some(id)) => of_service(id),
        Change::AddDestination { service: id, destination: server }
        | Change::EditDestination { service: id, destination: server } => {
            of_service(id).or_else(|| server.id.address.is_ipv6().then(|| server.id.address.to_string()))
        }
        Change::DeleteDestination { service: id, destination: server } => {
            of_service(id).or_else(|| server.address.is_ipv6().then(|| server.address.to_string()))
        }
        Change::StartDaemon(daemon) => daemon.group.filter(IpAddr::is_ipv6).map(|group| group.to_string()),
        Change::Flush | Change::Zero(None) | Change::SetTimeouts(_) | Change::StopDaemon { .. } => None,
    }
}

/// Why a sync daemon does not start.
fn daemon_cause(errno: i32, daemon: &SyncDaemon) -> Option<Cause> {
    let interface = Interface(daemon.interface.as_bytes());
    let is_ipv6 = daemon.group.is_some_and(|group| group.is_ipv6());
    let family = if is_ipv6 { "ipv6" } else { "ipv4" };
    let fix = match errno {
        libc::ENODEV | libc::ENETUNREACH | libc::EINVAL
            if interface.exists() && !interface.settings(family).is_dir() =>
        {
            let (name, least) = if is_ipv6 { ("IPv6", 1280) } else { ("IPv4", 68) };
            let fix = interface.ip_link_set("mtu 1500");
            format!("it has no {name}, because its MTU is below {least}: {fix}")
        }
        libc::EINVAL => return server_conflict(daemon.state),
        libc::ENODEV => "name an interface with --mcast-interface".to_owned(),
        libc::ENETUNREACH if is_ipv6 => interface.unreachable_group_fix(),
        libc::ENETUNREACH => format!("bring the interface up: {}", interface.ip_link_set("up")),
        libc::EADDRNOTAVAIL if is_ipv6 => {
            let add = ["ip", "-6", "addr", "add", "ADDRESS/64", "dev"].map(str::as_bytes);
            let add = shell::line(add.into_iter().chain([interface.0]));
            format!("it has no IPv6 address, or not yet for two seconds; try again, or: {add}")
        }
        libc::EADDRINUSE => {
            let port = if daemon.port == 0 { SyncDaemon::DEFAULT_PORT } else { daemon.port };
            let fix = "another program uses this UDP port; choose another with --mcast-port";
            return Some((port.to_string(), fix.to_owned()));
        }
        _ => return None,
    };
    Some((String::from_utf8_lossy(interface.0).into_owned(), fix))
}

/// An interface by its name, as `/proc` shows it.
struct Interface<'a>(&'a [u8]);

impl Interface<'_> {
    /// Whether there is an interface of this name; it may also be an alternative name.
    fn exists(&self) -> bool {
        let table = fs::read("/proc/net/dev").unwrap_or_default();
        let name =
            |line: &[u8]| line.trim_ascii_start().strip_prefix(self.0).map(|rest| rest.starts_with(b":"));
        table.split(|byte| *byte == b'\n').any(|line| name(line) == Some(true))
    }

    /// Its settings for a family; they exist while the interface has that family.
    fn settings(&self, family: &str) -> PathBuf {
        Path::new("/proc/sys/net").join(family).join("conf").join(OsStr::from_bytes(self.0))
    }

    /// Why a master cannot reach an IPv6 group from this interface.
    fn unreachable_group_fix(&self) -> String {
        let switch = self.settings("ipv6").join("disable_ipv6");
        let addresses = fs::read("/proc/net/if_inet6").unwrap_or_default();
        let mut last_words =
            addresses.split(|byte| *byte == b'\n').map(|line| line.rsplit(|byte| *byte == b' ').next());
        if self.0 == b"lo" {
            "it cannot reach IPv6 groups; name another interface with --mcast-interface".to_owned()
        } else if fs::read(&switch).is_ok_and(|value| value.starts_with(b"1")) {
            format!("IPv6 is off on it: echo 0 >{}", shell::quoted(switch.as_os_str().as_bytes()))
        } else if last_words.any(|word| word == Some(self.0)) {
            let add = ["ip", "-6", "route", "add", "multicast", "ff00::/8", "table", "local", "dev"];
            let add = shell::line(add.map(str::as_bytes).into_iter().chain([self.0]));
            format!("it has no route to IPv6 groups: {add}")
        } else {
            format!("bring the interface up: {}", self.ip_link_set("up"))
        }
    }

    fn ip_link_set(&self, what: &str) -> String {
        let words = ["ip", "link", "set", "dev"].map(str::as_bytes);
        shell::line(words.into_iter().chain([self.0]).chain(what.split(' ').map(str::as_bytes)))
    }
}

/// The same conflict, when a daemon is started.
fn server_conflict(state: DaemonState) -> Option<Cause> {
    let servers = servers_of_other_family().unwrap_or_default();
    let (service, server) = servers.iter().min()?;
    let delete = format::command_line(&Change::DeleteDestination { service: *service, destination: *server });
    let count = match servers.len() {
        1 => String::new(),
        count => format!(" (there are {count})"),
    };
    let fix =
        format!("no sync daemon runs while a server is of another family than its service{count}: {delete}");
    Some((state.to_string(), fix))
}

fn servers_of_other_family() -> ipvs::Result<Vec<(ServiceId, DestinationId)>> {
    let mut client = Client::open()?;
    let mut servers = Vec::new();
    for entry in client.services()? {
        let service = entry.service.id;
        client.for_each_destination(&service, |entry| {
            let server = entry.destination.id;
            if Family::from(server.address) != service.family() {
                servers.push((service, server));
            }
        })?;
    }
    Ok(servers)
}

//! Commands as values.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use ipvs::{Change, Netmask, Protocol, ServiceId, TunnelKind};

use crate::messages::Surprise;
use crate::option_table::OptionKey;

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Of one command, or of everything.
    Help(Option<OptionKey>),
    Version,
    Change(ChangeRequest),
    List(List),
    /// A change that is printed, not carried out.
    Show(ChangeRequest),
    Save(Save),
    Restore(Restore),
    Check(Check),
    Explain(Explain),
    Ask(Wanted),
    Drain(Drain),
    Undrain(Which),
    Watch(Watch),
}

/// The real servers that `--drain` or `--undrain` is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Which {
    /// None for all services.
    pub(crate) service: Option<ServiceId>,
    /// None for all servers.
    pub(crate) address: Option<IpAddr>,
    /// None for all ports.
    pub(crate) port: Option<u16>,
}

/// `--drain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Drain {
    pub(crate) which: Which,
    /// The longest wait in seconds; none for any.
    pub(crate) wait: Option<u32>,
    /// Inactive connections are not waited for.
    pub(crate) ignore_inactive: bool,
    /// The last server of a service, too.
    pub(crate) force: bool,
    /// Without warnings and progress.
    pub(crate) quiet: bool,
}

/// `--watch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Watch {
    /// None for all.
    pub(crate) service: Option<ServiceId>,
    /// Between two readings.
    pub(crate) interval: Duration,
    /// The number of frames after which it ends; none for never.
    pub(crate) count: Option<u32>,
}

impl Watch {
    /// The kernel brings its counters up to date as often.
    pub(crate) const INTERVAL: Duration = Duration::from_secs(2);
}

/// `--check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    /// The real server that this machine is; none if it is a director.
    pub(crate) role: Option<RealServer>,
    /// As JSON.
    pub(crate) json: bool,
    /// The saved table; none for the default path.
    pub(crate) file: Option<PathBuf>,
    /// Ask other machines for the virtual addresses.
    pub(crate) probe: bool,
    /// Carry out fixes.
    pub(crate) fix: Option<Fix>,
}

/// `--explain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Explain {
    pub(crate) client: IpAddr,
    /// None if it may be any.
    pub(crate) client_port: Option<u16>,
    pub(crate) service: ServiceId,
    /// The server whose way it is; none for the one that the scheduler chooses.
    pub(crate) server: Option<(IpAddr, Option<u16>)>,
    /// Its forwarding method, where this machine is the server.
    pub(crate) method: Option<Method>,
    /// The kind of the director's tunnels, and the port with GUE; none if it is not known.
    pub(crate) tunnel: Option<(TunnelKind, u16)>,
    /// The director's own address.
    pub(crate) director: Option<IpAddr>,
    /// The server that is thought away.
    pub(crate) without: Option<(IpAddr, Option<u16>)>,
    /// The weight that it is thought to have instead.
    pub(crate) weight: Option<u32>,
    /// As JSON.
    pub(crate) json: bool,
}

/// `--nobody-has`: an address that this machine is to take, if no other has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) address: IpAddr,
    /// The interface on whose network others are asked; none for the one that it belongs to.
    pub(crate) link: Option<String>,
}

/// `--fix`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fix {
    /// Without asking.
    pub(crate) yes: bool,
    /// Write what must outlive a reboot.
    pub(crate) persist: bool,
}

/// A real server to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RealServer {
    /// The virtual address of the cluster.
    pub(crate) vip: IpAddr,
    pub(crate) method: Method,
    /// The director's own address.
    pub(crate) director: Option<IpAddr>,
    pub(crate) port: Option<u16>,
    /// The protocol of that port; none if it is not known.
    pub(crate) protocol: Option<Protocol>,
    /// The kind of the director's tunnels, and the port with GUE; none if it is not known.
    pub(crate) tunnel: Option<(TunnelKind, u16)>,
}

/// How the director forwards packets to a real server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    DirectRouting,
    Tunnel,
    Masquerade,
}

/// A change, and the options given with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChangeRequest {
    /// Options left out have their defaults; with `--keep` the current values replace those.
    pub(crate) change: Change,
    pub(crate) given: Vec<OptionKey>,
    /// The port given with the real server's address.
    pub(crate) port: Option<u16>,
    /// Words that were read as something that may not have been meant.
    pub(crate) surprises: Vec<(Vec<u8>, Surprise)>,
    /// With `--keep`, options that can be validated only against the current state.
    pub(crate) keep: Option<Box<Keep>>,
    /// Without warnings.
    pub(crate) quiet: bool,
}

impl ChangeRequest {
    /// A change with every option given.
    pub(crate) fn complete(change: Change) -> Self {
        Self { change, given: Vec::new(), port: None, surprises: Vec::new(), keep: None, quiet: false }
    }

    pub(crate) fn has(&self, option: OptionKey) -> bool {
        self.given.contains(&option)
    }
}

/// Options that can be validated only against the current state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keep {
    pub(crate) netmask: Option<Netmask>,
    pub(crate) flags: Vec<u8>,
    pub(crate) tunnel: Option<TunnelKind>,
    pub(crate) tunnel_port: u16,
}

/// `-S`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Save {
    pub(crate) numeric: bool,
    /// Thresholds, timeouts and sync daemons too, all in numbers.
    pub(crate) full: bool,
    pub(crate) json: bool,
    /// None for stdout.
    pub(crate) file: Option<PathBuf>,
}

/// `-R`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Restore {
    pub(crate) mode: RestoreMode,
    /// The services that `--diff` and `--apply` touch.
    pub(crate) only: Only,
    /// `--dry-run`: nothing is changed.
    pub(crate) dry: bool,
    /// The input may be a table in JSON; a difference is printed as JSON.
    pub(crate) json: bool,
    /// None for stdin.
    pub(crate) file: Option<PathBuf>,
}

/// The services that a difference is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Only {
    All,
    /// Those of the input.
    Listed,
    /// These.
    Named(Vec<ServiceId>),
}

/// How the lines of a restore take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RestoreMode {
    /// Each line as soon as it is read.
    Stream,
    /// All lines are read first, then replace the table.
    Replace,
    /// Print the difference from the current table.
    Diff,
    /// Apply the difference to the current table.
    Apply,
}

/// `-L`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct List {
    pub(crate) what: ListTarget,
    pub(crate) view: View,
    pub(crate) format: Format,
    pub(crate) numeric: bool,
    pub(crate) exact: bool,
    pub(crate) sorted: bool,
    /// None for stdout.
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListTarget {
    Table,
    Service(ServiceId),
    Connections(Connections),
    Timeouts,
    Daemons,
}

/// `-L -c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Connections {
    pub(crate) filter: ConnectionFilter,
    /// The name and data of the persistence engine too.
    pub(crate) with_engine: bool,
    /// Counts instead of the connections.
    pub(crate) summary: Option<Summary>,
}

/// Which connections are listed: those to which all that is given applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ConnectionFilter {
    pub(crate) service: Option<ServiceId>,
    /// A real server; on all its ports, if none is given.
    pub(crate) server: Option<(IpAddr, Option<u16>)>,
    pub(crate) client: Option<IpNet>,
    /// One of [`CONNECTION_STATES`].
    pub(crate) state: Option<&'static str>,
}

/// The states of connections as the kernel names them: of TCP, of UDP and ICMP, of SCTP. Those of persistence templates
/// are NONE and ASSURED.
pub(crate) const CONNECTION_STATES: [&str; 26] = [
    "NONE",
    "ASSURED",
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "SYNACK",
    "UDP",
    "ICMP",
    "INIT1",
    "INIT",
    "C-SENT",
    "C-REPLIED",
    "C-WAIT",
    "COOKIE",
    "C-ECHOED",
    "S-SENT",
    "S-RECEIVED",
    "S-ACK-SENT",
    "REJECTED",
    "CLOSED",
];

/// `--summary` and `--top`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) key: SummaryKey,
    /// How many are shown; none for all.
    pub(crate) top: Option<u32>,
}

/// By what connections are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SummaryKey {
    Client,
    Server,
    Service,
    State,
}

impl SummaryKey {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Service => "service",
            Self::State => "state",
        }
    }
}

/// What a listing is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Lines for people and scripts, as the original's.
    Text,
    /// Everything that the views show, in numbers.
    Json,
    /// The same as metrics.
    Prometheus,
}

/// The layout of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    Plain,
    Stats,
    Rate,
    Thresholds,
    PersistentConn,
    TunInfo,
}

impl Command {
    /// The command of `ipvsadm` without arguments.
    pub(crate) fn plain_list() -> Self {
        let what = ListTarget::Table;
        Self::List(List {
            what,
            view: View::Plain,
            format: Format::Text,
            numeric: false,
            exact: false,
            sorted: true,
            file: None,
        })
    }
}

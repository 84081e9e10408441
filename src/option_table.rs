//! The table of options, one entry each: long name, letters, whether it takes a value, help, and name in messages.
//! The lexer, the rules for combinations, the help, the manual page and the completions are generated from it.

macro_rules! options {
    ($($key:ident: $kind:ident($($entry:tt)*),)*) => {
        /// An option or a command, in the order in which the original checks them against the command.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum OptionKey { $($key),* }

        use OptionKey::*;

        /// All options, indexed by their keys.
        pub(crate) const OPTIONS: &[OptionSpec] = &[$($kind($key, $($entry)*)),*];
    };
}

options! {
    // Commands: letters, name, value, help.
    AddService: command("A", "add-service", Nothing, "add a virtual service (-t, -u, -f, --sctp-service)"),
    EditService: command("E", "edit-service", Nothing, "edit a virtual service; options left out return to their defaults, but see --keep"),
    DeleteService: command("D", "delete-service", Nothing, "delete a virtual service and its real servers"),
    Clear: command("C", "clear", Nothing, "clear the whole table"),
    AddServer: command("a", "add-server", Nothing, "add a real server (-r) to a virtual service"),
    EditServer: command("e", "edit-server", Nothing, "edit a real server; options left out return to their defaults, but see --keep"),
    DeleteServer: command("d", "delete-server", Nothing, "delete a real server"),
    List: command("Ll", "list", Nothing, "list the table (also -l), a service of it, or connections (-c)"),
    Zero: command("Z", "zero", Nothing, "zero the counters of a service, or all"),
    Set: command("", "set", Nothing, "set the timeouts of connections: TCP TCPFIN UDP, in seconds; 0 leaves one as it is"),
    Save: command("S", "save", Nothing, "write the table to stdout, as lines for -R; add -n for numbers"),
    Restore: command("R", "restore", Nothing, "carry out the lines of stdin, each with the options of one ipvsadm command"),
    StartDaemon: command("", "start-daemon", Value("STATE"), "start the sync daemon: master or backup"),
    StopDaemon: command("", "stop-daemon", Value("STATE"), "stop the sync daemon: master or backup"),
    Check: command("", "check", Nothing, "diagnose this director, or a real server of VIP (-r VIP); status 1 if anything is wrong"),
    Explain: command("", "explain", Value("CLIENT[:PORT]"), "show the way of a client's packet to a virtual service and back, stage by stage, and where it ends (status 1 if it dies)"),
    Drain: command("", "drain", Nothing, "take a real server (-r) out of a service, or of all: weight 0, wait for its connections, delete it"),
    Undrain: command("", "undrain", Nothing, "bring back what --drain took out: a server, or all that were noted"),
    Watch: command("", "watch", Optional("SECONDS"), "show the table, or a service, live, and read it every SECONDS [default: 2]; ? shows the keys"),
    Help: command("h", "help", Nothing, "print this help"),
    Version: command("v", "version", Nothing, "print the version"),
    // Options: heading of the help, letters, name, value, help.
    Numeric: option(Listing, "n", "numeric", Nothing, "numbers instead of names"),
    Connection: option(Listing, "c", "connection", Nothing, "connections instead of the table"),
    ServiceAddress: group("service-address"),
    TcpService: member(ServiceAddress, Service, "t", "tcp-service", Value("ADDRESS[:PORT]"), "a TCP service"),
    UdpService: member(ServiceAddress, Service, "u", "udp-service", Value("ADDRESS[:PORT]"), "a UDP service"),
    SctpService: member(ServiceAddress, Service, "", "sctp-service", Value("ADDRESS[:PORT]"), "an SCTP service"),
    FwmarkService: member(ServiceAddress, Service, "f", "fwmark-service", Value("MARK"), "packets with a firewall mark, 1 to 4294967295"),
    Ipv6: unchecked(Service, "6", "ipv6", Nothing, "after -f: the service is IPv6"),
    Scheduler: option(Service, "s", "scheduler", Value("NAME"), "rr wrr lc wlc lblc lblcr dh sh mh sed nq fo ovf or another that the kernel has [default: wlc]"),
    Persistent: option(Service, "p", "persistent", Optional("SECONDS"), "how long a client keeps its server after its last connection [default: 360]"),
    Netmask: option(Service, "M", "netmask", Value("NETMASK"), "treat clients of one network as one: a mask, or a prefix length with IPv6"),
    RealServer: option(Server, "r", "real-server", Value("ADDRESS[:PORT]"), "the server; its port is the service's unless -m or -f is used"),
    ForwardingMethod: group("forwarding-method"),
    Gatewaying: member(ForwardingMethod, Server, "g", "gatewaying", Nothing, "direct routing [default]"),
    Ipip: member(ForwardingMethod, Server, "i", "ipip", Nothing, "tunneling; see --tun-type"),
    Masquerading: member(ForwardingMethod, Server, "m", "masquerading", Nothing, "masquerading (NAT)"),
    Weight: option(Server, "w", "weight", Value("WEIGHT"), "its share of new connections; 0 for none [default: 1]"),
    UThreshold: option(Server, "x", "u-threshold", Value("COUNT"), "upper threshold: no new connections once it has COUNT; 0 for no limit"),
    LThreshold: option(Server, "y", "l-threshold", Value("COUNT"), "lower threshold: a server that reached -x gets connections again below COUNT"),
    McastInterface: option(Sync, "", "mcast-interface", Value("INTERFACE"), "the interface it sends or receives on [default: eth0]"),
    Timeout: option(Listing, "", "timeout", Nothing, "the timeouts of connections"),
    Daemon: option(Listing, "", "daemon", Nothing, "the sync daemons"),
    Stats: option(Listing, "", "stats", Nothing, "counters"),
    Rate: option(Listing, "", "rate", Nothing, "rates per second"),
    Thresholds: option(Listing, "", "thresholds", Nothing, "thresholds"),
    PersistentConn: option(Listing, "", "persistent-conn", Nothing, "persistent connections; with -c, the engine's data"),
    Sort: unchecked(Listing, "", "sort", Nothing, "sorted, which is the default"),
    NoSort: option(Listing, "", "nosort", Nothing, "in the kernel's order"),
    SyncId: option(Sync, "", "syncid", Value("NUMBER"), "the same on both sides, 0 to 255 [default: 0]"),
    Exact: option(Listing, "X", "exact", Nothing, "counters without K, M, G and T"),
    Ops: option(Service, "o", "ops", Nothing, "one-packet scheduling, UDP only"),
    Pe: option(Service, "", "pe", Value("NAME"), "persistence engine, such as sip"),
    SchedFlags: option(Service, "b", "sched-flags", Value("FLAGS"), "flag-1,flag-2,flag-3; sh-fallback,sh-port; mh-fallback,mh-port"),
    McastGroup: option(Sync, "", "mcast-group", Value("ADDRESS"), "multicast group [default: 224.0.0.81]"),
    McastPort: option(Sync, "", "mcast-port", Value("PORT"), "UDP port [default: 8848]"),
    McastTtl: option(Sync, "", "mcast-ttl", Value("TTL"), "time to live [default: 1]"),
    SyncMaxlen: option(Sync, "", "sync-maxlen", Value("BYTES"), "the longest message [default: what the interface carries]"),
    TunInfo: option(Listing, "", "tun-info", Nothing, "tunnels"),
    TunType: option(Server, "", "tun-type", Value("TYPE"), "ipip, gue or gre [default: ipip]"),
    TunPort: option(Server, "", "tun-port", Value("PORT"), "destination port of the encapsulation, with gue"),
    TunNocsum: option(Server, "", "tun-nocsum", Nothing, "no checksum, with gue and gre"),
    TunCsum: option(Server, "", "tun-csum", Nothing, "a checksum, with gue and gre"),
    TunRemcsum: option(Server, "", "tun-remcsum", Nothing, "a remote checksum, with gue"),
    // Not in the original.
    Full: option(Saving, "", "full", Nothing, "with -S: everything, in numbers: thresholds, timeouts and sync daemons too"),
    File: option(Saving, "", "file", Value("PATH"), "the file to write (-S) or read (-R, --check); - is stdin or stdout"),
    Replace: option(Saving, "", "replace", Nothing, "with -R: read all lines first; if all are valid, clear the table before them"),
    Diff: option(Saving, "", "diff", Nothing, "with -R: print the lines that turn the table into the input; status 1 if there are any, 2 if the table could not be read"),
    Apply: option(Saving, "", "apply", Nothing, "with -R: carry out just those lines, or none of them (status 3: neither)"),
    Only: option(Saving, "", "only", Nothing, "with -R --apply or --diff, before a SERVICE (-t, -u, ...): change only this service (may be repeated); it is deleted if the input lacks it"),
    OnlyListed: option(Saving, "", "only-listed", Nothing, "with -R --apply or --diff: change only the services of the input"),
    DryRun: option(Changes, "", "dry-run", Nothing, "with a change: print the line that would be carried out"),
    Wait: option(Draining, "", "wait", Value("SECONDS"), "with --drain: give up after SECONDS: the server keeps weight 0, status 1 [default: as long as it takes]"),
    IgnoreInactive: option(Draining, "", "ignore-inactive", Nothing, "with --drain: do not wait for inactive connections (all of UDP's count as inactive)"),
    Force: option(Draining, "", "force", Nothing, "with --drain: the last server of a service, too"),
    Keep: option(Changes, "", "keep", Nothing, "with -E and -e: options left out stay as they are"),
    Netns: unchecked(All, "", "netns", Value("NAMESPACE"), "act in NAMESPACE: name, path or PID; before or after the command"),
    Quiet: unchecked(Changes, "", "quiet", Nothing, "no warnings about a change; IPVSADM_QUIET=1 in the environment does the same"),
    Director: option(Checking, "", "director", Value("ADDRESS"), "with --check -r and --explain -r: the director's own address"),
    Port: option(Checking, "", "port", Value("PORT[/udp]"), "with --check -r: the port to serve"),
    Without: option(Explaining, "", "without", Value("ADDRESS[:PORT]"), "with --explain: also tell which clients would move if this server were deleted; with -w, if it had that weight"),
    Probe: option(Checking, "", "probe", Nothing, "with --check, on a director: ask by ARP whether other machines answer for its addresses, too"),
    NobodyHas: option(Checking, "", "nobody-has", Value("ADDRESS[%INTERFACE]"), "with --check, alone: status 0 if the machines on the network were asked for an address, and none has it"),
    Fix: option(Checking, "", "fix", Nothing, "with --check: carry out the fixes that can be undone, one by one, asking before each and checking after it"),
    Yes: option(Checking, "", "yes", Nothing, "with --fix: without asking"),
    Persist: option(Checking, "", "persist", Nothing, "with --fix: write what must outlive a reboot: /etc/sysctl.d, the saved table"),
    Client: option(Listing, "", "client", Value("ADDRESS[/PREFIX]"), "with -L -c: connections of this client, or network of clients"),
    State: option(Listing, "", "state", Value("STATE"), "with -L -c: connections in this state, such as ESTABLISHED"),
    Summary: option(Listing, "", "summary", Value("KEY"), "with -L -c: how many connections each client, server, service or state has, the largest first"),
    Top: option(Listing, "", "top", Value("COUNT"), "with --summary: only the first COUNT"),
    Prometheus: option(Listing, "", "prometheus", Nothing, "with -L: the table as metrics, in the text format of Prometheus; with --file PATH for its textfile collector"),
    Count: option(Watching, "", "count", Value("NUMBER"), "with --watch: end after NUMBER frames"),
    Json: option(All, "", "json", Nothing, "with -L, -S, -R, --check and --explain: JSON in one line"),
}

/// Whether an option takes a value, and its placeholder in the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arity {
    Nothing,
    Value(&'static str),
    /// An attached value, or the next word unless that begins with `-`.
    Optional(&'static str),
}

/// The headings of the help, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Heading {
    Commands,
    Service,
    Server,
    Changes,
    Listing,
    Saving,
    Draining,
    Checking,
    Explaining,
    Watching,
    Sync,
    All,
}

use Arity::{Nothing, Optional, Value};
use Heading::{
    All, Changes, Checking, Commands, Draining, Explaining, Listing, Saving, Server, Service, Sync, Watching,
};

/// One option.
#[derive(Debug)]
pub(crate) struct OptionSpec {
    pub(crate) key: OptionKey,
    /// None for a group, which is not an option itself.
    pub(crate) heading: Option<Heading>,
    /// Its letters; the help shows the first.
    pub(crate) letters: &'static str,
    /// Its long name; for a group, its name in messages.
    pub(crate) name: &'static str,
    pub(crate) arity: Arity,
    pub(crate) help: &'static str,
    /// The key under which it is checked against the command and against repetition: its own, or that of the group
    /// whose members exclude each other. None for commands, and for options that go with every command.
    pub(crate) checked_as: Option<OptionKey>,
}

const fn command(
    key: OptionKey,
    letters: &'static str,
    name: &'static str,
    arity: Arity,
    help: &'static str,
) -> OptionSpec {
    OptionSpec { key, heading: Some(Commands), letters, name, arity, help, checked_as: None }
}

const fn option(
    key: OptionKey,
    heading: Heading,
    letters: &'static str,
    name: &'static str,
    arity: Arity,
    help: &'static str,
) -> OptionSpec {
    member(key, key, heading, letters, name, arity, help)
}

const fn member(
    key: OptionKey,
    group: OptionKey,
    heading: Heading,
    letters: &'static str,
    name: &'static str,
    arity: Arity,
    help: &'static str,
) -> OptionSpec {
    OptionSpec { key, heading: Some(heading), letters, name, arity, help, checked_as: Some(group) }
}

/// An option that goes with every command and may be repeated.
const fn unchecked(
    key: OptionKey,
    heading: Heading,
    letters: &'static str,
    name: &'static str,
    arity: Arity,
    help: &'static str,
) -> OptionSpec {
    OptionSpec { key, heading: Some(heading), letters, name, arity, help, checked_as: None }
}

const fn group(key: OptionKey, name: &'static str) -> OptionSpec {
    OptionSpec { key, heading: None, letters: "", name, arity: Nothing, help: "", checked_as: Some(key) }
}

impl OptionSpec {
    pub(crate) fn is_command(&self) -> bool {
        self.heading == Some(Commands)
    }
}

impl OptionKey {
    /// Whether it is a command that the original does not have.
    pub(crate) fn is_extension(self) -> bool {
        matches!(self, Check | Drain | Explain | Undrain | Watch)
    }

    /// Its name in messages.
    pub(crate) fn name(self) -> &'static str {
        OPTIONS.get(self as usize).map_or("", |spec| spec.name)
    }
}

/// The option with this letter.
pub(crate) fn by_letter(letter: char) -> Option<&'static OptionSpec> {
    OPTIONS.iter().find(|spec| spec.letters.contains(letter))
}

/// The option with this long name, which must be complete.
pub(crate) fn by_name(name: &str) -> Option<&'static OptionSpec> {
    OPTIONS.iter().find(|spec| spec.name == name && spec.heading.is_some())
}

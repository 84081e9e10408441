//! The options: one table, of which the walk over the words, the matrix of what goes with what, and clap's help are
//! made. What the words mean is not known here.

use crate::option_key::OptionKey;

/// An option or command by what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opt {
    AddService,
    EditService,
    DeleteService,
    Clear,
    List,
    AddServer,
    EditServer,
    DeleteServer,
    Set,
    StartDaemon,
    StopDaemon,
    Restore,
    Save,
    Zero,
    Help,
    Version,
    Full,
    File,
    Replace,
    Diff,
    Apply,
    DryRun,
    Keep,
    Quiet,
    Check,
    Director,
    Port,
    Json,
    Numeric,
    Connection,
    TcpService,
    UdpService,
    SctpService,
    FwmarkService,
    Ipv6,
    Scheduler,
    Persistent,
    Netmask,
    Engine,
    OnePacket,
    SchedFlags,
    RealServer,
    Gatewaying,
    Ipip,
    Masquerading,
    Weight,
    UThreshold,
    LThreshold,
    TunType,
    TunPort,
    TunNocsum,
    TunCsum,
    TunRemcsum,
    McastInterface,
    SyncId,
    SyncMaxlen,
    McastGroup,
    McastPort,
    McastTtl,
    Timeout,
    Daemon,
    Stats,
    Rate,
    Thresholds,
    PersistentConn,
    TunInfo,
    NoSort,
    Sort,
    Exact,
}

/// Whether an option takes a value, and what the help calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    Nothing,
    Value(&'static str),
    /// A value glued to it, or the next word unless that begins with `-`.
    Perhaps(&'static str),
}

/// One option.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) opt: Opt,
    /// Its letters: the first is the one of the help.
    pub(crate) shorts: &'static str,
    pub(crate) long: &'static str,
    pub(crate) takes: Takes,
    /// Its name in messages; commands have none, nor have options that go with everything.
    pub(crate) column: Option<OptionKey>,
    heading: &'static str,
    help: &'static str,
}

use Takes::{Nothing, Perhaps, Value};

const COMMANDS: &str = "Commands";
const SERVICE: &str = "Virtual service";
const SERVER: &str = "Real server";
const LISTING: &str = "Listing";
const SYNC: &str = "Sync daemon";
const EXTENSIONS: &str = "Extensions";

/// Every option there is.
#[rustfmt::skip]
pub(crate) const OPTIONS: [Row; 69] = [
    command(Opt::AddService, "A", "add-service", Nothing, "add a virtual service (-t, -u, -f, --sctp-service)"),
    command(Opt::EditService, "E", "edit-service", Nothing, "edit a virtual service; what is not named goes back to its default, but see --keep"),
    command(Opt::DeleteService, "D", "delete-service", Nothing, "delete a virtual service and its real servers"),
    command(Opt::Clear, "C", "clear", Nothing, "clear the whole table"),
    command(Opt::AddServer, "a", "add-server", Nothing, "add a real server (-r) to a virtual service"),
    command(Opt::EditServer, "e", "edit-server", Nothing, "edit a real server; what is not named goes back to its default, but see --keep"),
    command(Opt::DeleteServer, "d", "delete-server", Nothing, "delete a real server"),
    command(Opt::List, "Ll", "list", Nothing, "list the table (also -l), a service of it, or connections (-c)"),
    command(Opt::Zero, "Z", "zero", Nothing, "zero the counters of a service, or all"),
    command(Opt::Set, "", "set", Nothing, "set the timeouts of connections: TCP TCPFIN UDP, in seconds; 0 leaves one as it is"),
    command(Opt::Save, "S", "save", Nothing, "write the table to stdout, as lines for -R; add -n for numbers"),
    command(Opt::Restore, "R", "restore", Nothing, "carry out the lines of stdin, each the options of one ipvsadm call"),
    command(Opt::StartDaemon, "", "start-daemon", Value("STATE"), "start the sync daemon: master or backup"),
    command(Opt::StopDaemon, "", "stop-daemon", Value("STATE"), "stop the sync daemon: master or backup"),
    command(Opt::Check, "", "check", Nothing, "say what is wrong with this director, or with a real server of VIP (-r VIP); status 1 if anything is"),
    command(Opt::Help, "h", "help", Nothing, "print this help"),
    command(Opt::Version, "v", "version", Nothing, "print the version"),
    option(Opt::TcpService, "t", "tcp-service", Value("ADDRESS[:PORT]"), OptionKey::ServiceAddress, SERVICE, "a TCP service"),
    option(Opt::UdpService, "u", "udp-service", Value("ADDRESS[:PORT]"), OptionKey::ServiceAddress, SERVICE, "a UDP service"),
    option(Opt::SctpService, "", "sctp-service", Value("ADDRESS[:PORT]"), OptionKey::ServiceAddress, SERVICE, "an SCTP service"),
    option(Opt::FwmarkService, "f", "fwmark-service", Value("MARK"), OptionKey::ServiceAddress, SERVICE, "the packets with a firewall mark, 1 to 4294967295"),
    free(Opt::Ipv6, "6", "ipv6", SERVICE, "behind -f: the service is IPv6"),
    option(Opt::Scheduler, "s", "scheduler", Value("NAME"), OptionKey::Scheduler, SERVICE, "rr wrr lc wlc lblc lblcr dh sh mh sed nq fo ovf or another of the kernel's [default: wlc]"),
    option(Opt::Persistent, "p", "persistent", Perhaps("SECONDS"), OptionKey::Persistent, SERVICE, "a client comes back to its server for so long after its last connection [default: 360]"),
    option(Opt::Netmask, "M", "netmask", Value("NETMASK"), OptionKey::Netmask, SERVICE, "which clients count as one: a mask, or a prefix length with IPv6"),
    option(Opt::Engine, "", "pe", Value("NAME"), OptionKey::Pe, SERVICE, "persistence engine, such as sip"),
    option(Opt::OnePacket, "o", "ops", Nothing, OptionKey::Ops, SERVICE, "one-packet scheduling, of UDP"),
    option(Opt::SchedFlags, "b", "sched-flags", Value("FLAGS"), OptionKey::SchedFlags, SERVICE, "flag-1,flag-2,flag-3; sh-fallback,sh-port; mh-fallback,mh-port"),
    option(Opt::RealServer, "r", "real-server", Value("ADDRESS[:PORT]"), OptionKey::RealServer, SERVER, "the server; its port is the service's unless -m or -f is used"),
    option(Opt::Gatewaying, "g", "gatewaying", Nothing, OptionKey::ForwardingMethod, SERVER, "direct routing [default]"),
    option(Opt::Ipip, "i", "ipip", Nothing, OptionKey::ForwardingMethod, SERVER, "a tunnel"),
    option(Opt::Masquerading, "m", "masquerading", Nothing, OptionKey::ForwardingMethod, SERVER, "masquerading (NAT)"),
    option(Opt::Weight, "w", "weight", Value("WEIGHT"), OptionKey::Weight, SERVER, "its share of the connections; 0 for no new ones [default: 1]"),
    option(Opt::UThreshold, "x", "u-threshold", Value("COUNT"), OptionKey::UThreshold, SERVER, "it takes no more connections than that; 0 for no limit"),
    option(Opt::LThreshold, "y", "l-threshold", Value("COUNT"), OptionKey::LThreshold, SERVER, "once full, it takes new ones below that"),
    option(Opt::TunType, "", "tun-type", Value("TYPE"), OptionKey::TunType, SERVER, "ipip, gue or gre [default: ipip]"),
    option(Opt::TunPort, "", "tun-port", Value("PORT"), OptionKey::TunPort, SERVER, "the receiver's port, with gue"),
    option(Opt::TunNocsum, "", "tun-nocsum", Nothing, OptionKey::TunNocsum, SERVER, "no checksum, with gue and gre"),
    option(Opt::TunCsum, "", "tun-csum", Nothing, OptionKey::TunCsum, SERVER, "a checksum, with gue and gre"),
    option(Opt::TunRemcsum, "", "tun-remcsum", Nothing, OptionKey::TunRemcsum, SERVER, "a remote checksum, with gue"),
    option(Opt::Numeric, "n", "numeric", Nothing, OptionKey::Numeric, LISTING, "numbers instead of names"),
    option(Opt::Connection, "c", "connection", Nothing, OptionKey::Connection, LISTING, "connections instead of the table"),
    option(Opt::Stats, "", "stats", Nothing, OptionKey::Stats, LISTING, "counters"),
    option(Opt::Rate, "", "rate", Nothing, OptionKey::Rate, LISTING, "rates per second"),
    option(Opt::Exact, "X", "exact", Nothing, OptionKey::Exact, LISTING, "counters without K, M, G and T"),
    option(Opt::Thresholds, "", "thresholds", Nothing, OptionKey::Thresholds, LISTING, "thresholds"),
    option(Opt::PersistentConn, "", "persistent-conn", Nothing, OptionKey::PersistentConn, LISTING, "persistent connections; with -c, the engine's data"),
    option(Opt::TunInfo, "", "tun-info", Nothing, OptionKey::TunInfo, LISTING, "tunnels"),
    option(Opt::Timeout, "", "timeout", Nothing, OptionKey::Timeout, LISTING, "the timeouts of connections"),
    option(Opt::Daemon, "", "daemon", Nothing, OptionKey::Daemon, LISTING, "the sync daemons"),
    free(Opt::Sort, "", "sort", LISTING, "sorted, as it is anyway"),
    option(Opt::NoSort, "", "nosort", Nothing, OptionKey::NoSort, LISTING, "in the kernel's order"),
    option(Opt::McastInterface, "", "mcast-interface", Value("INTERFACE"), OptionKey::McastInterface, SYNC, "where it sends or hears [default: eth0]"),
    option(Opt::SyncId, "", "syncid", Value("NUMBER"), OptionKey::SyncId, SYNC, "the same on both sides, 0 to 255 [default: 0]"),
    option(Opt::SyncMaxlen, "", "sync-maxlen", Value("BYTES"), OptionKey::SyncMaxlen, SYNC, "the longest message [default: what the interface carries]"),
    option(Opt::McastGroup, "", "mcast-group", Value("ADDRESS"), OptionKey::McastGroup, SYNC, "multicast group [default: 224.0.0.81]"),
    option(Opt::McastPort, "", "mcast-port", Value("PORT"), OptionKey::McastPort, SYNC, "UDP port [default: 8848]"),
    option(Opt::McastTtl, "", "mcast-ttl", Value("TTL"), OptionKey::McastTtl, SYNC, "time to live [default: 1]"),
    option(Opt::Full, "", "full", Nothing, OptionKey::Full, EXTENSIONS, "with -S: everything, in numbers: thresholds, timeouts and sync daemons too"),
    option(Opt::File, "", "file", Value("PATH"), OptionKey::File, EXTENSIONS, "with -S, -R and --check: the file to write, whole or not at all, to read, or to look at; - is stdout or stdin"),
    option(Opt::Replace, "", "replace", Nothing, OptionKey::Replace, EXTENSIONS, "with -R: read all lines first; if each can be understood, clear the table before them"),
    option(Opt::Diff, "", "diff", Nothing, OptionKey::Diff, EXTENSIONS, "with -R: print the lines that lead from the table to the input; status 1 if there are any, 2 if it could not look"),
    option(Opt::Apply, "", "apply", Nothing, OptionKey::Apply, EXTENSIONS, "with -R: carry out just those, or none of them (status 3: neither)"),
    option(Opt::DryRun, "", "dry-run", Nothing, OptionKey::DryRun, EXTENSIONS, "with a change: print the line that would be carried out"),
    option(Opt::Keep, "", "keep", Nothing, OptionKey::Keep, EXTENSIONS, "with -E and -e: what is not named stays as it is"),
    free(Opt::Quiet, "", "quiet", EXTENSIONS, "no warnings of a change; IPVSADM_QUIET=1 in the environment does the same"),
    option(Opt::Director, "", "director", Value("ADDRESS"), OptionKey::Director, EXTENSIONS, "with --check -r: the director's own address"),
    option(Opt::Port, "", "port", Value("PORT"), OptionKey::Port, EXTENSIONS, "with --check -r: the port to serve"),
    option(Opt::Json, "", "json", Nothing, OptionKey::Json, EXTENSIONS, "with --check: for programs"),
];

const fn command(
    opt: Opt,
    shorts: &'static str,
    long: &'static str,
    takes: Takes,
    help: &'static str,
) -> Row {
    Row { opt, shorts, long, takes, column: None, heading: COMMANDS, help }
}

const fn option(
    opt: Opt,
    shorts: &'static str,
    long: &'static str,
    takes: Takes,
    column: OptionKey,
    heading: &'static str,
    help: &'static str,
) -> Row {
    Row { opt, shorts, long, takes, column: Some(column), heading, help }
}

/// An option that goes with every command and may be repeated.
const fn free(
    opt: Opt,
    shorts: &'static str,
    long: &'static str,
    heading: &'static str,
    help: &'static str,
) -> Row {
    Row { opt, shorts, long, takes: Nothing, column: None, heading, help }
}

impl Row {
    pub(crate) fn is_command(&self) -> bool {
        self.heading == COMMANDS
    }
}

/// The option with this letter.
pub(crate) fn by_short(letter: u8) -> Option<&'static Row> {
    OPTIONS.iter().find(|row| row.shorts.bytes().any(|short| short == letter))
}

/// The option with this long name, which must be complete.
pub(crate) fn by_long(name: &[u8]) -> Option<&'static Row> {
    OPTIONS.iter().find(|row| row.long.as_bytes() == name)
}

/// The table as clap has it, for the help, completions and the manual.
pub(crate) fn clap(program: String) -> clap::Command {
    let arguments = OPTIONS.iter().map(|row| {
        let argument = clap::Arg::new(row.long).long(row.long).help(row.help).help_heading(row.heading);
        let mut letters = row.shorts.chars();
        let argument = match letters.next() {
            Some(letter) => argument.short(letter).short_aliases(letters),
            None => argument,
        };
        match row.takes {
            Nothing if row.opt == Opt::Set => argument.num_args(3).value_names(["TCP", "TCPFIN", "UDP"]),
            Nothing => argument.action(clap::ArgAction::SetTrue),
            Value(name) => argument.value_name(name).allow_hyphen_values(true),
            Perhaps(name) => argument.value_name(name).num_args(0..=1),
        }
    });
    clap::Command::new("ipvsadm")
        .bin_name(program)
        .about("Administers Linux IPVS, the kernel's layer-4 load balancer.")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .override_usage(USAGE)
        .args(arguments)
}

const USAGE: &str = "ipvsadm -A|-E SERVICE [-s NAME] [-p [SECONDS]] [-M NETMASK] [--pe NAME] [-o] [-b FLAGS]
       ipvsadm -D SERVICE
       ipvsadm -a|-e SERVICE -r SERVER [-g|-i|-m] [-w WEIGHT] [-x COUNT] [-y COUNT] [--tun-type TYPE ...]
       ipvsadm -d SERVICE -r SERVER
       ipvsadm -L [-n] [SERVICE | -c | --timeout | --daemon] [--stats | --rate | --thresholds | ...]
       ipvsadm -S [-n] > FILE
       ipvsadm -R < FILE
       ipvsadm -C
       ipvsadm -Z [SERVICE]
       ipvsadm --set TCP TCPFIN UDP
       ipvsadm --start-daemon STATE [--mcast-interface INTERFACE] [--syncid NUMBER] ...
       ipvsadm --stop-daemon STATE
       ipvsadm --check [--json] [--file PATH]
       ipvsadm --check [--json] -r VIP [-g|-i|-m] [--director ADDRESS] [--port PORT]
SERVICE is -t|-u|--sctp-service ADDRESS:PORT, or -f MARK [-6]. The command comes first.";

#[cfg(test)]
mod tests;

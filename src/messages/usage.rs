//! Errors in the words of a command line.

use std::net::IpAddr;

use ipvs::{ServiceId, Timeouts};

use crate::option_table::OptionKey;

use super::{Failure, STATUS_REFUSED, reason, remedy, text, value};

/// A sentence about a value, and a hint at a correct one.
pub(crate) struct Message {
    pub(crate) text: &'static str,
    pub(crate) hint: &'static str,
}

const fn message(text: &'static str, hint: &'static str) -> Message {
    Message { text, hint }
}

const ADDRESS: &str = "an address or a name followed by :PORT, an IPv6 address in brackets";
const COUNT: &str = "a number from 0 to 2147483647";
const PORT: &str = "a number from 1 to 65535";

pub(crate) const SERVICE: Message = message("illegal virtual server address[:port] specified", ADDRESS);
pub(crate) const SERVER: Message = message("illegal real server address[:port] specified", ADDRESS);
pub(crate) const WEIGHT: Message = message("illegal weight specified", COUNT);
pub(crate) const UPPER: Message = message("illegal u_threshold specified", COUNT);
pub(crate) const LOWER: Message = message("illegal l_threshold specified", COUNT);
pub(crate) const MASK: Message =
    message("illegal virtual server persistent mask specified", "such as 255.255.255.0");
pub(crate) const PREFIX: Message = message("illegal ipv6 netmask specified", "a prefix length from 1 to 128");
pub(crate) const TUNNEL_TYPE: Message = message("illegal tunnel type specified", "ipip, gue or gre");
pub(crate) const TUNNEL_PORT: Message = message("illegal tunnel port specified", PORT);
pub(crate) const SYNC_ID: Message = message("illegal syncid specified", "a number from 0 to 255");
pub(crate) const SYNC_LENGTH: Message = message("illegal sync-maxlen specified", "a number from 1 to 65507");
pub(crate) const MCAST_PORT: Message = message("illegal mcast-port specified", PORT);
pub(crate) const MCAST_TTL: Message = message("illegal mcast-ttl specified", "a number from 1 to 255");
pub(crate) const START: Message = message("illegal start-daemon parameter specified", "master or backup");
pub(crate) const STOP: Message = message("illegal start_daemon specified", "master or backup");
pub(crate) const NETMASK_ALONE: Message = message("netmask specified for non-persistent service", "add -p");
pub(crate) const DIRECTOR: Message = message("illegal director address specified", "its own, not the VIP");
pub(crate) const WANTED: Message = message(
    "illegal address specified",
    "an address, and the interface on whose network others are asked: 192.0.2.1%eth0",
);
pub(crate) const SERVED: Message = message("illegal port specified", PORT);
pub(crate) const CLIENT: Message =
    message("illegal client specified", "an address, or a network such as 192.0.2.0/24");
pub(crate) const WAY_OF: Message = message(
    "illegal client specified",
    "an address, or one with a port: 203.0.113.5:40000, [2001:db8::5]:40000",
);
pub(crate) const STATE: Message = message(
    "illegal state specified",
    "as a listing has it, such as ESTABLISHED, SYN_RECV, FIN_WAIT, TIME_WAIT or CLOSE",
);
pub(crate) const SUMMARY: Message = message("illegal summary specified", "client, server, service or state");
pub(crate) const TOP: Message = message("illegal top specified", "a number from 1 on");
pub(crate) const WAIT: Message = message("illegal wait specified", COUNT);
pub(crate) const INTERVAL: Message = message("illegal interval specified", "seconds from 0.1 to 86400");
pub(crate) const FRAMES: Message = message("illegal count specified", "a number from 1 to 4294967295");
pub(crate) const ZERO_PORT: Message = message(
    "Zero port specified for non-persistent service",
    "add :PORT to the address, or -p for all ports",
);

pub(crate) const ONE_PACKET: &str =
    "One-Packet Scheduling is only for UDP virtual services; leave out -o, or name a service by -u";
pub(crate) const OTHER_FAMILY: &str = "Different address family is allowed only for tunneling servers";
pub(crate) const KEEP_UNREAD: &str =
    "'--keep' needs the table, which a dry run of lines does not read; give all options instead";
pub(crate) const TUNNEL_OPTIONS: &str =
    "Tunnel options conflict with forward method; add -i, or leave out those that begin with --tun";
pub(crate) const LIST_TO_FILE: &str = "a listing goes to a file with --prometheus only: add that, or > PATH";
pub(crate) const TOP_WITHOUT_SUMMARY: &str =
    "the option 'top' is about a summary: add --summary client, server, service or state";
pub(crate) const LIST_CONFLICT: &str = "options conflicts in the list command; it shows one of these: the table (with --stats, --rate \
                                          or --thresholds), -c, --timeout, --daemon; as one of text, --json, --prometheus";
pub(crate) const SET_NEEDS_THREE: &str =
    "--set option requires 3 timeout values; --set TCP TCPFIN UDP, in seconds, 0 leaves one as it is";
/// The original prints an empty line after this one.
pub(crate) const IPV6_BEFORE_MARK: &str =
    "-6 used before -f; it stands behind a mark: -f MARK -6 (with -t and -u the address says it)\n";
pub(crate) const INCOMPLETE: &str = "the command lacks its object";
pub(crate) const CHECK_TUNNEL_OF_OTHER: &str = "--tun-type and --tun-port are about tunnels: add -i";
pub(crate) const FIX_AS_JSON: &str = "--fix asks and tells a person: leave out --json";
pub(crate) const FIX_WITHOUT_TERMINAL: &str =
    "--fix asks before each change, and stdin is no terminal: add --yes";
pub(crate) const MARK_OF_SERVER: &str =
    "a real server knows no marks: name the address instead of -f, such as -t VIP:PORT";
pub(crate) const WEIGHT_OF_WHICH: &str =
    "-w is the weight that a server would have: add --without ADDRESS, which names it";
pub(crate) const FIX_WITHOUT_STDOUT: &str = "--fix says what it does, and stdout is closed: nothing is carried out; send it to a file, or to /dev/null";
pub(crate) const CHECK_PROBE_OF_SERVER: &str = "only the director asks for its addresses: leave out --probe";
pub(crate) const CHECK_SAVED_OF_SERVER: &str = "a real server has no saved table: leave out --file";

pub(crate) const NAMESPACE_OF_A_LINE: &str =
    "a line cannot choose its network namespace: give --netns with -R instead";

pub(crate) const ONLY_WHAT: &str = "--only needs a service after it, such as --only -t 192.0.2.1:80";
pub(crate) const ONLY_APPLIED: &str = "--only and --only-listed go with --apply and --diff: add one of these";
pub(crate) const ONLY_CONFLICT: &str =
    "The option 'only-listed' conflicts with the 'only' option in the 'restore' command; leave out one";

impl Message {
    /// With the word at fault.
    pub(crate) fn about(&self, word: &[u8]) -> Failure {
        let fix = remedy::in_ascii(word).unwrap_or_else(|| match remedy::in_seconds(word) {
            Some(seconds) if self.is_of_time() => format!("in seconds: {seconds}"),
            _ => self.hint.to_owned(),
        });
        value(format!("{}: '{}'; {fix}", self.text, text(word)))
    }

    fn is_of_time(&self) -> bool {
        [WAIT.text, INTERVAL.text].contains(&self.text)
    }

    /// Without a word: the sentence names it.
    pub(crate) fn without_word(&self) -> Failure {
        value(format!("{}; {}", self.text, self.hint))
    }
}

/// A second command.
pub(crate) fn invalid_option(word: &[u8], meant: Option<&str>) -> Failure {
    let fix = meant.map_or_else(
        || "a line has one command, at its beginning".to_owned(),
        |meant| format!("did you mean {meant}?"),
    );
    value(format!("invalid option `{}'; {fix}", text(word)))
}

/// A word that is neither an option nor a value.
pub(crate) fn unexpected_argument(word: &[u8], fix: &str) -> Failure {
    value(format!("unexpected argument {}; {fix}", text(word)))
}

pub(crate) fn invalid_timeout(word: &[u8], least: u32) -> Failure {
    let fix = remedy::in_ascii(word).unwrap_or_else(|| match remedy::in_seconds(word) {
        Some(seconds) => format!("in seconds: {seconds}"),
        None => format!("seconds, from {least} to {}", Timeouts::LONGEST),
    });
    value(format!("invalid timeout value `{}' specified; {fix}", text(word)))
}

pub(crate) fn invalid_mark(word: &[u8]) -> Failure {
    let fix = match remedy::in_ascii(word) {
        Some(fix) => fix,
        None if word.contains(&b'/') => "-f is a firewall mark; a file is named by --file".to_owned(),
        None => "a decimal number from 1 to 4294967295".to_owned(),
    };
    value(format!("invalid fwmark value `{}' specified; {fix}", text(word)))
}

/// A multicast group of a family.
pub(crate) fn invalid_group(family: &str, word: &[u8]) -> Failure {
    let fix = if family == "IPv6" {
        "an address that begins with ff, such as ff02::81"
    } else {
        "an address from 224.0.0.0 to 239.255.255.255"
    };
    value(format!("invalid {family} mcast-group `{}'; {fix}", text(word)))
}

/// A scheduler flag that is unknown, or another scheduler's.
pub(crate) fn scheduler_flag(what_is_wrong: &str, word: &[u8], fix: &str) -> Failure {
    value(format!("{what_is_wrong} scheduler flag `{}'; {fix}", text(word)))
}

/// An option of `--check` that needs `-r`.
pub(crate) fn about_a_real_server(option: OptionKey) -> Failure {
    value(format!("the option '{}' is about a real server: add -r VIP", option.name()))
}

/// An option of `--explain` that needs `-r`.
pub(crate) fn about_a_server_of_a_way(option: OptionKey) -> Failure {
    value(format!("the option '{}' is about a real server: add -r SERVER", option.name()))
}

/// A client and a service of different families.
pub(crate) fn other_family(client: IpAddr, service: &ServiceId) -> Failure {
    let family = if client.is_ipv4() { "IPv4" } else { "IPv6" };
    value(format!(
        "the client '{client}' is of {family}, and the service {service} is not; name both of one family"
    ))
}

/// A server that the service does not have.
pub(crate) fn no_such_server(server: &str, service: &ServiceId) -> Failure {
    value(format!("the service {service} has no real server '{server}'; ipvsadm -Ln shows them"))
}

/// An option of `--check` that needs `--fix`.
pub(crate) fn about_fixes(option: OptionKey) -> Failure {
    value(format!("the option '{}' is about fixes: add --fix", option.name()))
}

/// An option beside `--nobody-has`.
pub(crate) fn nothing_beside_wanted(option: OptionKey) -> Failure {
    value(format!("with --nobody-has nothing else is checked: leave out --{}", option.name()))
}

/// An option of `-L` that needs `-c`.
pub(crate) fn about_connections(option: OptionKey) -> Failure {
    value(format!("the option '{}' is about connections: add -c", option.name()))
}

/// An option was given a second time.
pub(crate) fn twice(option: OptionKey) -> Failure {
    value(format!("multiple '{}' options specified; give {} once", option.name(), remedy::one_of(option)))
}

/// A network namespace that is not there.
pub(crate) fn no_namespace(word: &[u8]) -> Failure {
    value(format!(
        "there is no such network namespace: '{}'; a name of 'ip netns list', a path, or the PID of a process in it",
        text(word)
    ))
}

pub(crate) fn namespace_not_permitted(word: &[u8]) -> Failure {
    value(format!(
        "the network namespace may not be entered: '{}'; it needs CAP_SYS_ADMIN: try sudo",
        text(word)
    ))
}

/// A file that is something else.
pub(crate) fn not_a_namespace(word: &[u8]) -> Failure {
    value(format!(
        "this is not a network namespace: '{}'; 'ip netns list' shows those that have names",
        text(word)
    ))
}

pub(crate) fn cannot_enter_namespace(word: &[u8], error: &std::io::Error) -> Failure {
    value(format!("cannot enter the network namespace '{}': {}", text(word), reason(error)))
}

/// A command line that does not begin with a command.
pub(crate) fn try_help(program: &str, word: Option<&[u8]>, fix: &str) -> Failure {
    let mut message = format!("Try `{program} -h' or '{program} --help' for more information.");
    if let Some(word) = word {
        message = format!("{message} '{}'; {fix}", text(word));
    }
    Failure { status: STATUS_REFUSED, message, continue_restore: false }
}

//! The parts of random command lines: commands, the options of each, and good, borderline and bad values.

/// Commands, letter and name; repeated ones are chosen more often.
pub const COMMANDS: &[(&str, &str)] = &[
    ("A", "add-service"),
    ("A", "add-service"),
    ("A", "add-service"),
    ("a", "add-server"),
    ("a", "add-server"),
    ("a", "add-server"),
    ("E", "edit-service"),
    ("e", "edit-server"),
    ("D", "delete-service"),
    ("d", "delete-server"),
    ("L", "list"),
    ("L", "list"),
    ("l", "list"),
    ("S", "save"),
    ("Z", "zero"),
    ("C", "clear"),
    ("", "set"),
    ("", "start-daemon"),
    ("", "stop-daemon"),
    ("", "add-server"),
];

/// The states of a synchronisation daemon.
pub const STATES: &[&str] = &["master", "backup", "master", "backup", "Master"];

/// Values of one kind: good, borderline, bad.
pub type Pool = [&'static [&'static str]; 3];

pub const SERVICE: Pool = [
    &["10.0.0.1:80", "10.0.0.1:80", "10.0.0.1:80", "vip1:http", "200.0.0.1:65535", "[2001:db8::1]:80"],
    &[
        "10.0.0.1",
        "192.168.1.1:53",
        "172.16.0.9:81",
        "0.0.0.0:0",
        "0.0.0.0",
        "255.255.255.255:80",
        "224.0.0.1:80",
        "012.0.0.1:80",
        "10.1:80",
        "0x0a000001:80",
        "167772161:80",
        "2001:db8::1",
        "::",
        "[::]:0",
        "::ffff:1.2.3.4",
        "[::ffff:1.2.3.4]:80",
        "[10.0.0.1]:80",
        "[vip1]:http",
        "10.0.0.1:www",
        "10.0.0.1:+80",
        "10.0.0.1:080",
        "2001:db8::1:80",
        "localhost:80",
        "localhost6:80",
        "VIP1:80",
        "vip2alias:https",
        "10.0.0.1:0",
        "[2001:DB8::1]:http",
        "1host:80",
        "10.0.0.1:sctpsvc",
        "an-extremely-long-virtual-server-host-name-for-overflow-testing.cluster.example.test:80",
        "10:80",
        "10.0.0.1:8080",
    ],
    &[
        "",
        "80",
        "10.0.0.1:",
        "10.0.0.1:65536",
        "10.0.0.1:-1",
        ":80",
        "[::1]",
        "[::1]80",
        "[::1",
        "[]:80",
        "256.0.0.1:80",
        "10.0.0.1:HTTP",
        "nosuch.example:80",
        "fe80::1%eth0",
        "[fe80::1%eth0]:80",
        "10.0.0.1:80:90",
        "10.0.0.1 junk:80",
        "10.0.0.1: 80",
        "10.0.0.1:80 ",
        " 10.0.0.1:80",
        "vip6:80",
        "10.0.0.1.2:80",
        "1.2.3:0x50",
        ":",
        "[[::1]]:80",
    ],
];
pub const REAL: Pool = [
    &[
        "10.1.0.1:80",
        "10.1.0.1",
        "10.1.0.2:8080",
        "rs1:http",
        "192.168.10.2",
        "[2001:db8::a1]:80",
        "2001:db8::a1",
    ],
    &[
        "127.0.0.1:80",
        "10.1.0.1:0",
        "rs2.example.test:https",
        "[rs1]:80",
        "[10.1.0.1]:81",
        "10.1.0.1:+81",
        "0x0a010001",
        "RS1",
        "[::1]:80",
        "::ffff:10.1.0.1",
        "a-very-long-real-server-name.cluster.example.test:80",
        "200.1.0.1:80",
        "172.16.0.1:80",
    ],
    &[
        "",
        "80",
        "0.0.0.0:80",
        "224.0.0.1:80",
        "255.255.255.255:80",
        "[fe80::1]:80",
        "[ff02::1]:80",
        "10.1.0.1:99999",
        "[::1]",
        "rs6:80",
        "nosuch:80",
        "10.1.0.1:",
    ],
];
pub const NUMBER: Pool = [
    &["1", "2", "5", "100", "600"],
    &[
        "0",
        "128",
        "255",
        "256",
        "300",
        "65507",
        "65508",
        "65535",
        "65536",
        "2147483647",
        "2147483648",
        "2678400",
        "2678401",
        "4294967295",
        "+5",
        "010",
        "000",
    ],
    &["", "-1", "0x10", "abc", "1 ", " 1", "99999999999999999999", "4294967296", "5.5", "1e3", "--", "-"],
];
pub const MARK: Pool = [
    &["1", "2"],
    &["0", "2147483647", "2147483648", "4294967295", "+7", "007"],
    &["", "-1", "4294967296", "0x10", "abc", "1 ", " 1", "18446744073709551617"],
];
pub const SCHEDULER: Pool = [
    &["rr", "wrr", "lc", "wlc", "sh", "mh"],
    &["nq", "sed", "dh", "lblc", "lblcr", "fo", "ovf", "none", ""],
    &["nosuch", "RR", "rr ", "a-name-longer-than-15-bytes", "-p"],
];
pub const MASK: Pool = [
    &["255.255.255.0", "255.255.255.255", "64", "128"],
    &["24", "0xffffff00", "0.0.0.0", "255.0.255.0", "1", "vip1", "64abc", "48", "+64"],
    &["", "/24", "129", "0", "-1", "abc", "255.255.255.256", "nosuch"],
];
pub const FLAGS: Pool = [
    &["sh-port", "sh-fallback", "mh-port", "mh-fallback,mh-port", "flag-1", "flag-1,flag-2"],
    &["", "flag-3", "flag-1,flag-2,flag-3", "sh-port,flag-3", ",sh-port,", "flag-1,flag-1", "flag-3,,flag-2"],
    &["flag-4", "SH-PORT", "sh-port, sh-fallback", "x", "flag-1 "],
];
pub const ENGINE: Pool = [&["sip"], &["", "SIP"], &["nosuch", "a-name-longer-than-sixteen-bytes"]];
pub const TUNNEL: Pool = [&["ipip", "gue", "gre"], &["gue", "gre"], &["", "GUE", "vxlan", "gue "]];
pub const LINK: Pool = [&["eth0", "dum1"], &["", "lo"], &["nosuch", "a-name-longer-than-15-bytes"]];
pub const GROUP: Pool = [
    &["224.0.0.81", "239.1.2.3", "ff02::5"],
    &["224.0.0.1", "239.255.255.255", "ff05::1:3"],
    &[
        "",
        "10.0.0.1",
        "224.0.0",
        "0xe0000051",
        "2001:db8::1",
        "[ff02::5]",
        "ff02::5%eth0",
        "nosuch",
        "240.0.0.1",
    ],
];

/// An option: its letter, its long name, and its values if it takes one.
pub type Choice = (&'static str, &'static str, Option<&'static Pool>);

pub const SERVICES: &[Choice] = &[
    ("t", "tcp-service", Some(&SERVICE)),
    ("t", "tcp-service", Some(&SERVICE)),
    ("t", "tcp-service", Some(&SERVICE)),
    ("u", "udp-service", Some(&SERVICE)),
    ("", "sctp-service", Some(&SERVICE)),
    ("f", "fwmark-service", Some(&MARK)),
];
pub const OF_SERVICE: &[Choice] = &[
    ("s", "scheduler", Some(&SCHEDULER)),
    ("s", "scheduler", Some(&SCHEDULER)),
    ("p", "persistent", Some(&NUMBER)),
    ("p", "persistent", None),
    ("M", "netmask", Some(&MASK)),
    ("b", "sched-flags", Some(&FLAGS)),
    ("o", "ops", None),
    ("", "pe", Some(&ENGINE)),
];
pub const OF_SERVER: &[Choice] = &[
    ("m", "masquerading", None),
    ("m", "masquerading", None),
    ("i", "ipip", None),
    ("g", "gatewaying", None),
    ("w", "weight", Some(&NUMBER)),
    ("w", "weight", Some(&NUMBER)),
    ("x", "u-threshold", Some(&NUMBER)),
    ("y", "l-threshold", Some(&NUMBER)),
];
pub const OF_TUNNEL: &[Choice] = &[
    ("", "tun-type", Some(&TUNNEL)),
    ("", "tun-type", Some(&TUNNEL)),
    ("", "tun-port", Some(&NUMBER)),
    ("", "tun-port", Some(&NUMBER)),
    ("", "tun-nocsum", None),
    ("", "tun-csum", None),
    ("", "tun-remcsum", None),
];
pub const OF_LIST: &[Choice] = &[
    ("n", "numeric", None),
    ("n", "numeric", None),
    ("n", "numeric", None),
    ("", "stats", None),
    ("", "rate", None),
    ("", "thresholds", None),
    ("", "persistent-conn", None),
    ("", "tun-info", None),
    ("", "nosort", None),
    ("", "sort", None),
    ("X", "exact", None),
    ("c", "connection", None),
    ("", "timeout", None),
    ("", "daemon", None),
];
pub const OF_DAEMON: &[Choice] = &[
    ("", "mcast-interface", Some(&LINK)),
    ("", "mcast-group", Some(&GROUP)),
    ("", "mcast-port", Some(&NUMBER)),
    ("", "mcast-ttl", Some(&NUMBER)),
    ("", "sync-maxlen", Some(&NUMBER)),
    ("", "syncid", Some(&NUMBER)),
];
pub const STRANGE: &[Choice] = &[
    ("k", "foo", None),
    ("I", "flush", None),
    ("", "tcp-serv", Some(&SERVICE)),
    ("h", "help", None),
    ("v", "version", None),
];
pub const ALL: &[&[Choice]] = &[SERVICES, OF_SERVICE, OF_SERVER, OF_TUNNEL, OF_LIST, OF_DAEMON, STRANGE];
pub const REAL_SERVER: Choice = ("r", "real-server", Some(&REAL));

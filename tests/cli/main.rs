//! Tests the tool's behaviour on errors, and the differences from the original that need more than one command line.
//! Common behaviour is in `tests/compat`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

mod apply;
mod balance;
mod buffers;
mod concurrent;
mod connections;
mod deleted;
mod drain;
mod files;
mod forms;
mod gallery;
mod interfaces;
mod json;
mod keep;
mod large;
mod meanwhile;
mod messages;
mod names;
mod names_at_once;
mod netns;
mod only;
mod order;
mod progress;
mod refusals;
mod resized;
mod restore;
mod save;
mod undo;
mod warnings;
mod whole;

use ipvs::{Checksum, Client, Destination, ForwardingMethod, Service, ServiceId, Tunnel};

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

const OURS: &str = env!("CARGO_BIN_EXE_ipvsadm");

/// Status, stdout and stderr of a call.
type Answer = (i32, String, String);

fn answer(output: Output) -> Answer {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Runs a tool with the words of a line.
fn run(tool: &str, line: &str) -> Answer {
    answer(Command::new(tool).args(line.split_whitespace()).output().unwrap())
}

/// Runs a tool with the words of a line and an input.
fn feed(tool: &str, line: &str, input: &str) -> Answer {
    let mut command = Command::new(tool);
    // Other blanks are parts of words, as for a shell.
    let words = line.split_ascii_whitespace();
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A tool that refuses its words may end before it reads.
    let written = child.stdin.take().unwrap().write_all(input.as_bytes());
    assert!(written.is_ok() || written.is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe));
    answer(child.wait_with_output().unwrap())
}

/// The table, as the original shows it.
fn table() -> String {
    run(lab::ORIGINAL, "-Sn").1
}

/// The services and servers with all attributes, in numbers, with the kernel's default timeouts.
fn services() -> String {
    let (_, saved, _) = run(OURS, "-S --full");
    saved.split_once("--set 900 120 300\n").unwrap().1.to_owned()
}

/// Sets up the initial table with the original.
fn set_up(lines: &str) {
    let added = feed(lab::ORIGINAL, "-R", lines);
    assert_eq!(added, (0, String::new(), String::new()));
}

#[test]
fn bad_input_is_one_line_that_names_the_word() {
    lab::isolate();
    set_up("-A -t 10.0.0.1:80 -s rr\n");
    let before = table();
    for (line, status, word, fix) in [
        (
            "-A -t 300.0.0.1:80",
            2,
            "'300.0.0.1:80'",
            "'300.0.0.1' is no address: an address has four numbers from 0 to 255",
        ),
        ("-A -t 10.0.0.2:99999", 2, "'10.0.0.2:99999'", "the port '99999' is above 65535"),
        ("-A -t 10.0.0.2:htpp", 2, "'10.0.0.2:htpp'", "no port has the name 'htpp' over TCP"),
        ("-A -t 10.0.0.2:", 2, "'10.0.0.2:'", "the port is missing"),
        ("-A -t 2001:db8::1:99999", 2, "'2001:db8::1:99999'", "in brackets: [2001:db8::1]:99999"),
        ("-A -t nohost.invalid:80", 2, "'nohost.invalid:80'", "for the host 'nohost.invalid'"),
        ("-A -u [2001:db8::1]", 2, "'[2001:db8::1]'", "in brackets"),
        ("-A -t 10.0.0.2", 2, "Zero port", "add :PORT"),
        ("-A -f 0", 2, "`0'", "fwmark"),
        ("-A -t 10.0.0.2:80 -p 0", 2, "`0'", "timeout"),
        ("-A -t 10.0.0.2:80 -p 60 -M 255.0", 0, "", ""),
        ("-D -t 10.0.0.2:80", 0, "", ""),
        ("-a -t 10.0.0.1:80 -r bogus", 2, "'bogus'", "for the host 'bogus'"),
        ("-a -t 10.0.0.1:80 -r 10.1.0.1 -w l", 2, "'l'", "a number from 0 to 2147483647"),
        ("-a -t 10.0.0.1:80 -r 10.1.0.1 -w -1", 2, "'-1'", "a number from 0 to 2147483647"),
        ("-a -t 10.0.0.1:80 -r 10.1.0.1 -i --tun-type vxlan", 2, "'vxlan'", "ipip, gue or gre"),
        ("-a -t 10.0.0.1:80 -r 224.0.0.1", 255, "'224.0.0.1'", "a single host"),
        ("-a -t 10.0.0.1:80 -r 10.1.0.1 -x 5 -y 9", 255, "'9'", "-y may not be above -x"),
        ("-A -t 10.0.0.2:80 -s nosuch", 255, "'nosuch'", "no module ip_vs_nosuch"),
        ("-A -u 10.0.0.2:80 -p --pe nosuch", 255, "'nosuch'", "no module ip_vs_pe_nosuch"),
        ("--start-daemon master --mcast-interface eth9", 255, "'eth9'", "--mcast-interface"),
        ("--start-daemon primary", 2, "'primary'", "master or backup"),
        ("-k", 255, "'-k'", "no such command"),
        ("-nL", 255, "'-nL'", "comes first"),
        ("-A -t 10.0.0.2:80 -k", 255, "-k:", "unknown option"),
        ("-A -t 10.0.0.2:80 --wieght 3", 255, "--wieght:", "unknown option"),
        ("-A -t 10.0.0.2:80 rr", 2, "rr", "unexpected argument"),
    ] {
        let (code, stdout, stderr) = run(OURS, line);
        assert_eq!((code, stdout.as_str()), (status, ""), "{line}: {stderr}");
        assert_eq!(stderr.lines().count(), usize::from(status != 0), "{line}: {stderr}");
        assert!(stderr.contains(word) && stderr.contains(fix), "{line}: {stderr}");
    }
    assert_eq!(table(), before);
}

/// The tool in a place where anyone may read it, to be run as nobody.
fn as_nobody(line: &str) -> Answer {
    let copy = "/run/ipvsadm-for-nobody";
    if !std::path::Path::new(copy).exists() {
        let mine = format!("{copy}.{:?}", std::thread::current().id());
        std::fs::copy(OURS, &mine).unwrap();
        std::fs::set_permissions(&mine, PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::rename(&mine, copy).unwrap();
    }
    let drop_all = ["--reuid=65534", "--regid=65534", "--clear-groups", copy];
    answer(Command::new("setpriv").args(drop_all).args(line.split_whitespace()).output().unwrap())
}

#[test]
fn help_and_usage_errors_need_no_privilege() {
    lab::isolate();
    let version = concat!(
        "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)\nipvsadm-rs ",
        env!("CARGO_PKG_VERSION"),
        " (Rust)\n"
    );
    assert_eq!(as_nobody("-v"), (0, version.into(), String::new()));
    let (code, help, complaint) = as_nobody("-h");
    assert_eq!((code, complaint.as_str()), (0, ""));
    assert!(help.starts_with(version) && help.contains("\n  -A, --add-service"), "{help}");
    let (code, _, complaint) = as_nobody("-A");
    assert_eq!(code, 2);
    let missing = "You need to supply the 'service-address' option for the 'add-service' command; \
                   add -t ADDRESS[:PORT] (or -u, --sctp-service, -f)\n";
    assert_eq!(complaint, missing);
}

#[test]
fn each_command_has_a_help_of_its_own() {
    lab::isolate();
    for (line, has, lacks) in [
        ("--check --help", "--probe", "--wait"),
        ("--watch -h", "--count", "--probe"),
        ("--drain -r 10.1.0.1 --help", "--wait", "--count"),
        ("--help -A", "--scheduler", "--weight"),
        ("-h --add-server", "--weight", "--scheduler"),
    ] {
        let (status, help, said) = run(OURS, line);
        assert_eq!((status, said.as_str()), (0, ""), "{line}");
        assert!(help.contains(has) && !help.contains(lacks), "{line}: {help}");
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{line}: {help}");
    }
    // As with the original.
    let refused = "invalid option `--help'; did you mean --help COMMAND?\n";
    assert_eq!(run(OURS, "-L --help"), (2, String::new(), refused.into()));
}

#[test]
fn without_privilege_the_fix_is_named() {
    lab::isolate();
    for line in ["", "-Ln", "-Lnc", "-C", "-A -t 10.0.0.1:80"] {
        let (code, stdout, stderr) = as_nobody(line);
        assert_eq!((code, stdout.as_str(), stderr.lines().count()), (2, "", 1), "{line}: {stderr}");
        assert!(
            stderr.starts_with("Can't initialize ipvs: Permission denied (you must be root); "),
            "{stderr}"
        );
        assert!(stderr.contains("CAP_NET_ADMIN"), "{stderr}");
    }
}

#[test]
fn a_full_disk_is_noticed() {
    lab::isolate();
    set_up("-A -t 10.0.0.1:80 -s rr\n");
    for line in ["-Sn", "-Ln", "-h"] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = Command::new(OURS).args(line.split(' ')).stdout(full).output().unwrap();
        let told = answer(output);
        assert_eq!(told, (1, String::new(), "cannot write the output: No space left on device\n".into()));
    }
}

#[test]
fn a_closed_stdout_is_noticed() {
    lab::isolate();
    set_up("-A -t 10.0.0.1:80 -s rr\n");
    std::fs::write("/run/empty-table", "-C\n").unwrap();
    let closed = |tool: &str, line: &str| {
        answer(Command::new("sh").args(["-c", &format!("exec {tool} {line} >&-")]).output().unwrap())
    };
    let said = "cannot write the output: stdout is closed; > FILE opens one\n";
    for line in ["-Ln", "-Ln --stats", "-Lnc", "-L --timeout", "-Sn", "-v", "-h"] {
        // The original says nothing, and some of it goes into its own socket.
        assert_eq!(closed(lab::ORIGINAL, line), (0, String::new(), String::new()), "{line}");
        let (status, _, told) = closed(OURS, line);
        assert!(
            status == 1 && told.starts_with("cannot write the output: stdout is closed"),
            "{line}: {told}"
        );
    }
    for (line, status) in [
        ("", 1),
        ("-L --json", 1),
        ("-L --prometheus", 1),
        ("-L -c --json", 1),
        ("-L -c --summary client", 1),
        ("-L --daemon --json", 1),
        ("--watch 0.1", 1),
        ("--watch 0.1 --count 1", 1),
        ("--check --json", 2),
        ("-R --diff --file /run/empty-table", 2),
    ] {
        assert_eq!(closed(OURS, line), (status, String::new(), said.into()), "{line}");
    }
    // What prints nothing needs none, and a socket never gets its number.
    for line in ["-A -t 10.0.0.2:80", "-e -t 10.0.0.1:80 -r 10.1.0.1", "-R --diff --file /run/as-it-is", "-Z"]
    {
        let here = "/run/as-it-is";
        std::fs::write(here, run(OURS, "-Sn").1).unwrap();
        let status = if line.starts_with("-e") { 255 } else { 0 };
        assert_eq!(closed(OURS, line).0, status, "{line}");
    }
    for closed in ["<&-", "2>&-", "<&- >&- 2>&-"] {
        let script = format!("{OURS} -A -t 10.0.0.3:80 {closed} && {OURS} -D -t 10.0.0.3:80 {closed}");
        assert_eq!(answer(Command::new("sh").args(["-c", &script]).output().unwrap()).0, 0, "{closed}");
    }
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    lab::isolate();
    set_up("-A -t 10.0.0.1:80 -s rr\n");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(OURS).arg("-Ln").stdout(writer).output().unwrap();
    // The status of a program ended by SIGPIPE, like the original.
    assert_eq!(answer(output), (141, String::new(), String::new()));
}

#[test]
fn every_flag_comes_back() {
    lab::isolate();
    for (scheduler, flags, shown) in [
        ("sh", "flag-3", "flag-3"),
        ("sh", "flag-1,sh-port,flag-3", "sh-fallback,sh-port,flag-3"),
        ("mh", "flag-2", "mh-port"),
        ("rr", "flag-1,flag-2,flag-3", "flag-1,flag-2,flag-3"),
    ] {
        assert_eq!(run(OURS, &format!("-A -t 10.0.0.1:80 -s {scheduler} -b {flags}")).0, 0);
        let (_, saved, _) = run(OURS, "-Sn");
        assert_eq!(saved, format!("-A -t 10.0.0.1:80 -s {scheduler} -b {shown}\n"));
        assert!(run(OURS, "-Ln").1.ends_with(&format!("TCP  10.0.0.1:80 {scheduler} ({shown})\n")));
        run(OURS, "-C");
        assert_eq!(feed(OURS, "-R", &saved), (0, String::new(), String::new()));
        assert_eq!(run(OURS, "-Sn").1, saved);
        run(OURS, "-C");
    }
}

#[test]
fn both_checksums_are_shown() {
    lab::isolate();
    let mut client = Client::open().unwrap();
    let web = ServiceId::tcp("10.0.0.1".parse().unwrap(), 80);
    client.add_service(&Service::new(web, "rr".parse().unwrap())).unwrap();
    let both = ForwardingMethod::Tunnel(Tunnel::Gue { port: 6080, checksum: Checksum::from(3) });
    client.add_destination(&web, &Destination::new("10.1.0.1".parse().unwrap(), 80, both)).unwrap();
    let shown = "  -> 10.1.0.1:80                  Tunnel  gue:6080:+c,r+c 1      0          0         \n";
    assert!(run(OURS, "-Ln --tun-info").1.ends_with(shown));
    let saved =
        "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum --tun-remcsum\n";
    assert!(run(OURS, "-Sn").1.ends_with(saved));
}

#[test]
fn long_names_are_saved_as_addresses() {
    lab::isolate();
    let name = "a-name-of-a-virtual-server-that-is-longer-than-what-is-shown.example.test";
    // With its port it is as long as what is shown, and a byte longer.
    let [fits, cut_in_port] = [56, 57].map(|length| "f".repeat(length));
    let hosts = format!("10.0.0.1 {name}\n10.0.0.2 short\n10.0.0.3 {fits}\n10.0.0.4 {cut_in_port}\n");
    std::fs::write("/run/long-hosts", hosts).unwrap();
    lab::lay_over("/run/long-hosts", "/etc/hosts");
    set_up(
        "-A -t 10.0.0.1:81 -s rr\n-A -t 10.0.0.2:81 -s rr\n-A -t 10.0.0.3:81 -s rr\n-A -t 10.0.0.4:81 -s rr\n",
    );
    let cut = &name[..59];
    let saved = |first: &str, last: &str| {
        format!("-A -t {first} -s rr\n-A -t short:81 -s rr\n-A -t {fits}:81 -s rr\n-A -t {last} -s rr\n")
    };
    assert_eq!(run(lab::ORIGINAL, "-S").1, saved(cut, &format!("{cut_in_port}:8")));
    assert_eq!(run(OURS, "-S").1, saved("10.0.0.1:81", "10.0.0.4:81"));
    // A listing cuts it, like the original's.
    assert_eq!(run(OURS, "-L"), run(lab::ORIGINAL, "-L"));
}

/// Reads available data until `done` is true, for a few seconds.
fn until(what: &str, done: impl Fn() -> bool) {
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !done() {
        assert!(std::time::Instant::now() < limit, "{what}: not within ten seconds");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// The remaining content of a pipe.
fn rest(mut pipe: impl Read) -> String {
    let mut text = String::new();
    pipe.read_to_string(&mut text).unwrap();
    text
}

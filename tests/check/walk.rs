//! A new user's walk: the commands of the README, typed as they stand there, lead to a checked direct-routing cluster
//! that serves its clients after a reboot; so do those of the guide. The Chinese documents have the same commands.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::cluster::{Cluster, Kind, OURS};
use crate::{GUIDE, settles};

const README: &str = include_str!("../../README.md");
const README_ZH: &str = include_str!("../../docs/zh/README.md");
const GUIDE_ZH: &str = include_str!("../../docs/zh/direct-routing.md");

/// Where each block of the README's section on use is typed. The last one is for a terminal, a pipe, and a folder of
/// metrics: see `tests/watch`, `tests/scripts` and `tests/metrics`.
const PLACES: [&[&str]; 8] = [
    &["rs1", "rs2"],
    &["director"],
    &["rs1", "rs2"],
    &["director"],
    &["director"],
    &["director"],
    &["director"],
    &[],
];
/// How many of them come before the reboot; the others are examples.
const TO_THE_REBOOT: usize = 4;

/// A command, and what a document shows below it.
type Step = (&'static str, String);

/// What a document has between two headings.
fn between(document: &'static str, from: &str, to: &str) -> &'static str {
    document.split(from).nth(1).and_then(|rest| rest.split(to).next()).expect(from)
}

/// The blocks that have commands.
fn blocks(section: &'static str) -> Vec<Vec<Step>> {
    let steps = |block: &'static str| {
        let mut steps: Vec<Step> = Vec::new();
        for line in block.lines().skip(1) {
            match (line.strip_prefix("# "), steps.last_mut()) {
                (Some(command), _) => steps.push((command, String::new())),
                (None, Some((_, shown))) => writeln!(shown, "{line}").unwrap(),
                (None, None) => {}
            }
        }
        steps
    };
    section.split("```").skip(1).step_by(2).map(steps).filter(|steps| !steps.is_empty()).collect()
}

/// The commands that the guide shows between two headings.
fn guide(from: &str, to: &str) -> Vec<&'static str> {
    blocks(between(GUIDE, from, to)).into_iter().flatten().map(|(command, _)| command).collect()
}

/// Three machines with the tool installed, each with an /etc of its own, which outlives a reboot.
struct Machines {
    cluster: Cluster,
    disks: String,
}

impl Machines {
    /// As Debian's installer leaves them, with the tool, and a web server on the real servers.
    fn new() -> Self {
        let machines = Self::started("/run/check/disks".to_owned());
        let _ = fs::remove_dir_all(&machines.disks);
        for host in HOSTS {
            let address = Kind::Routing.addresses(host)[0];
            let folder = format!("{}/{host}/etc/network", machines.disks);
            fs::create_dir_all(format!("{folder}/interfaces.d")).unwrap();
            let own = format!("{INTERFACES}  address {address}/24\n");
            fs::write(format!("{folder}/interfaces"), own).unwrap();
        }
        machines
    }

    fn started(disks: String) -> Self {
        let mut cluster = Cluster::bare(Kind::Routing);
        lab::put(OURS);
        for server in ["rs1", "rs2"] {
            cluster.serve(server);
        }
        Self { cluster, disks }
    }

    /// The same disks, with a kernel that knows of nothing.
    fn reboot(self) -> Self {
        let disks = self.disks.clone();
        drop(self);
        let machines = Self::started(disks);
        for host in HOSTS {
            machines.types(host, &[(START, String::new())]);
        }
        machines
    }

    /// Types commands, and compares their output with what the document shows: all of `ipvsadm`'s is shown.
    fn types(&self, host: &str, steps: &[Step]) {
        let disk = format!("{}/{host}", self.disks);
        for folder in ["etc", "work"] {
            fs::create_dir_all(format!("{disk}/{folder}")).unwrap();
        }
        let overlay = format!("lowerdir=/etc,upperdir={disk}/etc,workdir={disk}/work");
        let mut script =
            format!("mount -t overlay lab /etc -o {overlay} || exit 1\nexport SYSTEMD_OFFLINE=1\n");
        for (command, _) in steps {
            writeln!(script, "{command}\nprintf '\\001%s\\n' $?").unwrap();
        }
        fs::write(format!("{disk}/script"), script).unwrap();
        let (_, text) = self.cluster.run(host, &format!("unshare --mount sh {disk}/script 2>&1"));
        let mut results = text.split_terminator('\u{1}');
        let mut output = results.next().unwrap_or_default();
        for (command, shown) in steps {
            let (status, next) =
                results.next().and_then(|rest| rest.split_once('\n').or(Some((rest, "")))).expect(&text);
            if command.starts_with("ipvsadm") {
                assert_eq!(output, shown, "{host}# {command}");
            }
            let finds = command.starts_with("ipvsadm --check") && !shown.is_empty();
            assert_eq!(status, if finds { "1" } else { "0" }, "{host}# {command}\n{text}");
            output = next;
        }
    }

    /// What the READMEs' example finds: a server that is down. The table is as it was saved.
    fn accident(&self) {
        self.cluster.succeed("director", "ipvsadm -d -t 192.168.1.100:80 -r 192.168.1.13");
        self.cluster.succeed("rs1", "ip link set eth0 down");
        self.cluster.succeed("director", "ip neigh flush all");
        settles(&self.cluster, None, "- - rs2 rs2", "with a server that is down");
    }

    fn serves(&self, when: &str) {
        settles(&self.cluster, None, "rs1 rs1 rs2 rs2", when);
    }
}

const HOSTS: [&str; 3] = ["rs1", "rs2", "director"];

/// What Debian's installer writes, up to the address.
const INTERFACES: &str = "source /etc/network/interfaces.d/*\nauto lo eth0\n\
    iface lo inet loopback\niface eth0 inet static\n";

/// What happens at Debian's boot: sysctl.d, then the network, then the service if it is enabled.
const START: &str = concat!(
    "set -e
    ip addr flush dev eth0
    /lib/systemd/systemd-sysctl --prefix=/net
    ",
    env!("CARGO_MANIFEST_DIR"),
    "/target/lab/ifupdown/sbin/ifup -a --no-scripts --state-dir $(mktemp -d)
    unit=/etc/systemd/system/multi-user.target.wants/ipvsadm.service
    [ ! -e $unit ] || env $(sed -n 's/^Environment=//p' $unit) $(sed -n 's/^ExecStart=//p' $unit)"
);

/// Installs the tool's unit like a package.
fn install() {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    for (file, folder) in
        [("ipvsadm.service", "/usr/lib/systemd/system"), ("service", "/usr/libexec/ipvsadm")]
    {
        fs::create_dir_all(folder).unwrap();
        fs::copy(packaging.join(file), Path::new(folder).join(file)).unwrap();
    }
}

#[test]
fn the_readme_leads_to_a_cluster_that_is_there_after_a_reboot() {
    let blocks = blocks(between(README, "## Use it\n", "## The library\n"));
    assert_eq!(blocks.len(), PLACES.len(), "each block of the README has its place in PLACES");
    let places = PLACES.iter().zip(&blocks);
    let (way, examples): (Vec<_>, Vec<_>) =
        places.enumerate().partition(|(number, _)| *number < TO_THE_REBOOT);
    install();
    let machines = Machines::new();
    for (number, (hosts, steps)) in &way {
        hosts.iter().for_each(|host| machines.types(host, steps));
        if *number == 1 {
            machines.serves("by the README");
        }
    }

    let machines = machines.reboot();
    machines.serves("after a reboot");
    // What was well before is well.
    for (_, (hosts, steps)) in &way {
        let checks = steps.iter().filter(|(command, _)| command.contains("--check"));
        let checks: Vec<Step> = checks.cloned().collect();
        hosts.iter().for_each(|host| machines.types(host, &checks));
    }
    for (_, (hosts, steps)) in &examples {
        if steps.iter().any(|(command, _)| *command == "ipvsadm --check") {
            machines.accident();
        }
        hosts.iter().for_each(|host| machines.types(host, steps));
    }
}

#[test]
fn the_chinese_documents_have_the_same_commands() {
    let without_remarks = |document| {
        let mut blocks = blocks(document);
        for (command, _) in blocks.iter_mut().flatten() {
            *command = command.split("  #").next().unwrap().trim_end();
        }
        blocks
    };
    for (english, chinese) in [(README, README_ZH), (GUIDE, GUIDE_ZH)] {
        assert_eq!(without_remarks(chinese), without_remarks(english));
    }
}

#[test]
fn the_guide_leads_from_nothing_to_a_checked_cluster() {
    let mut cluster = Cluster::bare(Kind::Routing);
    let on_servers = guide("### The real servers\n", "### The director\n");
    let on_director = guide("### The director\n", "### The client\n");
    assert_eq!((on_servers.len(), on_director.len()), (3, 6));
    for server in ["rs1", "rs2"] {
        let [.., check] = on_servers[..] else { panic!("{on_servers:?}") };
        let (status, text) = cluster.run(server, &format!("{check} --json"));
        assert_eq!(status, 1, "nothing is done yet: {text}");
        for id in ["arp-ignore", "arp-announce", "server-vip-missing", "no-listener"] {
            assert!(text.contains(id), "{id}: {text}");
        }
        cluster.serve(server);
        for command in &on_servers {
            cluster.succeed(server, command);
        }
        assert_eq!(cluster.run(server, check), (0, String::new()));
    }
    for command in &on_director {
        cluster.succeed("director", &command.replace("/etc/ipvsadm.rules", "/etc/sysconfig/ipvsadm"));
    }
    settles(&cluster, None, "rs1 rs1 rs2 rs2", "by the guide");
    assert_eq!(cluster.run("director", "ipvsadm --check"), (0, String::new()));
}

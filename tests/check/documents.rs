//! Every command that a document shows is typed by a test: here, unless `ELSEWHERE` says by which other one. The Chinese
//! documents have the same commands (`docs/zh/check`).

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::cluster::{Cluster, Kind};
use crate::settles;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/");

/// Commands that are not typed here: a document, what they contain, and where they are, or why nowhere.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("README.md", "sysctl -w", "walk"),
    ("README.md", "ip addr add", "walk"),
    ("README.md", "ipvsadm -", "walk, but for the last block, which is typed here"),
    ("README.md", "systemctl enable ipvsadm", "walk"),
    ("README.md", "printf '%s\\n'", "walk"),
    ("docs/direct-routing.md", "", "walk; but NetworkManager and netplan, and curl, are not in the lab"),
    ("docs/nat.md", "", "main and masquerading_for_clients_anywhere"),
    ("docs/tunnels.md", "", "main"),
    ("docs/monitoring.md", "systemctl enable --now ipvsadm-metrics.timer", "tests/systemd"),
    ("docs/fleet.md", "", "tests/beside, fleet.rs, and tests/systemd"),
    (
        "docs/beside-others.md",
        "/run/docker/netns",
        "Docker is not in the lab; tests/cli, netns.rs, has paths",
    ),
    ("docs/containers.md", "", "packaging/test deploy"),
    ("docs/reliability.md", "", "remarks between commands about the tests"),
    ("docs/zh/from-centos.md", "sysctl --system", "systemd's is not in the lab"),
    ("docs/zh/from-centos.md", "systemctl", "tests/systemd"),
    ("docs/zh/from-centos.md", "firewall-cmd", "firewalld is not in the lab"),
    ("docs/zh/from-centos.md", "ipvsadm-*-x86_64", "packaging/test static"),
    ("docs/zh/from-centos.md", "ln -s ipvsadm", "packaging/test static"),
    ("docs/zh/from-centos.md", "curl", "curl is not in the lab"),
    ("docs/zh/from-centos.md", "", "walk: those of the guide"),
];

/// What is on the director before each command.
const TABLE: &str = "-A -t 192.168.1.100:80 -s sh
-a -t 192.168.1.100:80 -r 192.168.1.11 -g -w 1
-a -t 192.168.1.100:80 -r 192.168.1.12 -g -w 1
";

/// Such rows of tables as have the command of the C tool beside ours, with remarks, are both typed.
fn commands(document: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut is_code = false;
    for line in document.lines() {
        is_code ^= line.trim_start().starts_with("```");
        if is_code {
            let typed = line.trim_start();
            let typed = typed.strip_prefix("# ").or_else(|| typed.strip_prefix("$ "));
            commands.extend(typed.map(|line| line.split("  #").next().unwrap().trim_end().to_owned()));
        } else if line.starts_with('|') {
            let cells = line.split(" | ").filter_map(|cell| cell.trim_matches(['|', ' ']).strip_prefix('`'));
            let code = cells.filter_map(|cell| cell.split('`').next());
            let typed = code.filter(|code| {
                let program = code.split(' ').next().unwrap();
                code.contains(" -") && ["ipvsadm", "ipvsadm-save", "sysctl"].contains(&program)
            });
            commands.extend(typed.map(str::to_owned));
        }
    }
    commands
}

/// The documents for people who use the tool.
fn documents() -> Vec<String> {
    let mut documents = vec!["README.md".to_owned(), "docs/zh/from-centos.md".to_owned()];
    for entry in fs::read_dir(format!("{ROOT}docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_for_users = !["compatibility.md", "CHANGELOG.md"].contains(&name.as_str());
        if is_for_users && Path::new(&name).extension().is_some_and(|end| end == "md") {
            documents.push(format!("docs/{name}"));
        }
    }
    documents.sort();
    documents
}

/// What changes nothing on the director.
const READING: [&str; 5] =
    ["ipvsadm -L", "ipvsadm -v", "ipvsadm --explain", "ipvsadm --watch", "ipvsadm --check"];

/// Whether a command of the README is one of its last block.
fn is_of_the_last_block(command: &str) -> bool {
    command.contains("| jq ") || command.contains("--prometheus") || command == "ipvsadm --watch"
}

/// What is typed so that the command can do what it says.
fn before(command: &str) -> String {
    let mut script = "ipvsadm --stop-daemon master; ipvsadm --stop-daemon backup
        ip netns list | grep -qw blue || ip netns add blue; ip netns exec blue ip link set lo up
        rm -f /run/ipvs.prom mail.rules; mkdir -p /var/lib/prometheus/node-exporter; ipvsadm -C\n"
        .to_owned();
    write!(script, "ipvsadm -R <<END || exit\n{TABLE}END\n").unwrap();
    script += "ipvsadm -S --full --file mail.rules || exit\n";
    if command.ends_with("--undrain") {
        script += "ipvsadm --drain -r 192.168.1.12 --wait 9 || exit\n";
    }
    script + "ipvsadm -S --full --file /etc/sysconfig/ipvsadm || exit\n"
}

#[test]
fn every_command_of_the_documents_is_typed() {
    let mut cluster = Cluster::new(Kind::Routing);
    cluster.accept_logins("rs1");
    let mut typed = 0;
    let mut is_as_before = false;
    let mut wrong = String::new();
    for document in documents() {
        for command in commands(&fs::read_to_string(format!("{ROOT}{document}")).unwrap()) {
            let is_elsewhere = |(of, part, _): &(&str, &str, &str)| document == *of && command.contains(part);
            let is_here = document == "README.md" && is_of_the_last_block(&command);
            if !is_here && ELSEWHERE.iter().any(is_elsewhere) {
                continue;
            }
            typed += 1;
            let at = if command.contains("--check -r") { "rs1" } else { "director" };
            let line = command.replace("/etc/ipvsadm.rules", "/etc/sysconfig/ipvsadm");
            let line = match line.as_str() {
                // They wait for a person.
                "ipvsadm --watch" => "ipvsadm --watch --count 1",
                "ipvsadm --check --fix" => "ipvsadm --check --fix --yes",
                "ipvsadm --check -r VIP:PORT" => "ipvsadm --check -r 192.168.1.100:80",
                line => line,
            };
            let script = match at {
                "director" if is_as_before => line.to_owned(),
                "director" => format!("cd /run/check && {{ {} }} >/dev/null 2>&1\n{line}", before(line)),
                _ => line.to_owned(),
            };
            let is_reading = READING.iter().any(|start| line.starts_with(start)) && !line.contains("--file");
            is_as_before = is_reading && (is_as_before || at == "director");
            let (status, text) = cluster.run(at, &script);
            if status != 0 {
                writeln!(wrong, "{document}: {at}# {line}\n{text}\n[{status}]").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(typed > 60, "only {typed} commands were found");
}

#[test]
fn queries_print_what_their_document_says() {
    let cluster = Cluster::new(Kind::Routing);
    let more = "-A -f 7 -s rr\n-A -t [2001:db8::1]:443 -s rr\n-a -t [2001:db8::1]:443 -r [2001:db8::5]:443 -g -w 0\n";
    cluster.succeed("director", &format!("ipvsadm -R <<END\n{more}END"));
    let guide = fs::read_to_string(format!("{ROOT}docs/monitoring.md")).unwrap();
    let queries: Vec<String> =
        commands(&guide).into_iter().filter(|command| command.contains("| jq ")).collect();
    let answers: Vec<String> = queries.iter().map(|query| cluster.succeed("director", query)).collect();
    assert_eq!(answers, ["tcp 2001:db8::1 443\nmark 7", "0", "2001:db8::5", ""]);
}

#[test]
fn masquerading_for_clients_anywhere() {
    let cluster = Cluster::new(Kind::MasqueradeOneArm);
    settles(&cluster, None, "rs1 rs1 rs2 rs2", "before");
    for server in ["rs1", "rs2"] {
        cluster.succeed(server, "ip route replace default via 192.168.1.254");
    }
    settles(&cluster, None, "- - - -", "with another gateway");
    let guide = fs::read_to_string(format!("{ROOT}docs/nat.md")).unwrap();
    let one_interface = guide.split("## One interface\n").nth(1).unwrap();
    for command in commands(one_interface) {
        cluster.succeed("director", &command.replace("iptables ", "iptables-legacy "));
    }
    settles(&cluster, None, "rs1 rs1 rs2 rs2", "with the director's address as the client's");
}

/// The blocks of the manual that have commands, as they are typed.
fn examples() -> Vec<Vec<String>> {
    let page = fs::read_to_string(format!("{ROOT}docs/man/ipvsadm.8")).unwrap();
    let page = page.replace("\\e\n", " ").replace("\\-", "-");
    let sections = page
        .split("\n.SH ")
        .filter(|section| !["QUICK", "SYNOPSIS"].iter().any(|name| section.starts_with(name)));
    let blocks = sections.flat_map(|section| section.split("\n.nf\n").skip(1));
    let is_typed = |line: &&str| {
        ["ipvsadm", "ipvsadm-save", "ip", "sysctl", "nft", "iptables"]
            .contains(&line.split(' ').next().unwrap())
    };
    blocks
        .map(|block| {
            block.split("\n.fi").next().unwrap().lines().filter(is_typed).map(str::to_owned).collect()
        })
        .filter(|block: &Vec<String>| !block.is_empty())
        .collect()
}

#[test]
fn every_example_of_the_manual_is_typed() {
    let cluster = Cluster::bare(Kind::Routing);
    let blocks = examples();
    assert!(blocks.len() >= 12, "{blocks:?}");
    for block in blocks {
        let has_service = block.iter().any(|line| line.contains("-A -t 192.0.2.10:80"));
        let mut table = "-A -t 192.0.2.10:80 -s wlc\n-a -t 192.0.2.10:80 -r 192.0.2.11 -g\n".to_owned();
        table += "-a -t 192.0.2.10:80 -r 192.0.2.12 -g\n";
        let begin = if has_service { String::new() } else { format!("ipvsadm -R <<END\n{table}END\n") };
        cluster.succeed("director", &format!("ipvsadm -C\n{begin}"));
        let _ = cluster.run("director", "ipvsadm --stop-daemon master; ipvsadm --stop-daemon backup");
        for line in block {
            let is_of_server = ["ip ", "sysctl -w net.ipv4.conf", "ipvsadm --check"].iter();
            let at =
                if is_of_server.clone().any(|start| line.starts_with(start)) { "rs1" } else { "director" };
            let line = line.replace("/etc/ipvsadm.rules", "/etc/sysconfig/ipvsadm");
            if !line.starts_with("nft ") || lab::kernel::has_nftables() {
                cluster.succeed(at, &line.replace("iptables ", "iptables-legacy "));
            }
        }
    }
}

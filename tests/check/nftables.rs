//! Rules of nftables, in the kernel: what they drop is found and accepted again, and the marks that they set are seen.
//! A kernel without nftables for IP has these rules only as JSON, in the tests beside the code.

use crate::cluster::{Cluster, Kind};
use crate::faults::{Fault, ON_DIRECTOR, ON_SERVER};
use crate::{each, play, settles};
use lab::kernel;

/// Faults of one kind of cluster, one after another: each begins without the rules of the one before.
const ROUNDS: [&[Fault]; 4] = [
    &[
        // A firewall as /etc/nftables.conf often has it.
        Fault {
            id: "filter-input",
            make: "nft flush ruleset && nft 'table inet filter {
                chain input {
                    type filter hook input priority filter; policy drop;
                    ct state { established, related } accept
                    iif lo accept
                    meta l4proto { icmp, ipv6-icmp } accept
                    tcp dport { 22, 443 } accept
                    counter comment \"the rest\"
                }
            }'",
            ..ON_DIRECTOR
        },
        // Chains, a set and a map.
        Fault {
            id: "filter-input",
            make: "nft flush ruleset && nft 'table ip filter {
                set web { type inet_service; elements = { 80, 443 } }
                chain services { ip daddr 192.168.1.0/24 tcp dport @web reject; }
                chain input {
                    type filter hook input priority -10;
                    meta l4proto vmap { tcp : jump services, icmp : accept };
                }
            }'",
            ..ON_DIRECTOR
        },
        Fault {
            id: "filter-output",
            make: "nft flush ruleset && nft 'table inet filter {
                chain out { type filter hook output priority filter; oifname \"eth*\" ip daddr 192.168.1.100 drop; }
            }'",
            ..ON_DIRECTOR
        },
        // A table of the name that iptables has, with other chains.
        Fault {
            id: "filter-input",
            make: "nft flush ruleset && nft 'table ip filter {
                chain input { type filter hook input priority filter; policy drop; tcp dport 22 accept; icmp type echo-request accept; }
            }'",
            ..ON_DIRECTOR
        },
        // Packets after the first begin a connection again.
        Fault {
            id: "filter-input",
            make: "nft flush ruleset && nft 'table inet filter {
                chain input {
                    type filter hook input priority filter;
                    ct state new tcp flags & (fin|syn|rst|ack) != syn counter drop
                }
            }'",
            ..ON_DIRECTOR
        },
        // Another destination.
        Fault {
            id: "filter-input",
            make: "nft flush ruleset && nft 'table ip nat {
                chain pre {
                    type nat hook prerouting priority dstnat;
                    ip daddr 192.168.1.90-192.168.1.110 tcp dport 80 redirect to :8080
                }
            }'",
            ..ON_DIRECTOR
        },
        // iptables, whose rules are those of nftables.
        Fault {
            id: "filter-input",
            make: "nft flush ruleset && iptables-nft -A INPUT -p tcp -m multiport --dports 80,443 -j DROP",
            ..ON_DIRECTOR
        },
    ],
    &[Fault {
        id: "filter-input",
        kind: Kind::Routing6,
        make: "nft 'table inet filter {
            chain input { type filter hook input priority filter; iifname != \"lo\" tcp dport 80 drop; }
        }'",
        ..ON_DIRECTOR
    }],
    &[Fault {
        id: "filter-forward",
        kind: Kind::Masquerade,
        make: "nft 'table inet filter {
            chain forward { type filter hook forward priority filter; policy drop; ct state vmap { invalid : drop }; }
        }'",
        ..ON_DIRECTOR
    }],
    &[Fault {
        id: "server-filter",
        make: "nft 'table inet filter {
            chain input { type filter hook input priority filter; policy drop; iif lo accept; tcp dport 22 accept; icmp type echo-request accept; }
        }'",
        ..ON_SERVER
    }],
];

#[test]
fn what_rules_of_nftables_drop_is_found_and_mended() {
    if !kernel::has_nftables() {
        return;
    }
    each(&ROUNDS, |round| {
        let mut last = None;
        for fault in *round {
            last = Some(play(last, fault));
        }
    });
}

#[test]
fn marks_of_nftables_are_seen() {
    if !kernel::has_nftables() {
        return;
    }
    let cluster = Cluster::new(Kind::Marked);
    let rule = "nft 'table inet lvs { chain marks { type filter hook prerouting priority mangle; \
                ip daddr 192.168.1.100 tcp dport { 80, 443 } meta mark set 1; }; }'";
    cluster.succeed("director", &format!("iptables-legacy -t mangle -F && {rule}"));
    settles(&cluster, None, "rs1 rs1 rs2 rs2", "marked by nftables");
    assert_eq!(cluster.run("director", "ipvsadm --check"), (0, String::new()));
    cluster.succeed("director", "nft delete table inet lvs");
    let (_, found) = cluster.run("director", "ipvsadm --check --json");
    assert!(found.contains("\"mark-unset\""), "{found}");
}

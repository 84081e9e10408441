//! Tests the rules with real packets: each forwarding method, each kind of service, the inputs of the schedulers, and
//! the counters. The reply to a client names the server, and the listings must agree.
//!
//! A topic is the text file beside this one, written as a terminal shows it; `tests/lab/play` runs it and compares
//! the output. Each runs with the original first: a failure there means that the text is wrong.
#![allow(clippy::expect_used, reason = "what a test cannot start without, it fails without")]

/// The tool under test, with `ipvsadm-save` and `ipvsadm-restore` beside it.
const OURS: &str = env!("CARGO_BIN_EXE_ipvsadm");

/// Runs `tests/traffic/TOPIC.txt` with `tool` as `ipvsadm`.
fn play(topic: &str, tool: &str) {
    lab::play("traffic", topic, tool);
}

#[test]
fn original_nat() {
    play("nat", lab::ORIGINAL);
}

#[test]
fn original_tunnel() {
    play("tunnel", lab::ORIGINAL);
}

#[test]
fn original_gue_gre() {
    if lab::kernel::has_iptables() {
        play("gue-gre", lab::ORIGINAL);
    }
}

#[test]
fn original_ipv6_routing() {
    play("ipv6-routing", lab::ORIGINAL);
}

#[test]
fn original_ipv6_nat() {
    play("ipv6-nat", lab::ORIGINAL);
}

#[test]
fn original_one_packet() {
    play("one-packet", lab::ORIGINAL);
}

#[test]
fn original_marks() {
    if lab::kernel::has_iptables() {
        play("marks", lab::ORIGINAL);
    }
}

#[test]
fn original_marks_nftables() {
    play("marks-nftables", lab::ORIGINAL);
}

#[test]
fn original_nftables() {
    if lab::kernel::has_nftables() {
        play("nftables", lab::ORIGINAL);
    }
}

#[test]
fn original_persistence() {
    play("persistence", lab::ORIGINAL);
}

#[test]
fn original_thresholds() {
    play("thresholds", lab::ORIGINAL);
}

#[test]
fn original_weight_zero() {
    play("weight-zero", lab::ORIGINAL);
}

#[test]
fn original_sync() {
    play("sync", lab::ORIGINAL);
}

#[test]
fn original_counters() {
    play("counters", lab::ORIGINAL);
}

#[test]
fn ours_nat() {
    play("nat", OURS);
}

#[test]
fn ours_tunnel() {
    play("tunnel", OURS);
}

#[test]
fn ours_gue_gre() {
    if lab::kernel::has_iptables() {
        play("gue-gre", OURS);
    }
}

#[test]
fn ours_ipv6_routing() {
    play("ipv6-routing", OURS);
}

#[test]
fn ours_ipv6_nat() {
    play("ipv6-nat", OURS);
}

#[test]
fn ours_one_packet() {
    play("one-packet", OURS);
}

#[test]
fn ours_marks() {
    if lab::kernel::has_iptables() {
        play("marks", OURS);
    }
}

#[test]
fn ours_marks_nftables() {
    play("marks-nftables", OURS);
}

#[test]
fn ours_nftables() {
    if lab::kernel::has_nftables() {
        play("nftables", OURS);
    }
}

#[test]
fn ours_persistence() {
    play("persistence", OURS);
}

#[test]
fn ours_thresholds() {
    play("thresholds", OURS);
}

#[test]
fn ours_weight_zero() {
    play("weight-zero", OURS);
}

#[test]
fn ours_sync() {
    play("sync", OURS);
}

#[test]
fn ours_counters() {
    play("counters", OURS);
}

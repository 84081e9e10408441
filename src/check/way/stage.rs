//! The stages of a packet's way, and what becomes of it in each.

use serde::Serialize;

use super::super::finding::Finding;
use super::super::fix::Fix;

/// A part of the way from a client to a server and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Stage {
    /// Into the director, up to IPVS.
    In,
    /// Which service and which server.
    Ipvs,
    /// From the director to the server.
    ToServer,
    /// Into the server, up to the socket.
    OnServer,
    /// From the socket to the client.
    Answer,
}

impl Stage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::In => "In",
            Self::Ipvs => "Ipvs",
            Self::ToServer => "ToServer",
            Self::OnServer => "OnServer",
            Self::Answer => "Answer",
        }
    }

    /// The stage that a finding of `--check` is about; none if it is no packet's affair.
    pub(crate) fn of_finding(finding: &Finding) -> Option<Self> {
        Some(match finding.id {
            "server-filter" if finding.at.starts_with("INPUT") => Self::OnServer,
            "vip-missing" | "vip-link-down" | "vip-void" | "vip-on-loopback" | "vip-on-other-link"
            | "vip-unanswered" | "vip-twice" | "mark-unset" | "filter-input" | "syn-proxy"
            | "conntrack-full" | "rp-filter" | "arp-ignore" | "arp-announce" | "server-vip-on-wire" => {
                Self::In
            }
            "no-server" | "all-weights-zero" | "drop-packet" | "backup-only" => Self::Ipvs,
            "filter-output"
            | "vip-as-source"
            | "client-translated"
            | "server-behind-gateway"
            | "server-unreachable"
            | "server-silent"
            | "server-is-director" => Self::ToServer,
            "syn-recv" | "server-refuses" | "server-vip-missing" | "tunnel-down" | "tunnel-rp-filter"
            | "no-listener" => Self::OnServer,
            "server-filter"
            | "filter-forward"
            | "client-beside"
            | "snat-ignored"
            | "snat-reroute"
            | "no-way-to-clients"
            | "ip-forward"
            | "send-redirects"
            | "server-vip-mask"
            | "no-way-back"
            | "udp-source"
            | "gateway-is-director"
            | "gateway-not-director" => Self::Answer,
            _ => return None,
        })
    }
}

/// What becomes of a packet in a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Passes,
    /// It dies here.
    Stops,
    /// This machine does not know.
    Unknown,
}

/// A stage with what decides it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Step {
    pub(crate) stage: Stage,
    pub(crate) verdict: Verdict,
    /// What decides it, in the order in which the packet meets it: routes, rules, settings.
    pub(crate) by: Vec<String>,
    /// Where it stops: what lets it pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fix: Option<Fix>,
}

impl Step {
    /// A stage that the packet passes, so far.
    pub(crate) fn new(stage: Stage) -> Self {
        Self { stage, verdict: Verdict::Passes, by: Vec::new(), fix: None }
    }

    /// What a packet meets here.
    pub(crate) fn note(&mut self, what: impl Into<String>) {
        self.by.push(what.into());
    }

    /// The packet dies here. The first reason stays.
    pub(crate) fn stop(&mut self, why: impl Into<String>, fix: Option<Fix>) {
        if self.verdict != Verdict::Stops {
            self.verdict = Verdict::Stops;
            self.fix = fix;
        }
        self.by.push(why.into());
    }

    /// Another machine knows, or nobody.
    pub(crate) fn ask(&mut self, what: impl Into<String>) {
        if self.verdict == Verdict::Passes {
            self.verdict = Verdict::Unknown;
        }
        self.by.push(what.into());
    }
}

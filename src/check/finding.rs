//! What is wrong, why it matters, and what fixes it.

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;

use ipvs::{DestinationId, ServiceId};
use serde::Serialize;

use super::fix::Fix;

/// A problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// A word that never changes, for programs and for `docs/direct-routing.md`.
    pub(crate) id: &'static str,
    /// Which service, server, address, interface or file.
    pub(crate) at: String,
    /// The service that it is about: `192.0.2.1:80` with its protocol, or `fwmark 7`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<String>,
    /// The real server of that service that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<String>,
    pub(crate) severity: Severity,
    /// What is wrong.
    pub(crate) what: String,
    /// Its consequence.
    pub(crate) why: &'static str,
    /// What fixes it. The user fills in words in capitals.
    pub(crate) fix: Fix,
}

/// Whether clients suffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Clients are not served, or not all of them.
    Error,
    /// They are served, but not as configured, or not after the next restart or failover.
    Warning,
}

/// A kind of finding; each stands beside the check that makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    id: &'static str,
    /// Why it matters.
    why: &'static str,
    severity: Severity,
}

impl Kind {
    pub(crate) const fn error(id: &'static str, why: &'static str) -> Self {
        Self { id, why, severity: Severity::Error }
    }

    pub(crate) const fn warning(id: &'static str, why: &'static str) -> Self {
        Self { id, why, severity: Severity::Warning }
    }

    #[cfg(test)]
    pub(crate) fn id(&self) -> &'static str {
        self.id
    }

    /// A finding of this kind.
    pub(crate) fn at(self, at: &dyn fmt::Display, what: impl Into<String>, fix: impl Into<Fix>) -> Finding {
        let Self { id, why, severity } = self;
        Finding {
            id,
            at: at.to_string(),
            protocol: None,
            service: None,
            server: None,
            severity,
            what: what.into(),
            why,
            fix: fix.into(),
        }
    }

    /// A finding of this kind about a service.
    pub(crate) fn of_service(self, id: &ServiceId, what: impl Into<String>, fix: impl Into<Fix>) -> Finding {
        let (protocol, service) = match id {
            ServiceId::Address { protocol, address, port } => (
                Some(protocol.to_string().to_ascii_lowercase()),
                SocketAddr::new(*address, *port).to_string(),
            ),
            ServiceId::Fwmark { mark, family: _ } => (None, format!("fwmark {mark}")),
        };
        Finding { protocol, service: Some(service), ..self.at(id, what, fix) }
    }

    /// A finding of this kind about a real server of a service.
    pub(crate) fn of_server(
        self,
        service: &ServiceId,
        server: &DestinationId,
        what: impl Into<String>,
        fix: impl Into<Fix>,
    ) -> Finding {
        let at = format!("{service} -> {server}");
        Finding { at, server: Some(server.to_string()), ..self.of_service(service, what, fix) }
    }
}

/// The findings, each once.
pub(crate) fn without_duplicates(mut findings: Vec<Finding>) -> Vec<Finding> {
    let mut known = HashSet::new();
    findings.retain(|finding| known.insert((finding.id, finding.at.clone())));
    findings
}

/// A number of things, by their name in the singular: `1 client`, `2 clients`.
pub(crate) fn counted(count: impl Into<u64>, name: &str) -> String {
    let count = count.into();
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

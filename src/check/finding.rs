//! The table of findings: the id of each, and why it matters.

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

macro_rules! kinds {
    ($($kind:ident: $id:literal, $why:literal;)*) => {
        /// A kind of finding.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Kind { $($kind),* }

        impl Kind {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$kind),*];

            /// Its id, and why it matters.
            const fn texts(self) -> (&'static str, &'static str) {
                match self { $(Self::$kind => ($id, $why)),* }
            }
        }
    };
}

kinds! {
    VipMissing: "vip-missing", "no machine answers ARP for the address, so no request arrives here";
    VipLinkDown: "vip-link-down", "an interface that is down answers for none of its addresses";
    VipVoid: "vip-void", "this machine does not answer for an address that another machine has or had";
    VipOnLoopback: "vip-on-loopback", "ARP requests for the address get no reply";
    VipOnOtherLink: "vip-on-other-link", "ARP requests for the address get no reply";
    VipUnanswered: "vip-unanswered", "ARP requests for the address get no reply";
    VipTwice: "vip-twice", "each client reaches one machine or the other, by chance and for minutes";
    SupervisorIdle: "supervisor-idle", "it makes its services when it starts, and not again: clients are not served";
    NoServer: "no-server", "every client is refused";
    AllWeightsZero: "all-weights-zero", "a server of weight 0 gets no new connections: every new client is refused";
    ClientsRefused: "clients-refused", "each client of that server is refused, though others could take it";
    WeightsIgnored: "weights-ignored", "connections are not distributed by weight";
    PersistentOnePacket: "persistent-one-packet", "persistence sends all packets of a client to one server, so -o cannot spread them";
    AllToOne: "all-to-one", "the other servers get nothing while that one can take it";
    HashWeights: "hash-weights", "the shares of clients are not those of the weights, or change when a server is drained";
    OnePacketMasqueraded: "one-packet-masqueraded", "the answers of masqueraded servers find no connection and keep the servers' addresses: clients ignore them";
    FtpData: "ftp-data", "clients of FTP open a second connection for data, which must reach the server of the first one: transfers fail";
    MaskOfAll: "mask-of-all", "all clients go to one server";
    MarkUnset: "mark-unset", "no packet carries the mark, so the service gets none";
    FilterInput: "filter-input", "clients' packets do not get as far as the service: clients are not served";
    FilterOutput: "filter-output", "the director drops packets on their way to servers: clients time out";
    FilterForward: "filter-forward", "answers of masqueraded servers pass the director, which drops them: clients time out";
    FilterIcmp: "filter-icmp", "whoever sends packets that are too long for the tunnel is not told so: large requests hang";
    ServerBehindGateway: "server-behind-gateway", "a directly routed packet keeps the VIP as its destination. A gateway sends it back or drops it";
    ServerUnreachable: "server-unreachable", "clients scheduled to it time out";
    ServerSilent: "server-silent", "clients scheduled to it time out";
    ServerIsDirector: "server-is-director", "packets sent to it are delivered to this machine, and refused";
    SynRecv: "syn-recv", "the server does not answer clients, or its answers do not reach them: they time out";
    ClientBeside: "client-beside", "the server answers clients of its own network directly, with its own address: they ignore that";
    ServerRefuses: "server-refuses", "nothing listens on its port: clients scheduled to it are refused";
    ThresholdReached: "threshold-reached", "it gets no new connections until enough of its connections end";
    IpForward: "ip-forward", "the answers of masqueraded servers pass the director, which drops them";
    SendRedirects: "send-redirects", "the director tells servers a shorter route to clients (ICMP redirect); answers that take it carry the server's own address";
    RpFilter: "rp-filter", "packets are dropped because answers would leave by another interface than they arrive on";
    DropPacket: "drop-packet", "clients have to try again, and wait meanwhile";
    TimeoutShort: "timeout-short", "a client that pauses for longer gets no more answers";
    BackupOnly: "backup-only", "each request must be scheduled once, by the director that has the address: clients time out";
    ConnectionLimit: "connection-limit", "the kernel drops the packets of new clients, and counts and logs nothing of it";
    ExpireNodestConn: "expire-nodest-conn", "their packets are dropped silently until the connections time out";
    ExpireQuiescentTemplate: "expire-quiescent-template", "its earlier clients are still sent to it, so it never drains";
    ConnReuseMode: "conn-reuse-mode", "a client that reuses a port is still sent to it, so it never drains";
    CountersFrozen: "counters-frozen", "--stats and --rate show old values, and so does every program that reads them";
    SyncLinkDown: "sync-link-down", "the other director learns of no connection: a failover breaks them all";
    SaveMissing: "save-missing", "the table is lost with the next restart";
    SaveUnreadable: "save-unreadable", "the table cannot be restored from it";
    SaveNames: "save-names", "the restored table depends on what the names resolve to then";
    SaveStale: "save-stale", "the next restart restores a different table";
    ArpIgnore: "arp-ignore", "this server answers ARP for the VIP, so some clients bypass the director";
    ArpAnnounce: "arp-announce", "its own ARP requests name the VIP as their sender: neighbours learn it, and bypass the director";
    ServerVipOnWire: "server-vip-on-wire", "this server answers ARP for the VIP, as the director does";
    ServerVipMask: "server-vip-mask", "every address of that network counts as this machine's: answers to clients in it never leave";
    ServerVipMissing: "server-vip-missing", "this machine does not accept packets for the VIP: clients time out";
    TunnelDown: "tunnel-down", "packets from the director are not decapsulated: clients time out";
    TunnelRpFilter: "tunnel-rp-filter", "packets from the tunnel are dropped, because answers would leave by another interface";
    NoWayBack: "no-way-back", "answers to clients outside this server's networks do not leave it: they time out";
    GatewayIsDirector: "gateway-is-director", "the director drops answers that carry its own address, the VIP: clients time out";
    GatewayNotDirector: "gateway-not-director", "answers bypass the director, which must give them the VIP's address: clients ignore them";
    ServerFilter: "server-filter", "this server drops what the director sends, or its own answers: clients time out";
    NoListener: "no-listener", "connections that the director sends here are refused";
}

impl Kind {
    /// A finding of this kind.
    pub(crate) fn at(self, at: &dyn fmt::Display, what: impl Into<String>, fix: impl Into<Fix>) -> Finding {
        let (id, why) = self.texts();
        Finding {
            id,
            at: at.to_string(),
            protocol: None,
            service: None,
            server: None,
            severity: self.severity(),
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

    fn severity(self) -> Severity {
        match self {
            Self::WeightsIgnored
            | Self::AllToOne
            | Self::HashWeights
            | Self::MaskOfAll
            | Self::PersistentOnePacket
            | Self::ThresholdReached
            | Self::ExpireNodestConn
            | Self::ExpireQuiescentTemplate
            | Self::ConnReuseMode
            | Self::CountersFrozen
            | Self::SyncLinkDown
            | Self::SaveMissing
            | Self::SaveUnreadable
            | Self::SaveNames
            | Self::SaveStale => Severity::Warning,
            _ => Severity::Error,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_stands_in_the_guide_with_its_reason() {
        let guide = include_str!("../../docs/direct-routing.md");
        let headings: Vec<&str> =
            guide.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
        let ids: Vec<&str> = Kind::ALL.iter().map(|kind| kind.texts().0).collect();
        assert_eq!(headings, ids);
        // The other guides refer to it.
        let others = [include_str!("../../docs/nat.md"), include_str!("../../docs/tunnels.md")];
        let links: Vec<&str> =
            others.iter().flat_map(|guide| guide.split("(direct-routing.md#").skip(1)).collect();
        assert!(
            links.len() > 12
                && links.iter().all(|link| link.split(')').next().is_some_and(|id| ids.contains(&id)))
        );
    }
}

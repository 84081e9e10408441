//! What can be found: the one table of ids, and why each matters.

use std::fmt;

use serde::Serialize;

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// A word that never changes, for programs and for `docs/direct-routing.md`.
    pub(crate) id: &'static str,
    /// Which service, server, address, interface or file.
    pub(crate) at: String,
    /// What is wrong.
    pub(crate) what: String,
    /// What follows from it.
    pub(crate) why: &'static str,
    /// The command that mends it. A word in capitals is for the reader to fill in.
    pub(crate) fix: String,
}

/// A kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    VipMissing,
    VipLinkDown,
    VipOnLoopback,
    NoServer,
    AllWeightsZero,
    WeightsIgnored,
    PersistentOnePacket,
    MarkUnset,
    ServerBehindGateway,
    ServerUnreachable,
    ServerSilent,
    ServerIsDirector,
    SynRecv,
    ThresholdReached,
    IpForward,
    SendRedirects,
    RpFilter,
    ExpireNodestConn,
    ExpireQuiescentTemplate,
    ConnReuseMode,
    CountersFrozen,
    SyncLinkDown,
    SaveMissing,
    SaveUnreadable,
    SaveNames,
    SaveStale,
    ArpIgnore,
    ArpAnnounce,
    ServerVipOnWire,
    ServerVipMask,
    ServerVipMissing,
    TunnelDown,
    TunnelRpFilter,
    GatewayIsDirector,
    GatewayNotDirector,
    NoListener,
}

#[allow(clippy::enum_glob_use, reason = "the table of kinds is all there is here")]
use Kind::*;

/// Every kind: its id, and why it matters.
#[rustfmt::skip]
const KINDS: [(Kind, &str, &str); 36] = [
    (VipMissing, "vip-missing", "nobody answers for the address, so no request comes here"),
    (VipLinkDown, "vip-link-down", "an interface that is down answers for none of its addresses"),
    (VipOnLoopback, "vip-on-loopback", "the network's questions for the address stay without an answer"),
    (NoServer, "no-server", "every client is refused"),
    (AllWeightsZero, "all-weights-zero", "a server of weight 0 gets no new connections: every new client is refused"),
    (WeightsIgnored, "weights-ignored", "the connections are not shared out as the weights say"),
    (PersistentOnePacket, "persistent-one-packet", "persistence sends all packets of a client to one server, and -o is there to spread them"),
    (MarkUnset, "mark-unset", "no packet bears the mark, so the service gets none"),
    (ServerBehindGateway, "server-behind-gateway", "a directly routed packet keeps the VIP as its destination, so a gateway sends it back or drops it"),
    (ServerUnreachable, "server-unreachable", "clients that are sent to it wait in vain"),
    (ServerSilent, "server-silent", "clients that are sent to it wait in vain"),
    (ServerIsDirector, "server-is-director", "what is sent to it is delivered here, and refused"),
    (SynRecv, "syn-recv", "the server does not answer clients, or its answers go astray: they wait in vain"),
    (ThresholdReached, "threshold-reached", "it gets no new connections until enough of them are over"),
    (IpForward, "ip-forward", "the answers of masqueraded servers pass the director, which drops them"),
    (SendRedirects, "send-redirects", "the director tells servers of a shorter way to clients; answers that take it bear the server's address"),
    (RpFilter, "rp-filter", "packets that come in by another way than answers would go out are dropped"),
    (ExpireNodestConn, "expire-nodest-conn", "their packets are dropped without a word until the connections time out"),
    (ExpireQuiescentTemplate, "expire-quiescent-template", "clients that it served before are still sent to it, so it never drains"),
    (ConnReuseMode, "conn-reuse-mode", "a client that uses a port again is still sent to it, so it never drains"),
    (CountersFrozen, "counters-frozen", "--stats and --rate show what was, and so does everything that reads them"),
    (SyncLinkDown, "sync-link-down", "the other director learns of no connection: a failover breaks them all"),
    (SaveMissing, "save-missing", "the table is lost with the next restart"),
    (SaveUnreadable, "save-unreadable", "the table cannot be restored from it"),
    (SaveNames, "save-names", "the table that comes back depends on whoever answers for the names then"),
    (SaveStale, "save-stale", "the next restart brings back another table"),
    (ArpIgnore, "arp-ignore", "this server answers the network's questions for the VIP: clients pass by the director, now and then"),
    (ArpAnnounce, "arp-announce", "its own questions name the VIP as the sender: neighbours learn it, and pass by the director"),
    (ServerVipOnWire, "server-vip-on-wire", "this server answers the network's questions for the VIP, as the director does"),
    (ServerVipMask, "server-vip-mask", "the whole network of the mask counts as this machine: answers to clients in it never leave"),
    (ServerVipMissing, "server-vip-missing", "packets for the VIP are not taken here: clients wait in vain"),
    (TunnelDown, "tunnel-down", "nobody unwraps what the director sends: clients wait in vain"),
    (TunnelRpFilter, "tunnel-rp-filter", "what comes out of the tunnel is dropped, for answers would leave by another interface"),
    (GatewayIsDirector, "gateway-is-director", "the director drops answers that bear its own address, the VIP: clients wait in vain"),
    (GatewayNotDirector, "gateway-not-director", "answers pass by the director, which would have put the VIP on them: clients take them for a stranger's"),
    (NoListener, "no-listener", "what the director sends here is refused"),
];

impl Kind {
    /// A finding of this kind.
    pub(crate) fn at(
        self,
        at: &dyn fmt::Display,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        let (_, id, why) = KINDS.iter().find(|(kind, ..)| *kind == self).copied().unwrap_or((self, "", ""));
        Finding { id, at: at.to_string(), what: what.into(), why, fix: fix.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_stands_in_the_guide_with_its_reason() {
        let guide = include_str!("../../../../docs/direct-routing.md");
        let headings: Vec<&str> =
            guide.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
        let ids: Vec<&str> = KINDS.iter().map(|(_, id, _)| *id).collect();
        assert_eq!(headings, ids);
    }

    #[test]
    fn every_kind_has_a_row() {
        for (index, (kind, ..)) in KINDS.iter().enumerate() {
            assert_eq!(*kind as usize, index);
        }
    }
}

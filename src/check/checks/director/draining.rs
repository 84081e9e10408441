//! Settings that keep connections on servers that are being drained.

use ipvs::{DestinationId, ForwardingMethod};

use crate::check::checks::value::{Check, OfDirector};
use crate::check::facts::table::connections_of;
use crate::check::finding::{Finding, Kind, counted};
use crate::check::fix::Fix;
use crate::check::verdict::Examined;

const EXPIRE_NODEST_CONN: Kind =
    Kind::warning("expire-nodest-conn", "their packets are dropped silently until the connections time out");
const EXPIRE_QUIESCENT_TEMPLATE: Kind = Kind::warning(
    "expire-quiescent-template",
    "its earlier clients are still sent to it, so it never drains",
);
const CONN_REUSE_MODE: Kind =
    Kind::warning("conn-reuse-mode", "a client that reuses a port is still sent to it, so it never drains");

/// What it finds, and how.
pub(super) const CHECK: OfDirector =
    Check { kinds: &[EXPIRE_NODEST_CONN, EXPIRE_QUIESCENT_TEMPLATE, CONN_REUSE_MODE], run: draining };

/// Settings that keep connections on servers that are being drained.
fn draining(director: &Examined<'_>) -> Vec<Finding> {
    let is_off = |name: &str| director.machine.sysctl(&format!("net/ipv4/vs/{name}")) == Some(0);
    let on = |name: &str| Fix::set([(format!("net/ipv4/vs/{name}"), 1)]);
    let mut findings = Vec::new();
    if is_off("expire_nodest_conn") {
        for (service, server, count) in director.connections.orphans() {
            let what = format!(
                "{} to a server that is no longer in the table",
                counted(u64::try_from(count).unwrap_or(u64::MAX), "connection")
            );
            let fix = on("expire_nodest_conn");
            let server = DestinationId { address: server.ip(), port: server.port() };
            findings.push(EXPIRE_NODEST_CONN.of_server(service, &server, what, fix));
        }
    }
    for (service, server) in director.servers().filter(|(_, server)| server.destination.weight == 0) {
        let (id, server_id) = (&service.id, &server.destination.id);
        if is_off("expire_quiescent_template")
            && service.persistence.is_some()
            && server.persistent_connections > 0
        {
            let what = format!(
                "it has weight 0, and persistence still sends {} to it",
                counted(server.persistent_connections, "client")
            );
            findings.push(EXPIRE_QUIESCENT_TEMPLATE.of_server(
                id,
                server_id,
                what,
                on("expire_quiescent_template"),
            ));
        }
        let connections = connections_of(server);
        if is_off("conn_reuse_mode") && is_off("expire_nodest_conn") && connections > 0 {
            let what = format!(
                "it has weight 0, and {} whose ports clients may reuse",
                counted(connections, "connection")
            );
            // The director sees both directions, and the end of connections, only with masquerading.
            let mode = if server.destination.forwarding == ForwardingMethod::Masquerade { 1 } else { 3 };
            let fix = Fix::set([("net/ipv4/vs/conn_reuse_mode", mode)]);
            findings.push(CONN_REUSE_MODE.of_server(id, server_id, what, fix));
        }
    }
    findings
}

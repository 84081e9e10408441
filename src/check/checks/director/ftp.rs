//! FTP whose data connections go to another server, or to addresses that clients do not reach.

use ipvs::{Change, DestinationEntry, ForwardingMethod, Netmask, Persistence, Protocol, Service, ServiceId};

use crate::check::checks::value::{Check, OfDirector};
use crate::check::finding::{Finding, Kind};
use crate::check::fix::Step;
use crate::check::verdict::Examined;

const FTP_DATA: Kind = Kind::error(
    "ftp-data",
    "clients of FTP open a second connection for data, which must reach the server of the first one: transfers fail",
);

/// What it finds, and how.
pub(super) const CHECK: OfDirector = Check { kinds: &[FTP_DATA], run: ftp };

/// FTP whose data connections go to another server, or to addresses that clients do not reach.
fn ftp(director: &Examined<'_>) -> Vec<Finding> {
    const FTP: u16 = 21;
    let mut findings = Vec::new();
    for (service, servers) in director.services() {
        if !matches!(service.id, ServiceId::Address { protocol: Protocol::Tcp, port: FTP, .. }) {
            continue;
        }
        let used: Vec<&DestinationEntry> =
            servers.iter().filter(|server| server.destination.weight > 0).collect();
        let is_masqueraded =
            |server: &&&DestinationEntry| server.destination.forwarding == ForwardingMethod::Masquerade;
        if used.iter().any(|server| is_masqueraded(&server)) && director.machine.has_ftp_helper == Some(false)
        {
            let what = "masqueraded servers name their own addresses for the data, and the module ip_vs_ftp, which translates them, is not loaded";
            findings.push(FTP_DATA.of_service(&service.id, what, Step::Module("ip_vs_ftp")));
        }
        let is_spread = used.iter().filter(|server| !is_masqueraded(server)).count() > 1;
        if is_spread && service.persistence.is_none() {
            let netmask = Netmask::single(service.id.family());
            let persistence = Some(Persistence { timeout: 600, netmask });
            let fix = Step::Table(Change::EditService(Service { persistence, ..*service }));
            let what = "the service is FTP and not persistent, so the scheduler may choose another server for the data";
            findings.push(FTP_DATA.of_service(&service.id, what, fix));
        }
    }
    findings
}

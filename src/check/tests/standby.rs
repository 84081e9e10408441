//! A standby, which has no address.

use ipvs::{DaemonState, SyncDaemon};

use super::{ETH0, director, found, ip, table, two_servers};
use crate::check::facts::address::Route;

#[test]
fn the_standby_of_a_pair_has_no_address() {
    let mut director = director(table("rr", two_servers()));
    director.machine.addresses.retain(|own| own.address != ip("192.168.1.100"));
    director.machine.lookups.insert(ip("192.168.1.100"), Route::OnLink(ETH0));
    let take = "ping -c 1 -W 1 192.168.1.100 || ! ipvsadm --check --nobody-has 192.168.1.100%eth0 || ip addr replace 192.168.1.100/32 dev eth0";
    assert_eq!(found(&director), vec![("vip-missing", take.into())]);
    director.daemons.push(SyncDaemon::new(DaemonState::Backup, "eth0".parse().unwrap(), 1));
    assert_eq!(found(&director), vec![]);
    director.daemons.push(SyncDaemon::new(DaemonState::Master, "eth0".parse().unwrap(), 1));
    assert_eq!(found(&director)[0].0, "vip-missing");
    let ask = "ping -c 1 -W 1 192.168.1.100; ip neigh show 192.168.1.100";
    assert_eq!(found(&director), vec![("vip-missing", ask.into())]);
    // The address is in none of its networks, where the other could be asked.
    let own = director.machine.addresses.clone();
    director.machine.addresses.retain(|own| !own.spans(ip("192.168.1.100")));
    assert_eq!(found(&director), vec![]);
    director.machine.addresses = own;
    director.daemons.clear();
    director.supervisors.fill_table = Some("ldirectord");
    assert_eq!(found(&director), vec![("vip-missing", ask.into())]);
    director.supervisors.move_addresses = Some("ucarp");
    assert_eq!(found(&director), vec![]);
}

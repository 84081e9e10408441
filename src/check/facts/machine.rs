//! This machine as plain values: its interfaces, addresses, neighbours, settings, and the routes of its packets.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use super::address::{Address, Route};
use super::indexed::{Indexed, Keyed};
use super::question::Way;
use super::routes::RoutingTables;
use super::settings::Settings;
use crate::check::fix::{INTERFACE, Word};

/// The state of this machine.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) links: Indexed<Link>,
    pub(crate) addresses: Indexed<Address>,
    pub(crate) neighbours: Indexed<Neighbour>,
    /// The routes that were looked up.
    pub(crate) lookups: BTreeMap<IpAddr, Route>,
    /// The routing tables; on a director only the rules.
    pub(crate) routes: RoutingTables,
    /// Listening TCP and UDP sockets.
    pub(crate) listeners: Vec<Listener>,
    pub(crate) connections: Vec<Connection>,
    /// How many times this machine wanted to say that a packet cannot go on, such as one that is too long; only on a director.
    pub(crate) complaints: u64,
    /// How many packets `rp_filter` has dropped.
    pub(crate) rp_filter_drops: u64,
    /// Clients that wait for this server's answers, and the ways of those; only on a real server.
    pub(crate) waiting: Vec<(IpAddr, Way)>,
    /// How many connections of clients it has dropped because no route leads back; only on a real server.
    pub(crate) without_route: u64,
    /// Its addresses that others answered for when they were asked, with the interface and the Ethernet address.
    pub(crate) twice: Vec<(IpAddr, u32, [u8; 6])>,
    /// Whether IPVS reads what FTP says of addresses; none if that is not known.
    pub(crate) has_ftp_helper: Option<bool>,
    /// This machine's own virtual services; only on a real server.
    pub(crate) scheduled: Scheduled,
    pub(crate) settings: Settings,
}

/// The addresses of this machine's own virtual services, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Scheduled {
    pub(crate) addresses: HashSet<IpAddr>,
    /// Why there may be others; none if these are all.
    pub(crate) unknown: Option<&'static str>,
}

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) is_up: bool,
    /// It is connected: the cable is plugged in, and the interface below it is up.
    pub(crate) has_carrier: bool,
    /// The interface below, of one that shares its wire: a VLAN or macvlan.
    pub(crate) parent: Option<u32>,
    pub(crate) kind: LinkKind,
    pub(crate) facts: LinkFacts,
}

/// What matters of some interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LinkFacts {
    /// The longest packet; none if that is not known.
    pub(crate) mtu: Option<u32>,
    /// How many packets it has received.
    pub(crate) received: u64,
    /// The ends of a tunnel, where it takes packets of certain machines alone.
    pub(crate) local: Option<IpAddr>,
    pub(crate) remote: Option<IpAddr>,
}

/// The kind of network behind an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkKind {
    Loopback,
    /// None, like a dummy interface.
    Dummy,
    /// IP in IP, also inside of GUE.
    Tunnel,
    Gre,
    OtherTunnel,
    /// A network on which it answers ARP and neighbour discovery.
    Ethernet,
}

/// An entry of the neighbour cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Neighbour {
    pub(crate) address: IpAddr,
    pub(crate) link: u32,
    pub(crate) is_silent: bool,
    /// It has answered, now or earlier.
    pub(crate) has_answered: bool,
    /// Its Ethernet address, if known.
    pub(crate) ethernet: Option<[u8; 6]>,
}

/// A listening socket; an unspecified address means all addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) is_tcp: bool,
    /// On `::`, it takes no IPv4.
    pub(crate) is_v6only: bool,
}

/// The state of a TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TcpState {
    /// The peer has not accepted it.
    Opening,
    Established,
    Closed,
}

/// A TCP connection of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Connection {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) state: TcpState,
}

impl Keyed for Link {
    type Key = u32;

    fn key(&self) -> u32 {
        self.index
    }
}

impl Keyed for Address {
    type Key = IpAddr;

    fn key(&self) -> IpAddr {
        self.address
    }

    /// A director may have thousands of single addresses, and few with a network.
    fn is_rare(&self) -> bool {
        !self.is_single()
    }
}

impl Keyed for Neighbour {
    type Key = IpAddr;

    fn key(&self) -> IpAddr {
        self.address
    }
}

impl Machine {
    /// The interface with an index.
    pub(crate) fn link(&self, index: u32) -> Option<&Link> {
        self.links.of(index).next()
    }

    /// The name of an interface; if there is none, a placeholder.
    pub(crate) fn name(&self, index: u32) -> &str {
        self.link(index).map_or("INTERFACE", |link| &link.name)
    }

    /// The same as a word of a command.
    pub(crate) fn word(&self, index: u32) -> Word {
        self.link(index).map_or(INTERFACE, |link| link.name.as_str().into())
    }

    /// The route to an address, from the lookups.
    pub(crate) fn route(&self, to: IpAddr) -> Route {
        self.lookups.get(&to).copied().unwrap_or(Route::Unreachable)
    }

    /// The default route of an address family.
    pub(crate) fn default_route(&self, like: IpAddr) -> Route {
        self.route(default_route_probe(like))
    }

    /// The interfaces that have an address.
    pub(crate) fn holders(&self, address: IpAddr) -> impl Iterator<Item = (&Address, &Link)> {
        self.addresses.of(address).filter_map(|own| Some((own, self.link(own.link)?)))
    }

    /// Whether an address is here, but not in use.
    pub(crate) fn is_void(&self, address: IpAddr) -> bool {
        let mut own = self.addresses.of(address).peekable();
        own.peek().is_some() && own.all(|own| own.is_void)
    }

    /// The interface, up and connected to a network, whose network contains an address; the smallest of several
    /// networks, as with routes.
    pub(crate) fn on_link(&self, address: IpAddr) -> Option<&Link> {
        let up = self.around(address).filter(|(_, link)| link.is_up);
        up.min_by_key(|(prefix, _)| Reverse(*prefix)).map(|(_, link)| link)
    }

    /// All such interfaces.
    pub(crate) fn on_links(&self, address: IpAddr) -> impl Iterator<Item = &Link> {
        self.around(address).map(|(_, link)| link).filter(|link| link.is_up)
    }

    /// The same for interfaces that are down.
    pub(crate) fn on_link_down(&self, address: IpAddr) -> Option<&Link> {
        self.around(address).find(|(_, link)| !link.is_up).map(|(_, link)| link)
    }

    /// The interfaces whose networks contain an address, with the lengths of their prefixes.
    fn around(&self, address: IpAddr) -> impl Iterator<Item = (u8, &Link)> {
        let links = self.networks(address).filter_map(|own| Some((own.prefix, self.link(own.link)?)));
        links.filter(|(_, link)| link.kind == LinkKind::Ethernet)
    }

    /// This machine's addresses whose networks contain an address.
    pub(crate) fn networks(&self, address: IpAddr) -> impl Iterator<Item = &Address> {
        self.addresses.rare().filter(move |own| own.spans(address))
    }

    /// The neighbour that packets to an address are sent to, if it did not answer.
    pub(crate) fn silent_hop(&self, to: IpAddr) -> Option<(IpAddr, u32)> {
        let (hop, link) = match self.route(to) {
            Route::OnLink(link) => (to, link),
            Route::Via(gateway, link) => (gateway, link),
            Route::Unreachable | Route::Local => return None,
        };
        let mut of_hop = self.neighbours.of(hop).filter(|neighbour| neighbour.link == link);
        of_hop.next().filter(|neighbour| neighbour.is_silent).map(|_| (hop, link))
    }

    /// This machine's own addresses, except `others`, on the interface by which packets to an address leave: first
    /// those in the same network.
    pub(crate) fn own_addresses(&self, towards: IpAddr, others: &HashSet<IpAddr>) -> Vec<IpAddr> {
        let link = self.route(towards).link();
        let is_own = |own: &&Address| {
            Some(own.link) == link
                && own.address.is_ipv4() == towards.is_ipv4()
                && !others.contains(&own.address)
        };
        let mut own: Vec<&Address> = self.addresses.iter().filter(is_own).collect();
        own.sort_by_key(|own| own.is_single() || !own.spans(towards));
        own.into_iter().map(|own| own.address).collect()
    }

    /// Whether another machine on a network has answered ARP for an address.
    pub(crate) fn answered(&self, address: IpAddr, link: u32) -> bool {
        self.neighbours.of(address).any(|neighbour| neighbour.link == link && neighbour.has_answered)
    }

    /// Whether two neighbours are the same machine, by their Ethernet address.
    pub(crate) fn is_same_machine(&self, one: IpAddr, other: IpAddr) -> bool {
        let ethernet = |address| self.neighbours.of(address).next()?.ethernet;
        one == other || ethernet(one).is_some_and(|one| ethernet(other) == Some(one))
    }

    /// A setting.
    pub(crate) fn sysctl(&self, path: &str) -> Option<u32> {
        self.settings.get(path)
    }

    /// The higher of an IPv4 interface's setting and that of `all`, which is in effect.
    pub(crate) fn effective(&self, link: &str, name: &str) -> u32 {
        let of = |link: &str| self.sysctl(&format!("net/ipv4/conf/{link}/{name}")).unwrap_or(0);
        of("all").max(of(link))
    }

    /// Whether a server's answers would be forwarded.
    pub(crate) fn forwards(&self, server: IpAddr) -> bool {
        self.blocks_forwarding(server).is_none()
    }

    /// The setting that prevents forwarding a server's answers.
    pub(crate) fn blocks_forwarding(&self, server: IpAddr) -> Option<String> {
        const ALL: [&str; 2] = ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"];
        let link = self.route(server).link()?;
        let is_off = |path: &str| self.sysctl(path) == Some(0);
        match server {
            IpAddr::V4(_) => {
                // Changing the global setting sets those of the interfaces.
                let own = format!("net/ipv4/conf/{}/forwarding", self.name(link));
                is_off(&own).then(|| if is_off(ALL[0]) { ALL[0].to_owned() } else { own })
            }
            IpAddr::V6(_) => is_off(ALL[1]).then(|| ALL[1].to_owned()),
        }
    }

    /// Whether an interface does not answer ARP for an address of another interface.
    pub(crate) fn is_quiet(&self, address: IpAddr, link: &Link) -> bool {
        match self.effective(&link.name, "arp_ignore") {
            1 | 2 => true,
            _ => self.is_silent(address, link),
        }
    }

    /// Whether an interface does not even answer ARP for an address of its own.
    pub(crate) fn is_silent(&self, address: IpAddr, link: &Link) -> bool {
        match self.effective(&link.name, "arp_ignore") {
            3 => {
                self.addresses.of(address).next().is_some()
                    && self.addresses.of(address).all(|own| own.is_of_host)
            }
            8 => true,
            _ => false,
        }
    }

    /// Whether there is a connection from an address to a listener of this machine.
    pub(crate) fn has_accepted(&self, from: IpAddr) -> bool {
        let open = self.connections.iter().filter(|connection| connection.state == TcpState::Established);
        let mut ports = open.filter(|open| open.remote.ip() == from).map(|open| open.local.port());
        ports.any(|port| self.listeners.iter().any(|listener| listener.is_tcp && listener.port == port))
    }

    /// Whether TCP connections to an address, or to any address if it is unknown, are accepted here.
    pub(crate) fn serves_tcp(&self, address: Option<IpAddr>) -> bool {
        let takes = |listener: &Listener| match address {
            Some(address) => self.listens(address, listener.port, true),
            None => !listener.address.is_loopback(),
        };
        self.listeners.iter().any(|listener| listener.is_tcp && takes(listener))
    }

    /// Whether a socket listens on an address and a port here.
    pub(crate) fn listens(&self, address: IpAddr, port: u16, is_tcp: bool) -> bool {
        self.listeners.iter().any(|listener| {
            let is_family = match listener.address {
                IpAddr::V4(_) => address.is_ipv4(),
                IpAddr::V6(_) => address.is_ipv6() || !listener.is_v6only,
            };
            let any = listener.address.is_unspecified() && is_family;
            (listener.port, listener.is_tcp) == (port, is_tcp) && (any || listener.address == address)
        })
    }
}

/// An unused address of the same family: its route is the default route.
pub(crate) fn default_route_probe(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => [240, 0, 0, 1].into(), // reserved (class E)
        IpAddr::V6(_) => [0x3ffe, 0, 0, 0, 0, 0, 0, 1].into(), // returned (6bone)
    }
}

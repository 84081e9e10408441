//! A typed client of IPVS, the layer-4 load balancer in the Linux kernel.
//!
//! Packets to a virtual service (an address and port, or a firewall mark) go to one of its real servers. This library
//! adds, edits, deletes and reads back both, over the kernel's generic netlink family `IPVS`; the tool `ipvsadm` is made
//! of it.
//!
//! ```
//! use ipvs::{Client, Destination, ForwardingMethod, Service, ServiceId};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut client = Client::open()?;
//!
//! // ipvsadm -A -t 192.0.2.1:80 -s wrr
//! let web = ServiceId::tcp("192.0.2.1".parse()?, 80);
//! client.add_service(&Service::new(web, "wrr".parse()?))?;
//!
//! // ipvsadm -a -t 192.0.2.1:80 -r 192.0.2.11 -g -w 2
//! let server = Destination::new("192.0.2.11".parse()?, 80, ForwardingMethod::DirectRouting).with_weight(2);
//! client.add_destination(&web, &server)?;
//!
//! // ipvsadm -L -n --stats
//! for entry in client.services()? {
//!     println!("{} {} {:?}", entry.service.id, entry.service.scheduler, entry.stats.total);
//!     for entry in client.destinations(&entry.service.id)? {
//!         println!("  -> {} {} active", entry.destination.id, entry.active_connections);
//!     }
//! }
//!
//! client.delete_service(&web)?;
//! # Ok(())
//! # }
//! ```
//!
//! It needs `CAP_NET_ADMIN` and acts on the network namespace of the thread that opens the [`Client`].
//!
//! # Features
//!
//! - `fake-kernel`: a kernel for unit tests, which takes neither root nor IPVS.
//! - `genetlink`: requests and replies as messages of the netlink crates, for asynchronous handles.
//! - `serde`: the model as JSON, or as another self-describing format. Keys are lower snake case, and what does not apply
//!   is left out. Unknown keys and invalid values are refused, by name.
//!
//! # What later releases add
//!
//! New kernels have new attributes, tunnels and commands, so structs get fields and enums get variants: in a release with
//! a new first number (before 1.0: a new second one), so that a program that makes or matches them whole is told by its
//! compiler what there is to decide. Constructors and `with_…` methods stay. Errors, [`TableLoad`] and [`Totals`] may grow
//! in any release; they are `#[non_exhaustive]`.
//!
//! # Programs
//!
//! Three whole ones; the package's `examples` has more: an exporter, and two for asynchronous code.
//!
//! ```no_run
#![doc = include_str!("../examples/reconcile.rs")]
//! ```
//!
//! ```no_run
#![doc = include_str!("../examples/rates.rs")]
//! ```
//!
//! ```no_run
#![doc = include_str!("../examples/drain.rs")]
//! ```

#![forbid(unsafe_code)]

#[macro_use]
mod model;

mod change;
mod client;
mod config;
mod connection;
mod daemon;
mod destination;
mod error;
#[cfg(feature = "fake-kernel")]
mod fake_kernel;
mod family;
mod forwarding;
mod genl_socket;
#[cfg(feature = "serde")]
mod json;
#[cfg(feature = "genetlink")]
mod message;
mod name;
mod namespace;
mod netlink;
mod service;
mod service_id;
mod stable;
mod stats;
mod table;
mod table_load;
mod totals;

pub use change::Change;
pub use client::Client;
pub use config::{Info, Timeouts, Version};
pub use connection::{Connection, Connections};
pub use daemon::{DaemonState, SyncDaemon};
pub use destination::{Destination, DestinationEntry, DestinationId};
pub use error::{Error, ErrorKind, InvalidValue, Operation, Result};
#[cfg(feature = "fake-kernel")]
pub use fake_kernel::FakeKernel;
pub use family::Family;
pub use forwarding::{Checksum, ForwardingMethod, Tunnel, TunnelKind};
#[cfg(feature = "genetlink")]
pub use message::{Message, Object};
pub use model::Unnamed;
pub use name::{InterfaceName, PersistenceEngine, Scheduler};
pub use netlink::socket::{RECEIVE_BUFFER, Transport};
pub use service::{IntoPersistence, Netmask, Persistence, SchedulerFlags, Service, ServiceEntry};
pub use service_id::{Protocol, ServiceId};
pub use stats::{Counters, Stats};
pub use table::Table;
pub use table::apply::ApplyError;
pub use table::watch::Watch;
pub use table_load::{Buckets, TableLoad};
pub use totals::Totals;
#[cfg(feature = "genetlink")]
pub use {netlink_packet_core, netlink_packet_generic};

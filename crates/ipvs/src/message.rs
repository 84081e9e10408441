//! Requests and replies as messages of the netlink crates, for their handles: feature `genetlink`.

use netlink_packet_core::{
    DecodeError, Emitable, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, ParseableParametrized,
};
use netlink_packet_generic::{GenlFamily, GenlHeader};

use crate::change::Change;
use crate::config::{Info, Timeouts};
use crate::daemon::SyncDaemon;
use crate::destination::DestinationEntry;
use crate::error::{Error, Operation, Result};
use crate::family::Family;
use crate::netlink::attr::{Writer, attributes};
use crate::netlink::read_error::ReadError;
use crate::netlink::uapi::*;
use crate::service::ServiceEntry;
use crate::service_id::ServiceId;

/// A request or a reply of the kernel's `IPVS` family, as a payload of `netlink_packet_generic::GenlMessage`: any
/// handle that carries those can carry it, an asynchronous one of the crate `genetlink` for example.
///
/// A request goes out with its [`flags`](Message::flags) in the netlink header; a reply is read by [`Object::read`]. The
/// bytes are those of the blocking [`Client`](crate::Client). How a refusal comes back depends on the handle;
/// [`Message::refusal`] makes this library's error of its number.
///
/// ```
/// use ipvs::{Change, Message, Scheduler, Service, ServiceId};
/// use ipvs::netlink_packet_core::NetlinkMessage;
/// use ipvs::netlink_packet_generic::GenlMessage;
///
/// let web = ServiceId::tcp("192.0.2.1".parse().unwrap(), 80);
/// let request = Message::change(&Change::AddService(Service::new(web, Scheduler::WLC)));
/// let flags = request.flags();
/// let mut message = NetlinkMessage::from(GenlMessage::from_payload(request));
/// message.header.flags = flags;
/// ```
///
/// All services, by an asynchronous handle (`genetlink = "0.3"`, `futures-util` and `tokio` in `Cargo.toml`; the netlink
/// crates are exported by this one):
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(async {
/// use futures_util::StreamExt;
/// use ipvs::netlink_packet_core::{NetlinkMessage, NetlinkPayload};
/// use ipvs::netlink_packet_generic::GenlMessage;
/// use ipvs::{Message, Object};
///
/// let (connection, mut handle, _) = genetlink::new_connection()?;
/// tokio::spawn(connection);
/// let request = Message::get_services();
/// let flags = request.flags();
/// let mut message = NetlinkMessage::from(GenlMessage::from_payload(request));
/// message.header.flags = flags;
/// let mut replies = handle.request(message).await?;
/// while let Some(reply) = replies.next().await {
///     if let NetlinkPayload::InnerMessage(inner) = reply?.payload {
///         if let Object::Service(entry) = Object::read(&inner.payload)? {
///             println!("{} {}", entry.service.id, entry.service.scheduler);
///         }
///     }
/// }
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    command: u8,
    is_dump: bool,
    attributes: Vec<u8>,
}

impl Message {
    /// The request that carries out a change; the kernel acknowledges it.
    pub fn change(change: &Change) -> Self {
        Self::new(change.operation(), false, |top| change.write(top))
    }

    /// The request for one service.
    pub fn get_service(id: &ServiceId) -> Self {
        Self::new(Operation::GetService, false, |top| top.nest(IPVS_CMD_ATTR_SERVICE, |nest| id.write(nest)))
    }

    /// The request for all services.
    pub fn get_services() -> Self {
        Self::new(Operation::GetServices, true, |_| {})
    }

    /// The request for the real servers of a service.
    pub fn get_destinations(id: &ServiceId) -> Self {
        Self::new(Operation::GetDestinations, true, |top| {
            top.nest(IPVS_CMD_ATTR_SERVICE, |nest| id.write(nest));
        })
    }

    /// The request for the sync daemons that run.
    pub fn get_daemons() -> Self {
        Self::new(Operation::GetDaemons, true, |_| {})
    }

    /// The request for the timeouts.
    pub fn get_timeouts() -> Self {
        Self::new(Operation::GetTimeouts, false, |_| {})
    }

    /// The request for the version and the size of the connection table.
    pub fn get_info() -> Self {
        Self::new(Operation::GetInfo, false, |_| {})
    }

    fn new(operation: Operation, is_dump: bool, fill: impl FnOnce(&mut Writer)) -> Self {
        let mut attributes = Writer::default();
        fill(&mut attributes);
        Self { command: operation.command(), is_dump, attributes: attributes.as_bytes().to_vec() }
    }

    /// The flags of the netlink header that it goes out with.
    pub fn flags(&self) -> u16 {
        match self.command {
            _ if self.is_dump => NLM_F_REQUEST | NLM_F_DUMP,
            IPVS_CMD_GET_SERVICE | IPVS_CMD_GET_CONFIG | IPVS_CMD_GET_INFO => NLM_F_REQUEST,
            _ => NLM_F_REQUEST | NLM_F_ACK,
        }
    }

    /// The error of an operation that the kernel refused with an errno, positive or as the kernel sends it.
    pub fn refusal(operation: Operation, errno: i32) -> Error {
        Error::Kernel { operation, errno: errno.saturating_abs() }
    }
}

impl GenlFamily for Message {
    fn family_name() -> &'static str {
        IPVS_GENL_NAME
    }

    fn command(&self) -> u8 {
        self.command
    }

    fn version(&self) -> u8 {
        IPVS_GENL_VERSION
    }
}

impl Emitable for Message {
    fn buffer_len(&self) -> usize {
        self.attributes.len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.attributes);
    }
}

impl ParseableParametrized<[u8], GenlHeader> for Message {
    fn parse_with_param(buffer: &[u8], header: GenlHeader) -> std::result::Result<Self, DecodeError> {
        Ok(Self { command: header.cmd, is_dump: false, attributes: buffer.to_vec() })
    }
}

/// What a reply tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Object {
    /// A service.
    Service(Box<ServiceEntry>),
    /// A real server of the service that was asked for.
    Destination(Box<DestinationEntry>),
    /// A sync daemon.
    Daemon(SyncDaemon),
    /// The timeouts.
    Timeouts(Timeouts),
    /// The version and the size of the connection table.
    Info(Info),
}

impl Object {
    /// Reads a reply.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] where it is no reply, or one that this library does not understand.
    pub fn read(message: &Message) -> Result<Self> {
        let top = &message.attributes[..];
        let nest = |kind| {
            let nests = attributes(top).filter_map(std::result::Result::ok);
            let nest = nests.filter(|attribute| attribute.kind == kind).last();
            nest.map(|attribute| attribute.value).ok_or(ReadError::from("the object is missing"))
        };
        // A kernel since 3.18 tells the family of each server.
        let (operation, object) = match message.command {
            IPVS_CMD_NEW_SERVICE => (
                Operation::GetServices,
                nest(IPVS_CMD_ATTR_SERVICE)
                    .and_then(ServiceEntry::read)
                    .map(|entry| Self::Service(Box::new(entry))),
            ),
            IPVS_CMD_NEW_DEST => (
                Operation::GetDestinations,
                nest(IPVS_CMD_ATTR_DEST)
                    .and_then(|nest| DestinationEntry::read(nest, Family::V4))
                    .map(|entry| Self::Destination(Box::new(entry))),
            ),
            IPVS_CMD_NEW_DAEMON => (
                Operation::GetDaemons,
                nest(IPVS_CMD_ATTR_DAEMON).and_then(SyncDaemon::read).map(Self::Daemon),
            ),
            IPVS_CMD_SET_CONFIG => (Operation::GetTimeouts, Timeouts::read(top).map(Self::Timeouts)),
            IPVS_CMD_SET_INFO => (Operation::GetInfo, Info::read(top).map(Self::Info)),
            command => (Operation::GetInfo, Err(ReadError::from(format!("command {command} is no reply")))),
        };
        object.map_err(|error| Error::malformed(operation, &error))
    }
}

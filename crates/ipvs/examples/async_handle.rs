//! Lists the table from asynchronous code, by the handle of the crate `genetlink`.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;

use futures_util::StreamExt;
use genetlink::GenetlinkHandle;
use ipvs::netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use ipvs::netlink_packet_generic::GenlMessage;
use ipvs::{DestinationEntry, Message, Object, Operation, ServiceEntry, ServiceId};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let (connection, mut handle, _) = genetlink::new_connection()?;
        tokio::spawn(connection);
        for entry in services(&mut handle).await? {
            println!("{} {}", entry.service.id, entry.service.scheduler);
            for entry in destinations(&mut handle, &entry.service.id).await? {
                println!("  -> {} {}", entry.destination.id, entry.destination.forwarding);
            }
        }
        Ok(())
    })
}

pub(crate) async fn services(handle: &mut GenetlinkHandle) -> Result<Vec<ServiceEntry>> {
    let objects = request(handle, Operation::GetServices, Message::get_services()).await?;
    let services = objects.into_iter().filter_map(|object| match object {
        Object::Service(entry) => Some(*entry),
        _ => None,
    });
    Ok(services.collect())
}

pub(crate) async fn destinations(
    handle: &mut GenetlinkHandle,
    service: &ServiceId,
) -> Result<Vec<DestinationEntry>> {
    let objects = request(handle, Operation::GetDestinations, Message::get_destinations(service)).await?;
    let servers = objects.into_iter().filter_map(|object| match object {
        Object::Destination(entry) => Some(*entry),
        _ => None,
    });
    Ok(servers.collect())
}

/// Sends a request, and reads its replies.
pub(crate) async fn request(
    handle: &mut GenetlinkHandle,
    operation: Operation,
    message: Message,
) -> Result<Vec<Object>> {
    let flags = message.flags();
    let mut message = NetlinkMessage::from(GenlMessage::from_payload(message));
    message.header.flags = flags;
    let mut replies = handle.request(message).await?;
    let mut objects = Vec::new();
    while let Some(reply) = replies.next().await {
        match reply?.payload {
            NetlinkPayload::InnerMessage(inner) => objects.push(Object::read(&inner.payload)?),
            NetlinkPayload::Error(error) if error.code.is_some() => {
                return Err(Message::refusal(operation, error.raw_code()).into());
            }
            _ => {}
        }
    }
    Ok(objects)
}

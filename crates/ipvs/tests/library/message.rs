//! Messages for other handles: carried by the crate `genetlink`, and the bytes of the blocking client.

use std::io;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use ipvs::{
    Change, Client, DaemonState, Destination, Error, FakeKernel, ForwardingMethod, Message, Object,
    Operation, Scheduler, Service, SyncDaemon, Timeouts, Transport,
};
use netlink_packet_core::{NetlinkBuffer, NetlinkMessage, NetlinkPayload};
use netlink_packet_generic::GenlMessage;

use crate::{client, web};

fn request(request: Message) -> NetlinkMessage<GenlMessage<Message>> {
    let flags = request.flags();
    let mut message = NetlinkMessage::from(GenlMessage::from_payload(request));
    message.header.flags = flags;
    message
}

/// Sends a request, and reads all of its replies.
async fn ask(
    handle: &mut genetlink::GenetlinkHandle,
    operation: Operation,
    message: Message,
) -> ipvs::Result<Vec<Object>> {
    let mut replies = handle.request(request(message)).await.unwrap();
    let mut objects = Vec::new();
    while let Some(reply) = replies.next().await {
        match reply.unwrap().payload {
            NetlinkPayload::InnerMessage(inner) => objects.push(Object::read(&inner.payload)?),
            NetlinkPayload::Error(error) if error.raw_code() != 0 => {
                return Err(Message::refusal(operation, error.raw_code()));
            }
            _ => {}
        }
    }
    Ok(objects)
}

fn server() -> Destination {
    Destination::new("192.0.2.11".parse().unwrap(), 80, ForwardingMethod::DirectRouting)
}

#[test]
fn an_asynchronous_handle_carries_them() {
    let mut blocking = client();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        let (connection, mut handle, _) = genetlink::new_connection().unwrap();
        tokio::spawn(connection);
        let add = Change::AddService(Service::new(web(), Scheduler::WLC));
        let apply = |change: &Change| (change.operation(), Message::change(change));
        let (operation, message) = apply(&add);
        assert_eq!(ask(&mut handle, operation, message.clone()).await.unwrap(), []);
        assert!(ask(&mut handle, operation, message).await.unwrap_err().is_exists());
        let (operation, message) = apply(&Change::AddDestination { service: web(), destination: server() });
        ask(&mut handle, operation, message).await.unwrap();
        let daemon = SyncDaemon::new(DaemonState::Master, "lo".parse().unwrap(), 7);
        let (operation, message) = apply(&Change::StartDaemon(daemon));
        ask(&mut handle, operation, message).await.unwrap();

        let services = blocking.services().unwrap().into_iter().map(|entry| Object::Service(entry.into()));
        let services: Vec<Object> = services.collect();
        assert_eq!(services.len(), 1);
        assert_eq!(
            ask(&mut handle, Operation::GetServices, Message::get_services()).await.unwrap(),
            services
        );
        assert_eq!(
            ask(&mut handle, Operation::GetService, Message::get_service(&web())).await.unwrap(),
            services
        );
        let servers = blocking.destinations(&web()).unwrap().into_iter();
        let servers: Vec<Object> = servers.map(|entry| Object::Destination(entry.into())).collect();
        let message = Message::get_destinations(&web());
        assert_eq!(ask(&mut handle, Operation::GetDestinations, message).await.unwrap(), servers);
        let daemons: Vec<Object> = blocking.daemons().unwrap().into_iter().map(Object::Daemon).collect();
        assert_eq!(ask(&mut handle, Operation::GetDaemons, Message::get_daemons()).await.unwrap(), daemons);
        let timeouts = Object::Timeouts(blocking.timeouts().unwrap());
        assert_eq!(
            ask(&mut handle, Operation::GetTimeouts, Message::get_timeouts()).await.unwrap(),
            [timeouts]
        );
        let info = Object::Info(blocking.info().unwrap());
        assert_eq!(ask(&mut handle, Operation::GetInfo, Message::get_info()).await.unwrap(), [info]);
        let (operation, message) = apply(&Change::DeleteService(web()));
        ask(&mut handle, operation, message).await.unwrap();
        let gone = ask(&mut handle, Operation::GetService, Message::get_service(&web())).await;
        assert!(gone.unwrap_err().is_not_found());
    });
    assert_eq!(blocking.services().unwrap(), []);
}

/// A kernel that records the requests it gets.
struct Recorder(FakeKernel, Arc<Mutex<Vec<u8>>>);

impl Transport for Recorder {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        *self.1.lock().unwrap() = datagram.to_vec();
        self.0.send(datagram)
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        self.0.receive(buffer)
    }
}

#[test]
fn the_bytes_are_those_of_the_blocking_client() {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let mut client = Client::with_transport(Recorder(FakeKernel::new(), Arc::clone(&sent))).unwrap();
    let is_sent = |message: Message| {
        let sent = sent.lock().unwrap();
        let mut message = request(message);
        let NetlinkPayload::InnerMessage(inner) = &mut message.payload else { panic!("a request") };
        inner.set_resolved_family_id(0x20); // the fake kernel's
        message.header.sequence_number = NetlinkBuffer::new(&sent[..]).sequence_number();
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        assert_eq!(bytes, *sent, "{message:?}");
    };
    for change in [
        Change::AddService(Service::new(web(), Scheduler::SH)),
        Change::AddDestination { service: web(), destination: server() },
        Change::EditDestination { service: web(), destination: server() },
        Change::SetTimeouts(Timeouts { tcp: 1, tcp_fin: 2, udp: 3 }),
        Change::StartDaemon(SyncDaemon::new(DaemonState::Backup, "eth0".parse().unwrap(), 7)),
        Change::Zero(Some(web())),
        Change::DeleteDestination { service: web(), destination: server().id },
        Change::Flush,
    ] {
        client.apply(&change).unwrap();
        is_sent(Message::change(&change));
    }
    client.services().unwrap();
    is_sent(Message::get_services());
    client.destinations_or_none(&web()).unwrap();
    is_sent(Message::get_destinations(&web()));
    assert!(client.service(&web()).unwrap_err().is_not_found());
    is_sent(Message::get_service(&web()));
    client.info().unwrap();
    is_sent(Message::get_info());
    // Something that is not a reply is reported as such.
    assert!(matches!(Object::read(&Message::get_services()), Err(Error::Malformed { .. })));
}

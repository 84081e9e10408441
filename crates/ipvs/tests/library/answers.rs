//! Replies that the kernel does not send, sends in part, or sends to somebody else's request.

use std::io;

use ipvs::{
    Change, Client, DaemonState, Error, FakeKernel, Operation, Service, ServiceId, SyncDaemon, Transport,
};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_GENERIC;

use crate::{ESRCH, client};

fn id(port: u16) -> ServiceId {
    ServiceId::tcp("192.0.2.1".parse().unwrap(), port)
}

fn add(port: u16) -> Change {
    Change::AddService(Service::new(id(port), "rr".parse().unwrap()))
}

fn ports(client: &mut Client) -> Vec<u16> {
    let services = client.services().unwrap();
    let mut ports: Vec<u16> = (services.iter())
        .map(|entry| match entry.service.id {
            ServiceId::Address { port, .. } => port,
            ServiceId::Fwmark { .. } => panic!("{entry:?}"),
        })
        .collect();
    ports.sort_unstable();
    ports
}

#[test]
fn a_stopped_daemon_keeps_nothing_from_being_carried_out() {
    let mut client = client();
    let daemon = SyncDaemon::new(DaemonState::Master, "lo".parse().unwrap(), 7);
    // The kernel does not answer a stop before the daemon's thread has run, even if an ack is requested: that of the
    // last change of a datagram, the 128th.
    let changes: Vec<Change> = (1..=600)
        .map(|number| match number % 128 {
            127 => Change::StartDaemon(daemon),
            0 => Change::StopDaemon { state: DaemonState::Master, sync_id: 7 },
            _ => add(number),
        })
        .collect();
    assert_eq!(client.apply_all(&changes).unwrap().len(), 0);
    assert_eq!(client.daemons().unwrap(), []);
    let expected: Vec<u16> = (1..=600).filter(|number| ![0, 127].contains(&(number % 128))).collect();
    assert_eq!(ports(&mut client), expected);
    // Refusals are reported here too.
    let stops = vec![Change::StopDaemon { state: DaemonState::Backup, sync_id: 7 }; 256];
    let refused = client.apply_all(&stops).unwrap();
    assert_eq!(refused.len(), 256);
    assert!(
        refused.iter().enumerate().all(|(at, (told, error))| at == *told && error.errno() == Some(ESRCH))
    );
}

/// The kernel, through a socket with room for few replies.
struct Narrow(Socket);

impl Narrow {
    fn client() -> Client {
        let socket = Socket::new(NETLINK_GENERIC).unwrap();
        socket.set_rx_buf_sz(1).unwrap(); // the kernel sets its minimum: room for three refusals
        Client::with_transport(Self(socket)).unwrap()
    }
}

impl Transport for Narrow {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.0.send(datagram, 0).map(|_| ())
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        const MSG_DONTWAIT: i32 = 0x40;
        self.0.recv(buffer, MSG_DONTWAIT).map(|_| ())
    }
}

#[test]
fn where_answers_are_lost_no_refusal_is_forgotten() {
    lab::isolate();
    let mut client = Narrow::client();
    // Every second one is refused.
    let changes: Vec<Change> = (1..=1000)
        .map(|number| if number % 2 == 0 { Change::DeleteService(id(60_000)) } else { add(number) })
        .collect();
    let told = client.apply_all(&changes).unwrap();
    assert!(told.is_sorted_by_key(|(at, _)| at), "{told:?}");
    // Refusals are reported, at least as unknown; everything not reported is in effect, including the last ones.
    let unknown = told.iter().filter(|(_, error)| matches!(error, Error::NoReply { .. })).count();
    assert!(unknown > 0, "the socket had room for all: {told:?}");
    assert!(unknown < 400, "{unknown} answers were lost before fewer were asked for at once");
    for (at, change) in changes.iter().enumerate() {
        let error = told.iter().find(|(told, _)| *told == at).map(|(_, error)| error);
        match change {
            Change::DeleteService(_) => assert!(
                matches!(
                    error,
                    Some(
                        Error::Kernel { operation: Operation::DeleteService, errno: ESRCH }
                            | Error::NoReply { operation: Operation::DeleteService }
                    )
                ),
                "{at}: {error:?}"
            ),
            _ => assert!(
                matches!(error, None | Some(Error::NoReply { operation: Operation::AddService })),
                "{at}: {error:?}"
            ),
        }
    }
    let odd: Vec<u16> = (1..=1000).step_by(2).collect();
    assert_eq!(ports(&mut Client::open().unwrap()), odd);
    // All are refused now: a few more are lost until datagrams are so small that their replies fit.
    client.apply_all(&changes).unwrap();
    let told = client.apply_all(&changes).unwrap();
    assert_eq!(told.len(), 1000);
    assert!(told.iter().all(|(_, error)| error.errno().is_some()), "{told:?}");
}

#[test]
fn a_message_that_does_nothing_is_acknowledged() {
    fn answers(mut kernel: impl Transport) -> Vec<Vec<u8>> {
        // NLMSG_NOOP with NLM_F_REQUEST and without NLM_F_ACK, then with it, with sequence number 7.
        #[rustfmt::skip]
        let messages = [
            20, 0, 0, 0, 1, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            20, 0, 0, 0, 1, 0, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        kernel.send(&messages).unwrap();
        let mut all = Vec::new();
        let mut answer = Vec::with_capacity(100);
        while kernel.receive(&mut answer).is_ok() {
            // The type, the sequence number, and the errno.
            all.push([&answer[4..6], &answer[8..12], &answer[16..20]].concat());
            answer.clear();
        }
        all
    }
    let real = answers(Narrow(Socket::new(NETLINK_GENERIC).unwrap()));
    assert_eq!(real, [[2, 0, 7, 0, 0, 0, 0, 0, 0, 0]]);
    assert_eq!(answers(FakeKernel::new()), real);
}

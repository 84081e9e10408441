//! The socket, and what may stand in for it.

use std::io;

use netlink_sys::protocols::NETLINK_GENERIC;

/// Where datagrams go and come from: the kernel, or in a test whatever answers like it.
///
/// ```
/// use std::io;
///
/// /// A kernel that never answers.
/// struct Silence;
///
/// impl ipvs::Transport for Silence {
///     fn send(&mut self, _datagram: &[u8]) -> io::Result<()> {
///         Ok(())
///     }
///     fn receive(&mut self, _buffer: &mut Vec<u8>) -> io::Result<()> {
///         Err(io::ErrorKind::WouldBlock.into())
///     }
/// }
///
/// assert!(ipvs::Client::with_transport(Silence).is_err());
/// ```
pub trait Transport: Send {
    /// Sends one datagram of netlink messages.
    fn send(&mut self, datagram: &[u8]) -> io::Result<()>;

    /// Puts the next waiting datagram into `buffer`, which is empty and has room for one, [`RECEIVE_BUFFER`] at most:
    /// what the kernel sends does not outgrow the room that it has been offered.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] where none is waiting; it is never waited for.
    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()>;
}

/// Room for one datagram, in bytes: a dump's chunks never grow beyond it (`netlink_dump` of the kernel caps them).
pub const RECEIVE_BUFFER: usize = 32 * 1024;

/// More requests in a datagram make nothing faster.
pub(crate) const REQUESTS_PER_DATAGRAM: usize = 128;

/// What the answer to a change takes of a socket's receive buffer: 768 or 896 bytes with kernels of today.
const ANSWER: usize = 1536;

/// A netlink socket of the kernel's, in the network namespace of the thread that made it.
pub(crate) struct NetlinkSocket(netlink_sys::Socket);

impl NetlinkSocket {
    pub(crate) fn open() -> io::Result<Self> {
        netlink_sys::Socket::new(NETLINK_GENERIC).map(Self)
    }

    /// How many changes may go out in a datagram. Their answers wait in the socket until all are carried out, and what
    /// does not fit into its receive buffer, which is as large as the host has it (`net.core.rmem_default`), is lost.
    pub(crate) fn requests_per_datagram(&self) -> usize {
        // A refusal need not hold a copy of its request, which may be long; kernels before 4.3 do not know of this.
        let _ = self.0.set_cap_ack(true);
        let room = self.0.get_rx_buf_sz().unwrap_or(0);
        (room / ANSWER).clamp(1, REQUESTS_PER_DATAGRAM)
    }
}

impl Transport for NetlinkSocket {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.0.send(datagram, 0).map(|_| ())
    }

    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        const MSG_DONTWAIT_TRUNC: i32 = 0x40 | 0x20;
        let length = self.0.recv(buffer, MSG_DONTWAIT_TRUNC)?;
        if length > buffer.len() {
            return Err(io::Error::other(format!(
                "a datagram of {length} bytes was cut to {}",
                buffer.len()
            )));
        }
        Ok(())
    }
}

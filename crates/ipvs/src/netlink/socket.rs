//! The netlink socket, and the trait for replacements.

use std::io;

use netlink_sys::protocols::NETLINK_GENERIC;

/// A transport for datagrams: the kernel, or a replacement in a test.
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

    /// Receives the next waiting datagram into `buffer`, which is empty and has capacity for one, at most
    /// [`RECEIVE_BUFFER`]: the kernel's datagrams do not exceed the largest buffer it was offered.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if none is waiting; this never blocks.
    fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<()>;
}

/// The size of a receive buffer in bytes: a dump's chunks never exceed it (`netlink_dump` of the kernel caps them).
pub const RECEIVE_BUFFER: usize = 32 * 1024;

/// More requests in a datagram are not faster.
pub(crate) const REQUESTS_PER_DATAGRAM: usize = 128;

/// How much of a socket's receive buffer the reply to a change needs: 768 or 896 bytes with present kernels.
const ANSWER: usize = 1536;

/// A netlink socket in the network namespace of the thread that opened it.
pub(crate) struct NetlinkSocket(netlink_sys::Socket);

impl NetlinkSocket {
    pub(crate) fn open() -> io::Result<Self> {
        netlink_sys::Socket::new(NETLINK_GENERIC).map(Self)
    }

    /// How many changes a datagram may hold. Their replies wait in the socket until all are processed, and are lost
    /// if they exceed its receive buffer, whose size is the host's setting (`net.core.rmem_default`).
    pub(crate) fn requests_per_datagram(&self) -> usize {
        // An error need not contain a copy of its request, which may be long; kernels before 4.3 lack this option.
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

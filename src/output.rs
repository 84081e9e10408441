//! Stdout, and readers that leave.

use std::io::{self, BufWriter, Write};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Once};

use rustix::io::Errno;
use rustix::stdio::stdout;

use crate::progress;

/// From now on a reader that leaves is an error, not a signal that ends the program. A command that writes nothing does without:
/// it is two of its system calls.
pub(crate) fn outlive_readers() {
    static ONCE: Once = Once::new();
    // A handler, unlike a signal that is ignored or blocked, is not inherited by the programs that this one starts.
    ONCE.call_once(|| {
        let _ = signal_hook::flag::register(signal_hook::consts::SIGPIPE, Arc::new(AtomicBool::new(false)));
    });
}

/// How much is written at once.
const PART: usize = 1 << 16;

/// What is printed. Nothing is kept for a command that prints nothing.
pub(crate) struct Output {
    is_open: bool,
    buffer: Option<BufWriter<Stdout>>,
}

impl Output {
    pub(crate) fn new(is_open: bool) -> Self {
        Self { is_open, buffer: None }
    }
}

impl Write for Output {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if !self.is_open {
            return Err(Errno::BADF.into());
        }
        self.buffer.get_or_insert_with(|| BufWriter::with_capacity(PART, Stdout)).write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.buffer.as_mut().map_or(Ok(()), Write::flush)
    }
}

/// The descriptor. That of the standard library takes what is written to a closed one for written.
struct Stdout;

impl Write for Stdout {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        progress::make_way();
        Ok(rustix::io::write(stdout(), text)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

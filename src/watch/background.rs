//! Reads what may take long in a thread of its own, so that keys are heard meanwhile.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};

use ipvs::{Counters, ServiceEntry, ServiceId};

use super::reading::{Kernel, OfServer, Shown};
use crate::messages::Result;
use crate::resolver::Resolver;
use crate::session::Session;

/// What is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All services, or the one that is watched.
    Table,
    Connections(Shown),
}

/// What was read.
pub(super) enum Answer {
    Table(Result<(Vec<ServiceEntry>, Counters)>),
    Connections(Result<OfServer>),
}

/// The thread. It ends with the program, even in the middle of a reading.
pub(super) struct Background {
    wanted: Sender<Wanted>,
    answers: Receiver<Answer>,
    /// Can be read when there is an answer.
    pub(super) bell: UnixStream,
    is_busy: bool,
    /// What is wanted after that.
    next: Option<Wanted>,
}

impl Background {
    pub(super) fn start(only: Option<ServiceId>) -> io::Result<Self> {
        let ((wanted, asked), (sender, answers)) = (channel(), channel());
        let (bell, mut ring) = UnixStream::pair()?;
        std::thread::Builder::new().spawn(move || {
            let mut session = Session::new(String::new(), Resolver::default());
            let mut kernel = Kernel::new(&mut session, only);
            for wanted in asked {
                let answer = match wanted {
                    Wanted::Table => Answer::Table(kernel.services_and_totals()),
                    Wanted::Connections(shown) => Answer::Connections(kernel.connections(shown)),
                };
                if sender.send(answer).is_err() || ring.write_all(&[0]).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { wanted, answers, bell, is_busy: false, next: None })
    }

    pub(super) fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Has something read, after what is being read.
    pub(super) fn ask(&mut self, wanted: Wanted) {
        if self.is_busy {
            self.next = Some(wanted);
        } else {
            self.is_busy = self.wanted.send(wanted).is_ok();
        }
    }

    /// The answer, once the bell has rung.
    pub(super) fn answer(&mut self) -> Option<Answer> {
        self.bell.read_exact(&mut [0]).ok()?;
        let answer = self.answers.recv().ok();
        self.is_busy = false;
        if let Some(next) = self.next.take() {
            self.ask(next);
        }
        answer
    }
}

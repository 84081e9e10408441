//! Command lines as values: what the words ask for, with the original's defaults and its order of complaints.

use std::net::IpAddr;
use std::path::PathBuf;

use ipvs::{Change, Netmask, ServiceId};

use crate::option_key::OptionKey;

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Version,
    Change(ChangeRequest),
    List(List),
    /// A change that is only printed.
    Show(ChangeRequest),
    Save(Save),
    Restore(Restore),
    Check(Check),
}

/// What is looked at, and how it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    /// This machine as a real server; none where it is a director.
    pub(crate) role: Option<RealServer>,
    /// For programs, not for people.
    pub(crate) json: bool,
    /// Not the usual place of a saved table.
    pub(crate) file: Option<PathBuf>,
}

/// What a real server is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RealServer {
    /// The cluster's address.
    pub(crate) vip: IpAddr,
    pub(crate) method: Method,
    /// The director's own address.
    pub(crate) director: Option<IpAddr>,
    pub(crate) port: Option<u16>,
}

/// How packets come to a real server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    DirectRouting,
    Tunnel,
    Masquerade,
}

/// A change, and what was typed for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChangeRequest {
    /// What was not typed is the default; with `--keep` that is to be replaced by what the kernel has.
    pub(crate) change: Change,
    pub(crate) named: Vec<OptionKey>,
    /// The port behind the real server's address.
    pub(crate) port: Option<u16>,
    /// With `--keep`, what cannot be judged before it is known what is kept.
    pub(crate) keep: Option<Box<Keep>>,
    /// No warnings are wanted.
    pub(crate) quiet: bool,
}

impl ChangeRequest {
    /// A change that was typed whole.
    pub(crate) fn whole(change: Change) -> Self {
        Self { change, named: Vec::new(), port: None, keep: None, quiet: false }
    }

    pub(crate) fn names(&self, column: OptionKey) -> bool {
        self.named.contains(&column)
    }
}

/// What was typed but cannot be judged before it is known what is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keep {
    pub(crate) netmask: Option<Netmask>,
    pub(crate) flags: Vec<u8>,
    pub(crate) tunnel: &'static [u8],
    pub(crate) tunnel_port: u16,
}

/// What is saved, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Save {
    pub(crate) numeric: bool,
    /// Thresholds, timeouts and sync daemons too, all in numbers.
    pub(crate) full: bool,
    /// Not stdout.
    pub(crate) file: Option<PathBuf>,
}

/// What is done with lines, and where they come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Restore {
    pub(crate) manner: Manner,
    /// The kernel is told nothing.
    pub(crate) dry: bool,
    /// Not stdin.
    pub(crate) file: Option<PathBuf>,
}

/// What is done with the lines of a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Each is carried out as it arrives.
    Stream,
    /// All take the place of the table.
    Replace,
    /// What leads from the table to theirs is printed.
    Diff,
    /// What leads from the table to theirs is carried out.
    Apply,
}

/// What is listed, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct List {
    pub(crate) what: What,
    pub(crate) view: View,
    pub(crate) numeric: bool,
    pub(crate) exact: bool,
    pub(crate) sorted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Table,
    Service(ServiceId),
    Connections { with_engine: bool },
    Timeouts,
    Daemons,
}

/// The layout of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    Plain,
    Stats,
    Rate,
    Thresholds,
    PersistentConn,
    TunInfo,
}

impl Command {
    /// What `ipvsadm` without words does.
    pub(crate) fn plain_list() -> Self {
        let what = What::Table;
        Self::List(List { what, view: View::Plain, numeric: false, exact: false, sorted: true })
    }
}

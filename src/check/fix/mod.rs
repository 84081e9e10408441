//! A fix: steps, one after another, as values. What is printed, carried out, undone and written for the next boot is made of
//! them, and nothing reads a command line back.

mod text;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use ipvs::{Change, DestinationId, Family, Service, ServiceId, SyncDaemon};
use serde::{Serialize, Serializer};

pub(crate) use self::text::words;
use crate::netns;
use ipnet::IpNet;

/// What fixes a finding.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Fix(pub(crate) Vec<Step>);

/// A part of a fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Settings of the kernel.
    Sysctl(Vec<Setting>),
    Address(AddressStep),
    /// Deletes an address that is here and not in use, and adds it again.
    Renew {
        delete: AddressStep,
        add: AddressStep,
    },
    /// Brings an interface up, or down.
    Link {
        link: Word,
        up: bool,
    },
    Route(RouteStep),
    /// A rule that selects a routing table: `ip rule add` and these words.
    Rule {
        family: Family,
        words: Vec<Word>,
    },
    /// Loads a module.
    Module(&'static str),
    /// Opens a UDP port for packets in GUE.
    GuePort {
        port: u16,
        family: Family,
    },
    /// Goes on only if other machines were asked for the address, and none has it.
    NobodyHas {
        address: IpAddr,
        link: Word,
    },
    /// A change of the kernel's table.
    Table(Change),
    /// Gives a service the scheduler's flags that it has here.
    SchedulerFlags(Service),
    /// Takes a server out of its service without cutting a connection.
    Drain {
        service: ServiceId,
        server: DestinationId,
    },
    /// Adds a server, which the user names.
    NewServer(ServiceId),
    /// Starts a daemon on an interface that the user names.
    NewDaemon(SyncDaemon),
    /// Saves the table.
    Save(PathBuf),
    /// Copies a file that the next step changes.
    Copy(PathBuf),
    /// Makes the table like a file.
    Restore(PathBuf),
    /// Comments out lines of a file.
    CommentOut {
        path: PathBuf,
        lines: Vec<usize>,
    },
    Iptables(IptablesRule),
    /// A command that changes a packet filter in another way.
    Firewall(String),
    /// Restarts a program.
    Restart(Word),
    /// A command for another machine.
    Remote(String),
    /// A command that shows something, and changes nothing.
    Look(String),
}

/// A setting of the kernel, by its path below `/proc/sys`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) path: String,
    pub(crate) value: u32,
}

/// A change of an interface's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddressStep {
    pub(crate) how: AddressChange,
    pub(crate) address: Word,
    pub(crate) prefix: u8,
    pub(crate) link: Word,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressChange {
    /// Adds it if it is not there.
    Add,
    /// Adds an address of IPv6 that is used at once, and never as the source of this machine's own connections.
    AddQuietly,
    Delete,
}

/// A route that is made, or deleted, with these words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RouteStep {
    pub(crate) family: Family,
    pub(crate) how: RouteChange,
    /// `default`, or a network.
    pub(crate) to: String,
    pub(crate) words: Vec<Word>,
    /// It is in the main table, and the words name no other.
    pub(crate) is_main: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteChange {
    Replace,
    Delete,
}

/// A rule of iptables, or one of its kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IptablesRule {
    pub(crate) tool: String,
    /// `-A`, `-I`, `-D` or `-C`.
    pub(crate) how: &'static str,
    /// None for the filter table.
    pub(crate) table: Option<String>,
    pub(crate) chain: String,
    pub(crate) words: Vec<Word>,
}

/// A word of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    Known(OsString),
    /// The user fills it in; it is printed in capitals.
    Blank(&'static str),
}

pub(crate) const VIP: Word = Word::Blank("VIP");
pub(crate) const GATEWAY: Word = Word::Blank("GATEWAY");
pub(crate) const DIRECTOR: Word = Word::Blank("DIRECTOR");
pub(crate) const INTERFACE: Word = Word::Blank("INTERFACE");
pub(crate) const SERVICE: Word = Word::Blank("SERVICE");
pub(crate) const ADDRESS: Word = Word::Blank("ADDRESS");
pub(crate) const PORT: Word = Word::Blank("PORT");

impl Word {
    /// The word, or the name of the blank.
    pub(crate) fn as_os_str(&self) -> &OsStr {
        match self {
            Self::Known(word) => word,
            Self::Blank(name) => name.as_ref(),
        }
    }

    pub(crate) fn is_blank(&self) -> bool {
        matches!(self, Self::Blank(_))
    }
}

impl From<&str> for Word {
    fn from(word: &str) -> Self {
        Self::Known(word.into())
    }
}

impl From<String> for Word {
    fn from(word: String) -> Self {
        Self::Known(word.into())
    }
}

impl From<IpAddr> for Word {
    fn from(address: IpAddr) -> Self {
        Self::Known(address.to_string().into())
    }
}

impl Step {
    /// Adds an address to an interface, usable immediately, if it is not there.
    pub(crate) fn add_address(address: IpAddr, link: impl Into<Word>) -> Self {
        Self::Address(AddressStep::add(address, link))
    }

    pub(crate) fn bring_up(link: &str) -> Self {
        Self::Link { link: link.into(), up: true }
    }

    /// The change of the kernel's table that it is.
    pub(crate) fn change(&self) -> Option<Change> {
        match self {
            Self::Table(change) => Some(*change),
            Self::SchedulerFlags(service) => Some(Change::EditService(*service)),
            _ => None,
        }
    }

    /// Whether the user has to fill in a word.
    pub(crate) fn has_blanks(&self) -> bool {
        match self {
            Self::NewServer(_) | Self::NewDaemon(_) => true,
            Self::NobodyHas { link, .. } => link.is_blank(),
            Self::Address(step) => step.address.is_blank() || step.link.is_blank(),
            step => step.program().is_some_and(|words| words.iter().any(Word::is_blank)),
        }
    }
}

impl AddressStep {
    pub(crate) fn add(address: IpAddr, link: impl Into<Word>) -> Self {
        // Otherwise IPv6 would use it as source of this machine's own connections, such as those to servers, because it
        // has the longest prefix.
        let how = if address.is_ipv6() { AddressChange::AddQuietly } else { AddressChange::Add };
        Self { how, address: address.into(), prefix: IpNet::from(address).prefix_len(), link: link.into() }
    }
}

impl IptablesRule {
    /// A rule at the end of a chain.
    pub(crate) fn append(tool: String, table: &str, chain: &str, words: Vec<Word>) -> Self {
        Self { tool, how: "-A", table: Some(table.to_owned()), chain: chain.to_owned(), words }
    }

    /// The rule with another command, such as the one that deletes it.
    pub(crate) fn with(&self, how: &'static str) -> Self {
        Self { how, ..self.clone() }
    }
}

impl Setting {
    /// Its name, with dots where no interface's name has one.
    pub(crate) fn name(&self) -> String {
        if self.path.contains('.') { self.path.clone() } else { self.path.replace('/', ".") }
    }
}

impl Fix {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Several fixes, one after another.
    pub(crate) fn and(mut self, next: impl Into<Self>) -> Self {
        self.0.extend(next.into().0);
        self
    }

    /// Settings, by their paths.
    pub(crate) fn set<P: Into<String>>(settings: impl IntoIterator<Item = (P, u32)>) -> Self {
        let settings = settings.into_iter().map(|(path, value)| Setting { path: path.into(), value });
        Step::Sysctl(settings.collect()).into()
    }

    pub(crate) fn look(command: impl Into<String>) -> Self {
        Step::Look(command.into()).into()
    }

    /// The command line, as it has to be typed where this program was started.
    pub(crate) fn command(&self) -> String {
        netns::command(self.to_string())
    }

    /// Whether it changes the kernel's table.
    pub(crate) fn is_of_table(&self) -> bool {
        let first = self.0.first();
        first.is_some_and(|step| {
            matches!(
                step,
                Step::Table(_)
                    | Step::SchedulerFlags(_)
                    | Step::Drain { .. }
                    | Step::NewServer(_)
                    | Step::NewDaemon(_)
            )
        })
    }
}

impl RouteStep {
    /// The same through a gateway that the user names.
    pub(crate) fn through_another(mut self) -> Self {
        let after = self
            .words
            .iter()
            .position(|word| *word == Word::from("via"))
            .and_then(|at| self.words.get_mut(at + 1));
        if let Some(gateway) = after {
            *gateway = GATEWAY;
        }
        self
    }
}

impl From<RouteStep> for Step {
    fn from(route: RouteStep) -> Self {
        Self::Route(route)
    }
}

impl From<RouteStep> for Fix {
    fn from(route: RouteStep) -> Self {
        Step::Route(route).into()
    }
}

impl From<Step> for Fix {
    fn from(step: Step) -> Self {
        Self(vec![step])
    }
}

impl FromIterator<Step> for Fix {
    fn from_iter<T: IntoIterator<Item = Step>>(steps: T) -> Self {
        Self(steps.into_iter().collect())
    }
}

impl FromIterator<Change> for Fix {
    fn from_iter<T: IntoIterator<Item = Change>>(changes: T) -> Self {
        changes.into_iter().map(Step::Table).collect()
    }
}

impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |steps: &[Step]| steps.iter().map(Step::to_string).collect::<Vec<_>>().join(" && ");
        let Some(at) = self.0.iter().position(|step| matches!(step, Step::NobodyHas { .. })) else {
            return f.write_str(&all(&self.0));
        };
        let (before, rest) = self.0.split_at(at);
        let (question, after) = rest.split_at(1);
        let after = if after.len() == 1 { all(after) } else { format!("{{ {}; }}", all(after)) };
        let guarded = format!("{} || {after}", all(question));
        match before {
            [] => f.write_str(&guarded),
            before => write!(f, "{} && {{ {guarded}; }}", all(before)),
        }
    }
}

impl Serialize for Fix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.command())
    }
}

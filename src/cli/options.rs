//! The options of one command line, set one by one, and the command made of them.

mod changes;
mod queries;

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use ipvs::{
    DaemonState, Destination, DestinationId, Family, InterfaceName, Netmask, PersistenceEngine, Protocol,
    ServiceId, TunnelKind,
};

use crate::cli::endpoint::{Endpoint, endpoint, surprise, surprise_of_mask};
use crate::cli::lexer::ParsedOption;
use crate::cli::value;
use crate::command::{SummaryKey, Wanted};
use crate::messages::remedy::typed;
use crate::messages::{self, Result, Surprise};
use crate::option_table::{OptionKey, by_letter};
use crate::resolver::Resolver;

/// The value of `--start-daemon` and `--stop-daemon`.
fn daemon_state(command: OptionKey, word: &[u8]) -> Result<DaemonState> {
    match value::parsed(word) {
        Some(state) => Ok(state),
        None if command == OptionKey::StartDaemon => Err(messages::START.about(word)),
        None => Err(messages::STOP.about(word)),
    }
}

/// The options read so far.
#[derive(Debug, Default)]
pub(crate) struct Options<'a> {
    given: Vec<OptionKey>,
    state: Option<DaemonState>,
    service: Option<ServiceId>,
    scheduler: Option<&'a [u8]>,
    timeout: Option<u32>,
    netmask: Option<Netmask>,
    engine: Option<PersistenceEngine>,
    flags: &'a [u8],
    server: Option<DestinationId>,
    server_port: Option<u16>,
    method: Option<OptionKey>,
    weight: Option<u32>,
    upper: u32,
    lower: u32,
    tunnel: Option<TunnelKind>,
    tunnel_port: u16,
    interface: Option<InterfaceName>,
    sync_id: u32,
    max_length: u16,
    group: Option<IpAddr>,
    port: u16,
    ttl: u8,
    file: Option<PathBuf>,
    quiet: bool,
    director: Option<IpAddr>,
    wanted: Option<Wanted>,
    served: Option<(u16, Option<Protocol>)>,
    client: Option<IpNet>,
    connection_state: Option<&'static str>,
    summary: Option<SummaryKey>,
    top: Option<u32>,
    wait: Option<u32>,
    /// `--only` was given, and names the next service.
    names_only: bool,
    only: Vec<ServiceId>,
    interval: Option<Duration>,
    count: Option<u32>,
    way_of: Option<(IpAddr, Option<u16>)>,
    without: Option<(IpAddr, Option<u16>)>,
    /// What has a name that stands for more than one address, and these.
    several: Option<(&'static str, Vec<Ipv4Addr>)>,
    /// Words that were read as something that may not have been meant.
    surprises: Vec<(Vec<u8>, Surprise)>,
}

impl<'a> Options<'a> {
    /// Options of a command, which may have a value itself, before any is set.
    pub(crate) fn for_command(command: &ParsedOption<'a>) -> Result<Self> {
        let mut options = Self::default();
        match (command.spec.key, command.value) {
            (_, None) => {}
            (OptionKey::Watch, Some(word)) => options.interval = Some(value::interval(word)?),
            (OptionKey::Explain, Some(word)) => options.way_of = Some(value::client(word)?),
            (key, Some(word)) => options.state = Some(daemon_state(key, word)?),
        }
        Ok(options)
    }

    fn has(&self, option: OptionKey) -> bool {
        self.given.contains(&option)
    }

    /// Sets one option after the command.
    pub(crate) fn set(&mut self, option: &ParsedOption<'a>, resolver: &mut Resolver) -> Result<()> {
        if option.spec.is_command() {
            return Err(messages::invalid_option(option.word, in_lower_case(option).as_deref()));
        }
        let key = option.spec.checked_as;
        if key == Some(OptionKey::ServiceAddress) && std::mem::take(&mut self.names_only) {
            self.set_value(option, resolver)?;
            self.only.extend(self.service);
            return Ok(());
        }
        if let Some(key) = key {
            if self.has(key) && key != OptionKey::Only {
                return Err(messages::twice(key));
            }
            self.given.push(key);
        }
        self.set_value(option, resolver)
    }

    fn set_value(&mut self, option: &ParsedOption<'a>, resolver: &mut Resolver) -> Result<()> {
        let word = option.value.unwrap_or_default();
        match option.spec.key {
            OptionKey::TcpService => self.service = Some(self.service(Protocol::Tcp, word, resolver)?),
            OptionKey::UdpService => self.service = Some(self.service(Protocol::Udp, word, resolver)?),
            OptionKey::SctpService => self.service = Some(self.service(Protocol::Sctp, word, resolver)?),
            OptionKey::FwmarkService => self.service = Some(fwmark(word)?),
            OptionKey::Ipv6 => self.make_ipv6()?,
            OptionKey::Scheduler => self.scheduler = Some(word),
            OptionKey::Persistent => self.timeout = Some(persistence(option.value)?),
            OptionKey::Netmask => self.set_netmask(word, resolver)?,
            OptionKey::Pe => self.engine = engine(word),
            OptionKey::SchedFlags => self.flags = word.get(..127).unwrap_or(word),
            OptionKey::RealServer => self.server = Some(self.server(word, resolver)?),
            OptionKey::Gatewaying | OptionKey::Ipip | OptionKey::Masquerading => {
                self.method = Some(option.spec.key);
            }
            OptionKey::Weight
            | OptionKey::UThreshold
            | OptionKey::LThreshold
            | OptionKey::TunType
            | OptionKey::TunPort => self.set_of_server(option.spec.key, word)?,
            OptionKey::McastInterface
            | OptionKey::SyncId
            | OptionKey::SyncMaxlen
            | OptionKey::McastGroup
            | OptionKey::McastPort
            | OptionKey::McastTtl => self.set_of_daemon(option.spec.key, word)?,
            OptionKey::Director
            | OptionKey::Port
            | OptionKey::Client
            | OptionKey::State
            | OptionKey::Summary
            | OptionKey::Top
            | OptionKey::Wait
            | OptionKey::Without
            | OptionKey::NobodyHas
            | OptionKey::Count => self.set_of_query(option.spec.key, word, resolver)?,
            OptionKey::File => self.file = Some(PathBuf::from(OsStr::from_bytes(word))),
            OptionKey::Only => self.names_only = true,
            OptionKey::Quiet => self.quiet = true,
            // That of a command line was taken out before.
            OptionKey::Netns => return Err(messages::value(messages::NAMESPACE_OF_A_LINE)),
            // Flags, whose value is that they are given; commands, which were refused above; groups, which are no words.
            OptionKey::Numeric
            | OptionKey::Connection
            | OptionKey::Timeout
            | OptionKey::Daemon
            | OptionKey::Stats
            | OptionKey::Rate
            | OptionKey::Thresholds
            | OptionKey::PersistentConn
            | OptionKey::Sort
            | OptionKey::NoSort
            | OptionKey::Exact
            | OptionKey::Ops
            | OptionKey::TunInfo
            | OptionKey::TunNocsum
            | OptionKey::TunCsum
            | OptionKey::TunRemcsum
            | OptionKey::Full
            | OptionKey::Replace
            | OptionKey::Diff
            | OptionKey::Apply
            | OptionKey::DryRun
            | OptionKey::Keep
            | OptionKey::IgnoreInactive
            | OptionKey::Probe
            | OptionKey::Fix
            | OptionKey::Yes
            | OptionKey::Persist
            | OptionKey::Force
            | OptionKey::OnlyListed
            | OptionKey::Json
            | OptionKey::Prometheus
            | OptionKey::AddService
            | OptionKey::EditService
            | OptionKey::DeleteService
            | OptionKey::Clear
            | OptionKey::AddServer
            | OptionKey::EditServer
            | OptionKey::DeleteServer
            | OptionKey::List
            | OptionKey::Zero
            | OptionKey::Set
            | OptionKey::Save
            | OptionKey::Restore
            | OptionKey::StartDaemon
            | OptionKey::StopDaemon
            | OptionKey::Check
            | OptionKey::Explain
            | OptionKey::Drain
            | OptionKey::Undrain
            | OptionKey::Watch
            | OptionKey::Help
            | OptionKey::Version
            | OptionKey::ServiceAddress
            | OptionKey::ForwardingMethod => {}
        }
        Ok(())
    }

    fn service(&mut self, protocol: Protocol, word: &[u8], resolver: &mut Resolver) -> Result<ServiceId> {
        let read = endpoint(word, Some(protocol), resolver)
            .map_err(|wrong| messages::SERVICE.endpoint(word, wrong))?;
        self.note_surprise(word, read);
        self.note_several("service", word, resolver);
        let (address, port) = read;
        if address.is_ipv6() {
            self.netmask = None; // a preceding mask was parsed as IPv4
        }
        Ok(ServiceId::Address { protocol, address, port: port.unwrap_or(0) })
    }

    fn set_netmask(&mut self, word: &[u8], resolver: &mut Resolver) -> Result<()> {
        let family = self.service.map_or(Family::V4, |service| service.family());
        let mask = value::netmask(word, family, resolver)?;
        if let Netmask::V4(read) = mask {
            self.surprises.extend(surprise_of_mask(word, read).map(|surprise| (word.to_vec(), surprise)));
        }
        self.netmask = Some(mask);
        Ok(())
    }

    fn note_surprise(&mut self, word: &[u8], read: Endpoint) {
        self.surprises.extend(surprise(word, &read).map(|surprise| (word.to_vec(), surprise)));
    }

    /// Notes a name of several addresses, of which the first is taken.
    fn note_several(&mut self, what: &'static str, word: &[u8], resolver: &Resolver) {
        let host = word.split(|byte| *byte == b':').next().unwrap_or_default();
        let several = resolver.several(host).map(|all| (what, all.to_vec()));
        self.several = self.several.take().or(several);
    }

    /// Without a port, the server gets that of the service, if the service precedes it.
    fn server(&mut self, word: &[u8], resolver: &mut Resolver) -> Result<DestinationId> {
        let protocol = self.service.map(|service| match service {
            ServiceId::Address { protocol, .. } => protocol,
            ServiceId::Fwmark { .. } => Protocol::Tcp,
        });
        let read =
            endpoint(word, protocol, resolver).map_err(|wrong| messages::SERVER.endpoint(word, wrong))?;
        self.note_surprise(word, read);
        self.note_several("server", word, resolver);
        let (address, port) = read;
        self.server_port = port;
        let port = port.unwrap_or_else(|| self.service.map_or(0, |service| service.port()));
        Ok(DestinationId { address, port })
    }

    fn make_ipv6(&mut self) -> Result<()> {
        match &mut self.service {
            Some(ServiceId::Fwmark { family, .. }) => *family = Family::V6,
            _ => return Err(messages::value(messages::IPV6_BEFORE_MARK)),
        }
        if let (Some(last), Some(service)) = (self.only.last_mut(), self.service) {
            *last = service;
        }
        self.netmask = None;
        Ok(())
    }
}

/// What the letter of a command in lower case is, and the help of a command.
fn in_lower_case(command: &ParsedOption<'_>) -> Option<String> {
    if command.spec.key == OptionKey::Help {
        return Some("--help COMMAND".to_owned());
    }
    let letter = command.spec.letters.chars().find(char::is_ascii_uppercase)?;
    let meant = by_letter(letter.to_ascii_lowercase()).filter(|spec| !spec.is_command())?;
    (command.word == [b'-', u8::try_from(letter).ok()?]).then(|| typed(meant))
}

const COUNTS: std::ops::RangeInclusive<u32> = 0..=Destination::HIGHEST;

/// The value of `-p`.
fn persistence(word: Option<&[u8]>) -> Result<u32> {
    word.map_or(Ok(360), |word| value::timeout(word, 1))
}

/// A persistence engine, as much of its name as the kernel takes.
fn engine(word: &[u8]) -> Option<PersistenceEngine> {
    PersistenceEngine::new(value::cut(word, PersistenceEngine::MAX_BYTES)).ok().filter(|_| !word.is_empty())
}

fn fwmark(word: &[u8]) -> Result<ServiceId> {
    value::decimal(word, 1..=u32::MAX)
        .and_then(|mark| ServiceId::fwmark(mark, Family::V4))
        .ok_or_else(|| messages::invalid_mark(word))
}

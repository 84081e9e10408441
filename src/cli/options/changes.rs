//! The command that options make: a change, or one of the others.

use ipvs::{
    Change, DaemonState, Destination, DestinationId, Family, ForwardingMethod, InterfaceName, Netmask,
    Persistence, Protocol, Scheduler, SchedulerFlags, Service, ServiceId, SyncDaemon, Timeouts, Tunnel,
    TunnelKind,
};

use super::{COUNTS, Options};
use crate::cli::{matrix, parse, value};
use crate::command::{ChangeRequest, Command, Keep, Only, Restore, RestoreMode, Save};
use crate::messages::{self, Result};
use crate::option_table::OptionKey;

impl Options<'_> {
    /// Sets an option of a real server.
    pub(super) fn set_of_server(&mut self, key: OptionKey, word: &[u8]) -> Result<()> {
        match key {
            OptionKey::Weight => self.weight = Some(value::number(word, COUNTS, &messages::WEIGHT)?),
            OptionKey::UThreshold => self.upper = value::number(word, COUNTS, &messages::UPPER)?,
            OptionKey::LThreshold => self.lower = value::number(word, COUNTS, &messages::LOWER)?,
            OptionKey::TunType => {
                let known = value::parsed(word).filter(|kind| !matches!(kind, TunnelKind::Other(_)));
                self.tunnel = Some(known.ok_or_else(|| messages::TUNNEL_TYPE.about(word))?);
            }
            OptionKey::TunPort => {
                self.tunnel_port = value::short(word, 1..=u16::MAX, &messages::TUNNEL_PORT)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Sets an option of a sync daemon.
    pub(super) fn set_of_daemon(&mut self, key: OptionKey, word: &[u8]) -> Result<()> {
        match key {
            OptionKey::McastInterface => {
                let name = value::cut(word, InterfaceName::MAX_BYTES);
                self.interface = InterfaceName::new(name).ok().filter(|_| !word.is_empty());
            }
            OptionKey::SyncId => self.sync_id = value::number(word, 0..=255, &messages::SYNC_ID)?,
            OptionKey::SyncMaxlen => self.max_length = value::short(word, 1..=65507, &messages::SYNC_LENGTH)?,
            OptionKey::McastGroup => self.group = Some(value::group(word)?),
            OptionKey::McastPort => self.port = value::short(word, 1..=u16::MAX, &messages::MCAST_PORT)?,
            OptionKey::McastTtl => {
                let ttl = value::short(word, 1..=255, &messages::MCAST_TTL)?;
                self.ttl = u8::try_from(ttl).map_err(|_| messages::MCAST_TTL.about(word))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Checks the options together, and makes the command.
    pub(crate) fn into_command(mut self, command: OptionKey, positional: &[&[u8]]) -> Result<Command> {
        let mut timeouts = Timeouts::default();
        let mut rest = positional;
        if command == OptionKey::Set {
            let [tcp, tcp_fin, udp, extra @ ..] = positional else {
                return Err(messages::value(messages::SET_NEEDS_THREE));
            };
            timeouts.tcp = value::timeout(tcp, 0)?;
            timeouts.tcp_fin = value::timeout(tcp_fin, 0)?;
            timeouts.udp = value::timeout(udp, 0)?;
            rest = extra;
        }
        if let Some(word) = rest.first() {
            return Err(parse::unexpected(word));
        }
        let scheduler = self.scheduler.map(|word| value::cut(word, Scheduler::MAX_BYTES));
        let scheduler = scheduler.filter(|name| !name.is_empty()).and_then(|name| Scheduler::new(name).ok());
        let scheduler = scheduler.unwrap_or(Scheduler::WLC);
        // With --keep, the current scheduler may apply, which is not known yet.
        let is_known = !self.has(OptionKey::Keep);
        let flags = is_known.then(|| value::scheduler_flags(self.flags, &scheduler)).transpose()?;
        self.given.sort_unstable();
        matrix::check(command, &self.given)?;
        self.refuse_several(command)?;

        match command {
            OptionKey::Save => Ok(Command::Save(Save {
                numeric: self.has(OptionKey::Numeric),
                full: self.has(OptionKey::Full),
                json: self.has(OptionKey::Json),
                file: self.file,
            })),
            OptionKey::Restore => Ok(Command::Restore(self.restore()?)),
            OptionKey::List => self.list().map(Command::List),
            OptionKey::Drain => Ok(Command::Drain(self.drain())),
            OptionKey::Undrain => Ok(Command::Undrain(self.which())),
            OptionKey::Check => match self.wanted.take() {
                Some(wanted) => self.only_wanted(wanted).map(Command::Ask),
                None => self.check().map(Command::Check),
            },
            OptionKey::Explain => self.explain().map(Command::Explain),
            OptionKey::Watch => Ok(Command::Watch(self.watch())),
            _ => {
                let dry = self.has(OptionKey::DryRun);
                let change = self.change(command, scheduler, flags.unwrap_or_default(), timeouts)?;
                let change_request = self.change_request(change);
                Ok(if dry { Command::Show(change_request) } else { Command::Change(change_request) })
            }
        }
    }

    /// The change that a command makes.
    fn change(
        &self,
        command: OptionKey,
        scheduler: Scheduler,
        flags: SchedulerFlags,
        timeouts: Timeouts,
    ) -> Result<Change> {
        Ok(match (command, self.service, self.server, self.state) {
            (OptionKey::AddService, Some(id), ..) => {
                Change::AddService(self.whole_service(id, scheduler, flags)?)
            }
            (OptionKey::EditService, Some(id), ..) => {
                Change::EditService(self.whole_service(id, scheduler, flags)?)
            }
            (OptionKey::DeleteService, Some(id), ..) => Change::DeleteService(id),
            (OptionKey::AddServer, Some(id), Some(server), _) => {
                Change::AddDestination { service: id, destination: self.destination(&id, server)? }
            }
            (OptionKey::EditServer, Some(id), Some(server), _) => {
                Change::EditDestination { service: id, destination: self.destination(&id, server)? }
            }
            (OptionKey::DeleteServer, Some(id), Some(server), _) => {
                Change::DeleteDestination { service: id, destination: server }
            }
            (OptionKey::Clear, ..) => Change::Flush,
            (OptionKey::Zero, id, ..) => Change::Zero(id.filter(|id| !is_all_zero(id))),
            (OptionKey::Set, ..) => Change::SetTimeouts(timeouts),
            (OptionKey::StartDaemon, _, _, Some(state)) => Change::StartDaemon(self.daemon(state)),
            (OptionKey::StopDaemon, _, _, Some(state)) => Change::StopDaemon { state, sync_id: self.sync_id },
            // The matrix excludes these.
            _ => return Err(messages::value(messages::INCOMPLETE)),
        })
    }

    fn change_request(self, change: Change) -> ChangeRequest {
        let keep = || Keep {
            netmask: self.netmask,
            flags: self.flags.to_vec(),
            tunnel: self.tunnel,
            tunnel_port: self.tunnel_port,
        };
        let keep = self.has(OptionKey::Keep).then(|| Box::new(keep()));
        ChangeRequest {
            change,
            given: self.given,
            port: self.server_port,
            surprises: self.surprises,
            keep,
            quiet: self.quiet,
        }
    }

    fn restore(self) -> Result<Restore> {
        let mode = match () {
            () if self.has(OptionKey::Replace) => RestoreMode::Replace,
            () if self.has(OptionKey::Diff) => RestoreMode::Diff,
            () if self.has(OptionKey::Apply) => RestoreMode::Apply,
            () => RestoreMode::Stream,
        };
        let only = match (self.has(OptionKey::Only), self.has(OptionKey::OnlyListed)) {
            (true, true) => return Err(messages::value(messages::ONLY_CONFLICT)),
            (true, false) if self.names_only => return Err(messages::value(messages::ONLY_WHAT)),
            (true, false) => Only::Named(self.only.clone()),
            (false, true) => Only::Listed,
            (false, false) => Only::All,
        };
        if only != Only::All && !matches!(mode, RestoreMode::Diff | RestoreMode::Apply) {
            return Err(messages::value(messages::ONLY_APPLIED));
        }
        let (dry, json) = (self.has(OptionKey::DryRun), self.has(OptionKey::Json));
        Ok(Restore { mode, only, dry, json, file: self.file })
    }

    fn whole_service(&self, id: ServiceId, scheduler: Scheduler, flags: SchedulerFlags) -> Result<Service> {
        let one_packet = self.has(OptionKey::Ops);
        if let ServiceId::Address { protocol, address, port } = id {
            if port == 0 && self.timeout.is_none() && !self.has(OptionKey::Keep) {
                return Err(messages::zero_port(address, self.surprises.first()));
            }
            if one_packet && protocol != Protocol::Udp {
                return Err(messages::value(messages::ONE_PACKET));
            }
        }
        let netmask = self.netmask.unwrap_or(Netmask::single(id.family()));
        Ok(Service {
            id,
            scheduler,
            scheduler_flags: flags,
            persistence: self.timeout.map(|timeout| Persistence { timeout, netmask }),
            engine: self.engine,
            one_packet,
        })
    }

    fn destination(&self, service: &ServiceId, mut id: DestinationId) -> Result<Destination> {
        if self.has(OptionKey::Keep) && matches!(self.method, None | Some(OptionKey::Ipip)) {
            // The tunnel is known only once its current state is.
            let port = if self.method.is_some() { routed_port(service, id.port) } else { id.port };
            let forwarding = if self.method.is_some() {
                ForwardingMethod::Tunnel(Tunnel::Ipip)
            } else {
                ForwardingMethod::DirectRouting
            };
            return Ok(self.destination_with(DestinationId { port, ..id }, forwarding));
        }
        if Family::from(id.address) != service.family() && self.method != Some(OptionKey::Ipip) {
            return Err(messages::value(messages::OTHER_FAMILY));
        }
        let forwarding = match self.method {
            Some(OptionKey::Masquerading) => ForwardingMethod::Masquerade,
            Some(OptionKey::Ipip) => ForwardingMethod::Tunnel(value::tunnel(
                self.tunnel.unwrap_or_default(),
                self.tunnel_port,
                &self.given,
            )?),
            _ => ForwardingMethod::DirectRouting,
        };
        let tunnel_options = OptionKey::TunType..=OptionKey::TunRemcsum;
        if self.method != Some(OptionKey::Ipip)
            && self.given.iter().any(|option| tunnel_options.contains(option))
        {
            return Err(messages::value(messages::TUNNEL_OPTIONS));
        }
        if forwarding != ForwardingMethod::Masquerade {
            id.port = routed_port(service, id.port);
        }
        Ok(self.destination_with(id, forwarding))
    }

    fn destination_with(&self, id: DestinationId, forwarding: ForwardingMethod) -> Destination {
        Destination {
            id,
            forwarding,
            weight: self.weight.unwrap_or(1),
            upper_threshold: self.upper,
            lower_threshold: self.lower,
        }
    }

    fn daemon(&self, state: DaemonState) -> SyncDaemon {
        SyncDaemon {
            state,
            interface: self.interface.or_else(|| "eth0".parse().ok()).unwrap_or_default(),
            sync_id: self.sync_id,
            max_length: self.max_length,
            group: self.group,
            port: self.port,
            ttl: self.ttl,
        }
    }
}

/// With direct routing and tunnels, the server's port is the service's.
fn routed_port(service: &ServiceId, port: u16) -> u16 {
    match service {
        ServiceId::Address { port, .. } => *port,
        ServiceId::Fwmark { .. } => port,
    }
}

/// The original treats such a service as none given.
fn is_all_zero(id: &ServiceId) -> bool {
    matches!(id, ServiceId::Address { address, port: 0, .. } if address.is_unspecified())
}

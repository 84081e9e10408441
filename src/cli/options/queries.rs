//! The commands that are not changes.

use ipvs::Family;

use crate::cli::endpoint::endpoint;
use crate::cli::matrix;
use crate::cli::value;
use crate::command::{
    Check, ConnectionFilter, Connections, Drain, Explain, Fix, Format, List, ListTarget, Method, RealServer,
    Summary, View, Wanted, Watch, Which,
};
use crate::messages::{self, Result};
use crate::option_table::OptionKey;
use crate::resolver::Resolver;

use super::{COUNTS, Options};

/// The forwarding method of an option.
fn method(option: OptionKey) -> Method {
    match option {
        OptionKey::Masquerading => Method::Masquerade,
        OptionKey::Ipip => Method::Tunnel,
        _ => Method::DirectRouting,
    }
}

impl Options<'_> {
    /// Sets an option that only these commands have.
    pub(super) fn set_of_query(
        &mut self,
        key: OptionKey,
        word: &[u8],
        resolver: &mut Resolver,
    ) -> Result<()> {
        match key {
            OptionKey::Director => {
                let address = endpoint(word, None, resolver).map(|(address, _)| address);
                self.director = Some(address.map_err(|_| messages::DIRECTOR.about(word))?);
                self.note_several("director", word, resolver);
            }
            OptionKey::NobodyHas => self.wanted = Some(value::wanted(word)?),
            OptionKey::Port => self.served = Some(value::served(word)?),
            OptionKey::Client => self.client = Some(value::network(word)?),
            OptionKey::State => self.connection_state = Some(value::connection_state(word)?),
            OptionKey::Summary => self.summary = Some(value::summary_key(word)?),
            OptionKey::Top => self.top = Some(value::number(word, 1..=u32::MAX, &messages::TOP)?),
            OptionKey::Count => self.count = Some(value::number(word, 1..=u32::MAX, &messages::FRAMES)?),
            OptionKey::Without => {
                let server =
                    endpoint(word, None, resolver).map_err(|wrong| messages::SERVER.endpoint(word, wrong))?;
                self.without = Some(server);
                self.note_several("server", word, resolver);
            }
            OptionKey::Wait => self.wait = Some(value::number(word, COUNTS, &messages::WAIT)?),
            _ => {}
        }
        Ok(())
    }

    /// The address that others are asked for, which is all that such a check does.
    pub(super) fn only_wanted(&self, wanted: Wanted) -> Result<Wanted> {
        match self.given.iter().find(|option| **option != OptionKey::NobodyHas) {
            Some(option) => Err(messages::nothing_beside_wanted(*option)),
            None => Ok(wanted),
        }
    }

    pub(super) fn check(self) -> Result<Check> {
        let method = self.method.map_or(Method::DirectRouting, method);
        let role = self.server.map(|id| RealServer {
            vip: id.address,
            method,
            director: self.director,
            port: self.served.map(|(port, _)| port).or(Some(id.port)).filter(|port| *port != 0),
            protocol: self.served.and_then(|(_, protocol)| protocol),
            tunnel: self.tunnel.map(|kind| (kind, self.tunnel_port)),
        });
        match role {
            Some(RealServer { vip, method: Method::DirectRouting | Method::Tunnel, .. })
                if self.director == Some(vip) =>
            {
                return Err(messages::DIRECTOR.about(vip.to_string().as_bytes()));
            }
            _ => {}
        }
        let of_a_server = [
            OptionKey::ForwardingMethod,
            OptionKey::TunType,
            OptionKey::TunPort,
            OptionKey::Director,
            OptionKey::Port,
        ];
        let stray = match role {
            Some(_) => [OptionKey::File, OptionKey::Probe].into_iter().find(|option| self.has(*option)),
            None => of_a_server.into_iter().find(|option| self.has(*option)),
        };
        if role.is_some() && (self.has(OptionKey::TunType) || self.has(OptionKey::TunPort)) {
            if method != Method::Tunnel {
                return Err(messages::value(messages::CHECK_TUNNEL_OF_OTHER));
            }
            matrix::check_tunnel(self.tunnel.unwrap_or_default(), &self.given)?;
        }
        let wants_fix = self.has(OptionKey::Fix);
        if wants_fix && self.has(OptionKey::Json) {
            return Err(messages::value(messages::FIX_AS_JSON));
        }
        let of_fix = [OptionKey::Yes, OptionKey::Persist].into_iter().find(|option| self.has(*option));
        if let Some(option) = of_fix.filter(|_| !wants_fix) {
            return Err(messages::about_fixes(option));
        }
        let fix =
            wants_fix.then(|| Fix { yes: self.has(OptionKey::Yes), persist: self.has(OptionKey::Persist) });
        match stray {
            Some(OptionKey::File) => Err(messages::value(messages::CHECK_SAVED_OF_SERVER)),
            Some(OptionKey::Probe) => Err(messages::value(messages::CHECK_PROBE_OF_SERVER)),
            Some(option) => Err(messages::about_a_real_server(option)),
            None => Ok(Check {
                role,
                json: self.has(OptionKey::Json),
                probe: self.has(OptionKey::Probe),
                file: self.file,
                fix,
            }),
        }
    }

    /// `--explain`; its client and its service are there, as the matrix says.
    pub(super) fn explain(self) -> Result<Explain> {
        let incomplete = || messages::value(messages::INCOMPLETE);
        let (client, client_port) = self.way_of.ok_or_else(incomplete)?;
        let service = self.service.ok_or_else(incomplete)?;
        if Family::from(client) != service.family() {
            return Err(messages::other_family(client, &service));
        }
        if self.has(OptionKey::Weight) && self.without.is_none() {
            return Err(messages::value(messages::WEIGHT_OF_WHICH));
        }
        if self.has(OptionKey::TunType) || self.has(OptionKey::TunPort) {
            if self.method != Some(OptionKey::Ipip) {
                return Err(messages::value(messages::CHECK_TUNNEL_OF_OTHER));
            }
            matrix::check_tunnel(self.tunnel.unwrap_or_default(), &self.given)?;
        }
        let of_a_server =
            [OptionKey::ForwardingMethod, OptionKey::TunType, OptionKey::TunPort, OptionKey::Director];
        let stray = of_a_server.into_iter().find(|option| self.has(*option) && self.server.is_none());
        if let Some(option) = stray {
            return Err(messages::about_a_server_of_a_way(option));
        }
        Ok(Explain {
            client,
            client_port,
            service,
            server: self.server.map(|server| (server.address, self.server_port)),
            method: self.method.map(method),
            tunnel: self.tunnel.map(|kind| (kind, self.tunnel_port)),
            director: self.director,
            without: self.without,
            weight: self.weight,
            json: self.has(OptionKey::Json),
        })
    }

    pub(super) fn drain(self) -> Drain {
        Drain {
            which: self.which(),
            wait: self.wait,
            ignore_inactive: self.has(OptionKey::IgnoreInactive),
            force: self.has(OptionKey::Force),
            quiet: self.quiet,
        }
    }

    /// Without a port, a server is meant whatever its port is.
    pub(super) fn which(&self) -> Which {
        let address = self.server.map(|server| server.address);
        Which { service: self.service, address, port: self.server_port }
    }

    /// Refuses a name of several addresses where one of them is not all that is meant. The original's commands take the first.
    pub(super) fn refuse_several(&self, command: OptionKey) -> Result<()> {
        use OptionKey::{Check, Connection, Drain, Explain, List, Only, Undrain, Watch};
        let is_own = matches!(command, Drain | Undrain | Check | Explain | Watch)
            || command == List && self.has(Connection)
            || self.has(Only);
        match &self.several {
            Some((what, addresses)) if is_own => Err(messages::several_addresses(what, addresses)),
            _ => Ok(()),
        }
    }

    pub(super) fn watch(self) -> Watch {
        Watch { service: self.service, interval: self.interval.unwrap_or(Watch::INTERVAL), count: self.count }
    }

    pub(super) fn list(self) -> Result<List> {
        use OptionKey::{Connection, Daemon, PersistentConn, Rate, Stats, Thresholds, Timeout, TunInfo};
        let any = |options: &[OptionKey]| options.iter().any(|option| self.has(*option));
        if !self.has(Connection) {
            let of_connections = [OptionKey::Client, OptionKey::State, OptionKey::Summary, OptionKey::Top];
            if let Some(option) = of_connections.into_iter().find(|option| self.has(*option)) {
                return Err(messages::about_connections(option));
            }
        } else if self.summary.is_none() && self.top.is_some() {
            return Err(messages::value(messages::TOP_WITHOUT_SUMMARY));
        }
        if any(&[Connection, Timeout, Daemon]) && any(&[Stats, Rate, Thresholds])
            || (any(&[Timeout, Daemon]) || self.summary.is_some()) && self.has(PersistentConn)
        {
            return Err(messages::value(messages::LIST_CONFLICT));
        }
        let format = match (self.has(OptionKey::Json), self.has(OptionKey::Prometheus)) {
            (true, true) => return Err(messages::value(messages::LIST_CONFLICT)),
            (false, true) if any(&[Connection, Timeout, Daemon]) => {
                return Err(messages::value(messages::LIST_CONFLICT));
            }
            (true, false) => Format::Json,
            (false, true) => Format::Prometheus,
            (false, false) => Format::Text,
        };
        if format != Format::Prometheus && self.has(OptionKey::File) {
            return Err(messages::value(messages::LIST_TO_FILE));
        }
        let what = match self.service {
            _ if self.has(Connection) => ListTarget::Connections(self.connections()),
            Some(id) => ListTarget::Service(id),
            None if self.has(Timeout) => ListTarget::Timeouts,
            None if self.has(Daemon) => ListTarget::Daemons,
            None => ListTarget::Table,
        };
        let views = [
            (Stats, View::Stats),
            (Rate, View::Rate),
            (Thresholds, View::Thresholds),
            (PersistentConn, View::PersistentConn),
            (TunInfo, View::TunInfo),
        ];
        let view = views.iter().find(|(option, _)| self.has(*option)).map_or(View::Plain, |(_, view)| *view);
        Ok(List {
            what,
            view,
            format,
            numeric: self.has(OptionKey::Numeric),
            exact: self.has(OptionKey::Exact),
            sorted: !self.has(OptionKey::NoSort),
            file: self.file,
        })
    }

    fn connections(&self) -> Connections {
        // A port left out, and 0, stand for all ports.
        let port = self.server_port.filter(|port| *port != 0);
        Connections {
            filter: ConnectionFilter {
                service: self.service,
                server: self.server.map(|server| (server.address, port)),
                client: self.client,
                state: self.connection_state,
            },
            with_engine: self.has(OptionKey::PersistentConn),
            summary: self.summary.map(|key| Summary { key, top: self.top }),
        }
    }
}

//! The commands that change nothing.

use crate::command::{Check, Format, List, ListTarget, Method, RealServer, View};
use crate::messages::{self, Result};
use crate::option_table::OptionKey;

use super::Options;

impl Options<'_> {
    pub(super) fn check(self) -> Result<Check> {
        let method = match self.method {
            Some(OptionKey::Masquerading) => Method::Masquerade,
            Some(OptionKey::Ipip) => Method::Tunnel,
            _ => Method::DirectRouting,
        };
        let role = self.server.map(|id| RealServer {
            vip: id.address,
            method,
            director: self.director,
            port: self.served.or(Some(id.port)).filter(|port| *port != 0),
        });
        match role {
            Some(RealServer { vip, method: Method::DirectRouting | Method::Tunnel, .. })
                if self.director == Some(vip) =>
            {
                return Err(messages::DIRECTOR.about(vip.to_string().as_bytes()));
            }
            _ => {}
        }
        let of_a_server = [OptionKey::ForwardingMethod, OptionKey::Director, OptionKey::Port];
        let stray = match role {
            Some(_) => Some(OptionKey::File).filter(|option| self.has(*option)),
            None => of_a_server.into_iter().find(|option| self.has(*option)),
        };
        match stray {
            Some(OptionKey::File) => Err(messages::value(messages::CHECK_SAVED_OF_SERVER)),
            Some(option) => Err(messages::about_a_real_server(option)),
            None => Ok(Check { role, json: self.has(OptionKey::Json), file: self.file }),
        }
    }

    pub(super) fn list(self) -> Result<List> {
        use OptionKey::{Connection, Daemon, PersistentConn, Rate, Stats, Thresholds, Timeout, TunInfo};
        let any = |options: &[OptionKey]| options.iter().any(|option| self.has(*option));
        if any(&[Connection, Timeout, Daemon]) && any(&[Stats, Rate, Thresholds])
            || any(&[Timeout, Daemon]) && self.has(PersistentConn)
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
            Some(id) => ListTarget::Service(id),
            None if self.has(Connection) => ListTarget::Connections { with_engine: self.has(PersistentConn) },
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
}

//! One real server of a service: the kernel answers no such question, so its list is read as far as the server.

use std::ops::ControlFlow;

use super::{Client, naming, nests};
use crate::destination::{DestinationEntry, DestinationId};
use crate::error::{Operation, Result};
use crate::netlink::uapi::IPVS_CMD_ATTR_DEST;
use crate::service_id::ServiceId;

impl Client {
    /// One real server of a service; none if it, or the service, is not there.
    ///
    /// The list is read as far as the server, the newest first: in a service of 20,000 servers that is half of it at an average.
    pub fn destination(
        &mut self,
        service: &ServiceId,
        server: &DestinationId,
    ) -> Result<Option<DestinationEntry>> {
        let (found, is_whole) = self.find_destination(service, server, usize::MAX)?;
        if found.is_some() || is_whole {
            return Ok(found);
        }
        // It may have been passed over while others came and went.
        let servers = self.destinations_or_none(service)?;
        Ok(servers.into_iter().find(|entry| entry.destination.id == *server))
    }

    /// One of the `most` newest real servers of a service, by a part of a dump: none if it is not among them, or was passed over
    /// while others came and went.
    pub fn recent_destination(
        &mut self,
        service: &ServiceId,
        server: &DestinationId,
        most: usize,
    ) -> Result<Option<DestinationEntry>> {
        self.find_destination(service, server, most).map(|(found, _)| found)
    }

    fn find_destination(
        &mut self,
        service: &ServiceId,
        server: &DestinationId,
        most: usize,
    ) -> Result<(Option<DestinationEntry>, bool)> {
        let (mut found, mut seen) = (None, 0);
        let is_whole = self.socket.dump_some(Operation::GetDestinations, naming(service), |_, top| {
            for nest in nests(top, IPVS_CMD_ATTR_DEST) {
                let entry = DestinationEntry::read(nest?, service.family())?;
                seen += 1;
                found = found.or((entry.destination.id == *server).then_some(entry));
            }
            Ok(if found.is_some() || seen >= most {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        Ok((found, is_whole))
    }
}

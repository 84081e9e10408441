//! All services of a table that others may change meanwhile.

use std::collections::HashSet;

use super::Client;
use crate::error::Result;
use crate::service::ServiceEntry;
use crate::service_id::ServiceId;
use crate::stable::dump_until_stable;

impl Client {
    /// As [`Client::services`], for those who do not keep all of each.
    pub(crate) fn services_as<T>(
        &mut self,
        kept: impl Fn(ServiceEntry) -> T,
        id: impl Fn(&T) -> ServiceId,
    ) -> Result<Vec<T>> {
        let mut services: Vec<T> = Vec::new();
        if self.dump_services(&mut |entry| services.push(kept(entry)))? {
            return Ok(services);
        }
        // Nearly always the second answer is like the first, and nothing more need be kept.
        let (mut at, mut is_alike) = (0, true);
        self.dump_services(&mut |entry| {
            is_alike &= services.get(at).is_some_and(|first| id(first) == entry.service.id);
            at += 1;
        })?;
        if is_alike && at == services.len() {
            return Ok(services);
        }
        let mut known = HashSet::new();
        services.retain(|service| known.insert(id(service)));
        let seen = dump_until_stable(
            Vec::new(),
            known,
            |entry: &ServiceEntry| entry.service.id,
            |take| self.dump_services(take),
            |entry| services.push(kept(entry)),
        )?;
        self.drop_gone(&mut services, &seen.into_iter().collect(), id)?;
        Ok(services)
    }

    /// Drops those services that were not in the last dump because they are gone, rather than skipped.
    fn drop_gone<T>(
        &mut self,
        services: &mut Vec<T>,
        seen: &HashSet<ServiceId>,
        id: impl Fn(&T) -> ServiceId,
    ) -> Result<()> {
        let mut gone = HashSet::new();
        for id in services.iter().map(&id).filter(|id| !seen.contains(id)) {
            match self.service(&id) {
                Err(error) if error.is_not_found() => drop(gone.insert(id)),
                answer => drop(answer?),
            }
        }
        services.retain(|service| !gone.contains(&id(service)));
        Ok(())
    }
}

//! `--keep`: options left out keep their current values.

use ipvs::{Change, Destination, Error, ForwardingMethod, Netmask, Persistence, Service, Tunnel};

use crate::change::current::Current;
use crate::cli::value;
use crate::command::{ChangeRequest, Keep};
use crate::messages::{self, Failure, Result};
use crate::option_table::OptionKey;

/// The requested change, completed with the current values; refused as by the kernel, in the words of `refused`, if its
/// object does not exist.
pub(crate) fn complete(
    request: &ChangeRequest,
    current: &Current,
    refused: fn(&Error, &Change) -> Failure,
) -> Result<Change> {
    let Some(keep) = &request.keep else { return Ok(request.change) };
    Ok(match (request.change, current) {
        (Change::EditService(new), Current { service: Some(old), .. }) => {
            Change::EditService(service(request, keep, new, *old)?)
        }
        (Change::EditDestination { service: id, destination: new }, Current { server: Some(old), .. }) => {
            Change::EditDestination { service: id, destination: server(request, keep, new, *old)? }
        }
        (Change::EditDestination { .. }, Current { service: Some(_), .. }) => {
            return Err(refused(&missing(request, libc::ENOENT), &request.change));
        }
        _ => return Err(refused(&missing(request, libc::ESRCH), &request.change)),
    })
}

fn missing(request: &ChangeRequest, errno: i32) -> Error {
    Error::Kernel { operation: request.change.operation(), errno }
}

fn service(request: &ChangeRequest, keep: &Keep, new: Service, old: Service) -> Result<Service> {
    let scheduler = if request.has(OptionKey::Scheduler) { new.scheduler } else { old.scheduler };
    let timeout = new.persistence.or(old.persistence).map(|persistence| persistence.timeout);
    let netmask = keep.netmask.or(old.persistence.map(|persistence| persistence.netmask));
    let netmask = netmask.unwrap_or(Netmask::single(old.id.family()));
    if timeout.is_none() && keep.netmask.is_some() {
        return Err(messages::NETMASK_ALONE.about(netmask.to_string().as_bytes()));
    }
    Ok(Service {
        id: old.id,
        scheduler,
        scheduler_flags: if request.has(OptionKey::SchedFlags) {
            value::scheduler_flags(&keep.flags, &scheduler)?
        } else {
            old.scheduler_flags
        },
        persistence: timeout.map(|timeout| Persistence { timeout, netmask }),
        engine: new.engine.or(old.engine),
        one_packet: new.one_packet || old.one_packet,
    })
}

fn server(request: &ChangeRequest, keep: &Keep, new: Destination, old: Destination) -> Result<Destination> {
    let pick = |option, new, old| if request.has(option) { new } else { old };
    Ok(Destination {
        id: old.id,
        forwarding: forwarding(request, keep, new.forwarding, old.forwarding)?,
        weight: pick(OptionKey::Weight, new.weight, old.weight),
        upper_threshold: pick(OptionKey::UThreshold, new.upper_threshold, old.upper_threshold),
        lower_threshold: pick(OptionKey::LThreshold, new.lower_threshold, old.lower_threshold),
    })
}

fn forwarding(
    request: &ChangeRequest,
    keep: &Keep,
    new: ForwardingMethod,
    old: ForwardingMethod,
) -> Result<ForwardingMethod> {
    let desired = if request.has(OptionKey::ForwardingMethod) { new } else { old };
    let tunnel_options = OptionKey::TunType..=OptionKey::TunRemcsum;
    let any_option = request.given.iter().any(|option| tunnel_options.contains(option));
    let old = if let ForwardingMethod::Tunnel(old) = old { Some(old) } else { None };
    match (desired, old) {
        (ForwardingMethod::Tunnel(_), Some(old)) if !any_option => Ok(ForwardingMethod::Tunnel(old)),
        (ForwardingMethod::Tunnel(_), old) => {
            tunnel(request, keep, old.unwrap_or_default()).map(ForwardingMethod::Tunnel)
        }
        _ if any_option => Err(messages::value(messages::TUNNEL_OPTIONS)),
        (other, _) => Ok(other),
    }
}

/// A tunnel of the same type keeps its port and checksum; one of another type has only the options given.
fn tunnel(request: &ChangeRequest, keep: &Keep, old: Tunnel) -> Result<Tunnel> {
    // No option stands for a kind without a name.
    let old = if matches!(old, Tunnel::Other { .. }) { Tunnel::Ipip } else { old };
    if let Some(kind) = keep.tunnel.filter(|kind| *kind != old.kind()) {
        return value::tunnel(kind, keep.tunnel_port, &request.given);
    }
    let mut given = request.given.clone();
    let mut port = keep.tunnel_port;
    if let Some(old_port) = old.port().filter(|_| !request.has(OptionKey::TunPort)) {
        given.push(OptionKey::TunPort);
        port = old_port;
    }
    let keeps_checksum = ![OptionKey::TunNocsum, OptionKey::TunCsum, OptionKey::TunRemcsum]
        .iter()
        .any(|option| request.has(*option));
    let tunnel = value::tunnel(old.kind(), port, &given)?;
    let kept = old.checksum().filter(|_| keeps_checksum);
    Ok(kept.map_or(tunnel, |checksum| tunnel.with_checksum(checksum)))
}

//! Warnings about a change that was carried out but may be a mistake.

use ipvs::{
    Change, Checksum, Destination, ForwardingMethod, Netmask, Persistence, Scheduler, Service, ServiceId,
    Tunnel, TunnelKind,
};

use crate::change::current::{Current, weight_depends_on_scheduler};
use crate::cli::value::scheduler_flags_text;
use crate::command::ChangeRequest;
use crate::format::{self, method_option};
use crate::messages::{self, Surprise, warning};
use crate::option_table::OptionKey;
use crate::supervisors;

/// Schedulers that ignore every weight except 0, and those to use instead.
const WEIGHTLESS: [(&str, &str); 3] = [("rr", "wrr"), ("lc", "wlc"), ("dh", "wrr")];

/// The scheduler to use instead if weights are to have an effect; none if they have.
pub(crate) fn weighted_alternative(scheduler: Scheduler) -> Option<Scheduler> {
    WEIGHTLESS.iter().find(|(name, _)| scheduler == **name)?.1.parse().ok()
}

/// Whether warnings are enabled.
pub(crate) fn enabled(request: &ChangeRequest) -> bool {
    are_shown(request.quiet)
}

/// Whether warnings are shown, with or without `--quiet`.
pub(crate) fn are_shown(quiet: bool) -> bool {
    !quiet && !messages::is_quiet()
}

/// The warnings about `change`, which was applied to the state `current`.
pub(crate) fn about(request: &ChangeRequest, change: &Change, current: &Current) -> Vec<String> {
    let surprising = |(word, surprise): &(Vec<u8>, Surprise)| messages::surprising(word, *surprise);
    let words: Vec<String> = request.surprises.iter().map(surprising).collect();
    words.into_iter().chain(about_change(request, change, current)).collect()
}

fn about_change(request: &ChangeRequest, change: &Change, current: &Current) -> Vec<String> {
    match change {
        Change::EditService(new) => {
            let reset = current.service.map_or(Vec::new(), |old| service_reset(request, &old, new));
            warning::reset("-E", &reset).into_iter().collect()
        }
        Change::AddDestination { service: id, destination: new } => {
            port(request, id, new).into_iter().chain(weight(request, new, current)).collect()
        }
        Change::EditDestination { service: id, destination: new } => {
            let mut warnings: Vec<String> = port(request, id, new).into_iter().collect();
            if let Some(old) = current.server {
                let (old_method, new_method) = (method_option(old.forwarding), method_option(new.forwarding));
                if old_method != new_method && request.has(OptionKey::ForwardingMethod) {
                    warnings.push(warning::method(old_method, new_method));
                }
                warnings.extend(warning::reset("-e", &server_reset(request, &old, new)));
            }
            warnings.extend(weight(request, new, current));
            warnings
        }
        Change::Flush | Change::DeleteService(_) => {
            supervisors::makes_once().map(warning::made_once).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// A port that was given, but has no effect.
fn port(request: &ChangeRequest, id: &ServiceId, new: &Destination) -> Option<String> {
    let typed = request.port?;
    let is_kept = request.keep.is_some() && !request.has(OptionKey::ForwardingMethod);
    if new.forwarding == ForwardingMethod::Masquerade || is_kept {
        return None;
    }
    match id {
        ServiceId::Address { .. } if new.id.port == typed => None,
        ServiceId::Address { .. } => Some(warning::port(typed, method_option(new.forwarding), &new.id)),
        ServiceId::Fwmark { .. } if typed == 0 => None,
        ServiceId::Fwmark { .. } => Some(warning::marked_port(typed, method_option(new.forwarding))),
    }
}

/// A weight that the service's scheduler ignores.
fn weight(request: &ChangeRequest, new: &Destination, current: &Current) -> Option<String> {
    let service = current.service.filter(|_| weight_depends_on_scheduler(request, new))?;
    let edit =
        Change::EditService(Service { scheduler: weighted_alternative(service.scheduler)?, ..service });
    Some(warning::weight(new.weight, &service.scheduler, &format::command_line(&edit)))
}

/// The options that a service lost because they were left out, and their new values.
fn service_reset(request: &ChangeRequest, old: &Service, new: &Service) -> Vec<(String, String)> {
    let Service { id, scheduler, scheduler_flags: flags, persistence, engine, one_packet } = *old;
    let mut reset = Vec::new();
    let none = || "none".to_owned();
    if !request.has(OptionKey::Scheduler) && scheduler != new.scheduler {
        reset.push((format!("-s {scheduler}"), new.scheduler.to_string()));
    }
    if let Some(Persistence { timeout, netmask }) = persistence {
        let masks = netmask != Netmask::single(id.family());
        if new.persistence.is_none() {
            reset.push((format!("-p {timeout}"), none()));
        }
        if masks
            && new.persistence.is_none_or(|new| new.netmask != netmask)
            && !request.has(OptionKey::Netmask)
        {
            reset.push((format!("-M {netmask}"), none()));
        }
    }
    if let Some(engine) = engine.filter(|_| new.engine.is_none()) {
        reset.push((format!("--pe {engine}"), none()));
    }
    if one_packet && !new.one_packet {
        reset.push(("-o".to_owned(), none()));
    }
    // Flags have another meaning, or none, for another scheduler.
    if !request.has(OptionKey::SchedFlags)
        && !new.scheduler_flags.contains(flags)
        && scheduler == new.scheduler
    {
        reset.push((format!("-b {}", scheduler_flags_text(flags, &scheduler)), none()));
    }
    reset
}

/// The same for a real server.
fn server_reset(request: &ChangeRequest, old: &Destination, new: &Destination) -> Vec<(String, String)> {
    let Destination { id: _, forwarding, weight, upper_threshold, lower_threshold } = *old;
    let mut reset = Vec::new();
    match (forwarding, new.forwarding) {
        (ForwardingMethod::Tunnel(old), ForwardingMethod::Tunnel(new)) => {
            tunnel_reset(request, old, new, &mut reset);
        }
        (old, new)
            if method_option(old) != method_option(new) && !request.has(OptionKey::ForwardingMethod) =>
        {
            reset.push((method_option(old).to_owned(), method_option(new).to_owned()));
        }
        _ => {}
    }
    for (key, option, old, new) in [
        (OptionKey::Weight, "-w", weight, new.weight),
        (OptionKey::UThreshold, "-x", upper_threshold, new.upper_threshold),
        (OptionKey::LThreshold, "-y", lower_threshold, new.lower_threshold),
    ] {
        if old != new && !request.has(key) {
            reset.push((format!("{option} {old}"), new.to_string()));
        }
    }
    reset
}

/// The same for a tunnel that remains a tunnel.
fn tunnel_reset(request: &ChangeRequest, old: Tunnel, new: Tunnel, reset: &mut Vec<(String, String)>) {
    let (old_type, old_checksum) = parts(old);
    let (new_type, new_checksum) = parts(new);
    if old_type != new_type && !request.has(OptionKey::TunType) {
        reset.push((format!("--tun-type {old_type}"), new_type.to_string()));
    }
    let is_off = old_type == new_type && old_checksum != new_checksum && new_checksum == Checksum::Off;
    if is_off && !request.has(OptionKey::TunNocsum) {
        reset.push((format::checksum_option(old_checksum).trim_start().to_owned(), "none".to_owned()));
    }
}

/// The kind and the checksum, as options can name them.
fn parts(tunnel: Tunnel) -> (TunnelKind, Checksum) {
    match tunnel {
        Tunnel::Other { .. } => parts(Tunnel::Ipip),
        tunnel => (tunnel.kind(), tunnel.checksum().unwrap_or_default()),
    }
}

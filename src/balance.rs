//! Services that their scheduler cannot balance as it seems, for the warnings of a change and for `check/`. How the kernel
//! chooses: `docs/schedulers.md`.

use ipvs::{Destination, ForwardingMethod, Protocol, Scheduler, Service, ServiceId};

/// The places of the table of `sh`, in every kernel of a distribution (`CONFIG_IP_VS_SH_TAB_BITS=8`).
const PLACES: u64 = 256;
/// With so many places wanted, the shares are near the weights.
const ROOMY: u64 = PLACES / 2;
/// What weights that are too large are brought down to, together.
const TOGETHER: u64 = PLACES / 4;

/// Why all of a service goes to one server, and the scheduler that spreads it.
pub(crate) fn unbalanced(service: &Service) -> Option<(String, Scheduler)> {
    let name = service.scheduler.to_string();
    let protocol = match service.id {
        ServiceId::Address { protocol, .. } => Some(protocol),
        ServiceId::Fwmark { .. } => None,
    };
    let is_udp = protocol == Some(Protocol::Udp);
    let (why, instead) = match name.as_str() {
        "lc" | "wlc" | "sed" | "nq" | "ovf" if is_one_packet(service) && service.persistence.is_none() => (
            "counts connections, and with -o there are none: every packet goes to one server",
            if name == "lc" { "rr" } else { "wrr" },
        ),
        "sed" | "nq" | "ovf" if is_udp && !service.one_packet => {
            ("counts active connections, and those of UDP never are: every client goes to one server", "wlc")
        }
        "dh" if protocol.is_some() => (
            "chooses by the destination, and the service has one address: every client goes to one server",
            "wrr",
        ),
        _ => return None,
    };
    Some((format!("scheduler {name} {why}"), instead.parse().ok()?))
}

/// Whether packets of the service are scheduled one by one: the flag acts on UDP alone.
fn is_one_packet(service: &Service) -> bool {
    service.one_packet
        && match service.id {
            ServiceId::Address { protocol, .. } => protocol == Protocol::Udp,
            ServiceId::Fwmark { .. } => true,
        }
}

/// Whether the answers of a server reach clients with its own address: the kernel remembers nothing of a one-packet service
/// by which it could translate them. A persistence engine does remember.
pub(crate) fn answers_untranslated(service: &Service, server: &Destination) -> bool {
    is_one_packet(service)
        && service.engine.is_none()
        && service.persistence.is_none()
        && server.forwarding == ForwardingMethod::Masquerade
}

/// Smaller weights that give the servers of an `sh` service the same shares, or the shares that were meant: none if there is no
/// need. Servers of weight 0 stay as they are.
pub(crate) fn smaller_weights(scheduler: &Scheduler, weights: &[u32]) -> Option<Vec<u32>> {
    if *scheduler != *"sh" || weights.iter().filter(|weight| **weight > 0).count() < 2 {
        return None;
    }
    let mut smaller = divided(weights);
    let wanted = places(&smaller);
    if wanted > ROOMY {
        let scale = |weight: &u32| match u64::from(*weight) {
            0 => 0,
            weight => u32::try_from((weight * TOGETHER + wanted / 2) / wanted).unwrap_or(u32::MAX).max(1),
        };
        smaller = divided(&smaller.iter().map(scale).collect::<Vec<_>>());
    }
    (smaller != weights).then_some(smaller)
}

/// Why smaller weights are better.
pub(crate) fn too_large(weights: &[u32]) -> String {
    let list: Vec<String> = weights.iter().map(u32::to_string).collect();
    let list = list.join(", ");
    match places(weights) {
        wanted if wanted > ROOMY => format!(
            "the weights {list} take {wanted} places, and the table of scheduler sh has {PLACES}: servers get another share than \
             their weights, or nothing"
        ),
        _ => format!(
            "the weights {list} have a common divisor, and scheduler sh does not divide: a server that is drained moves clients \
             of the others"
        ),
    }
}

/// The places that weights take: a server of weight 0 has one, too.
fn places(weights: &[u32]) -> u64 {
    weights.iter().map(|weight| u64::from(*weight).max(1)).sum()
}

fn divided(weights: &[u32]) -> Vec<u32> {
    let divisor = weights.iter().copied().fold(0, greatest_common_divisor).max(1);
    weights.iter().map(|weight| weight / divisor).collect()
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_made_small_enough_for_the_table_of_sh() {
        let sh: Scheduler = "sh".parse().unwrap();
        for (weights, smaller) in [
            (&[300, 200, 100][..], Some(vec![3, 2, 1])),
            (&[100, 100, 100], Some(vec![1, 1, 1])),
            (&[10, 0, 20], Some(vec![1, 0, 2])),
            (&[0, 7, 7], Some(vec![0, 1, 1])),
            // No common divisor, and too large: nearly the same.
            (&[101, 99], Some(vec![1, 1])),
            (&[255, 1, 1], Some(vec![64, 1, 1])),
            (&[u32::MAX, 1], Some(vec![64, 1])),
            // Small already; one server that is used, or none.
            (&[3, 2, 1], None),
            (&[64, 63], None),
            (&[100, 0], None),
            (&[100], None),
            (&[0, 0], None),
            (&[], None),
        ] {
            assert_eq!(smaller_weights(&sh, weights), smaller, "{weights:?}");
            // What is advised needs no advice.
            if let Some(smaller) = smaller {
                assert_eq!(smaller_weights(&sh, &smaller), None, "{weights:?}");
                assert!(places(&smaller) <= ROOMY);
            }
        }
        assert_eq!(smaller_weights(&"mh".parse().unwrap(), &[300, 200]), None);
    }

    #[test]
    fn more_servers_than_half_a_table_are_left_alone() {
        let sh: Scheduler = "sh".parse().unwrap();
        assert_eq!(smaller_weights(&sh, &[1; 300]), None);
        assert_eq!(smaller_weights(&sh, &[5; 300]), Some(vec![1; 300]));
    }
}

//! A note of a drained server, and how long it lives: exactly as long as the state that it is about.

use std::fmt;

use ipvs::{Change, Destination, ServiceId};
use serde::{Deserialize, Serialize};

/// A server that a drain takes out of service, or has taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    pub(crate) service: ServiceId,
    /// As it is to come back.
    pub(crate) server: Destination,
    pub(crate) state: State,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It has weight 0.
    Waiting,
    /// It is being deleted: it has weight 0, or is gone.
    Deleting,
    /// It is gone.
    Deleted,
    /// It was brought back by another command than `--undrain`, which says so.
    Back,
}

/// What the table says of a noted server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Now {
    /// Its service is not there: the table may be about to be filled.
    NoService,
    Gone,
    Weight(u32),
}

impl Note {
    /// The note that remains, by what the table says now; none if the server was brought back and taken out again, or taken out
    /// by another hand.
    pub(crate) fn by_table(self, now: Now) -> Option<Self> {
        let state = match (self.state, now) {
            (state, Now::NoService) => state,
            (_, Now::Weight(1..)) => State::Back,
            (State::Back, _) | (State::Waiting, Now::Gone) | (State::Deleted, Now::Weight(0)) => return None,
            (state, Now::Gone | Now::Weight(0)) => state,
        };
        Some(Self { state, ..self })
    }

    /// The note that remains when this tool has made the server with a weight: with 0 it is still out of service.
    pub(crate) fn made(self, weight: u32) -> Option<Self> {
        match (self.state, weight) {
            (State::Deleted | State::Deleting, 0) => Some(Self { state: State::Waiting, ..self }),
            _ => self.by_table(Now::Weight(weight)),
        }
    }

    /// The note that remains after a change, which another command than `--drain` or `--undrain` has made.
    pub(crate) fn after(self, change: &Change) -> Option<Self> {
        match change {
            Change::AddDestination { service, destination }
                if (service, destination.id) == (&self.service, self.server.id) =>
            {
                self.made(destination.weight)
            }
            Change::EditDestination { service, destination }
                if (service, destination.id) == (&self.service, self.server.id) =>
            {
                self.by_table(Now::Weight(destination.weight))
            }
            // Out for good.
            Change::DeleteDestination { service, destination }
                if (service, *destination) == (&self.service, self.server.id) =>
            {
                None
            }
            Change::DeleteService(service) if *service == self.service => None,
            _ => Some(self),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.service, self.server.id)
    }
}

#[cfg(test)]
mod tests {
    use ipvs::ForwardingMethod;

    use super::*;

    fn note(state: State) -> Note {
        let server = Destination::new([10, 1, 0, 1].into(), 80, ForwardingMethod::Masquerade).with_weight(3);
        Note { service: ServiceId::tcp([10, 0, 0, 1].into(), 80), server, state }
    }

    #[test]
    fn a_note_lives_as_long_as_what_it_is_about() {
        use State::{Back, Deleted, Deleting, Waiting};
        let back = Some(Back);
        for (state, no_service, gone, weightless, weighted) in [
            (Waiting, Some(Waiting), None, Some(Waiting), back),
            (Deleting, Some(Deleting), Some(Deleting), Some(Deleting), back),
            (Deleted, Some(Deleted), Some(Deleted), None, back),
            (Back, back, None, None, back),
        ] {
            let left = |now| note(state).by_table(now).map(|note| note.state);
            let all = (left(Now::NoService), left(Now::Gone), left(Now::Weight(0)), left(Now::Weight(7)));
            assert_eq!(all, (no_service, gone, weightless, weighted), "{state:?}");
        }
    }

    #[test]
    fn changes_of_the_server_alone_end_it() {
        let Note { service, server, .. } = note(State::Waiting);
        let other = Destination { id: ipvs::DestinationId { port: 81, ..server.id }, ..server };
        let left = |state, change: &Change| note(state).after(change).map(|note| note.state);
        for state in [State::Waiting, State::Deleting, State::Deleted, State::Back] {
            for change in [
                Change::Flush,
                Change::DeleteService(ServiceId::tcp([10, 0, 0, 1].into(), 443)),
                Change::AddDestination { service, destination: other },
                Change::EditDestination { service, destination: other },
                Change::DeleteDestination { service, destination: other.id },
            ] {
                assert_eq!(left(state, &change), Some(state), "{change}");
            }
            for change in [
                Change::DeleteService(service),
                Change::DeleteDestination { service, destination: server.id },
            ] {
                assert_eq!(left(state, &change), None, "{change}");
            }
            let weight =
                |weight| Change::EditDestination { service, destination: server.with_weight(weight) };
            assert_eq!(left(state, &weight(1)), Some(State::Back));
            let stays = matches!(state, State::Waiting | State::Deleting).then_some(state);
            assert_eq!(left(state, &weight(0)), stays);
            let add = |weight| Change::AddDestination { service, destination: server.with_weight(weight) };
            assert_eq!(left(state, &add(1)), Some(State::Back));
            assert_eq!(left(state, &add(0)), (state != State::Back).then_some(State::Waiting));
        }
    }
}

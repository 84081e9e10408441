//! The faults: how each is made, whose traffic fails, and what clients get once it is fixed.

mod cluster;
mod filters;
mod saved;
mod server;
mod settings;
mod tracking;
mod ways;

use crate::cluster::Kind;

/// A fault on one host of a cluster.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// The finding's id.
    pub(crate) id: &'static str,
    pub(crate) kind: Kind,
    /// Commands run before, by host; `start COMMAND` starts a web server.
    pub(crate) stage: &'static [(&'static str, &'static str)],
    /// The host with the fault, which is also checked.
    pub(crate) at: &'static str,
    pub(crate) make: &'static str,
    /// The options of `--check`.
    pub(crate) options: &'static str,
    /// The host and command that the fault affects; without one, a client that fetches the page four times.
    pub(crate) probe: Option<(&'static str, &'static str)>,
    /// The command's output before the fault and after the fix; it is never this while the fault is present.
    pub(crate) healthy: &'static str,
    pub(crate) fixed: &'static str,
    /// The values for words in capitals.
    pub(crate) blanks: &'static [(&'static str, &'static str)],
    /// How many commands the fix has, one after another: it may be interrupted between them.
    pub(crate) commands: usize,
    /// Nobody can log in to the host while the fault is present.
    pub(crate) cuts_off: bool,
    /// Further commands with the fix, as the guide says.
    pub(crate) then: &'static [(&'static str, &'static str)],
}

/// On the director of a cluster in which two servers share four requests.
pub(crate) const ON_DIRECTOR: Fault = Fault {
    id: "",
    kind: Kind::Routing,
    stage: &[],
    at: "director",
    make: "",
    options: "",
    probe: None,
    healthy: SHARED,
    fixed: SHARED,
    blanks: &[],
    commands: 1,
    cuts_off: false,
    then: &[],
};

/// On a real server of that cluster.
pub(crate) const ON_SERVER: Fault =
    Fault { at: "rs1", options: "-r 192.168.1.100 --port 80 --director 192.168.1.1", ..ON_DIRECTOR };

const SHARED: &str = "rs1 rs1 rs2 rs2";
const SECOND_ALONE: &str = "rs2 rs2 rs2 rs2";

/// Every fault.
pub(crate) fn all() -> impl Iterator<Item = &'static Fault> {
    [
        &cluster::FAULTS[..],
        &filters::FAULTS,
        &settings::FAULTS,
        &saved::FAULTS,
        &server::FAULTS,
        &tracking::FAULTS,
        &ways::FAULTS,
    ]
    .into_iter()
    .flatten()
}

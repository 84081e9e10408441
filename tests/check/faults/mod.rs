//! The faults: how each is made, who suffers, and what the clients get when it is mended.

mod cluster;
mod saved;
mod server;
mod settings;

use crate::cluster::Kind;

/// A fault on one host of a cluster.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// What `--check` calls it.
    pub(crate) id: &'static str,
    pub(crate) kind: Kind,
    /// What is done before, host by host; `start COMMAND` starts a web server.
    pub(crate) stage: &'static [(&'static str, &'static str)],
    /// Where the fault is, and where it is looked for.
    pub(crate) at: &'static str,
    pub(crate) make: &'static str,
    /// What `--check` is told.
    pub(crate) options: &'static str,
    /// Who suffers: a host and a command; without one, a client that fetches the page four times.
    pub(crate) probe: Option<(&'static str, &'static str)>,
    /// What comes out before the fault, and when it is mended: never while it is there.
    pub(crate) healthy: &'static str,
    pub(crate) fixed: &'static str,
    /// What stands for the words in capitals.
    pub(crate) blanks: &'static [(&'static str, &'static str)],
    /// Nobody can log in to the host while the fault is there.
    pub(crate) cuts_off: bool,
    /// What else is done with the fix, where the guide says so.
    pub(crate) then: &'static [(&'static str, &'static str)],
}

/// On the director of a cluster where two servers share four requests.
const ON_DIRECTOR: Fault = Fault {
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
    cuts_off: false,
    then: &[],
};

/// On a real server of it.
const ON_SERVER: Fault =
    Fault { at: "rs1", options: "-r 192.168.1.100 --port 80 --director 192.168.1.1", ..ON_DIRECTOR };

const SHARED: &str = "rs1 rs1 rs2 rs2";
const SECOND_ALONE: &str = "rs2 rs2 rs2 rs2";

/// Every fault.
pub(crate) fn all() -> impl Iterator<Item = &'static Fault> {
    [&cluster::FAULTS[..], &settings::FAULTS, &saved::FAULTS, &server::FAULTS].into_iter().flatten()
}

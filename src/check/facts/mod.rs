//! What this machine is, as values: each file reads one part of it.

pub(crate) mod address;
pub(crate) mod answers;
pub(crate) mod connections;
mod indexed;
pub(crate) mod machine;
pub(crate) mod neighbours;
pub(crate) mod procfs;
pub(crate) mod protocols;
pub(crate) mod question;
pub(crate) mod read;
pub(crate) mod routes;
pub(crate) mod rtnetlink;
pub(crate) mod saved;
pub(crate) mod settings;
pub(crate) mod table;
pub(crate) mod tunnels;
pub(crate) mod udp;
mod v6only;
pub(crate) mod wanted;
pub(crate) mod ways;

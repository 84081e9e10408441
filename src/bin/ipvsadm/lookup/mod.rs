//! Lookups of names as `nsswitch.conf` of the machine says: by the C library, or where the program has a C library of its
//! own (linked statically), by asking the machine's `getent`.

#[cfg(any(target_feature = "crt-static", test))]
mod getent;
#[cfg(not(target_feature = "crt-static"))]
mod library;

#[cfg(target_feature = "crt-static")]
pub(crate) use getent::{address, host_names, port, service_name};
#[cfg(not(target_feature = "crt-static"))]
pub(crate) use library::{address, host_names, port, service_name};

/// Whether many addresses are better looked up together, because each lookup starts a process.
pub(crate) const TOGETHER: bool = cfg!(target_feature = "crt-static");

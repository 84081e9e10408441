//! The way to the kernel's IPVS, and what stands in it.

use std::path::Path;
use std::process::{Command, Stdio};

use ipvs::{Client, Error, Info};

use crate::messages::{Failure, Result, error_text, unavailable};

/// Opens the client.
pub(crate) fn open() -> Result<Client> {
    match Client::open() {
        // The kernel has tried to load its module; it may not be allowed to.
        Err(Error::NotAvailable) if modprobe() => Client::open(),
        result => result,
    }
    .map_err(|error| failure(&error))
}

/// Asks for the version, which fails without the privilege to do anything else.
pub(crate) fn info(client: &mut Client) -> Result<Info> {
    client.info().map_err(|error| failure(&error))
}

fn modprobe() -> bool {
    let status = Command::new("/sbin/modprobe")
        .args(["--", "ip_vs"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// Why nothing can be done at all.
pub(crate) fn failure(error: &Error) -> Failure {
    match error {
        Error::NotAvailable => unavailable("Protocol not available", &missing_module()),
        Error::Kernel { errno: libc::EPERM, .. } => unavailable(
            "Permission denied (you must be root)",
            "it takes CAP_NET_ADMIN, and not that of a rootless container: try sudo",
        ),
        Error::Socket { .. } => {
            unavailable(&error_text(error), "it takes a netlink socket, which a sandbox may forbid")
        }
        other => unavailable(&error_text(other), "the kernel's IPVS is not one this tool knows"),
    }
}

/// Why there is no IPVS, as far as the files of this machine tell.
fn missing_module() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    let modules = format!("/lib/modules/{release}");
    if !Path::new(&modules).is_dir() {
        return format!(
            "there is no {modules} here, as in a container: load the module on the host: modprobe ip_vs"
        );
    }
    let known = std::fs::read_to_string(format!("{modules}/modules.dep")).unwrap_or_default();
    if known.lines().any(|line| line.split(':').next().is_some_and(|file| file.contains("/ip_vs.ko"))) {
        "load the module, as root: modprobe ip_vs".to_owned()
    } else {
        format!("the kernel {release} was built without IPVS: boot one that has the module ip_vs")
    }
}

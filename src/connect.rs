//! Opens IPVS, loads its module, and explains why that failed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ipvs::{Client, Error, Info};

use crate::messages::{Failure, Result, error_text, unavailable};

/// Opens the client by `open`, one of its functions for that.
pub(crate) fn open(open: fn() -> ipvs::Result<Client>) -> Result<Client> {
    match open() {
        // The kernel has tried to load its module, but may not be allowed to.
        Err(Error::NotAvailable) if modprobe() => open(),
        result => result,
    }
    .map_err(|error| failure(&error))
}

/// Reads the version, which already needs the privilege for everything else.
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

/// Why IPVS cannot be used at all.
pub(crate) fn failure(error: &Error) -> Failure {
    match error {
        Error::NotAvailable => unavailable("Protocol not available", &missing_module()),
        Error::Kernel { errno: libc::EPERM, .. } => unavailable(
            "Permission denied (you must be root)",
            "it needs CAP_NET_ADMIN, and not that of a rootless container: try sudo",
        ),
        Error::Socket { .. } if matches!(error.errno(), Some(libc::EMFILE | libc::ENFILE)) => {
            unavailable(&error_text(error), "raise the limit on open files: ulimit -n")
        }
        Error::Socket { .. } => {
            unavailable(&error_text(error), "it needs a netlink socket, which a sandbox may forbid")
        }
        other => unavailable(&error_text(other), "this tool does not support the kernel's IPVS"),
    }
}

/// Why there is no IPVS, as far as this machine's files show.
fn missing_module() -> String {
    let modules = modules();
    if !modules.is_dir() {
        return format!(
            "there is no {} here, as in a container: load the module on the host: modprobe ip_vs",
            modules.display()
        );
    }
    how_to_load("ip_vs").unwrap_or_else(|| {
        let release = Path::new(modules.file_name().unwrap_or_default()).display();
        format!("the kernel {release} was built without IPVS: boot one that has the module ip_vs")
    })
}

/// How to load a module that the kernel has but could not load itself; none if it has no such module.
pub(crate) fn how_to_load(module: &str) -> Option<String> {
    let known = fs::read_to_string(modules().join("modules.dep")).unwrap_or_default();
    let file = format!("/{module}.ko");
    let mut files = known.lines().filter_map(|line| line.split(':').next());
    files.any(|path| path.contains(&file)).then(|| {
        if fs::read("/proc/sys/kernel/modules_disabled").is_ok_and(|value| value.starts_with(b"1")) {
            format!(
                "kernel.modules_disabled keeps {module} out until the next boot: load it before that is set"
            )
        } else {
            format!("load the module, as root: modprobe {module}")
        }
    })
}

/// The directory of the running kernel's modules.
fn modules() -> PathBuf {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Path::new("/lib/modules").join(release.trim())
}

#[cfg(test)]
mod tests {
    use ipvs::Operation;

    use super::*;

    #[test]
    fn reasons_are_words_alone() {
        let refused = |errno| Error::Kernel { operation: Operation::GetInfo, errno };
        for (error, said) in [
            (refused(libc::EINVAL), "Can't initialize ipvs: read the version: Invalid argument; "),
            (refused(libc::EPERM), "Can't initialize ipvs: Permission denied (you must be root); "),
            (
                Error::Socket { doing: "sending", source: std::io::Error::from_raw_os_error(libc::ENOBUFS) },
                "Can't initialize ipvs: sending: No buffer space available; ",
            ),
            (
                Error::NoReply { operation: Operation::GetInfo },
                "Can't initialize ipvs: read the version: the kernel gave no answer; ",
            ),
        ] {
            let message = failure(&error).message;
            assert!(message.starts_with(said), "{message}");
        }
    }
}

//! Other network namespaces: entered by a thread of its own, which ends there.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::{Error, Result};

/// Does `work` in a network namespace, named by a file such as `/run/netns/NAME` or `/proc/PID/ns/net`. The calling
/// thread stays where it is.
pub(crate) fn inside<T: Send>(namespace: &Path, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let failed = |source| Error::Namespace { path: namespace.to_owned(), source };
    let file = File::open(namespace).map_err(failed)?;
    let enter = || -> Result<T> {
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|errno| failed(errno.into()))?;
        work()
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, enter).map_err(failed)?;
        thread.join().unwrap_or_else(|_| Err(failed(io::Error::other("its thread panicked"))))
    })
}

//! Preconditions of a restore that replaces the table: no other restore at the same time, and no running sync daemon
//! that its lines start.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use ipvs::{Change, Client, DaemonState};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::messages::{self, Result};
use crate::refusal;

/// Waits until no other restore replaces or applies a whole table, because two at once leave a mixture of both. If no
/// lock can be taken, such as without privilege, it does not wait.
pub(crate) fn lock() -> Result<Option<File>> {
    const LOCK: &str = "/run/ipvsadm.lock";
    const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
    let Ok(file) = File::options().create(true).truncate(false).write(true).mode(0o600).open(LOCK) else {
        return Ok(None);
    };
    let end = Instant::now() + LOCK_TIMEOUT;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(file)),
            Err(Errno::WOULDBLOCK) if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(Errno::WOULDBLOCK) => return Err(messages::locked(LOCK_TIMEOUT, LOCK)),
            Err(_) => return Ok(None),
        }
    }
}

/// Stops the sync daemons that lines start: a second one in the same state would be refused.
pub(crate) fn stop_running_daemons(client: &mut Client, changes: &[Change]) -> Result<()> {
    // Whether the first line about a daemon starts it, rather than stops it.
    let is_started = |state: DaemonState| {
        let first = changes.iter().find_map(|change| match change {
            Change::StartDaemon(daemon) if daemon.state == state => Some(true),
            Change::StopDaemon { state: stopped, sync_id: _ } if *stopped == state => Some(false),
            _ => None,
        });
        first == Some(true)
    };
    if ![DaemonState::Master, DaemonState::Backup].into_iter().any(is_started) {
        return Ok(());
    }
    let running = client.daemons().map_err(|error| messages::refused(&error, None))?;
    for daemon in running.iter().filter(|daemon| is_started(daemon.state)) {
        let stop = Change::StopDaemon { state: daemon.state, sync_id: daemon.sync_id };
        client.apply(&stop).map_err(|error| refusal::refused(&error, Some(&stop)))?;
    }
    Ok(())
}

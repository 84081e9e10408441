//! What this kernel can do, asked of itself: a test that needs more says that it is skipped, and why.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Whether a shell command succeeds on this kernel. If not, the calling test says that it is skipped for want of what
/// the command needs.
pub fn has(what: &str, command: &str) -> bool {
    let mut shell = Command::new("/bin/sh");
    let tried = shell.args(["-c", command]).stdin(Stdio::null()).output().expect("a shell");
    if !tried.status.success() {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let thread = std::thread::current();
        // Written past libtest, which would keep it to itself.
        let _ = writeln!(
            std::io::stderr(),
            "{}: skipped: the kernel {} has no {what}",
            thread.name().unwrap_or_default(),
            release.trim_end()
        );
    }
    tried.status.success()
}

/// Whether iptables, those of old, can be set here.
pub fn has_iptables() -> bool {
    has("iptables", "unshare --net iptables-legacy -t mangle -L")
}

/// The size of the connection table, as the kernel's own listing has it: on Linux 7.2 it grows and shrinks.
pub fn connection_table_size() -> u32 {
    let listing = std::fs::read_to_string("/proc/thread-self/net/ip_vs").expect("IPVS");
    let size = listing.split_once("(size=").and_then(|(_, rest)| rest.split_once(')')).map(|(size, _)| size);
    size.and_then(|size| size.parse().ok()).expect("a size")
}

/// Whether nftables filters IP packets here.
pub fn has_nftables() -> bool {
    has("nftables for IP", "unshare --net nft add table inet probe")
}

//! Which sockets take no IPv4. The kernel tells it of sockets of this process, so those of others are borrowed; `ss`, and what it
//! asks, would load a part of the kernel.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Dir, readlink};
use rustix::net::sockopt::ipv6_v6only;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// Of some sockets, by inode, those that certainly take no IPv4. Without the privilege to look, or before Linux 5.6, none is
/// known.
pub(super) fn of(inodes: &HashSet<u64>) -> HashSet<u64> {
    let mut found = HashSet::new();
    let mut left = inodes.clone();
    for pid in entries(Path::new("/proc")) {
        if left.is_empty() {
            break;
        }
        let folder = Path::new("/proc").join(pid.to_string()).join("fd");
        for descriptor in entries(&folder) {
            let Some(inode) = inode_of(&folder.join(descriptor.to_string())).filter(|it| left.contains(it))
            else {
                continue;
            };
            if let Some(is_v6only) = ask(pid, descriptor) {
                left.remove(&inode);
                found.extend(is_v6only.then_some(inode));
            }
        }
    }
    found
}

/// The entries of a folder that are numbers. (`fs::read_dir` panics if the folder cannot be closed.)
fn entries(folder: &Path) -> Vec<i32> {
    let opened = File::open(folder).ok().and_then(|folder| Dir::read_from(folder).ok());
    let names = opened.into_iter().flatten().flatten();
    names.filter_map(|entry| OsStr::from_bytes(entry.file_name().to_bytes()).to_str()?.parse().ok()).collect()
}

/// The inode of a link `socket:[INODE]`.
fn inode_of(link: &Path) -> Option<u64> {
    let target = readlink(link, Vec::new()).ok()?;
    target.to_str().ok()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// Whether another process's socket takes no IPv4.
fn ask(pid: i32, descriptor: i32) -> Option<bool> {
    let process = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    let socket = pidfd_getfd(process, descriptor, PidfdGetfdFlags::empty()).ok()?;
    ipv6_v6only(socket).ok()
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;

    use rustix::net::sockopt::set_ipv6_v6only;
    use rustix::net::{AddressFamily, SocketType, socket};

    use super::*;

    #[test]
    fn sockets_are_asked_one_by_one() {
        let Ok(only) = socket(AddressFamily::INET6, SocketType::DGRAM, None) else { return };
        let Ok(both) = socket(AddressFamily::INET6, SocketType::DGRAM, None) else { return };
        set_ipv6_v6only(&only, true).unwrap();
        set_ipv6_v6only(&both, false).unwrap();
        let four = UdpSocket::bind("127.0.0.1:0").unwrap();
        let inode = |number: i32| inode_of(Path::new(&format!("/proc/self/fd/{number}"))).unwrap();
        let [first, second, third] = [only.as_raw_fd(), both.as_raw_fd(), four.as_raw_fd()].map(inode);
        assert_eq!(of(&HashSet::from([first, second, third])), HashSet::from([first]));
        assert_eq!(of(&HashSet::from([second])), HashSet::new());
    }
}

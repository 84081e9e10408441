//! Settings of the kernel, below `/proc/sys`.

use std::fs;

/// A setting by its path, such as `net/ipv4/ip_forward`; none if it is not there or is no number.
pub(crate) fn read(path: &str) -> Option<u32> {
    fs::read_to_string(format!("/proc/sys/{path}")).ok()?.trim().parse().ok()
}

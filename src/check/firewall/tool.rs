//! The tools of packet filters, and which of them may be run: those whose part of the kernel is loaded.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

use ipvs::Family;

use crate::programs::find;

/// What to add a rule with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tool {
    /// `iptables`, or one of its kinds.
    Iptables(String),
    Nft,
}

/// The parts of the kernel that filter packets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernel {
    pub(super) has_nft: bool,
    /// The old part has tables of IPv4, and of IPv6; none if that may not be read.
    pub(super) has_legacy: [Option<bool>; 2],
}

impl Kernel {
    pub(super) fn read() -> Self {
        let has_tables = |names: &str| match fs::read_to_string(format!("/proc/net/{names}")) {
            Ok(names) => Some(!names.is_empty()),
            Err(error) if error.kind() == ErrorKind::NotFound => Some(false),
            Err(_) => None,
        };
        Self {
            has_nft: Path::new("/sys/module/nf_tables").exists() || is_built_in(),
            has_legacy: ["ip_tables_names", "ip6_tables_names"].map(has_tables),
        }
    }
}

/// Whether nftables is a part of the running kernel.
fn is_built_in() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    match fs::read_to_string(format!("/lib/modules/{}/modules.builtin", release.trim_end())) {
        Ok(list) => list.lines().any(|line| line.ends_with("/nf_tables.ko")),
        // A container has no list of the host's modules.
        Err(_) => File::open("/proc/kallsyms").is_ok_and(|names| {
            let mut names = BufReader::new(names).lines().map_while(Result::ok);
            names.any(|line| line.contains(" nft_do_chain"))
        }),
    }
}

/// The programs of iptables for a family, as far as they are there.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    pub(super) name: String,
    /// Whether the first is that of nftables; none if there is none.
    pub(super) is_nft: Option<bool>,
    has_legacy: bool,
}

impl Programs {
    pub(super) fn of(family: Family) -> Self {
        let name = if family == Family::V4 { "iptables" } else { "ip6tables" }.to_owned();
        // It is a link to the program of all of its kind: `xtables-nft-multi`.
        let target = find(&format!("{name}-save")).and_then(|path| fs::canonicalize(path).ok());
        let is_nft = target.map(|path| path.to_string_lossy().contains("nft"));
        Self { is_nft, has_legacy: find(&format!("{name}-legacy-save")).is_some(), name }
    }

    pub(super) fn legacy(&self) -> Option<String> {
        match self.is_nft {
            Some(false) => Some(self.name.clone()),
            _ => self.has_legacy.then(|| format!("{}-legacy", self.name)),
        }
    }

    /// What to add rules with where there are none: what needs no part of the kernel that is not loaded, if there is such.
    pub(super) fn to_add(&self, kernel: Kernel) -> Tool {
        let is_loaded = |module: &str| Path::new("/sys/module").join(module).exists();
        let has_legacy = is_loaded("ip_tables") || is_loaded("ip6_tables");
        let plain = || Tool::Iptables(self.name.clone());
        match (self.is_nft, self.legacy()) {
            (Some(true), _) if kernel.has_nft => plain(),
            (_, Some(legacy)) if has_legacy || self.is_nft != Some(true) => Tool::Iptables(legacy),
            (None, _) if find("nft").is_some() => Tool::Nft,
            _ => plain(),
        }
    }
}

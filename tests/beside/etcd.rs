//! A real etcd on the host `store`, 10.9.0.1, and its client.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::running::{FOLDER, Running, unpacked};
use lab::network::within;

pub(crate) const KEY: &str = "/ipvsadm/web";
pub(crate) const ENDPOINT: &str = "http://10.9.0.1:2379";

/// The store, which runs until it is dropped.
pub(crate) struct Store {
    pub(crate) process: Running,
}

impl Store {
    /// Starts it with the data that it had, and waits until it answers.
    pub(crate) fn start() -> Self {
        let mut etcd = Command::new(unpacked("etcd-server", "usr/bin/etcd"));
        etcd.args(["--data-dir", &format!("{FOLDER}/etcd"), "--listen-peer-urls", "http://127.0.0.1:2380"]);
        etcd.args(["--listen-client-urls", ENDPOINT, "--advertise-client-urls", ENDPOINT]);
        // Passwords are compared at each call.
        etcd.args(["--bcrypt-cost", "4"]);
        let store = Self { process: within("store", || Running::start("etcd.log", &mut etcd)) };
        let end = Instant::now() + Duration::from_secs(60);
        while !etcdctl(&["get", "--", KEY]).0 {
            assert!(Instant::now() < end, "etcd does not come up: {}", store.process.log());
            std::thread::sleep(Duration::from_millis(200));
        }
        store
    }

    /// Starts it with the data of a snapshot in place of its own.
    pub(crate) fn restored(self, snapshot: &str) -> Self {
        drop(self);
        let data = format!("{FOLDER}/etcd");
        fs::remove_dir_all(&data).unwrap();
        let (done, said) = etcdctl(&["snapshot", "restore", snapshot, "--data-dir", &data]);
        assert!(done, "{said}");
        Self::start()
    }
}

/// `etcdctl` with some input: whether it succeeded, and what it said.
fn etcdctl_with(line: &[&str], input: &str) -> (bool, String) {
    let mut command = Command::new(unpacked("etcd-client", "usr/bin/etcdctl"));
    command.env("ETCDCTL_API", "3").env("ETCDCTL_ENDPOINTS", ENDPOINT).env("ETCDCTL_USER", "root:root");
    command.args(line).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = within("store", || command.spawn()).unwrap();
    // It may end before it has read all.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

pub(crate) fn etcdctl(line: &[&str]) -> (bool, String) {
    etcdctl_with(line, "")
}

/// Writes the document, of any size.
pub(crate) fn put(document: &str) {
    let (done, said) = etcdctl_with(&["put", "--", KEY], document);
    assert!(done, "{said}");
}

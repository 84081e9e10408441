//! This tool beside other programs, in packages that `tests/lab/run` has unpacked: the supervisors keepalived and
//! ldirectord, the load generator wrk, etcd with the table of many directors, and Prometheus.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test ends where it fails"
)]

mod drain;
mod etcd;
mod fleet;
mod fleet_faults;
mod load;
mod metrics;
mod running;
mod supervisors;

const OURS: &str = env!("CARGO_BIN_EXE_ipvsadm");

//! Links what tests run without position independence: a program starts in three quarters of the time in the lab, where
//! each page that the loader touches costs 40 µs. Releases are not concerned.

#[allow(clippy::print_stdout, reason = "cargo reads it")]
fn main() {
    println!("cargo::rerun-if-changed=tests/lab/link.rs");
    let is = |name: &str, value: &str| std::env::var(name).as_deref() == Ok(value);
    if is("PROFILE", "debug") && is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo::rustc-link-arg=-no-pie");
    }
}

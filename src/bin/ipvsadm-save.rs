//! `ipvsadm-save [-n]`: the table to stdout; with `-n` in numbers. The work is that of `ipvsadm -S`.

#[path = "ipvsadm/sibling.rs"]
mod sibling;

use std::io::Write;
use std::process::ExitCode;

const USAGE: &str = "ipvsadm-save: Script to save the IPVS table to stdout.
   With the -n option, prints out the table in numeric format.
";

fn main() -> ExitCode {
    let mut words = vec!["-S"];
    for word in std::env::args_os().skip(1) {
        match word.as_encoded_bytes() {
            b"-n" => words = vec!["-S", "-n"],
            [b'-', ..] => {
                let _ = std::io::stderr().write_all(USAGE.as_bytes());
                return ExitCode::from(1);
            }
            _ => {} // the original takes no notice of these
        }
    }
    sibling::become_ipvsadm(&words)
}

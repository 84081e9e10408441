//! `ipvsadm-save [-n] [--full] [--file PATH]`: the table to stdout or to a file. The work is that of `ipvsadm -S`.

#[path = "ipvsadm/sibling.rs"]
mod sibling;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

const USAGE: &str = "ipvsadm-save: Script to save the IPVS table to stdout.
   With the -n option, prints out the table in numeric format.
";

fn main() -> ExitCode {
    let mut words: Vec<OsString> = vec!["-S".into()];
    let mut given = std::env::args_os().skip(1);
    while let Some(word) = given.next() {
        match word.as_encoded_bytes() {
            b"-n" | b"--full" if words.contains(&word) => {}
            b"-n" | b"--full" => words.push(word),
            b"--file" => words.extend([word].into_iter().chain(given.next())),
            [b'-', ..] => {
                let _ = std::io::stderr().write_all(USAGE.as_bytes());
                return ExitCode::from(1);
            }
            // The original takes no notice of these, such as a dash that a text processor made longer.
            _ => {
                let _ = writeln!(
                    std::io::stderr(),
                    "'{}' is no option, and changes nothing; the options are -n, --full and --file PATH",
                    word.to_string_lossy().escape_debug()
                );
            }
        }
    }
    sibling::become_ipvsadm(&words)
}

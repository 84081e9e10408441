//! `ipvsadm-save [-n] [--full] [--file PATH]`: the table to stdout or to a file. Its words are read, and its work is
//! done, by `ipvsadm`.

#[path = "ipvsadm/sibling.rs"]
mod sibling;

fn main() -> std::process::ExitCode {
    sibling::become_ipvsadm("ipvsadm-save")
}

//! `ipvsadm-save [-n] [--full] [--file PATH]`: the table to stdout or to a file. Its words are read, and its work is
//! done, by `ipvsadm`.

#[path = "../exec.rs"]
mod exec;

fn main() -> std::process::ExitCode {
    exec::become_ipvsadm("ipvsadm-save")
}

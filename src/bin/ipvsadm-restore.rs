//! `ipvsadm-restore [--file PATH]`: the table from stdin or a file, in place of the one there is. Its words are read,
//! and its work is done, by `ipvsadm`.

#[path = "../exec.rs"]
mod exec;

fn main() -> std::process::ExitCode {
    exec::become_ipvsadm("ipvsadm-restore")
}

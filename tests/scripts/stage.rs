//! The environment of a script: separate namespaces, a folder and a tool.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::{fs, thread};

use nix::mount::{MsFlags, mount};

/// The tool under test, with `ipvsadm-save` and `ipvsadm-restore` beside it.
const OURS: &str = env!("CARGO_BIN_EXE_ipvsadm");

/// The output of a script beside this file with the original and with this tool.
pub(crate) fn both(script: &'static str) -> (String, String) {
    // Each thread has its own namespaces, so the runs do not interfere, and one continues while the other waits.
    let original = thread::spawn(move || play(script, lab::ORIGINAL));
    let ours = thread::spawn(move || play(script, OURS));
    let (original, ours) = (original.join(), ours.join());
    (original.expect("the original's play came to its end"), ours.expect("our play came to its end"))
}

/// The script's output, both streams merged, with `tool` as the machine's `ipvsadm`; then the resulting table.
fn play(script: &str, tool: &str) -> String {
    lab::isolate();
    let witness = witness();
    lab::put(tool);
    fs::create_dir_all("/run/scripts").expect("a folder in the lab's /run");
    let nothing = None::<&str>;
    mount(Some("lab"), "/run/scripts", Some("tmpfs"), MsFlags::empty(), nothing).expect("/run/scripts");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts").join(script);
    let played = Command::new("sh")
        .args(["-c", "exec sh \"$0\" 2>&1"])
        .arg(file)
        .current_dir("/run/scripts")
        .env("LDIRECTORD", Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lab/ldirectord"))
        .env("LC_ALL", "C")
        .env("TERM", "dumb")
        .output()
        .expect("sh starts");
    let shown = String::from_utf8_lossy(&played.stdout);
    assert!(played.status.success(), "{script} with {tool} ends with {}:\n{shown}", played.status);
    let left = Command::new(witness).arg("-Sn").output().expect("the original starts");
    assert!(left.status.success(), "the original lists what {script} left");
    format!("{shown}left in the table:\n{}", String::from_utf8_lossy(&left.stdout))
}

/// A copy of the original that stays available while something is mounted over it.
fn witness() -> &'static str {
    static COPY: OnceLock<&'static str> = OnceLock::new();
    COPY.get_or_init(|| {
        fs::copy(lab::ORIGINAL, "/run/ipvsadm-original").expect("the package ipvsadm is there");
        "/run/ipvsadm-original"
    })
}

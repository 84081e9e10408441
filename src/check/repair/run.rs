//! Carries out the steps of a fix, without a shell. One that fails ends it.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::check::facts::wanted::nobody_has;
use crate::check::fix::{Fix, Setting, Step, Word};
use crate::command::Wanted;
use crate::messages;
use crate::programs;

/// Carries out a fix; or says why it was not, or not all of it.
pub(super) fn run(fix: &Fix) -> Result<(), String> {
    fix.0.iter().try_for_each(step)
}

fn step(step: &Step) -> Result<(), String> {
    match step {
        Step::Sysctl(settings) => settings.iter().try_for_each(set),
        Step::NobodyHas { address, link } => {
            let link = Some(link.as_os_str().to_string_lossy().into_owned());
            nobody_has(&Wanted { address: *address, link }).map_err(|failure| failure.message)
        }
        Step::Module(name) => load(name),
        // That of the next step was made before, for its undo.
        Step::Copy(_) => Ok(()),
        step => {
            let words = step.program().ok_or_else(|| format!("this is left to a person: {step}"))?;
            program(&words)
        }
    }
}

fn set(setting: &Setting) -> Result<(), String> {
    let Setting { path, value } = setting;
    fs::write(Path::new("/proc/sys").join(path), value.to_string())
        .map_err(|error| format!("cannot set {path}: {}", messages::reason(&error)))
}

/// Loads a module as the kernel itself does, or else by the program that is found.
fn load(name: &str) -> Result<(), String> {
    let of_kernel = fs::read_to_string("/proc/sys/kernel/modprobe").unwrap_or_default();
    let of_kernel = Some(of_kernel.trim()).filter(|path| path.starts_with('/')).map(|path| {
        let mut command = Command::new(path);
        command.env("PATH", programs::path()).stdin(Stdio::null());
        command
    });
    let loads = |mut command: Command| {
        let status = command.arg(name).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    let is_loaded = of_kernel.is_some_and(loads) || programs::command("modprobe").is_some_and(loads);
    if is_loaded { Ok(()) } else { Err(format!("the module {name} cannot be loaded")) }
}

fn program(words: &[Word]) -> Result<(), String> {
    let mut words = words.iter().map(Word::as_os_str);
    let name = words.next().unwrap_or_default().to_string_lossy();
    let mut command = if name == "ipvsadm" {
        // This program itself, whatever is installed under that name.
        let mut own = Command::new("/proc/self/exe");
        own.arg0("ipvsadm").env("PATH", programs::path()).env("IPVSADM_QUIET", "1").stdin(Stdio::null());
        own
    } else {
        programs::command(&name).ok_or_else(|| programs::missing(&name))?
    };
    match command.args(words).stdout(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name} failed: {status}")),
        Err(error) => Err(format!("cannot run {name}: {}", messages::reason(&error))),
    }
}

//! A program whose system calls are changed on their way: one fails without being made, a signal arrives there, or the
//! kernel is asked for a shorter read or write. As `strace` does it, but in a third of the time: nothing else is started,
//! and behind the fault the program runs freely.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use nix::libc::{self, user_regs_struct};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::work::ended;

/// What becomes of a call. Behind the second and third the program runs freely.
pub(crate) enum Way {
    /// It is made as it is.
    Pass,
    /// It is not made, and has this errno.
    Fail(i32),
    /// This signal arrives at it.
    Signal(Signal),
    /// It is made with this third argument, which is the length of a read or a write.
    Length(u64),
}

/// A call, from the end of the program's start on.
pub(crate) struct Call {
    pub(crate) number: i64,
    pub(crate) registers: user_regs_struct,
    pub(crate) pid: Pid,
}

/// Runs a stopped command, and decides about each of its calls behind the loader's: its own first one is a `poll`, which asks
/// what of stdin, stdout and stderr is open.
pub(crate) fn run(mut command: Command, mut decide: impl FnMut(&Call) -> Way) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    ptrace::attach(pid).unwrap();
    kill(pid, Signal::SIGCONT).unwrap(); // else it stops again when it is left to itself
    match trace(pid, &mut decide) {
        Some(status) => output(child, status),
        None => ended(child, &command),
    }
}

/// What the child wrote: all of it fits into a pipe.
fn output(mut child: Child, status: ExitStatus) -> Output {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
    child.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    Output { status, stdout, stderr }
}

/// How the program ended; none if it runs freely.
fn trace(pid: Pid, decide: &mut impl FnMut(&Call) -> Way) -> Option<ExitStatus> {
    let mut has_begun = false;
    // What is in the registers behind the call.
    let mut back: Option<Way> = None;
    loop {
        let mut signal = None;
        match waitpid(pid, None).unwrap() {
            WaitStatus::Exited(_, code) => {
                assert!(has_begun, "it ended with {code} before its first call");
                return Some(ExitStatus::from_raw(code << 8));
            }
            WaitStatus::Signaled(_, signal, _) => {
                assert!(has_begun, "{signal} ended it before its first call");
                return Some(ExitStatus::from_raw(signal as i32));
            }
            WaitStatus::PtraceSyscall(_) => {
                let mut registers = ptrace::getregs(pid).unwrap();
                let number = i64::try_from(registers.orig_rax).unwrap_or(-1);
                match back.take() {
                    Some(Way::Fail(errno)) => {
                        registers.rax = refused(errno);
                        ptrace::setregs(pid, registers).unwrap();
                        ptrace::detach(pid, None).unwrap();
                        return None;
                    }
                    Some(Way::Length(length)) => {
                        registers.rdx = length;
                        ptrace::setregs(pid, registers).unwrap();
                    }
                    _ if !is_entry(&registers) => {}
                    _ if !has_begun => has_begun = [libc::SYS_poll, libc::SYS_ppoll].contains(&number),
                    _ => match decide(&Call { number, registers, pid }) {
                        Way::Pass => {}
                        Way::Signal(signal) => {
                            kill(pid, signal).unwrap();
                            ptrace::detach(pid, None).unwrap();
                            return None;
                        }
                        Way::Fail(errno) => {
                            registers.orig_rax = u64::MAX;
                            ptrace::setregs(pid, registers).unwrap();
                            back = Some(Way::Fail(errno));
                        }
                        Way::Length(length) => {
                            back = Some(Way::Length(registers.rdx));
                            registers.rdx = length;
                            ptrace::setregs(pid, registers).unwrap();
                        }
                    },
                }
            }
            WaitStatus::Stopped(_, Signal::SIGSTOP | Signal::SIGCONT) => {
                ptrace::setoptions(pid, ptrace::Options::PTRACE_O_TRACESYSGOOD).unwrap();
            }
            WaitStatus::Stopped(_, Signal::SIGTRAP) => {} // the shell has become the command
            WaitStatus::Stopped(_, other) => signal = Some(other),
            other => panic!("{other:?}"),
        }
        ptrace::syscall(pid, signal).unwrap();
    }
}

/// Whether a call begins, and has no result yet.
fn is_entry(registers: &user_regs_struct) -> bool {
    registers.rax == refused(libc::ENOSYS)
}

/// The result of a call that is refused: less 0.
fn refused(errno: i32) -> u64 {
    u64::MAX - u64::try_from(errno).unwrap() + 1
}

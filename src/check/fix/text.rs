//! Steps as command lines, for a person to type.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ipvs::{Change, Destination, Family, ForwardingMethod, SyncDaemon};

use super::{AddressChange, AddressStep, IptablesRule, RouteChange, RouteStep, Setting, Step, Word};
use crate::cli::value::scheduler_flags_text;
use crate::format;
use crate::shell;

/// Words that are known.
pub(crate) fn words(line: &str) -> Vec<Word> {
    line.split(' ').map(Word::from).collect()
}

/// `ip` for a family.
fn ip(family: Family) -> Vec<Word> {
    words(if family == Family::V4 { "ip" } else { "ip -6" })
}

/// What a change is about, as the words after its command.
fn object(change: &Change) -> Vec<Word> {
    words(&format::line(change)).split_off(1)
}

/// An `ipvsadm` command for a file.
fn of_file(options: &str, path: &Path) -> Vec<Word> {
    [words("ipvsadm"), words(options), vec![Word::Known(path.into())]].concat()
}

impl Step {
    /// The program that does it, with its words; none for what a shell, or a person, does.
    pub(crate) fn program(&self) -> Option<Vec<Word>> {
        Some(match self {
            Self::Address(step) => step.program(),
            Self::Route(step) => step.program(),
            Self::Iptables(rule) => rule.program(),
            Self::Link { link, up } => {
                let how = if *up { "up" } else { "down" };
                [words("ip link set dev"), vec![link.clone()], words(how)].concat()
            }
            Self::Rule { family, words: rule } => [ip(*family), words("rule add"), rule.clone()].concat(),
            Self::Module(name) => words(&format!("modprobe {name}")),
            Self::GuePort { port, family } => {
                let six = if *family == Family::V6 { " -6" } else { "" };
                words(&format!("ip fou add port {port} gue{six}"))
            }
            Self::NobodyHas { address, link } => {
                let whole = match link {
                    Word::Known(link) => {
                        let mut whole = OsString::from(format!("{address}%"));
                        whole.push(link);
                        Word::Known(whole)
                    }
                    blank @ Word::Blank(_) => Word::from(format!("{address}%{blank}")),
                };
                [words("ipvsadm --check --nobody-has"), vec![whole]].concat()
            }
            Self::Table(change) => [words("ipvsadm"), words(&format::line(change))].concat(),
            Self::SchedulerFlags(service) => {
                let flags = scheduler_flags_text(service.scheduler_flags, &service.scheduler);
                let about = object(&Change::DeleteService(service.id));
                [words("ipvsadm -E --keep"), about, words("-b"), vec![flags.into()]].concat()
            }
            Self::Drain { service, server } => {
                let delete = Change::DeleteDestination { service: *service, destination: *server };
                [words("ipvsadm --drain"), object(&delete)].concat()
            }
            Self::Restart(name) => [words("systemctl restart"), vec![name.clone()]].concat(),
            Self::Save(path) => of_file("-S --full --file", path),
            Self::Restore(path) => of_file("-R --apply --file", path),
            _ => return None,
        })
    }
}

impl AddressStep {
    fn program(&self) -> Vec<Word> {
        let how = if self.how == AddressChange::Delete { "ip addr del" } else { "ip addr replace" };
        let quietly = if self.how == AddressChange::AddQuietly { " nodad preferred_lft 0" } else { "" };
        let whole = format!("{}/{}", self.address, self.prefix).into();
        let on = [words(how), vec![whole], words("dev"), vec![self.link.clone()]].concat();
        on.into_iter().chain(quietly.split_whitespace().map(Word::from)).collect()
    }
}

impl RouteStep {
    fn program(&self) -> Vec<Word> {
        let how = if self.how == RouteChange::Delete { "route del" } else { "route replace" };
        [ip(self.family), words(how), vec![self.to.as_str().into()], self.words.clone()].concat()
    }
}

impl IptablesRule {
    pub(crate) fn program(&self) -> Vec<Word> {
        let table = self.table.as_deref().map_or_else(Vec::new, |table| vec!["-t".into(), table.into()]);
        let chain = vec![self.how.into(), self.chain.as_str().into()];
        [vec![self.tool.as_str().into()], table, chain, self.words.clone()].concat()
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(word) => f.write_str(&shell::quoted(word.as_bytes())),
            Self::Blank(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sysctl(settings) => f.write_str(&set(settings)),
            Self::Renew { delete, add } => {
                write!(f, "{{ {}; {}; }}", line(&delete.program()), line(&add.program()))
            }
            Self::NewServer(service) => {
                let server =
                    Destination::new([0, 0, 0, 0].into(), service.port(), ForwardingMethod::DirectRouting);
                let change = Change::AddDestination { service: *service, destination: server };
                f.write_str(
                    &format::command_line_inside(&change).replace(&format!("-r {}", server.id), "-r SERVER"),
                )
            }
            Self::NewDaemon(daemon) => {
                let interface = "INTERFACE".parse().unwrap_or(daemon.interface);
                let change = Change::StartDaemon(SyncDaemon { interface, ..*daemon });
                f.write_str(&format::command_line_inside(&change))
            }
            Self::Copy(path) => {
                let quoted = shell::quoted(path.as_os_str().as_bytes());
                // Nobody else has the name, and without mktemp nothing is copied, or done after it.
                write!(f, "cp -p -- {quoted} \"$(mktemp {quoted}.before-XXXXXX)\"")
            }
            Self::CommentOut { path, lines } => {
                // sed replaces the file, which must not be a symbolic link.
                let target = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
                let script: Vec<String> = lines.iter().map(|line| format!("{line}s/^/# /")).collect();
                let script = Word::from(script.join(";"));
                f.write_str(&line(&[words("sed -i --"), vec![script, Word::Known(target.into())]].concat()))
            }
            // What follows is done only if the last of these says that it has asked, and nobody answered: where a program is
            // missing, nothing is done.
            Self::NobodyHas { address, .. } => {
                let question = line(&self.program().unwrap_or_default());
                write!(f, "ping -c 1 -W 1 {address} || ! {question}")
            }
            Self::Firewall(command) | Self::Remote(command) | Self::Look(command) => f.write_str(command),
            step => f.write_str(&line(&step.program().unwrap_or_default())),
        }
    }
}

/// The command line of words.
fn line(words: &[Word]) -> String {
    words.iter().map(Word::to_string).collect::<Vec<_>>().join(" ")
}

/// The command line that sets settings.
fn set(settings: &[Setting]) -> String {
    // An interface name may contain any character. These mean nothing to sysctl; with slashes as separators, a dot is
    // an ordinary character.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
    let (plain, other): (Vec<_>, Vec<_>) =
        settings.iter().partition(|setting| setting.path.bytes().all(is_plain));
    let names: Vec<String> = plain.iter().map(ToString::to_string).collect();
    let sysctl = (!plain.is_empty()).then(|| format!("sysctl -w {}", names.join(" ")));
    let written = other.iter().map(|Setting { path, value }| {
        format!("echo {value} >{}", shell::quoted(format!("/proc/sys/{path}")))
    });
    sysctl.into_iter().chain(written).collect::<Vec<_>>().join(" && ")
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name(), self.value)
    }
}

//! How to undo a fix. Only a fix whose every part can be undone is carried out by `--fix`.

use std::fs;
use std::path::{Path, PathBuf};

use super::marks::output;
use crate::shell;
use crate::sysctl;

/// The words that a user fills in.
const BLANKS: [&str; 9] =
    ["SERVER", "DIRECTOR", "VIP", "GATEWAY", "INTERFACE", "SERVICE", "ADDRESS", "PORT", "PREFIX"];

/// A part of a fix, and what undoes it, as the machine is before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Undo {
    /// These commands.
    Commands(Vec<String>),
    /// The difference between the tables after and before it.
    Table,
    /// A copy of a file, which is made before; or the removal of a file that is new.
    File(PathBuf),
}

/// How each part of a fix is undone; none if that is not known, or a word is to be filled in.
pub(crate) fn of(fix: &str) -> Option<Vec<Undo>> {
    let is_blank = |word: &str| BLANKS.contains(&word);
    if fix.split([' ', '/', ':', '\'']).any(is_blank) {
        return None;
    }
    // It asks first whether another machine has the address.
    if let Some(take) =
        fix.strip_prefix("ping -c 1 -W 1 ").and_then(|rest| rest.split(" | grep lladdr || ").nth(1))
    {
        return of(take);
    }
    fix.split(" && ").map(of_part).collect()
}

fn of_part(part: &str) -> Option<Undo> {
    // Words in quotes, and other constructions of the shell, are left to a person.
    let is_copy = part.starts_with("cp -p -- ") && part.ends_with(".$(date +%Y%m%d-%H%M%S)");
    if !is_copy && part.contains(['\'', '"', '$', ';', '|', '{', '<', '>', '`', '\\', '&']) {
        return None;
    }
    let words: Vec<&str> = part.split(' ').collect();
    let commands = |all: Vec<String>| Some(Undo::Commands(all));
    match words.as_slice() {
        ["cp", ..] | ["modprobe", _] => commands(Vec::new()),
        ["sysctl", "-w", settings @ ..] => {
            let old = settings.iter().map(|setting| old_setting(setting)).collect::<Option<Vec<_>>>()?;
            commands(vec![format!("sysctl -w {}", old.join(" "))])
        }
        ["ip", "addr", "replace", address, "dev", link, ..] => {
            let shown = output("ip", &["-o", "addr", "show", "dev", link])?;
            let is_there = shown.split_whitespace().any(|word| word == *address);
            commands(if is_there { Vec::new() } else { vec![format!("ip addr del {address} dev {link}")] })
        }
        ["ip", "link", "set", "dev", link, "up"] => {
            let shown = output("ip", &["-o", "link", "show", "dev", link])?;
            let flags = shown.split(['<', '>']).nth(1)?;
            let is_up = flags.split(',').any(|flag| flag == "UP");
            commands(if is_up { Vec::new() } else { vec![format!("ip link set dev {link} down")] })
        }
        ["ip", "route", "replace", to, ..] => commands(vec![old_route("ip", "-4", to, &words)?]),
        ["ip", "-6", "route", "replace", to, ..] => commands(vec![old_route("ip -6", "-6", to, &words)?]),
        [tool, "-t", "mangle" | "nat", "-A", ..] if tool.starts_with("ip") => {
            // The command would remove the first of two rules that are the same.
            let is_there = part.replacen(" -A ", " -C ", 1);
            let is_there: Vec<&str> = is_there.split(' ').skip(1).collect();
            let undo = vec![part.replacen(" -A ", " -D ", 1)];
            if output(tool, &is_there).is_some() { None } else { commands(undo) }
        }
        ["ipvsadm", "-e" | "-E" | "-a" | "--set", ..] => Some(Undo::Table),
        ["ipvsadm", "-S", "--full", "--file", path] => Some(Undo::File(PathBuf::from(path))),
        _ => None,
    }
}

/// A setting `NAME=VALUE`, with the value that it has.
fn old_setting(setting: &str) -> Option<String> {
    let (name, _) = setting.split_once('=')?;
    Some(format!("{name}={}", sysctl::read(&path_of(name))?))
}

/// The path of a setting below `/proc/sys`.
pub(crate) fn path_of(name: &str) -> String {
    if name.contains('/') { name.to_owned() } else { name.replace('.', "/") }
}

/// The command that brings back the route to a network, or removes the new one.
fn old_route(ip: &str, family: &str, to: &str, words: &[&str]) -> Option<String> {
    if words.contains(&"table") {
        return None;
    }
    let shown = output("ip", &[family, "route", "show", "exact", to])?;
    let mut routes = shown.lines().map(str::trim);
    match (routes.next(), routes.next()) {
        (None, _) => Some(format!("{ip} route del {to}")),
        (Some(route), None) => Some(format!("{ip} route replace {route}")),
        _ => None,
    }
}

/// Copies a file that will be overwritten, and returns the command that brings it back.
pub(crate) fn keep_file(path: &Path) -> Option<String> {
    use std::os::unix::ffi::OsStrExt;
    let quoted = |path: &Path| shell::quoted(path.as_os_str().as_bytes());
    if !path.exists() {
        return Some(format!("rm -- {}", quoted(path)));
    }
    let stamp = output("date", &["+%Y%m%d-%H%M%S"])?;
    let mut copy = path.as_os_str().to_owned();
    copy.push(format!(".before-fix-{}", stamp.trim()));
    let copy = PathBuf::from(copy);
    fs::copy(path, &copy).ok()?;
    Some(format!("cp -p -- {} {}", quoted(&copy), quoted(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fixes_that_can_be_undone_are_carried_out() {
        for (fix, is_safe) in [
            ("ipvsadm -e -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 0", true),
            ("ipvsadm -a -t 10.0.0.1:80 -r SERVER -g -w 1", false),
            ("ipvsadm -S --full --file /etc/ipvsadm.rules", true),
            ("cp -p -- /etc/x /etc/x.$(date +%Y%m%d-%H%M%S) && ipvsadm -S --full --file /etc/x", true),
            ("ipvsadm -S --full --file 'it is'", false),
            ("ipvsadm -R --apply --file /etc/ipvsadm.rules", false),
            ("modprobe ipip && ipvsadm --set 900 0 0", true),
            ("iptables -t mangle -A PREROUTING -d 10.0.0.1 -p tcp -j MARK --set-mark 7", true),
            ("iptables -t mangle -A PREROUTING -d VIP -p tcp -j MARK --set-mark 7", false),
            ("iptables -I INPUT -d 10.0.0.1 -p tcp --dport 80 -j ACCEPT", false),
            ("ip route replace default via GATEWAY dev eth0", false),
            ("ip addr del 10.0.0.1/24 dev eth0", false),
            ("ssh 10.0.0.1 ipvsadm --check -r 10.0.0.9", false),
            ("ping -c 1 -W 1 10.0.0.1; ip neigh", false),
            ("ping -c 1 -W 1 10.0.0.1 || ip neigh show 10.0.0.1 | grep lladdr || modprobe ipip", true),
            ("sysctl -w net.ipv4.no_such_setting=1", false),
            ("systemctl restart SERVICE", false),
        ] {
            assert_eq!(of(fix).is_some(), is_safe, "{fix}");
        }
    }
}

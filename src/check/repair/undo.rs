//! How to undo a fix. Only a fix whose every step can be undone is carried out by `--fix`.

use std::path::{Path, PathBuf};

use ipvs::{Change, Family};

use crate::check::fix::{
    AddressChange, AddressStep, Fix, IptablesRule, RouteChange, RouteStep, Setting, Step, Word, words,
};
use crate::programs;
use crate::sysctl;

/// What undoes a step, as the machine is before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Undo {
    /// These steps; none if nothing changes.
    Steps(Vec<Step>),
    /// The difference between the tables after and before it.
    Table,
    /// A copy of a file, which is made before; or the removal of a file that is new.
    File(PathBuf),
}

impl Undo {
    /// The file that is copied before.
    pub(super) fn file(&self) -> Option<&Path> {
        if let Self::File(path) = self { Some(path) } else { None }
    }
}

/// How each step of a fix is undone; none if that is not known, or the user has to fill in a word.
pub(super) fn of(fix: &Fix) -> Option<Vec<Undo>> {
    fix.0.iter().map(of_step).collect()
}

fn of_step(step: &Step) -> Option<Undo> {
    if step.has_blanks() {
        return None;
    }
    let steps = |all: Vec<Step>| Some(Undo::Steps(all));
    match step {
        Step::NobodyHas { .. } | Step::Copy(_) | Step::Module(_) => steps(Vec::new()),
        Step::Sysctl(settings) => {
            let old = |setting: &Setting| {
                let path = setting.path.clone();
                Some(Setting { value: sysctl::read(&path)?, path })
            };
            steps(vec![Step::Sysctl(settings.iter().map(old).collect::<Option<Vec<_>>>()?)])
        }
        Step::Address(step) if step.how != AddressChange::Delete => {
            let delete = AddressStep { how: AddressChange::Delete, ..step.clone() };
            steps(if is_there(step)? { Vec::new() } else { vec![Step::Address(delete)] })
        }
        Step::Link { link, up: true } => {
            let down = Step::Link { link: link.clone(), up: false };
            steps(if is_up(link)? { Vec::new() } else { vec![down] })
        }
        Step::Route(route) if route.how == RouteChange::Replace && route.is_main => {
            steps(vec![Step::Route(old_route(route)?)])
        }
        Step::Iptables(rule) if is_new(rule) => steps(vec![Step::Iptables(rule.with("-D"))]),
        Step::Table(
            Change::EditDestination { .. }
            | Change::EditService(_)
            | Change::AddDestination { .. }
            | Change::SetTimeouts(_),
        )
        | Step::SchedulerFlags(_) => Some(Undo::Table),
        Step::Save(path) => Some(Undo::File(path.clone())),
        _ => None,
    }
}

/// The text that `ip` prints; none if it does not.
fn shown_by_ip(words: &[&str]) -> Option<String> {
    programs::output("ip", words).ok()
}

fn known(word: &Word) -> Option<&str> {
    match word {
        Word::Known(word) => word.to_str(),
        Word::Blank(_) => None,
    }
}

/// Whether an interface has an address.
fn is_there(step: &AddressStep) -> Option<bool> {
    let shown = shown_by_ip(&["-o", "addr", "show", "dev", known(&step.link)?])?;
    let whole = format!("{}/{}", known(&step.address)?, step.prefix);
    Some(shown.split_whitespace().any(|word| word == whole))
}

fn is_up(link: &Word) -> Option<bool> {
    let shown = shown_by_ip(&["-o", "link", "show", "dev", known(link)?])?;
    let flags = shown.split(['<', '>']).nth(1)?;
    Some(flags.split(',').any(|flag| flag == "UP"))
}

/// What brings back the route to a network, or removes the new one.
fn old_route(new: &RouteStep) -> Option<RouteStep> {
    let family = if new.family == Family::V4 { "-4" } else { "-6" };
    let shown = shown_by_ip(&[family, "route", "show", "exact", &new.to])?;
    let mut routes = shown.lines().map(str::trim);
    match (routes.next(), routes.next()) {
        (None, _) => Some(RouteStep { how: RouteChange::Delete, words: Vec::new(), ..new.clone() }),
        (Some(route), None) => {
            let (to, rest) = route.split_once(' ')?;
            Some(RouteStep { to: to.to_owned(), words: words(rest), ..new.clone() })
        }
        _ => None,
    }
}

/// Whether a rule is appended to a chain that has no such rule: the undo would remove the first of two that are the same.
fn is_new(rule: &IptablesRule) -> bool {
    const NO_SUCH_RULE: i32 = 1;
    let is_appended = rule.how == "-A" && matches!(rule.table.as_deref(), Some("mangle" | "nat"));
    let command = programs::command(&rule.tool).filter(|_| is_appended);
    let status = command.and_then(|mut command| {
        let words = rule.with("-C").program();
        command.args(words.iter().skip(1).map(Word::as_os_str)).output().ok()
    });
    status.is_some_and(|it| it.status.code() == Some(NO_SUCH_RULE))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use ipvs::{Destination, ForwardingMethod, ServiceId, Timeouts};

    use super::*;
    use crate::check::fix::{GATEWAY, INTERFACE, SERVICE, VIP};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_fixes_that_can_be_undone_are_carried_out() {
        let service = ServiceId::tcp(ip("10.0.0.1"), 80);
        let destination = Destination::new(ip("10.1.0.1"), 80, ForwardingMethod::DirectRouting);
        let route = |gateway: Word| RouteStep {
            family: Family::V4,
            how: RouteChange::Replace,
            to: "192.0.2.0/24".to_owned(),
            words: [words("via"), vec![gateway]].concat(),
            is_main: true,
        };
        let rule = |vip: Word| {
            let words = [words("-d"), vec![vip], words("-p tcp -j MARK --set-mark 7")].concat();
            IptablesRule::append("iptables".to_owned(), "mangle", "PREROUTING", words)
        };
        let copy_and_save = vec![Step::Copy("/etc/x".into()), Step::Save("/etc/x".into())];
        let delete = AddressStep {
            how: AddressChange::Delete,
            address: ip("10.0.0.1").into(),
            prefix: 24,
            link: "lo".into(),
        };
        let nobody = |link: Word| Step::NobodyHas { address: ip("10.0.0.1"), link };
        let load = Step::Module("ipip");
        for (steps, is_safe) in [
            (vec![Step::Table(Change::EditDestination { service, destination })], true),
            (vec![Step::NewServer(service)], false),
            (vec![Step::Table(Change::DeleteService(service))], false),
            (vec![Step::Save("/etc/ipvsadm.rules".into())], true),
            (copy_and_save, true),
            (vec![Step::Save("/tmp/it is".into())], true),
            (vec![Step::Restore("/etc/ipvsadm.rules".into())], false),
            (
                vec![
                    load.clone(),
                    Step::Table(Change::SetTimeouts(Timeouts { tcp: 900, tcp_fin: 0, udp: 0 })),
                ],
                true,
            ),
            (vec![Step::Iptables(rule(VIP))], false),
            (vec![Step::Iptables(rule("10.0.0.1".into()).with("-I"))], false),
            (vec![Step::Firewall("nft 'add table ip x'".to_owned())], false),
            (vec![Step::Route(route(GATEWAY))], false),
            (vec![Step::Route(RouteStep { is_main: false, ..route("192.0.2.1".into()) })], false),
            (vec![Step::Rule { family: Family::V4, words: words("from 10.0.0.1 lookup 100") }], false),
            (vec![Step::Address(delete)], false),
            (vec![Step::add_address(ip("10.0.0.1"), INTERFACE)], false),
            (vec![Step::Remote("ssh 10.0.0.1 ipvsadm --check -r 10.0.0.9".to_owned())], false),
            (vec![Step::Look("ping -c 1 -W 1 10.0.0.1; ip neigh".to_owned())], false),
            (vec![nobody("eth0".into()), load.clone()], true),
            (vec![nobody(INTERFACE), load], false),
            (Fix::set([("net/ipv4/no_such_setting", 1)]).0, false),
            (vec![Step::Restart(SERVICE)], false),
        ] {
            let fix = Fix(steps);
            assert_eq!(of(&fix).is_some(), is_safe, "{fix}");
        }
    }

    #[test]
    fn settings_of_an_interface_of_any_name_are_undone() {
        let undo = of(&Fix::set([("net/ipv4/conf/lo/rp_filter", 2)])).unwrap();
        let Some(Undo::Steps(steps)) = undo.first() else { panic!("{undo:?}") };
        let old = sysctl::read("net/ipv4/conf/lo/rp_filter").unwrap();
        assert_eq!(Fix(steps.clone()).to_string(), format!("sysctl -w net.ipv4.conf.lo.rp_filter={old}"));
    }
}

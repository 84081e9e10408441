//! Which options each command, and each tunnel type, needs and allows.

use std::fmt::Arguments;

use ipvs::TunnelKind;

use crate::messages::{self, Result, remedy};
use crate::option_table::{OPTIONS, OptionKey, OptionSpec};

#[allow(clippy::enum_glob_use, reason = "the rules are all there is here")]
use OptionKey::*;

/// The options that a command needs and allows, and those of them that exclude each other.
struct CommandRules {
    needed: &'static [OptionKey],
    allowed: &'static [OptionKey],
    exclusive: &'static [OptionKey],
}

fn rules(command: OptionKey, given: &[OptionKey]) -> CommandRules {
    const EDIT_SERVICE: &[OptionKey] = &[Scheduler, Persistent, Netmask, Ops, Pe, SchedFlags, DryRun, Keep];
    const ADD_SERVICE: &[OptionKey] = without_last(EDIT_SERVICE);
    const EDIT_SERVER: &[OptionKey] = &[
        ForwardingMethod,
        Weight,
        UThreshold,
        LThreshold,
        TunType,
        TunPort,
        TunNocsum,
        TunCsum,
        TunRemcsum,
        DryRun,
        Keep,
    ];
    const ADD_SERVER: &[OptionKey] = without_last(EDIT_SERVER);
    const CONNECTIONS: &[OptionKey] = &[
        Numeric,
        Connection,
        ServiceAddress,
        Timeout,
        Daemon,
        Stats,
        Rate,
        Thresholds,
        PersistentConn,
        NoSort,
        SyncId,
        Exact,
        TunInfo,
        Json,
        Prometheus,
        File,
        Client,
        State,
        Summary,
        Top,
        RealServer,
    ];
    const LIST: &[OptionKey] = without_last(CONNECTIONS);
    let (needed, allowed, exclusive): (&[OptionKey], &[OptionKey], &[OptionKey]) = match command {
        AddService => (&[ServiceAddress], ADD_SERVICE, &[]),
        EditService => (&[ServiceAddress], EDIT_SERVICE, &[]),
        DeleteService => (&[ServiceAddress], &[DryRun], &[]),
        AddServer => (&[ServiceAddress, RealServer], ADD_SERVER, &[]),
        EditServer => (&[ServiceAddress, RealServer], EDIT_SERVER, &[]),
        DeleteServer => (&[ServiceAddress, RealServer], &[DryRun], &[]),
        Clear | Set => (&[], &[DryRun], &[]),
        Zero => (&[], &[ServiceAddress, DryRun], &[]),
        StartDaemon => {
            (&[], &[McastInterface, SyncId, McastGroup, McastPort, McastTtl, SyncMaxlen, DryRun], &[])
        }
        StopDaemon => (&[], &[SyncId, DryRun], &[]),
        Restore => {
            (&[], &[File, Replace, Diff, Apply, DryRun, Json, Only, OnlyListed], &[Replace, Diff, Apply])
        }
        Save => (&[], &[Numeric, Full, File, Json], &[]),
        Drain => (&[RealServer], &[ServiceAddress, Wait, IgnoreInactive, Force], &[]),
        Explain => (
            &[ServiceAddress],
            &[RealServer, ForwardingMethod, TunType, TunPort, Director, Without, Weight, Json],
            &[],
        ),
        Undrain => (&[], &[ServiceAddress, RealServer], &[]),
        Watch => (&[], &[Numeric, ServiceAddress, Count], &[]),
        Check => (
            &[],
            &[
                RealServer,
                ForwardingMethod,
                TunType,
                TunPort,
                File,
                Director,
                Port,
                Probe,
                NobodyHas,
                Fix,
                Yes,
                Persist,
                Json,
            ],
            &[],
        ),
        _ if given.contains(&Connection) => (&[], CONNECTIONS, &[Connection, Timeout, Daemon]),
        _ => (&[], LIST, &[Connection, ServiceAddress, Timeout, Daemon]),
    };
    CommandRules { needed, allowed, exclusive }
}

/// The options that two commands share, without the one that only the other takes.
const fn without_last(options: &[OptionKey]) -> &[OptionKey] {
    if let [options @ .., _] = options { options } else { options }
}

/// Refuses the first option, in the original's order, that is missing, is not allowed with the command, or conflicts
/// with another.
pub(crate) fn check(command: OptionKey, given: &[OptionKey]) -> Result<()> {
    // The original calls it this.
    let name = if command == Clear { "flush" } else { command.name() };
    apply(&rules(command, given), &format_args!("'{name}' command"), given, |option| {
        if command == List && rules(List, &[Connection]).allowed.contains(&option) {
            format!("{} is about connections: add -c", remedy::one_of(option))
        } else {
            goes_with(option)
        }
    })
}

/// The same for the options of a tunnel; its checksum options exclude each other.
pub(crate) fn check_tunnel(kind: TunnelKind, given: &[OptionKey]) -> Result<()> {
    const CHECKSUMS: &[OptionKey] = &[TunNocsum, TunCsum, TunRemcsum];
    let (needed, allowed): (&[OptionKey], &[OptionKey]) = match kind {
        TunnelKind::Gue => (&[TunPort], CHECKSUMS),
        TunnelKind::Gre => (&[], &[TunNocsum, TunCsum]),
        TunnelKind::Ipip | TunnelKind::Other(_) => (&[], &[]),
    };
    let is_of_a_tunnel = |option: &OptionKey| *option == TunPort || CHECKSUMS.contains(option);
    let given: Vec<OptionKey> = given.iter().copied().filter(is_of_a_tunnel).collect();
    let rules = CommandRules { needed, allowed, exclusive: CHECKSUMS };
    let goes_with = |option| {
        let kinds = if matches!(option, TunNocsum | TunCsum) { "gue or gre" } else { "gue" };
        format!("leave it out: {} goes with --tun-type {kinds}", remedy::one_of(option))
    };
    apply(&rules, &format_args!("'{kind}' tunnel type"), &given, goes_with)
}

fn apply(
    rules: &CommandRules,
    what: &Arguments<'_>,
    given: &[OptionKey],
    goes_with: impl Fn(OptionKey) -> String,
) -> Result<()> {
    let CommandRules { needed, allowed, exclusive } = rules;
    let may_stand = |option: &OptionKey| needed.contains(option) || allowed.contains(option);
    // This runs for each line of a restore, and nearly all are valid.
    if needed.iter().all(|option| given.contains(option))
        && given.iter().all(may_stand)
        && given.iter().filter(|option| exclusive.contains(option)).count() < 2
    {
        return Ok(());
    }
    let mut options = [needed, given].concat();
    options.sort_unstable();
    options.dedup();
    let mut chosen: Option<OptionKey> = None;
    for option in options {
        let text = option.name();
        if !given.contains(&option) {
            let mut members = remedy::members(option);
            let add = members.next().map(remedy::typed_with_value).unwrap_or_default();
            let others = members.map(remedy::typed).collect::<Vec<_>>().join(", ");
            let add = if others.is_empty() { add } else { format!("{add} (or {others})") };
            return refuse(format!("You need to supply the '{text}' option for the {what}; add {add}"));
        }
        if !may_stand(&option) {
            return refuse(format!("Illegal '{text}' option with the {what}; {}", goes_with(option)));
        }
        if exclusive.contains(&option) {
            if let Some(chosen) = chosen {
                let other = chosen.name();
                return refuse(format!(
                    "The option '{text}' conflicts with the '{other}' option in the {what}; leave out one"
                ));
            }
            chosen = Some(option);
        }
    }
    Ok(())
}

/// The commands that an option goes with.
fn goes_with(option: OptionKey) -> String {
    const SHOWN: usize = 4;
    let takes_it = |spec: &&OptionSpec| {
        spec.is_command() && !matches!(spec.key, Help | Version) && takes(spec.key, option)
    };
    let commands = OPTIONS.iter().filter(takes_it).map(remedy::typed);
    let options = remedy::one_of(option);
    match commands.collect::<Vec<_>>() {
        all if all.len() > SHOWN => {
            format!(
                "leave it out: {options} goes with {} and others",
                all.get(..SHOWN).unwrap_or_default().join(", ")
            )
        }
        all => format!("leave it out: {options} goes with {}", all.join(", ")),
    }
}

fn refuse(sentence: String) -> Result<()> {
    Err(messages::value(sentence))
}

/// Whether an option, or one of its group, may stand with a command.
pub(crate) fn takes(command: OptionKey, option: OptionKey) -> bool {
    [&[][..], &[Connection]].into_iter().any(|given| {
        let CommandRules { needed, allowed, exclusive: _ } = rules(command, given);
        needed.contains(&option) || allowed.contains(&option)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn every_option_goes_with_a_command() {
        let commands = || OPTIONS.iter().filter(|spec| spec.is_command());
        for option in OPTIONS.iter().filter_map(|spec| spec.checked_as) {
            assert!(commands().any(|spec| takes(spec.key, option)), "{option:?}");
        }
    }
}

//! What goes with what: each command's options, and each tunnel's.

use crate::cli::args::Opt;
use crate::messages::{self, Result};
use crate::option_key::OptionKey;

#[allow(clippy::enum_glob_use, reason = "the table of columns is all there is here")]
use OptionKey::*;

/// A command's options: those it needs, and those it may have.
struct Fits {
    name: &'static str,
    needed: &'static [OptionKey],
    allowed: &'static [OptionKey],
}

fn fits(command: Opt) -> Fits {
    const EDIT_SERVICE: &[OptionKey] = &[Scheduler, Persistent, Netmask, Ops, Pe, SchedFlags, DryRun, Keep];
    const ADD_SERVICE: &[OptionKey] = without_keep(EDIT_SERVICE);
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
    const ADD_SERVER: &[OptionKey] = without_keep(EDIT_SERVER);
    const LIST: &[OptionKey] = &[
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
    ];
    let (name, needed, allowed): (_, &[OptionKey], &[OptionKey]) = match command {
        Opt::AddService => ("add-service", &[ServiceAddress], ADD_SERVICE),
        Opt::EditService => ("edit-service", &[ServiceAddress], EDIT_SERVICE),
        Opt::DeleteService => ("delete-service", &[ServiceAddress], &[DryRun]),
        Opt::Clear => ("flush", &[], &[DryRun]),
        Opt::AddServer => ("add-server", &[ServiceAddress, RealServer], ADD_SERVER),
        Opt::EditServer => ("edit-server", &[ServiceAddress, RealServer], EDIT_SERVER),
        Opt::DeleteServer => ("delete-server", &[ServiceAddress, RealServer], &[DryRun]),
        Opt::Set => ("set", &[], &[DryRun]),
        Opt::StartDaemon => (
            "start-daemon",
            &[],
            &[McastInterface, SyncId, McastGroup, McastPort, McastTtl, SyncMaxlen, DryRun],
        ),
        Opt::StopDaemon => ("stop-daemon", &[], &[SyncId, DryRun]),
        Opt::Restore => ("restore", &[], &[File, Replace, Diff, Apply, DryRun]),
        Opt::Save => ("save", &[], &[Numeric, Full, File]),
        Opt::Check => ("check", &[], &[RealServer, ForwardingMethod, File, Director, Port, Json]),
        Opt::Zero => ("zero", &[], &[ServiceAddress, DryRun]),
        _ => ("list", &[], LIST),
    };
    Fits { name, needed, allowed }
}

/// What is added has nothing to keep.
const fn without_keep(columns: &[OptionKey]) -> &[OptionKey] {
    if let [columns @ .., Keep] = columns { columns } else { columns }
}

/// Complains of the first column that is missing, does not go with the command, or excludes another.
pub(crate) fn check(command: Opt, given: &[OptionKey]) -> Result<()> {
    let exclusive: &[OptionKey] = match command {
        Opt::List => &[Connection, ServiceAddress, Timeout, Daemon],
        Opt::Restore => &[Replace, Diff, Apply],
        _ => &[],
    };
    scan(&fits(command), "command", exclusive, &OptionKey::ALL.map(|(column, _)| column), given)
}

/// The same for the options of a tunnel, of which the checksums exclude each other.
pub(crate) fn check_tunnel(tunnel: &[u8], given: &[OptionKey]) -> Result<()> {
    const CHECKSUMS: &[OptionKey] = &[TunNocsum, TunCsum, TunRemcsum];
    let (name, needed, allowed): (_, &[OptionKey], &[OptionKey]) = match tunnel {
        b"gue" => ("gue", &[TunPort], CHECKSUMS),
        b"gre" => ("gre", &[], &[TunNocsum, TunCsum]),
        _ => ("ipip", &[], &[]),
    };
    let columns = [TunPort, TunNocsum, TunCsum, TunRemcsum];
    scan(&Fits { name, needed, allowed }, "tunnel type", CHECKSUMS, &columns, given)
}

fn scan(
    fits: &Fits,
    kind: &str,
    exclusive: &[OptionKey],
    columns: &[OptionKey],
    given: &[OptionKey],
) -> Result<()> {
    let Fits { name, needed, allowed } = fits;
    // A restore comes here with each line, and nearly all are in order: that is told without going through all columns.
    let is_in_place =
        |column: &OptionKey| needed.contains(column) || allowed.contains(column) || !columns.contains(column);
    if needed.iter().all(|column| given.contains(column))
        && given.iter().all(is_in_place)
        && given.iter().filter(|column| exclusive.contains(column)).count() < 2
    {
        return Ok(());
    }
    let mut chosen: Option<OptionKey> = None;
    for column in columns {
        let is_given = given.contains(column);
        let text = column.name();
        if needed.contains(column) && !is_given {
            return complain(format!("You need to supply the '{text}' option for the '{name}' {kind}"));
        }
        if is_given && !needed.contains(column) && !allowed.contains(column) {
            return complain(format!("Illegal '{text}' option with the '{name}' {kind}"));
        }
        if is_given && exclusive.contains(column) {
            if let Some(chosen) = chosen {
                let other = chosen.name();
                return complain(format!(
                    "The option '{text}' conflicts with the '{other}' option in the '{name}' {kind}"
                ));
            }
            chosen = Some(*column);
        }
    }
    Ok(())
}

fn complain(sentence: String) -> Result<()> {
    Err(messages::value(sentence))
}

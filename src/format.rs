//! Lines of the save format: written by `-S`, `--diff` and `--dry-run`, split for `-R`.

use std::io::{Error, ErrorKind, Result, Write};

use ipvs::{
    Change, Checksum, Destination, DestinationId, Family, ForwardingMethod, Netmask, Persistence, Protocol,
    SchedulerFlags, Service, ServiceId, SyncDaemon, Timeouts, Tunnel,
};

use crate::cli::value::scheduler_flags_text;
use crate::messages;
use crate::netns;
use crate::shell;
use crate::text::{AddressFormatter, address, protocol_of, signed};

/// Writes the line that makes a change.
pub(crate) fn change(
    out: &mut impl Write,
    change: &Change,
    formatter: &mut AddressFormatter<'_>,
) -> Result<()> {
    match change {
        Change::AddService(whole) => service(out, "-A", whole, formatter),
        Change::EditService(whole) => service(out, "-E", whole, formatter),
        Change::DeleteService(id) => {
            write!(out, "-D ")?;
            service_id(out, id, formatter)?;
            writeln!(out)
        }
        Change::AddDestination { service: id, destination: whole } => {
            destination(out, "-a", id, whole, true, formatter)
        }
        Change::EditDestination { service: id, destination: whole } => {
            destination(out, "-e", id, whole, true, formatter)
        }
        Change::DeleteDestination { service: id, destination: server } => {
            write!(out, "-d ")?;
            service_id(out, id, formatter)?;
            writeln!(out, " -r {}", formatter.endpoint(server.address, server.port, protocol_of(id)))
        }
        Change::Flush => writeln!(out, "-C"),
        Change::Zero(None) => writeln!(out, "-Z"),
        Change::Zero(Some(id)) => {
            write!(out, "-Z ")?;
            service_id(out, id, formatter)?;
            writeln!(out)
        }
        Change::SetTimeouts(Timeouts { tcp, tcp_fin, udp }) => writeln!(out, "--set {tcp} {tcp_fin} {udp}"),
        Change::StartDaemon(whole) => daemon(out, whole),
        Change::StopDaemon { state, sync_id } => {
            writeln!(out, "--stop-daemon {state} --syncid {sync_id}")
        }
    }
}

/// The line that makes a change, in numbers and without its newline.
pub(crate) fn line(whole: &Change) -> String {
    let mut line = Vec::new();
    match change(&mut line, whole, &mut AddressFormatter::numeric()) {
        Ok(()) => messages::printable(&String::from_utf8_lossy(line.trim_ascii_end())),
        Err(no_line) => no_line.to_string(),
    }
}

/// Writes the lines of changes, in numbers.
pub(crate) fn changes<'a>(out: &mut impl Write, changes: impl IntoIterator<Item = &'a Change>) -> Result<()> {
    let mut formatter = AddressFormatter::numeric();
    changes.into_iter().try_for_each(|whole| change(out, whole, &mut formatter))
}

/// The command line that makes a change, for a user to copy.
pub(crate) fn command_line(change: &Change) -> String {
    let words = line(change);
    shell::line(netns::ipvsadm().into_iter().chain(words.split(' ').map(|word| word.as_bytes().to_vec())))
}

/// The command line by which `--undrain` brings a server back.
pub(crate) fn undrain_line(service: &ServiceId, server: &DestinationId) -> String {
    about_server("--undrain", service, server)
}

fn about_server(command: &str, service: &ServiceId, server: &DestinationId) -> String {
    let line = line(&Change::DeleteDestination { service: *service, destination: *server });
    let words = line.split(' ').skip(1).map(|word| word.as_bytes().to_vec());
    shell::line(netns::ipvsadm().into_iter().chain([command.into()]).chain(words))
}

/// The command line that gives a service's scheduler other flags, and leaves the rest.
pub(crate) fn flags_line(service: &Service, flags: SchedulerFlags) -> String {
    let line = line(&Change::DeleteService(service.id));
    let id = line.split(' ').skip(1).map(|word| word.as_bytes().to_vec());
    let flags = scheduler_flags_text(flags, &service.scheduler);
    let words = [&b"-E"[..], b"--keep"].map(<[u8]>::to_vec).into_iter().chain(id);
    let flags = [b"-b".to_vec(), flags.into_bytes()];
    shell::line(netns::ipvsadm().into_iter().chain(words).chain(flags))
}

/// The same as [`command_line`] for a shell in the network namespace.
pub(crate) fn command_line_inside(change: &Change) -> String {
    let words = line(change);
    shell::line(std::iter::once("ipvsadm").chain(words.split(' ')))
}

/// `-A SERVICE -s NAME ...`
pub(crate) fn service(
    out: &mut impl Write,
    command: &str,
    service: &Service,
    formatter: &mut AddressFormatter<'_>,
) -> Result<()> {
    let Service { id, scheduler, scheduler_flags, persistence, engine, one_packet } = service;
    let scheduler_option = option("-s", scheduler.as_bytes())?;
    write!(out, "{command} ")?;
    service_id(out, id, formatter)?;
    out.write_all(&scheduler_option)?;
    if let Some(Persistence { timeout, netmask }) = persistence {
        write!(out, " -p {timeout}")?;
        if *netmask != Netmask::single(id.family()) {
            write!(out, " -M {netmask}")?;
        }
    }
    if let Some(engine) = engine {
        out.write_all(&option("--pe", engine.as_bytes())?)?;
    }
    if *one_packet {
        write!(out, " -o")?;
    }
    if !scheduler_flags.is_empty() {
        write!(out, " -b {}", scheduler_flags_text(*scheduler_flags, scheduler))?;
    }
    writeln!(out)
}

/// `-a SERVICE -r SERVER ...`, with thresholds if requested and set.
pub(crate) fn destination(
    out: &mut impl Write,
    command: &str,
    service: &ServiceId,
    destination: &Destination,
    thresholds: bool,
    formatter: &mut AddressFormatter<'_>,
) -> Result<()> {
    let Destination { id, forwarding, weight, upper_threshold, lower_threshold } = *destination;
    write!(out, "{command} ")?;
    service_id(out, service, formatter)?;
    let server = formatter.endpoint(id.address, id.port, protocol_of(service));
    write!(out, " -r {server} {} -w {}", method_option(forwarding), signed(weight))?;
    if thresholds && (upper_threshold, lower_threshold) != (0, 0) {
        write!(out, " -x {upper_threshold} -y {lower_threshold}")?;
    }
    if let ForwardingMethod::Tunnel(tunnel) = forwarding {
        tunnel_options(out, tunnel)?;
    }
    writeln!(out)
}

/// ` --tun-type TYPE ...`; nothing for a kind without a name, which no option stands for.
fn tunnel_options(out: &mut impl Write, tunnel: Tunnel) -> Result<()> {
    if matches!(tunnel, Tunnel::Other { .. }) {
        return Ok(());
    }
    write!(out, " --tun-type {}", tunnel.kind())?;
    if let Some(port) = tunnel.port() {
        write!(out, " --tun-port {port}")?;
    }
    tunnel.checksum().map_or(Ok(()), |checksum| write!(out, "{}", checksum_option(checksum)))
}

/// `--start-daemon STATE ...`
fn daemon(out: &mut impl Write, daemon: &SyncDaemon) -> Result<()> {
    let SyncDaemon { state, interface, sync_id, max_length, group, port, ttl } = daemon;
    let interface = option("--mcast-interface", interface.as_bytes())?;
    write!(out, "--start-daemon {state}")?;
    out.write_all(&interface)?;
    write!(out, " --syncid {sync_id}")?;
    if *max_length != 0 {
        write!(out, " --sync-maxlen {max_length}")?;
    }
    if let Some(group) = group {
        write!(out, " --mcast-group {}", address(*group))?;
    }
    if *port != 0 {
        write!(out, " --mcast-port {port}")?;
    }
    if *ttl != 0 {
        write!(out, " --mcast-ttl {ttl}")?;
    }
    writeln!(out)
}

fn service_id(out: &mut impl Write, id: &ServiceId, formatter: &mut AddressFormatter<'_>) -> Result<()> {
    match *id {
        ServiceId::Address { protocol, address, port } => {
            let option = match protocol {
                Protocol::Tcp => "-t",
                Protocol::Udp => "-u",
                Protocol::Sctp => "--sctp-service",
                Protocol::Other(_) => "--xxx-service",
            };
            write!(out, "{option} {}", formatter.endpoint(address, port, Some(protocol)))
        }
        ServiceId::Fwmark { mark, family: Family::V4 } => write!(out, "-f {mark}"),
        ServiceId::Fwmark { mark, family: Family::V6 } => write!(out, "-f {mark} -6"),
    }
}

/// ` OPTION NAME`, or ` OPTION=NAME` if the name alone would not be read back, such as one that looks like a comment.
fn option(option: &str, name: &[u8]) -> Result<Vec<u8>> {
    /// The original's parser takes this as a separate word for the word after it.
    const PLACEHOLDER: &[u8] = b"!#:+";
    let is_word = |word: &[u8]| words(word) == [word];
    let with = |joint: &[u8]| [b" ", option.as_bytes(), joint, name].concat();
    if is_word(name) && name != PLACEHOLDER {
        return Ok(with(b" "));
    }
    let glued = with(b"=");
    if is_word(glued.trim_ascii_start()) {
        return Ok(glued);
    }
    let name = messages::text(name);
    let message = format!("no line can hold the name: '{name}'; take one without blanks, see ip link show");
    Err(Error::new(ErrorKind::InvalidInput, message))
}

/// The option for a forwarding method.
pub(crate) fn method_option(forwarding: ForwardingMethod) -> &'static str {
    match forwarding {
        ForwardingMethod::Masquerade => "-m",
        ForwardingMethod::Local | ForwardingMethod::DirectRouting => "-g",
        ForwardingMethod::Tunnel(_) => "-i",
        ForwardingMethod::Other(_) => "(null)",
    }
}

pub(crate) fn checksum_option(checksum: Checksum) -> &'static str {
    match checksum {
        Checksum::Off => " --tun-nocsum",
        Checksum::On => " --tun-csum",
        Checksum::Remote => " --tun-remcsum",
        Checksum::Other(_) => " --tun-csum --tun-remcsum",
    }
}

/// The words of a line, up to one that begins with `#`. As in the original, a NUL ends its word, which may leave an
/// empty one, the word `ipvsadm` is skipped everywhere, and there is no quoting. This reads back what [`option`]
/// writes.
pub(crate) fn words(line: &[u8]) -> Vec<&[u8]> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let mut words = Vec::with_capacity(12); // grows for a line with every option
    words.extend(
        line.split(blank)
            .filter(|word| !word.is_empty())
            .map(|word| word.split(|byte| *byte == 0).next().unwrap_or_default())
            .filter(|word| *word != b"ipvsadm")
            .take_while(|word| !word.starts_with(b"#")),
    );
    words
}

#[cfg(test)]
mod tests {
    use ipvs::{DaemonState, InterfaceName, PersistenceEngine, Scheduler};
    use proptest::prelude::*;

    use super::*;
    use crate::cli::parse;
    use crate::command::Command;
    use crate::resolver::Resolver;

    fn name<T: std::fmt::Debug>(
        longest: usize,
        new: fn(&[u8]) -> std::result::Result<T, ipvs::InvalidValue>,
    ) -> impl Strategy<Value = T> {
        let byte = prop_oneof![any::<u8>(), prop::sample::select(&b"#!:+=-\xff"[..])];
        let bytes = prop_oneof![
            4 => prop::collection::vec(byte.prop_filter("NUL", |byte| *byte != 0), 1..=longest),
            1 => prop::sample::select(vec![b"ipvsadm".to_vec(), b"#".to_vec(), b"!#:+".to_vec()]),
        ];
        bytes.prop_map(move |bytes| new(&bytes).unwrap())
    }

    proptest! {
        #[test]
        fn a_line_with_any_names_is_read_back_or_not_written(
            scheduler in name(Scheduler::MAX_BYTES, Scheduler::new),
            engine in name(PersistenceEngine::MAX_BYTES, PersistenceEngine::new),
            interface in name(InterfaceName::MAX_BYTES, InterfaceName::new)
        ) {
            let id = ServiceId::tcp("192.0.2.1".parse().unwrap(), 80);
            let service = Change::AddService(Service { engine: Some(engine), ..Service::new(id, scheduler) });
            let daemon = Change::StartDaemon(SyncDaemon::new(DaemonState::Master, interface, 3));
            for (whole, names) in
                [(service, [scheduler.as_bytes(), engine.as_bytes()].concat()), (daemon, interface.as_bytes().to_vec())]
            {
                let mut line = Vec::new();
                let written = change(&mut line, &whole, &mut AddressFormatter::numeric());
                prop_assert_eq!(written.is_err(), names.iter().any(|byte| b" \t\r\n".contains(byte)));
                if written.is_ok() {
                    let read = parse::parse("ipvsadm", &words(&line), &mut Resolver::numbers_only());
                    let Ok(Command::Change(request)) = read else { panic!("{line:?}: {read:?}") };
                    prop_assert_eq!(request.change, whole);
                }
            }
        }
    }
}

//! Lines of the save format: written by `-S`, taken apart for `-R`.

use std::io::{Result, Write};

use ipvs::{Checksum, Destination, Family, Forwarding, Netmask, Protocol, Service, ServiceId, Tunnel};

use crate::list::text::{Texts, protocol_of};
use crate::value::scheduler_flags_text;

/// `-A SERVICE -s NAME ...`
pub(crate) fn service(out: &mut impl Write, service: &Service, texts: &mut Texts<'_>) -> Result<()> {
    write!(out, "-A ")?;
    service_id(out, &service.id, texts)?;
    write!(out, " -s {}", service.scheduler)?;
    if let Some(persistence) = &service.persistence {
        write!(out, " -p {}", persistence.timeout)?;
        if persistence.netmask != Netmask::single(service.id.family()) {
            write!(out, " -M {}", persistence.netmask)?;
        }
    }
    if let Some(engine) = &service.engine {
        write!(out, " --pe {engine}")?;
    }
    if service.one_packet {
        write!(out, " -o")?;
    }
    if !service.scheduler_flags.is_empty() {
        write!(out, " -b {}", scheduler_flags_text(service.scheduler_flags, &service.scheduler))?;
    }
    writeln!(out)
}

/// `-a SERVICE -r SERVER ...`
pub(crate) fn destination(
    out: &mut impl Write,
    service: &ServiceId,
    destination: &Destination,
    texts: &mut Texts<'_>,
) -> Result<()> {
    write!(out, "-a ")?;
    service_id(out, service, texts)?;
    let server = texts.endpoint(destination.id.address, destination.id.port, protocol_of(service));
    let method = match destination.forwarding {
        Forwarding::Masquerade => "-m",
        Forwarding::Local | Forwarding::DirectRouting => "-g",
        Forwarding::Tunnel(_) => "-i",
        Forwarding::Other(_) => "(null)",
    };
    write!(out, " -r {server} {method} -w {}", destination.weight.cast_signed())?;
    if let Forwarding::Tunnel(tunnel) = destination.forwarding {
        match tunnel {
            Tunnel::Ipip => write!(out, " --tun-type ipip")?,
            Tunnel::Gue { port, checksum } => {
                write!(out, " --tun-type gue --tun-port {port}{}", checksum_option(checksum))?;
            }
            Tunnel::Gre { checksum } => write!(out, " --tun-type gre{}", checksum_option(checksum))?,
            Tunnel::Other(_) => {}
        }
    }
    writeln!(out)
}

fn service_id(out: &mut impl Write, id: &ServiceId, texts: &mut Texts<'_>) -> Result<()> {
    match *id {
        ServiceId::Address { protocol, address, port } => {
            let option = match protocol {
                Protocol::Tcp => "-t",
                Protocol::Udp => "-u",
                Protocol::Sctp => "--sctp-service",
                Protocol::Other(_) => "--xxx-service",
            };
            write!(out, "{option} {}", texts.endpoint(address, port, Some(protocol)))
        }
        ServiceId::Fwmark { mark, family: Family::V4 } => write!(out, "-f {mark}"),
        ServiceId::Fwmark { mark, family: Family::V6 } => write!(out, "-f {mark} -6"),
    }
}

fn checksum_option(checksum: Checksum) -> &'static str {
    match checksum {
        Checksum::Off => " --tun-nocsum",
        Checksum::On => " --tun-csum",
        Checksum::Remote => " --tun-remcsum",
        Checksum::Other(_) => " --tun-csum --tun-remcsum",
    }
}

/// The words of a line. The word `ipvsadm` is left out wherever it stands, as the original does, and a line that
/// begins with `#` has none. There is no quoting.
pub(crate) fn words(line: &[u8]) -> Vec<&[u8]> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let words: Vec<&[u8]> = line
        .split(blank)
        .map(|word| word.split(|byte| *byte == 0).next().unwrap_or_default())
        .filter(|word| !word.is_empty() && *word != b"ipvsadm")
        .collect();
    if words.first().is_some_and(|word| word.starts_with(b"#")) { Vec::new() } else { words }
}

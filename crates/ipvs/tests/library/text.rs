//! Every type with a text form is read back from it.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use ipvs::{
    Checksum, DaemonState, DestinationId, ForwardingMethod, Netmask, Protocol, ServiceId, Tunnel, TunnelKind,
    Version,
};
use proptest::prelude::*;

use crate::{destination, service};

fn comes_back<T: Display + FromStr + PartialEq + Debug>(value: &T) -> Result<(), TestCaseError> {
    let text = value.to_string();
    let read: Option<T> = text.parse().ok();
    prop_assert_eq!(read.as_ref(), Some(value), "{}", text);
    prop_assert_eq!(format!("{value:>60}"), format!("{text:>60}"));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_come_back(service in service(), server in destination(), number: u16, flags: u16, byte: u8) {
        comes_back(&service.id)?;
        comes_back(&ServiceId::Address { protocol: Protocol::from(number), address: server.id.address, port: flags })?;
        comes_back(&Protocol::from(number))?;
        comes_back(&server.id)?;
        comes_back(&server.forwarding)?;
        for state in [DaemonState::Master, DaemonState::Backup] {
            comes_back(&state)?;
        }
        comes_back(&ForwardingMethod::from(u32::from(byte)))?;
        comes_back(&TunnelKind::from(byte))?;
        for kind in [byte % 4, byte].map(TunnelKind::from) {
            for port in [0, number] {
                for flags in [flags % 4, flags] {
                    let tunnel = Tunnel::new(kind, port, Checksum::from(flags));
                    comes_back(&tunnel)?;
                    comes_back(&ForwardingMethod::Tunnel(tunnel))?;
                }
            }
        }
        comes_back(&service.scheduler)?;
        comes_back(&service.id.family())?;
        comes_back(&Netmask::single(service.id.family()))?;
        if let Some(persistence) = service.persistence {
            comes_back(&persistence.netmask)?;
        }
        comes_back(&Version { major: byte, minor: byte / 2, patch: 0 })?;
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in "[TCPFWMgue:.0-9 \\[\\]+-]{0,40}") {
        let _ = (text.parse::<ServiceId>(), text.parse::<DestinationId>(), text.parse::<ForwardingMethod>());
        let _ = (text.parse::<Tunnel>(), text.parse::<Checksum>(), text.parse::<DaemonState>());
    }
}

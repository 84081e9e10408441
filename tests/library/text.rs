//! What has a text is read back from it, whatever it is.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use ipvs::{Checksum, DaemonState, DestinationId, ForwardingMethod, Protocol, ServiceId, Tunnel};
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
        // Numbers that have a name are never unnamed ones.
        let (kind, flags) = (byte.max(3), flags.max(3));
        comes_back(&ForwardingMethod::Other(byte.max(4)))?;
        comes_back(&Tunnel::Other(kind))?;
        comes_back(&Tunnel::Gue { port: number, checksum: Checksum::Other(flags) })?;
        comes_back(&service.scheduler)?;
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in "[TCPFWMgue:.0-9 \\[\\]+-]{0,40}") {
        let _ = (text.parse::<ServiceId>(), text.parse::<DestinationId>(), text.parse::<ForwardingMethod>());
        let _ = (text.parse::<Tunnel>(), text.parse::<Checksum>(), text.parse::<DaemonState>());
    }
}

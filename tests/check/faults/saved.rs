//! Faults of the saved table: after a restart, which begins with an empty table, a different one is restored.

use super::{Fault, ON_DIRECTOR};

const RESTART: &str = "was=$(ipvsadm -S --full | grep -v '^#')
    back=$(unshare --net sh -c 'ip link set lo up; ipvsadm -R --replace --file /etc/sysconfig/ipvsadm; ipvsadm -S --full' 2>&1 | grep -v '^#')
    [ \"$was\" = \"$back\" ] && echo comes back";

const SAVED: Fault =
    Fault { probe: Some(("director", RESTART)), healthy: "comes back", fixed: "comes back", ..ON_DIRECTOR };

pub(super) const FAULTS: [Fault; 5] = [
    Fault { id: "save-missing", make: "rm /etc/sysconfig/ipvsadm", ..SAVED },
    Fault {
        id: "save-unreadable",
        make: "echo '-A -t 192.168.1.100:443 -s' >>/etc/sysconfig/ipvsadm",
        ..SAVED
    },
    // As the original saves two servers with one name, without -n.
    Fault {
        id: "save-names",
        make: "printf '%s\n' '-A -t 192.168.1.100:80 -s rr' '-a -t 192.168.1.100:80 -r web:80 -g -w 1' \
               '-a -t 192.168.1.100:80 -r web:80 -g -w 1' >/etc/sysconfig/ipvsadm",
        ..SAVED
    },
    Fault { id: "save-stale", make: "ipvsadm -e -t 192.168.1.100:80 -r 192.168.1.11 -g -x 100", ..SAVED },
    Fault { id: "save-stale", make: "ipvsadm -d -t 192.168.1.100:80 -r 192.168.1.11", ..SAVED },
];

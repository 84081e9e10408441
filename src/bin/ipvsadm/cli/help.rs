//! The table of options as a clap command: for the help, the manual page and the completions.

use crate::option_table::{Arity, Heading, OPTIONS, OptionKey, OptionSpec};

/// The table of options as a clap command.
pub(crate) fn clap(program: String) -> clap::Command {
    let mut specs: Vec<&OptionSpec> = OPTIONS.iter().filter(|spec| spec.heading.is_some()).collect();
    specs.sort_by_key(|spec| spec.heading);
    let arguments = specs.into_iter().map(|spec| {
        let argument = clap::Arg::new(spec.name).long(spec.name).help(spec.help);
        let argument = argument.help_heading(spec.heading.map(title));
        let mut letters = spec.letters.chars();
        let argument = match letters.next() {
            Some(letter) => argument.short(letter).short_aliases(letters),
            None => argument,
        };
        match spec.arity {
            Arity::Nothing if spec.key == OptionKey::Set => {
                argument.num_args(3).value_names(["TCP", "TCPFIN", "UDP"])
            }
            Arity::Nothing => argument.action(clap::ArgAction::SetTrue),
            Arity::Value(name) => argument.value_name(name).allow_hyphen_values(true),
            Arity::Optional(name) => argument.value_name(name).num_args(0..=1),
        }
    });
    clap::Command::new("ipvsadm")
        .bin_name(program)
        .about("Administers Linux IPVS, the kernel's layer-4 load balancer.")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .override_usage(USAGE)
        .args(arguments)
}

fn title(heading: Heading) -> &'static str {
    match heading {
        Heading::Commands => "Commands",
        Heading::Service => "Virtual service",
        Heading::Server => "Real server",
        Heading::Listing => "Listing",
        Heading::Sync => "Sync daemon",
        Heading::Extensions => "Extensions",
    }
}

const USAGE: &str = "ipvsadm -A|-E SERVICE [-s NAME] [-p [SECONDS]] [-M NETMASK] [--pe NAME] [-o] [-b FLAGS]
       ipvsadm -D SERVICE
       ipvsadm -a|-e SERVICE -r SERVER [-g|-i|-m] [-w WEIGHT] [-x COUNT] [-y COUNT] [--tun-type TYPE ...]
       ipvsadm -d SERVICE -r SERVER
       ipvsadm -L [-n] [SERVICE | -c | --timeout | --daemon] [--stats | --rate | --json | ...]
       ipvsadm -S [-n | --json] > FILE
       ipvsadm -R [--json] < FILE
       ipvsadm -R --apply|--diff [--only SERVICE ... | --only-listed] [--json] < FILE
       ipvsadm -C
       ipvsadm -Z [SERVICE]
       ipvsadm --set TCP TCPFIN UDP
       ipvsadm --start-daemon STATE [--mcast-interface INTERFACE] [--syncid NUMBER] ...
       ipvsadm --stop-daemon STATE
       ipvsadm --drain [SERVICE] -r SERVER [--wait SECONDS] [--ignore-inactive] [--force]
       ipvsadm --undrain [SERVICE] [-r SERVER]
       ipvsadm --watch [SECONDS] [SERVICE] [--count NUMBER]
       ipvsadm --check [--json] [--file PATH]
       ipvsadm --check [--json] -r VIP [-g|-i|-m] [--director ADDRESS] [--port PORT]
SERVICE is -t|-u|--sctp-service ADDRESS:PORT, or -f MARK [-6]. The command comes first.";

#[cfg(test)]
mod tests;

//! `-S`: the table as lines for `-R`.

use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::SystemTime;

use ipvs::{Change, Client, Destination, Service, ServiceEntry};
use serde::Serialize;

use crate::command::Save;
use crate::format;
use crate::json::Object;
use crate::list::{ListedServer, Order, destinations, endpoints, services};
use crate::messages::{self, Failure, report};
use crate::notes;
use crate::resolver::Resolver;
use crate::rules::atomic_file;
use crate::rules::lines::{DRAINED, comes_back};
use crate::rules::place::{self, Hint};
use crate::shell;
use crate::text::AddressFormatter;

/// Writes the whole table, to a file if one is given.
pub(crate) fn save(
    out: &mut impl Write,
    save: &Save,
    client: &mut Client,
    resolver: &mut Resolver,
) -> anyhow::Result<()> {
    let mut formatter = AddressFormatter::reversible(save.numeric || save.full, resolver);
    let path = file(save);
    let mut lost = Vec::new();
    match path {
        Some(path) => {
            out.flush()?; // it may be stdout under another path
            atomic_file::write_whole(path, |out| write(out, save, client, &mut formatter, &mut lost))?;
        }
        None if place::is_closed_or_null(io::stdout())? => {
            return Err(io::Error::other(place::STDOUT_CLOSED).into());
        }
        None => {
            // The reader of a pipe does not learn that a save failed: write all of it or nothing.
            let mut whole = Vec::new();
            write(&mut whole, save, client, &mut formatter, &mut lost)?;
            out.write_all(&whole)?;
        }
    }
    if !formatter.replaced_names().is_empty() {
        let names: Vec<String> =
            formatter.replaced_names().iter().map(|name| messages::text(name.as_bytes())).collect();
        report(&messages::saved_as_numbers(&names));
    }
    if let Some(message) = messages::not_restored(&lost) {
        report(&message);
    }
    if path.is_none() && io::stdout().is_terminal() {
        report(messages::NOT_IN_A_FILE);
    }
    Ok(())
}

/// The file to write, if it is not stdout.
fn file(save: &Save) -> Option<&Path> {
    save.file.as_deref().filter(|path| !atomic_file::is_standard(path))
}

/// A save to a file failed, because of the kernel or of the file. For stdout, returns the error itself.
pub(crate) fn save_failure(error: anyhow::Error, save: &Save) -> Result<Failure, anyhow::Error> {
    let Some(path) = file(save) else { return Err(error) };
    let hint = error.downcast_ref::<Hint>().copied();
    let mut failure = atomic_file::failure(error, path);
    if hint == Some(Hint::Irreplaceable) {
        let options = [(save.numeric, " -n"), (save.full, " --full"), (save.json, " --json")];
        let options: String =
            options.into_iter().filter(|(is_set, _)| *is_set).map(|(_, option)| option).collect();
        let path = shell::quoted(path.as_os_str().as_bytes());
        failure.message = format!(
            "{}, but ipvsadm -S{options} > {path} writes into it, and leaves an incomplete file if that fails",
            failure.message
        );
    }
    Ok(failure)
}

fn write(
    out: &mut dyn Write,
    save: &Save,
    client: &mut Client,
    formatter: &mut AddressFormatter<'_>,
    lost: &mut Vec<String>,
) -> anyhow::Result<()> {
    if save.json { json(out, save.full, client) } else { lines(out, save.full, client, formatter, lost) }
}

/// A service with its real servers, as configured.
#[derive(Serialize)]
struct Configured<'a> {
    #[serde(flatten)]
    service: &'a Service,
    servers: Vec<Destination>,
}

/// The table as `-R --json` takes it.
fn json(out: &mut dyn Write, full: bool, client: &mut Client) -> anyhow::Result<()> {
    let mut object = Object::begin(out)?;
    let mut array = object.array("services")?;
    for entry in services(client, true)? {
        let servers = destinations(client, &entry.service, Order::Restored, false)?;
        let servers = servers.into_iter().map(|kept| kept.destination).collect();
        array.push(&Configured { service: &entry.service, servers })?;
    }
    array.end()?;
    if full {
        object.field("timeouts", &client.timeouts()?)?;
        object.field("daemons", &client.daemons()?)?;
    }
    Ok(object.end()?)
}

/// Writes lines, and collects those that do not come back.
fn lines(
    out: &mut dyn Write,
    full: bool,
    client: &mut Client,
    formatter: &mut AddressFormatter<'_>,
    lost: &mut Vec<String>,
) -> anyhow::Result<()> {
    let mut out = out;
    if full {
        head(&mut out, client, formatter)?;
    }
    let services = services(client, true)?;
    // As the original saves it, whatever the scheduler, unless all is to come back.
    let order = if full { Order::Restored } else { Order::Sorted };
    let mut read = |entry: ServiceEntry| {
        let servers = destinations(client, &entry.service, order, false)?;
        ipvs::Result::Ok((entry, servers))
    };
    if formatter.is_by_name() {
        // Names are looked up together, before the first is written.
        let whole = services.into_iter().map(read).collect::<ipvs::Result<Vec<_>>>()?;
        formatter.expect(whole.iter().flat_map(|(entry, servers)| endpoints(&entry.service.id, servers)));
        for (entry, servers) in &whole {
            service(&mut out, entry, servers, full, formatter, lost)?;
        }
    } else {
        for entry in services {
            let (entry, servers) = read(entry)?;
            service(&mut out, &entry, &servers, full, formatter, lost)?;
        }
    }
    if full {
        // Last, because servers of another family than their service's cannot be added while a daemon runs.
        for daemon in client.daemons()? {
            format::change(&mut out, &Change::StartDaemon(daemon), formatter)?;
        }
        for change in notes::saved::drained(client)?.iter().filter(|change| comes_back(change)) {
            out.write_all(DRAINED)?;
            format::change(&mut out, change, &mut AddressFormatter::numeric())?;
        }
    }
    Ok(())
}

/// The lines of a service and its servers.
fn service(
    out: &mut impl Write,
    entry: &ServiceEntry,
    servers: &[ListedServer],
    full: bool,
    formatter: &mut AddressFormatter<'_>,
    lost: &mut Vec<String>,
) -> anyhow::Result<()> {
    let mut check = |change: Change| {
        if !comes_back(&change) {
            lost.push(format::line(&change));
        }
    };
    format::service(out, "-A", &entry.service, formatter)?;
    check(Change::AddService(entry.service));
    let id = entry.service.id;
    for kept in servers {
        format::destination(out, "-a", &id, &kept.destination, full, formatter)?;
        check(Change::AddDestination { service: id, destination: kept.destination });
    }
    Ok(())
}

/// The beginning of a full save.
fn head(
    out: &mut impl Write,
    client: &mut Client,
    formatter: &mut AddressFormatter<'_>,
) -> anyhow::Result<()> {
    let now = humantime::format_rfc3339_seconds(SystemTime::now());
    writeln!(out, "# saved by ipvsadm {} on {now}", env!("CARGO_PKG_VERSION"))?;
    format::change(out, &Change::SetTimeouts(client.timeouts()?), formatter)?;
    Ok(())
}

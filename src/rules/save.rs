//! `-S`: the table as lines for `-R`.

use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::SystemTime;

use ipvs::{Change, Client, Destination, Service, ServiceEntry, SyncDaemon, Timeouts};
use serde::Serialize;

use crate::command::Save;
use crate::files::atomic_file;
use crate::files::place::{self, Hint};
use crate::format;
use crate::json::Object;
use crate::list::{ListedServer, Order, destinations, endpoints, services};
use crate::messages::{self, Failure, report};
use crate::notes;
use crate::resolver::Resolver;
use crate::rules::document;
use crate::rules::lines::{DRAINED, comes_back};
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
    let mut lost = Lost::default();
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
    let Lost { lines, refused } = lost;
    let message = if save.json {
        messages::refused_later(&refused)
    } else {
        messages::not_restored(&lines, refused.is_empty())
    };
    if let Some(message) = message {
        report(&message);
    }
    if path.is_none() && io::stdout().is_terminal() {
        report(messages::NOT_IN_A_FILE);
    }
    Ok(())
}

/// What of a table does not come back from what is saved.
#[derive(Default)]
struct Lost {
    /// As lines.
    lines: Vec<String>,
    /// What JSON does not bring back either, and why.
    refused: Vec<String>,
}

impl Lost {
    /// Notes a part that `-R` refuses as JSON.
    fn check(&mut self, what: impl std::fmt::Display, part: &impl Serialize) -> serde_json::Result<()> {
        let why = document::refusal(&serde_json::to_vec(part)?);
        self.refused.extend(why.map(|why| format!("{what}: {why}")));
        Ok(())
    }

    /// Notes a change that its line does not make.
    fn check_line(&mut self, change: &Change, part: &impl Serialize) -> serde_json::Result<()> {
        if comes_back(change) {
            return Ok(());
        }
        let line = format::line(change);
        self.check(&line, part)?;
        self.lines.push(line);
        Ok(())
    }
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
    lost: &mut Lost,
) -> anyhow::Result<()> {
    if save.json {
        json(out, save.full, client, lost)
    } else {
        lines(out, save.full, client, formatter, lost)
    }
}

/// A service with its real servers, as configured.
#[derive(Serialize)]
struct Configured<'a> {
    #[serde(flatten)]
    service: &'a Service,
    servers: Vec<Destination>,
}

/// A table of a service.
#[derive(Serialize)]
struct One<'a> {
    services: [&'a Configured<'a>; 1],
}

/// A table without services.
#[derive(Serialize, Default)]
struct Settings {
    services: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    timeouts: Option<Timeouts>,
    daemons: Vec<SyncDaemon>,
}

/// The table as `-R --json` takes it.
fn json(out: &mut dyn Write, full: bool, client: &mut Client, lost: &mut Lost) -> anyhow::Result<()> {
    let mut object = Object::begin(out)?;
    let mut array = object.array("services")?;
    for entry in services(client, true)? {
        let servers = destinations(client, &entry.service, Order::Restored, false)?;
        let servers = servers.into_iter().map(|kept| kept.destination).collect();
        let configured = Configured { service: &entry.service, servers };
        array.push(&configured)?;
        lost.check(entry.service.id, &One { services: [&configured] })?;
    }
    array.end()?;
    if full {
        let (timeouts, daemons) = (client.timeouts()?, client.daemons()?);
        object.field("timeouts", &timeouts)?;
        object.field("daemons", &daemons)?;
        let settings = Settings { services: [], timeouts: Some(timeouts), daemons };
        lost.check("the timeouts and sync daemons", &settings)?;
    }
    Ok(object.end()?)
}

/// Writes lines, and collects those that do not come back.
fn lines(
    out: &mut dyn Write,
    full: bool,
    client: &mut Client,
    formatter: &mut AddressFormatter<'_>,
    lost: &mut Lost,
) -> anyhow::Result<()> {
    let mut out = out;
    if full {
        head(&mut out, client, formatter, lost)?;
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
            let change = Change::StartDaemon(daemon);
            format::change(&mut out, &change, formatter)?;
            lost.check_line(&change, &Settings { daemons: vec![daemon], ..Settings::default() })?;
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
    lost: &mut Lost,
) -> anyhow::Result<()> {
    let mut check = |change: Change, server: Option<Destination>| {
        let servers = server.into_iter().collect();
        lost.check_line(&change, &One { services: [&Configured { service: &entry.service, servers }] })
    };
    format::service(out, "-A", &entry.service, formatter)?;
    check(Change::AddService(entry.service), None)?;
    let id = entry.service.id;
    for kept in servers {
        format::destination(out, "-a", &id, &kept.destination, full, formatter)?;
        let destination = kept.destination;
        check(Change::AddDestination { service: id, destination }, Some(destination))?;
    }
    Ok(())
}

/// The beginning of a full save.
fn head(
    out: &mut impl Write,
    client: &mut Client,
    formatter: &mut AddressFormatter<'_>,
    lost: &mut Lost,
) -> anyhow::Result<()> {
    let now = humantime::format_rfc3339_seconds(SystemTime::now());
    writeln!(out, "# saved by ipvsadm {} on {now}", env!("CARGO_PKG_VERSION"))?;
    let timeouts = client.timeouts()?;
    format::change(out, &Change::SetTimeouts(timeouts), formatter)?;
    lost.check_line(
        &Change::SetTimeouts(timeouts),
        &Settings { timeouts: Some(timeouts), ..Settings::default() },
    )?;
    Ok(())
}

//! Lists the table from asynchronous code. The kernel answers while it is asked, so that a client has nothing to wait for; a
//! thread for blocking work asks, and tasks that run beside it go on.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;

use ipvs::{Client, DestinationEntry, ServiceEntry};

type Table = Vec<(ServiceEntry, Vec<DestinationEntry>)>;

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
        for (entry, servers) in list(Client::open()?).await?.1 {
            println!("{} {}", entry.service.id, entry.service.scheduler);
            for entry in servers {
                println!("  -> {} {}", entry.destination.id, entry.destination.forwarding);
            }
        }
        Ok(())
    })
}

/// Reads the table, and gives the client back.
pub(crate) async fn list(mut client: Client) -> Result<(Client, Table), Box<dyn Error>> {
    let (client, table) = tokio::task::spawn_blocking(move || {
        let table = read(&mut client);
        (client, table)
    })
    .await?;
    Ok((client, table?))
}

fn read(client: &mut Client) -> ipvs::Result<Table> {
    let services = client.services()?.into_iter();
    services.map(|entry| Ok((entry, client.destinations_or_none(&entry.service.id)?))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends where it fails")]
mod tests {
    use ipvs::{FakeKernel, Scheduler, Service, ServiceId};

    use super::*;

    #[test]
    fn what_the_kernel_has_is_listed() {
        let mut client = Client::with_transport(FakeKernel::new()).unwrap();
        let web = Service::new(ServiceId::tcp("192.0.2.1".parse().unwrap(), 80), Scheduler::WLC);
        client.add_service(&web).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (_, table) = runtime.block_on(list(client)).unwrap();
        assert_eq!((table.len(), table[0].0.service, table[0].1.len()), (1, web, 0));
    }
}

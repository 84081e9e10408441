//! What others do to the kernel's table, as a stream of changes.

use std::thread;
use std::time::Duration;

use super::Table;
use crate::change::Change;
use crate::client::Client;
use crate::error::Result;

/// The changes of the kernel's table, from [`Client::watch`]: those between two readings at a time, without end.
#[derive(Debug)]
pub struct Watch<'a> {
    client: &'a mut Client,
    interval: Duration,
    table: Table,
    has_begun: bool,
}

impl Client {
    /// Waits for changes of the table by whatever program. The kernel announces none, so that the table is read again at each
    /// `interval`; what is done and undone between two readings is not seen.
    ///
    /// The first item leads from an empty table to the current one, at once; each further one is what has changed since, in the
    /// order of [`Table::diff`], and never empty. An error ends nothing: the next item comes from the next reading.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ipvs::{Change, Client, FakeKernel, Scheduler, Service, ServiceId};
    ///
    /// # fn main() -> ipvs::Result<()> {
    /// let kernel = FakeKernel::new();
    /// let mut client = Client::with_transport(kernel.clone())?;
    /// let mut changes = client.watch(Duration::from_millis(10));
    /// changes.next();
    ///
    /// let web = Service::new(ServiceId::tcp("192.0.2.1".parse().unwrap(), 80), Scheduler::WLC);
    /// Client::with_transport(kernel)?.add_service(&web)?; // another program
    /// assert_eq!(changes.next().unwrap()?, [Change::AddService(web)]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch(&mut self, interval: Duration) -> Watch<'_> {
        Watch { client: self, interval, table: Table::default(), has_begun: false }
    }
}

impl Watch<'_> {
    /// The table as it was read last.
    pub fn table(&self) -> &Table {
        &self.table
    }
}

impl Iterator for Watch<'_> {
    type Item = Result<Vec<Change>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let is_first = !self.has_begun;
            if !is_first {
                thread::sleep(self.interval);
            }
            self.has_begun = true;
            let table = match Table::read(self.client) {
                Ok(table) => table,
                Err(error) => return Some(Err(error)),
            };
            let changes = self.table.diff(&table);
            self.table = table;
            if is_first || !changes.is_empty() {
                return Some(Ok(changes));
            }
        }
    }
}

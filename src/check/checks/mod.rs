//! What may be wrong, one file a subject. A check is a value: a new one is a file, and a line in the list of `director` or
//! `server`.

mod director;
mod discovery;
pub(crate) mod fixes;
mod full;
mod server;
mod strict;
mod value;

use super::director::Director;
use super::finding::Finding;
use super::server::Server;
use super::verdict::Examined;
use crate::supervisors::Supervisors;

impl Director {
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let known = Examined::new(self);
        let mut findings: Vec<Finding> =
            director::CHECKS.iter().flat_map(|check| (check.run)(&known)).collect();
        for finding in &mut findings {
            match self.supervisors {
                _ if !finding.fix.is_of_table() => {}
                Supervisors { fill_table: Some(manager), .. } => {
                    finding.what.extend(["; ", manager, " fills the table, so change its configuration, too"]);
                }
                Supervisors { are_hidden: true, .. } => finding.what.push_str(
                    "; processes are hidden from this one: if one fills the table, change its configuration, too",
                ),
                Supervisors { .. } => {}
            }
        }
        findings
    }
}

impl Server {
    pub(crate) fn findings(&self) -> Vec<Finding> {
        server::CHECKS.iter().flat_map(|check| (check.run)(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::check::finding::Kind;

    #[test]
    fn every_id_stands_in_the_guide() {
        let guide = include_str!("../../../docs/direct-routing.md");
        let headings: Vec<&str> =
            guide.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
        let kinds = director::CHECKS.iter().map(|check| check.kinds);
        let kinds = kinds.chain(server::CHECKS.iter().map(|check| check.kinds)).flatten();
        let ids: BTreeSet<&str> = kinds.map(Kind::id).collect();
        assert_eq!(headings.iter().copied().collect::<BTreeSet<_>>(), ids);
        assert_eq!(headings.len(), ids.len(), "one has two sections");
        // The other guides refer to it.
        let others = [include_str!("../../../docs/nat.md"), include_str!("../../../docs/tunnels.md")];
        let links: Vec<&str> =
            others.iter().flat_map(|guide| guide.split("(direct-routing.md#").skip(1)).collect();
        assert!(
            links.len() > 12
                && links.iter().all(|link| link.split(')').next().is_some_and(|id| ids.contains(id)))
        );
    }
}

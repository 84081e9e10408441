//! `/etc/nsswitch.conf`: who is asked for the names of a database, and in which order.

/// The order of a database, as far as this program can follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    /// The database's own file comes first, and what it has is final.
    pub(super) files: bool,
    /// Then the name servers.
    pub(super) dns: bool,
    /// Then others, who may know what neither of those does.
    pub(super) others: bool,
}

/// The order where the machine has no `nsswitch.conf`, such as with musl: files, then the name servers.
pub(super) const DEFAULT_HOSTS: &str = "files dns";
pub(super) const DEFAULT_SERVICES: &str = "files";

/// The text behind `hosts:` or `services:`; the last counts, as with the C library.
pub(super) fn line_of<'a>(text: &'a str, database: &str) -> Option<&'a str> {
    text.lines().rev().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let (name, sources) = line.split_once(':')?;
        (name.trim() == database).then_some(sources)
    })
}

/// The order of a line. `has_db` tells whether the database is there as a Berkeley DB, too.
pub(super) fn order(sources: &str, has_db: impl Fn() -> bool) -> Order {
    let mut order = Order { files: false, dns: false, others: false };
    let mut steps = steps(sources).into_iter().peekable();
    if steps.peek().is_some_and(|(source, actions)| source == "db" && actions.is_empty()) && !has_db() {
        steps.next();
    }
    for source in ["files", "dns"] {
        let Some((_, actions)) = steps.next_if(|(name, actions)| name == source && is_plain(actions)) else {
            continue;
        };
        order.files |= source == "files";
        order.dns |= source == "dns";
        // After these nobody else is asked for what is unknown here.
        if actions.iter().any(|action| action == "notfound=return" || action == "!unavail=return") {
            return order;
        }
    }
    order.others = steps.next().is_some();
    order
}

/// The sources in their order, each with what follows it in brackets.
fn steps(sources: &str) -> Vec<(String, Vec<String>)> {
    let mut steps: Vec<(String, Vec<String>)> = Vec::new();
    let mut is_action = false;
    let apart = sources.to_ascii_lowercase().replace('[', " [ ").replace(']', " ] ");
    for word in apart.split_whitespace() {
        match (word, steps.last_mut()) {
            ("[", _) => is_action = true,
            ("]", _) => is_action = false,
            (action, Some((_, actions))) if is_action => actions.push(action.to_owned()),
            (source, _) => steps.push((source.to_owned(), Vec::new())),
        }
    }
    steps
}

/// Whether the answer of a source is final, whatever else its actions say.
fn is_plain(actions: &[String]) -> bool {
    let known =
        ["notfound=return", "!unavail=return", "unavail=continue", "tryagain=continue", "notfound=continue"];
    actions.iter().all(|action| known.contains(&action.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_followed_as_far_as_they_are_understood() {
        let expected = |files, dns, others| Order { files, dns, others };
        for (sources, has_db, order_of_it) in [
            ("files dns", false, expected(true, true, false)),
            (" files  dns myhostname", false, expected(true, true, true)),
            ("files [NOTFOUND=return] dns", false, expected(true, false, false)),
            ("files[notfound=return]dns", false, expected(true, false, false)),
            ("files [SUCCESS=continue] dns", false, expected(false, false, true)),
            ("files mdns4_minimal [NOTFOUND=return] dns", false, expected(true, false, true)),
            ("files resolve [!UNAVAIL=return] dns", false, expected(true, false, true)),
            ("files dns [!UNAVAIL=return] myhostname", false, expected(true, true, false)),
            ("resolve [!UNAVAIL=return] files dns", false, expected(false, false, true)),
            ("dns files", false, expected(false, true, true)),
            ("dns", false, expected(false, true, false)),
            ("db files", false, expected(true, false, false)),
            ("db files", true, expected(false, false, true)),
            ("files sss", false, expected(true, false, true)),
            ("", false, expected(false, false, false)),
        ] {
            assert_eq!(order(sources, || has_db), order_of_it, "{sources}");
        }
    }

    #[test]
    fn the_last_line_of_a_database_counts() {
        let text = "# hosts: none\npasswd: files\nhosts: dns # first\n hosts:\tfiles\n";
        assert_eq!(line_of(text, "hosts"), Some("\tfiles"));
        assert_eq!(line_of(text, "services"), None);
    }
}

//! Texts in lines that fit on a terminal: prose is broken between words, and a command, which is copied, not at all.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

/// The width of the terminal that the output goes to, if it does. `COLUMNS` says another, also for a pipe to a terminal.
pub(crate) fn terminal_width() -> Option<usize> {
    columns().or_else(|| width_of(io::stdout()))
}

/// That of the terminal that messages go to, if they do.
pub(crate) fn width_of_messages() -> Option<usize> {
    width_if_terminal(&io::stderr())
}

/// That of a terminal; a pipe has none, whatever `COLUMNS` says, for a program may read lines there.
pub(crate) fn width_if_terminal(stream: &(impl AsFd + IsTerminal)) -> Option<usize> {
    stream.is_terminal().then(columns).flatten().or_else(|| width_of(stream))
}

fn columns() -> Option<usize> {
    std::env::var("COLUMNS").ok()?.parse().ok().filter(|columns| *columns > 0)
}

fn width_of(stream: impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    Some(match size.ws_col {
        0 => 80, // unknown
        columns => columns.into(),
    })
}

/// Prose in lines of at most a width, broken between words.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                *line += " ";
                *line += word;
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A sentence in lines: commands in it, which follow a colon, stand on lines of their own.
pub(crate) fn told(text: &str, width: Option<usize>) -> String {
    const PROGRAMS: [&str; 10] =
        ["ipvsadm", "ip", "sysctl", "modprobe", "iptables", "nft", "systemctl", "nsenter", "sudo", "ssh"];
    let Some(width) = width.filter(|width| text.chars().count() > *width) else { return text.to_owned() };
    let is_command = |text: &str| PROGRAMS.contains(&text.split(' ').next().unwrap_or_default());
    let mut lines = Vec::new();
    let mut prose = String::new();
    for (number, part) in text.split(": ").enumerate() {
        if number > 0 && is_command(part) {
            let (command, rest) = part.split_once("; ").unwrap_or((part, ""));
            lines.extend(wrapped(&format!("{prose}:"), width));
            lines.push(format!("  {command}"));
            rest.clone_into(&mut prose);
        } else {
            prose = if number > 0 { format!("{prose}: {part}") } else { part.to_owned() };
        }
    }
    if !prose.is_empty() {
        lines.extend(wrapped(&prose, width));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_broken_between_words_and_commands_are_not() {
        let text = "TCP 192.0.2.1:80 -> 10.0.0.1:80 is drained and deleted; this brings it back: ipvsadm -a -t 192.0.2.1:80 -r \
                    10.0.0.1:80 -g -w 1";
        let lines = "TCP 192.0.2.1:80 -> 10.0.0.1:80 is\ndrained and deleted; this brings it\nback:\n  ipvsadm -a -t \
                     192.0.2.1:80 -r 10.0.0.1:80 -g -w 1";
        assert_eq!(told(text, Some(36)), lines);
        let more = format!("{text}; this deletes it: ipvsadm -d -t 192.0.2.1:80 -r 10.0.0.1:80");
        assert_eq!(
            told(&more, Some(36)),
            format!("{lines}\nthis deletes it:\n  ipvsadm -d -t 192.0.2.1:80 -r 10.0.0.1:80")
        );
        assert_eq!(told("a b: c", Some(3)), "a\nb:\nc");
        for width in [None, Some(200)] {
            assert_eq!(told(text, width), text);
        }
    }
}

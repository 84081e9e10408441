//! The recorded cases: parsing their files, and comparing an outcome with the recorded one.

use std::fmt::Write as _;

/// The original's first line of `-h`, and all of `-v`.
pub const VERSION: &str = "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)\n";

/// Placeholder in the recorded cases for the help text, whose wording is free.
const HELP: &str = "@@USAGE@@";

/// Placeholder in connection cases for a kernel without that file.
pub const ABSENT: &str = "ABSENT";

/// One call of the tool, with its initial state and expected outcome.
#[derive(Clone, Default)]
pub struct Case {
    pub id: String,
    /// Command lines run before, on an empty table; words without quotes or blanks.
    pub setup: Vec<String>,
    pub args: Vec<String>,
    /// Without input the tool reads `/dev/null`.
    pub stdin: Option<Vec<u8>>,
    /// The content of `/proc/net/ip_vs_conn`, escaped as in the file of cases; [`ABSENT`] if it is to be missing.
    pub connections: Option<&'static str>,
    pub expected: Outcome,
}

/// The outcome of a call. Texts keep their line ends; everything else except printable ASCII is escaped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The exit status, 128 + N after signal N.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    /// The table afterwards, as the original saves it.
    pub state: String,
}

impl Case {
    /// Whether the tool reads commands from its input.
    pub fn restores(&self) -> bool {
        self.args.first().is_some_and(|first| first == "-R" || first == "--restore")
    }

    /// One line that describes how `got` differs from the expected outcome; `None` if it does not.
    pub fn mismatch(&self, expected: &Outcome, got: &Outcome) -> Option<String> {
        let mut line = String::new();
        let columns = [
            ("status", &expected.code.to_string(), &got.code.to_string()),
            ("stdout", &expected.stdout, &got.stdout),
            ("stderr", &expected.stderr, &got.stderr),
            ("table", &expected.state, &got.state),
        ];
        for (name, expected, got) in columns {
            if expected != got {
                let (expected, got) = (expected.replace('\n', "\\n"), got.replace('\n', "\\n"));
                let _ = write!(line, " | {name}: expected <{expected}> got <{got}>");
            }
        }
        if line.is_empty() {
            return None;
        }
        let args: Vec<String> = self.args.iter().map(|word| quoted(word)).collect();
        let mut call = format!("{}: ", self.id);
        if !self.setup.is_empty() {
            let _ = write!(call, "({}) ", self.setup.join("; "));
        }
        let _ = write!(call, "ipvsadm {}", args.join(" "));
        if let Some(stdin) = &self.stdin {
            let _ = write!(call, " <{}", escaped(stdin).replace('\n', "\\n"));
        }
        Some(call + &line)
    }
}

impl Outcome {
    /// This outcome with the help text of `got` in place of its placeholder.
    pub fn with_help_of(&self, got: &Self) -> Self {
        let mut same = self.clone();
        if let Some(before) = self.stdout.strip_suffix(HELP)
            && got.stdout.strip_prefix(before).is_some_and(|help| help.contains("Usage:"))
        {
            same.stdout.clone_from(&got.stdout);
        }
        same
    }
}

/// The cases of `cases.tsv`.
pub fn cases() -> Vec<Case> {
    rows(include_str!("cases.tsv"))
        .map(|[id, setup, args, code, stdout, stderr, stdin, state, _tags]| Case {
            id: id.into(),
            setup: setup
                .split(';')
                .map(|line| line.trim().to_owned())
                .filter(|line| !line.is_empty())
                .collect(),
            args: words(args),
            stdin: stdin.strip_prefix('<').map(unescaped),
            connections: None,
            expected: Outcome {
                code: code.parse().expect("a status"),
                stdout: text(stdout),
                stderr: text(stderr),
                state: text(state),
            },
        })
        .collect()
}

/// The cases of `conn-cases.tsv`.
pub fn connection_cases() -> Vec<Case> {
    rows(include_str!("conn-cases.tsv"))
        .map(|[id, args, connections, code, stdout, stderr, _tags]| Case {
            id: id.into(),
            args: words(args),
            connections: Some(connections.strip_prefix('<').unwrap_or(connections)),
            expected: Outcome {
                code: code.parse().expect("a status"),
                stdout: text(stdout),
                stderr: text(stderr),
                state: String::new(),
            },
            ..Case::default()
        })
        .collect()
}

/// The rows of a tab-separated file, without its header.
fn rows<const N: usize>(file: &'static str) -> impl Iterator<Item = [&'static str; N]> {
    file.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let count = columns.len();
        columns.try_into().unwrap_or_else(|_| panic!("{count} columns in: {line}"))
    })
}

/// A text of the file in the form used by outcomes.
pub fn text(column: &str) -> String {
    escaped(&unescaped(column))
}

/// The bytes of a text with `\n`, `\t`, `\r`, `\\` and `\xNN`.
pub fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'r') => b'\r',
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let digits = String::from_utf8(digits).expect("ASCII");
                u8::from_str_radix(&digits, 16).expect("two hexadecimal digits after \\x")
            }
            other => panic!("\\ before {other:?} in {text}"),
        });
    }
    bytes
}

/// Bytes as printable text; line ends stay.
pub fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes {
        match byte {
            b'\n' | b' '..=b'[' | b']'..=b'~' => text.push(byte.into()),
            b'\t' => text.push_str("\\t"),
            b'\r' => text.push_str("\\r"),
            b'\\' => text.push_str("\\\\"),
            other => {
                let _ = write!(text, "\\x{other:02x}");
            }
        }
    }
    text
}

/// The words of a command line, quoted as for a POSIX shell; nothing is expanded.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = line.chars();
    while let Some(char) = rest.next() {
        match (quote, char) {
            (None, ' ') => words.extend(word.take()),
            (None, '"' | '\'') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (Some(open), close) if open == close => quote = None,
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(rest.next()),
            _ => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

/// A word as typed in a shell.
pub fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-+=.:,/[]_%@".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

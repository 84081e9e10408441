//! Cases as this tool takes them: what the original would have to be given to do the same.

use crate::corpus::Case;

/// The case with another input, if it is a restore and `edit` makes one.
fn with_input(case: &Case, edit: impl FnOnce(&[u8]) -> Option<Vec<u8>>) -> Option<Case> {
    let stdin = case.stdin.as_deref().filter(|_| case.restores())?;
    Some(Case { stdin: Some(edit(stdin)?), ..case.clone() })
}

pub fn without_byte_order_mark(case: &Case) -> Option<Case> {
    with_input(case, |stdin| stdin.strip_prefix("\u{feff}".as_bytes()).map(<[u8]>::to_vec))
}

pub fn without_comments(case: &Case) -> Option<Case> {
    with_input(case, |stdin| {
        let lines = stdin.split_inclusive(|byte| *byte == b'\n');
        let kept: Vec<u8> = lines.flat_map(without_comment).copied().collect();
        (kept != stdin).then_some(kept)
    })
}

/// A line up to a word that begins with `#`; nothing if that is the first word.
fn without_comment(line: &[u8]) -> impl Iterator<Item = &u8> {
    let blank = |byte: &u8| b" \t\r".contains(byte);
    let before = std::iter::once(&b' ').chain(line);
    let comment = line.iter().zip(before).position(|(byte, before)| *byte == b'#' && blank(before));
    let (rule, comment) = line.split_at(comment.unwrap_or(line.len()));
    let rule = if comment.is_empty() { rule } else { rule.trim_ascii_end() };
    let ends = comment.ends_with(b"\n") && !rule.is_empty();
    rule.iter().chain(if ends { b"\n" } else { &b""[..] })
}

/// The original drops a last line that ends in two blanks and no newline.
pub fn with_last_line_ended(case: &Case) -> Option<Case> {
    with_input(case, |stdin| {
        let [.., b' ' | b'\t' | b'\r', b' ' | b'\t' | b'\r'] = stdin else { return None };
        Some([stdin, b"\n"].concat())
    })
}

/// The original crashes on `-b ,`.
pub fn without_commas(case: &Case) -> Option<Case> {
    let mut args = case.args.clone();
    let mut after_option = false;
    for word in &mut args {
        let option = ["--sched-flags=", "-b=", "-b"].into_iter().find(|option| word.starts_with(option));
        let (option, value) =
            if after_option { ("", word.as_str()) } else { word.split_at(option.map_or(0, str::len)) };
        let commas = !value.is_empty() && value.bytes().all(|byte| byte == b',');
        let is_option = !after_option && (word == "-b" || word == "--sched-flags");
        if commas && (after_option || !option.is_empty()) {
            // A short option without an attached value would take the next word.
            *word = if option == "-b" { "-b=".into() } else { option.into() };
        }
        after_option = is_option;
    }
    (args != case.args).then(|| Case { args, ..case.clone() })
}

/// The original parses `[10.0.0.1]:80` as 10.0.0.1 without a port.
pub fn without_brackets(case: &Case) -> Option<Case> {
    let args: Vec<String> = case.args.iter().map(|word| unbracketed(word)).collect();
    let stdin = case.stdin.as_deref().map(|bytes| match std::str::from_utf8(bytes) {
        Ok(text) => text.split_inclusive([' ', '\t', '\n']).map(unbracketed).collect::<String>().into_bytes(),
        Err(_) => bytes.to_vec(),
    });
    (args != case.args || stdin != case.stdin).then(|| Case { args, stdin, ..case.clone() })
}

fn unbracketed(word: &str) -> String {
    if let Some((option, rest)) = word.split_once('[')
        && let Some((host, port)) = rest.split_once("]:")
        && !host.is_empty()
        && !host.contains([':', '[', ']'])
    {
        format!("{option}{host}:{port}")
    } else {
        word.into()
    }
}

/// The original parses 4294967424 as 128; it refuses 129.
pub fn with_plain_prefix(case: &Case) -> Option<Case> {
    let at = case.args.iter().position(|word| word == "-M")? + 1;
    let is_ipv6 = case.args.iter().take(at).any(|word| word.starts_with('['));
    let is_long =
        case.args.get(at).and_then(|word| word.parse().ok()).is_some_and(|bits: u64| bits > u32::MAX.into());
    let mut args = case.args.clone();
    *args.get_mut(at).filter(|_| is_ipv6 && is_long)? = "129".into();
    Some(Case { args, ..case.clone() })
}

/// A row of so many bytes and its newline is more than the original reads at once.
const ROW: usize = 255;
/// A row that it reads, and that ends in the persistence engine's data, like the whole row.
pub const SHORT: usize = 200;

/// The original splits a row of more than 255 bytes in two.
pub fn with_short_rows(case: &Case) -> Option<Case> {
    let file = case.connections?;
    let short: Vec<String> =
        file.split("\\n").map(|row| row.get(..SHORT).unwrap_or(row).to_owned()).collect();
    let long = file.split("\\n").any(|row| row.len() >= ROW);
    let leaked: &'static str = Box::leak(short.join("\\n").into_boxed_str());
    long.then(|| Case { connections: Some(leaked), ..case.clone() })
}

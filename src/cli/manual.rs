//! The options of the manual page, made of the table of options between two marks in `docs/man/ipvsadm.8`.
//! `UPDATE_MANUAL=1 IPVS_LAB_INSIDE=no cargo test --bin ipvsadm manual` writes them there.

use crate::cli::generated::is_made;
use crate::cli::help;

const BEGIN: &str = ".\\\" What follows is made of the table of options: src/cli/manual.rs.\n";
const END: &str = ".\\\" END OF OPTIONS\n";

/// The options section of the manual page.
fn options() -> String {
    let mut page = Vec::new();
    clap_mangen::Man::new(help::clap("ipvsadm".into())).render_options_section(&mut page).unwrap();
    let page = String::from_utf8(page).unwrap();
    page.lines().map(broken).collect()
}

/// A line of text as several, because manual pages have none of more than 80 bytes.
fn broken(line: &str) -> String {
    let mut lines = String::new();
    let mut length = 0;
    for word in line.split_inclusive(' ') {
        // A line that begins with a dot would be a macro.
        if length + word.trim_end().len() > 80 && !line.starts_with('.') && !word.starts_with(['.', '\'']) {
            lines.truncate(lines.trim_end().len());
            lines.push('\n');
            length = 0;
        }
        lines.push_str(word);
        length += word.len();
    }
    lines + "\n"
}

#[test]
fn the_manual_is_made_of_the_table() {
    is_made("docs/man/ipvsadm.8", BEGIN, END, &options());
}

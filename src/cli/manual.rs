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
    String::from_utf8(page).unwrap()
}

#[test]
fn the_manual_is_made_of_the_table() {
    is_made("docs/man/ipvsadm.8", BEGIN, END, &options());
}

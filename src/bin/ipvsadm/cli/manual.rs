//! The options of the manual page, generated from the table of options between two marks in `docs/man/ipvsadm.8`.
//! `UPDATE_MANUAL=1 IPVS_LAB_INSIDE=no cargo test --bin ipvsadm manual` writes them there, outside the lab.

use crate::cli::help;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/man/ipvsadm.8");
const BEGIN: &str = ".\\\" What follows is made of the table of options: src/bin/ipvsadm/cli/manual.rs.\n";
const END: &str = ".\\\" END OF OPTIONS\n";

/// The options section of the manual page.
fn options() -> String {
    let mut page = Vec::new();
    clap_mangen::Man::new(help::clap("ipvsadm".into())).render_options_section(&mut page).unwrap();
    String::from_utf8(page).unwrap()
}

#[test]
fn the_manual_has_the_options_of_the_table() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (head, rest) = page.split_once(BEGIN).unwrap();
    let (_, tail) = rest.split_once(END).unwrap();
    let made = [head, BEGIN, &options(), END, tail].concat();
    if std::env::var_os("UPDATE_MANUAL").is_some() {
        std::fs::write(PAGE, &made).unwrap();
    }
    assert!(page == made, "the table of options has changed: see the top of this file");
}

//! The saved table, beside every kind of table: no printed fix loses a line of the file, or a rule of the table.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

use crate::cluster::OURS;

const FOLDER: &str = "/run/check-saved-tables";
const FILE: &str = "/run/check-saved-tables/rules";

const FIRST: &str = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 1\n";
const SECOND: &str = "-A -t 10.0.0.2:80 -s rr\n-a -t 10.0.0.2:80 -r 10.1.0.2:80 -g -w 1\n";
const THIRD: &str = "-A -t 10.0.0.3:80 -s rr\n-a -t 10.0.0.3:80 -r 10.1.0.3:80 -g -w 1\n";

fn sh(line: &str) -> Output {
    let line = line.replace("ipvsadm ", &format!("{OURS} "));
    Command::new("/bin/sh").args(["-c", &line]).output().unwrap()
}

fn succeed(line: &str) -> String {
    let output = sh(line);
    assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Makes a table of rules, and returns them as listed.
fn load(rules: &str) -> String {
    succeed(&format!("ipvsadm -C && printf '%s' '{rules}' | ipvsadm -R && ipvsadm -S -n"))
}

/// A folder with a file of this text.
fn write(text: &str) {
    let _ = fs::remove_dir_all(FOLDER);
    fs::create_dir(FOLDER).unwrap();
    fs::write(FILE, text).unwrap();
}

/// The finding about the file: the id, and the fix.
fn finding() -> Option<(String, String)> {
    let json = sh(&format!("ipvsadm --check --json --file {FILE}")).stdout;
    let found: Vec<Value> = serde_json::from_slice(&json).unwrap();
    let mut of_file = found.iter().filter(|finding| finding["at"] == FILE);
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let one = of_file.next().map(|finding| (text(finding, "id"), text(finding, "fix")));
    assert!(of_file.next().is_none());
    one
}

/// The lines of all files in the folder, commented out or not.
fn kept() -> BTreeSet<String> {
    let files = fs::read_dir(FOLDER).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let lines: Vec<String> =
        files.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    lines.iter().map(|line| line.trim_start_matches("# ").to_owned()).collect()
}

/// A kind of fix for the file, by the beginning of its command.
const NOTHING: &str = "";
const RESTORE: &str = "ipvsadm -R --apply --file ";
const SAVE: &str = "ipvsadm -S --full --file ";
const SAVE_WITH_COPY: &str = "cp -p -- ";
const LOOK: &str = "ipvsadm -R --diff --file ";
const COMMENT_OUT: &str = "sed -i ";
/// The same as another row.
const ALIKE: &str = "?";

#[test]
fn no_fix_of_a_saved_table_loses_a_rule() {
    lab::isolate();
    let good = FIRST.to_owned() + SECOND;
    let by_name = good.replace("-r 10.1.0.2:80", "-r web:80");
    let typo = good.replace("-r 10.1.0.2:80", "-r 10.1.0.2:80x");
    let typo_in_service = good.replace("-A -t 10.0.0.2:80", "-A -t 10.0.0.299:80");
    let nonsense = "[Unit]\nDescription=not ours\n[Service]\n".to_owned() + FIRST;
    let notes = "# the web\n".to_owned() + &good;
    let [empty, poorer, equal, richer, other] =
        [String::new(), FIRST.to_owned(), good.clone(), good.clone() + THIRD, FIRST.to_owned() + THIRD];
    let heavier = good.replace("-r 10.1.0.2:80 -g -w 1", "-r 10.1.0.2:80 -g -w 2");
    let tables = [&empty, &poorer, &equal, &richer, &other, &heavier];
    for (id, file, fixes) in [
        ("save-stale", &good, [RESTORE, RESTORE, NOTHING, SAVE, LOOK, SAVE_WITH_COPY]),
        ("save-stale", &notes, [ALIKE, ALIKE, ALIKE, SAVE_WITH_COPY, ALIKE, ALIKE]),
        ("save-names", &by_name, [LOOK, LOOK, SAVE_WITH_COPY, SAVE_WITH_COPY, LOOK, ALIKE]),
        ("save-unreadable", &typo, [COMMENT_OUT, COMMENT_OUT, COMMENT_OUT, COMMENT_OUT, COMMENT_OUT, ALIKE]),
        ("save-unreadable", &typo_in_service, [COMMENT_OUT, COMMENT_OUT, ALIKE, ALIKE, ALIKE, ALIKE]),
        ("save-unreadable", &nonsense, [LOOK, LOOK, ALIKE, ALIKE, ALIKE, ALIKE]),
        ("save-stale", &empty, [NOTHING, SAVE, ALIKE, ALIKE, ALIKE, ALIKE]),
    ] {
        for (table, fix) in tables.into_iter().zip(fixes).filter(|(_, fix)| *fix != ALIKE) {
            let place = format!("table:\n{table}file:\n{file}");
            write(file);
            let (lines, was) = (kept(), load(table));
            let found = finding();
            assert_eq!(
                found.as_ref().map_or("", |(found, _)| found),
                if fix.is_empty() { "" } else { id },
                "{place}"
            );
            let command = found.map_or(String::new(), |(_, command)| command);
            assert!(command.starts_with(fix) && fix.is_empty() == command.is_empty(), "{place}{command}");
            let shown = sh(&format!("{command}\nipvsadm -S -n")).stdout;
            assert!(kept().is_superset(&lines), "{place}{command}");
            let lines_of = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
            let is = String::from_utf8(shown).unwrap();
            assert!(lines_of(&is).is_superset(&lines_of(&was)), "{place}{command}\n{is}");
            let after = finding();
            match fix {
                LOOK => assert_eq!(after.map(|(_, command)| command), Some(command), "{place}"),
                COMMENT_OUT => assert!(after.is_none_or(|(_, after)| after != command), "{place}"),
                _ => assert_eq!(after, None, "{place}"),
            }
        }
    }
}

#[test]
fn an_empty_table_needs_no_file() {
    lab::isolate();
    write("");
    fs::remove_file(FILE).unwrap();
    load("");
    assert_eq!(finding(), None);
    load(FIRST);
    let (id, command) = finding().unwrap();
    assert_eq!((id.as_str(), command.starts_with(SAVE)), ("save-missing", true), "{command}");
    // Something that is not a file cannot be read, or written.
    fs::create_dir(FILE).unwrap();
    let (id, command) = finding().unwrap();
    assert_eq!(
        (id.as_str(), command.as_str()),
        ("save-unreadable", "ls -ld -- /run/check-saved-tables/rules")
    );
}

#[test]
fn a_server_that_is_taken_out_keeps_its_weight_in_the_file() {
    lab::isolate();
    let heavy = FIRST.replace("-w 1", "-w 5");
    write(&heavy);
    load(&FIRST.replace("-w 1", "-w 0"));
    let (id, command) = finding().unwrap();
    assert_eq!((id.as_str(), command.starts_with(LOOK)), ("save-stale", true), "{command}");
    // It says so itself that it is drained, also when it is gone.
    load(&(heavy.clone() + "-a -t 10.0.0.1:80 -r 10.1.0.9:80 -g -w 1\n"));
    write(&(heavy.clone() + "-a -t 10.0.0.1:80 -r 10.1.0.9:80 -g -w 1\n"));
    succeed("ipvsadm --drain -r 10.1.0.1 --quiet --wait 5");
    assert!(!succeed("ipvsadm -S -n").contains("10.1.0.1:80"));
    assert_eq!(finding(), None, "it is drained");
    succeed("ipvsadm -a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 0");
    assert_eq!(finding(), None, "it is being drained");
    succeed("ipvsadm -e -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 0");
    assert!(finding().unwrap().1.starts_with(LOOK), "it is another");
    write(&heavy);
    // Another weight must be kept.
    load(&FIRST.replace("-w 1", "-w 2"));
    assert!(finding().unwrap().1.starts_with(SAVE_WITH_COPY));
}

#[test]
fn a_table_that_a_supervisor_fills_is_compared_where_a_file_is_named() {
    lab::isolate();
    // A separate folder mounted over the usual place.
    succeed("mkdir -p /etc/sysconfig && mount -t tmpfs lab /etc/sysconfig && rm -f /etc/ipvsadm.rules");
    write(FIRST);
    load("");
    succeed(&format!("cp {FILE} /etc/sysconfig/ipvsadm"));
    let stale = || sh("ipvsadm --check").stdout;
    assert!(String::from_utf8(stale()).unwrap().contains(RESTORE));
    let pid = succeed(
        "ln -sf $(command -v sleep) /run/kube-proxy && (/run/kube-proxy 20 >/dev/null 2>&1 & echo $!)",
    );
    assert_eq!(stale(), b"");
    let (id, command) = finding().unwrap();
    assert_eq!((id.as_str(), command.starts_with(LOOK)), ("save-stale", true), "{command}");
    succeed(&format!("kill {pid}"));
    assert!(finding().unwrap().1.starts_with(RESTORE));
}

#[test]
fn a_file_with_typos_comes_back_step_by_step() {
    lab::isolate();
    load("");
    write(&(FIRST.to_owned() + &SECOND.replace("-s rr", "-s") + THIRD));
    for fix in [COMMENT_OUT, RESTORE] {
        let (_, command) = finding().unwrap();
        assert!(command.starts_with(fix), "{command}");
        succeed(&command);
    }
    assert_eq!(finding(), None);
    assert_eq!(succeed("ipvsadm -S -n"), FIRST.to_owned() + THIRD);
    // Both lines of the second service are still there.
    assert!(kept().contains("-A -t 10.0.0.2:80 -s"));

    // A symbolic link remains one.
    write("");
    fs::write(format!("{FOLDER}/real"), format!("{FIRST}rubbish\n")).unwrap();
    fs::remove_file(FILE).unwrap();
    std::os::unix::fs::symlink("real", FILE).unwrap();
    succeed(&finding().unwrap().1);
    assert_eq!(fs::read_link(FILE).unwrap().to_str(), Some("real"));
    assert_eq!(fs::read_to_string(FILE).unwrap(), format!("{FIRST}# rubbish\n"));
}

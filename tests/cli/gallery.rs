//! Every message that a mistyped line gets, as a document: `gallery.txt`.

use std::process::Command;

use crate::{OURS, feed, run, services, set_up};

const GALLERY: &str = include_str!("gallery.txt");

const TABLE: &str = "-A -t 192.0.2.1:80 -s wrr
-a -t 192.0.2.1:80 -r 198.51.100.11:80 -m -w 1
-a -t 192.0.2.1:80 -r 198.51.100.12:8080 -m -w 1
-A -u 192.0.2.1:53 -s rr
-A -f 7 -s rr
-A -t [2001:db8::20]:443 -s wlc
-a -t [2001:db8::20]:443 -r [2001:db8::5]:443 -m -w 1
";

/// The document with what is printed now.
fn as_it_is() -> String {
    let before = services();
    let mut document = String::new();
    for line in GALLERY.lines() {
        let Some(typed) = line.strip_prefix("$ ipvsadm ") else {
            if line.starts_with('#') || line.is_empty() {
                document.extend([line, "\n"]);
            }
            continue;
        };
        let (words, input) = typed.split_once(" <<< ").unwrap_or((typed, ""));
        let (status, printed, said) = feed(OURS, words, &format!("{input}\n"));
        // After one sentence the original prints an empty line, and so does this.
        let said = said.replace(OURS, "ipvsadm").replace("\n\n", "\n");
        document.extend([line, "\n", &printed, &said, "[", &status.to_string(), "]\n"]);
        if services() != before {
            run(OURS, "-C");
            set_up(TABLE);
        }
    }
    document
}

#[test]
fn the_gallery_of_messages_is_as_it_stands() {
    lab::isolate();
    std::fs::write("/run/gallery-hosts", "192.0.2.1 www.example.test\n").unwrap();
    std::fs::write("/run/gallery-nsswitch", "hosts: files\nservices: files\n").unwrap();
    lab::lay_over("/run/gallery-hosts", "/etc/hosts");
    lab::lay_over("/run/gallery-nsswitch", "/etc/nsswitch.conf");
    for line in ["netns add blue", "netns exec blue ip link set lo up"] {
        assert!(Command::new("ip").args(line.split(' ')).status().unwrap().success(), "{line}");
    }
    assert_eq!(run(OURS, "--netns blue -A -t 192.0.2.9:80").0, 0);
    set_up(TABLE);
    let now = as_it_is();
    assert!(now == GALLERY, "tests/cli/gallery.txt should be, if this is better:\n{now}");
    let long = GALLERY.lines().find(|line| line.chars().count() > 320);
    assert_eq!(long, None, "too long to be read");
}

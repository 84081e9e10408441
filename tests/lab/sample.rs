//! Tests with every possible result, by which `tests/lab/check` tests how guests share tests; not part of the suite.

use std::process::Command;
use std::time::Duration;

mod good {
    #[test]
    fn passes() {
        println!("nobody sees this");
    }
    #[test]
    #[should_panic]
    fn panics_as_it_should() {
        panic!("as it should");
    }
    #[test]
    #[ignore = "takes long"]
    fn waits() {}
}

mod bad {
    #[test]
    fn fails() {
        println!("what it printed");
        panic!("what it said");
    }
    #[test]
    #[should_panic]
    fn forgets_to_panic() {}
}

/// Each fails with properties of its guest: the kernel's identity, and its amount of memory.
mod guest {
    macro_rules! tell {
        ($($name:ident)*) => { $(
            #[test]
            fn $name() {
                std::thread::sleep(super::Duration::from_secs(1));
                let [boot, memory] = ["/proc/sys/kernel/random/boot_id", "/proc/meminfo"]
                    .map(|file| std::fs::read_to_string(file).unwrap().lines().next().unwrap().to_owned());
                panic!("guest {boot} {memory}");
            }
        )* };
    }
    tell!(a b c d e f);
}

mod kernel {
    /// The first time the console gets what a kernel leaves that fails by itself, and the guest ends.
    #[test]
    fn fails_once() {
        let command = std::fs::read_to_string("/proc/cmdline").unwrap();
        let folder = command.split_whitespace().find_map(|word| word.strip_prefix("uml_dir=")).unwrap();
        let mark = std::path::Path::new(folder).with_file_name("has-failed");
        if std::fs::File::create_new(mark).is_ok() {
            for line in ["Kernel panic - not syncing: Kernel mode fault", "[<6015f18a>] tlb_flush+0x19/0x5e"] {
                std::fs::write("/dev/kmsg", format!("<0>{line}")).unwrap();
            }
            super::Command::new("busybox").args(["poweroff", "-f"]).status().unwrap();
            std::thread::sleep(super::Duration::from_secs(60));
        }
    }
    #[test]
    fn passes() {}
}

mod lacking {
    /// Says, as tests/lab/kernel.rs does, that only the oldest kernel has what it takes, and fails there.
    #[test]
    fn takes_the_oldest_kernel() {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        assert!(!release.starts_with("6.1."), "ran on the oldest");
        let line = format!("lacking::takes_the_oldest_kernel: skipped: the kernel {} has no age\n", release.trim_end());
        std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap();
    }
    #[test]
    fn takes_any_kernel() {}
}

mod end {
    #[test]
    fn a_passes() {}
    #[test]
    fn aborts() {
        use std::io::Write;
        writeln!(std::io::stderr(), "last words").unwrap();
        std::process::abort();
    }
    #[test]
    fn fills_the_memory() {
        let mut all = Vec::new();
        loop {
            all.push(vec![1_u8; 1 << 20]);
        }
    }
    #[test]
    fn hangs() {
        std::thread::sleep(super::Duration::from_secs(3600));
    }
    #[test]
    fn stops_the_guest() {
        super::Command::new("busybox").args(["poweroff", "-f"]).status().unwrap();
        std::thread::sleep(super::Duration::from_secs(60));
    }
    #[test]
    fn z_passes() {}
}

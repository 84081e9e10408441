//! A machine that systemd runs, with the units of `packaging/` as the packages lay them out.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};

use crate::lab;

/// The units of systemd's own that matter here. Those say what is there before a service, and after it: without them the
/// folders would be gone while the service stops.
const SYSTEMDS: [&str; 11] = [
    "basic.target",
    "final.target",
    "local-fs.target",
    "multi-user.target",
    "network-online.target",
    "nss-lookup.target",
    "poweroff.target",
    "shutdown.target",
    "sysinit.target",
    "systemd-poweroff.service",
    "umount.target",
];

/// The units and the files of a machine; it may be switched on and off.
pub(crate) struct Machine {
    folder: PathBuf,
    systemd: Option<Child>,
}

impl Machine {
    /// Lays out the units, in an empty network of the test's own, with ours in the place of the original.
    pub(crate) fn new(name: &str, drop_in: Option<&str>) -> Self {
        lab::isolate();
        lab::put(env!("CARGO_BIN_EXE_ipvsadm"));
        let folder = Path::new("/run").join(name);
        let beside = folder.join("ipvsadm.service.d");
        fs::create_dir_all(&beside).unwrap();
        own_etc(&folder);
        fs::create_dir_all(folder.join("multi-user.target.wants")).unwrap();
        for unit in SYSTEMDS {
            fs::copy(Path::new("/lib/systemd/system").join(unit), folder.join(unit)).unwrap();
        }
        symlink("multi-user.target", folder.join("default.target")).unwrap();
        let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
        fs::copy(packaging.join("ipvsadm.service"), folder.join("ipvsadm.service")).unwrap();
        if let Some(drop_in) = drop_in {
            fs::copy(packaging.join(drop_in), beside.join(drop_in)).unwrap();
        }
        // There is no journal here.
        fs::write(
            beside.join("zz-lab.conf"),
            "[Service]\nStandardOutput=append:/mnt/log\nStandardError=inherit\n",
        )
        .unwrap();
        Self { folder, systemd: None }
    }

    /// What `systemctl enable ipvsadm` does.
    pub(crate) fn enable(&self) {
        let link = self.folder.join("multi-user.target.wants/ipvsadm.service");
        symlink("../ipvsadm.service", link).unwrap();
    }

    /// Switches it on, and waits until it is up.
    pub(crate) fn boot(&mut self) {
        let _ = fs::remove_file(self.folder.join("pid"));
        let boot = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services/boot");
        let console = fs::File::create(self.folder.join("console")).unwrap();
        let systemd = Command::new(boot)
            .arg(&self.folder)
            .stdin(Stdio::null())
            .stdout(console.try_clone().unwrap())
            .stderr(console)
            .spawn();
        self.systemd = Some(systemd.unwrap());
        let limit = Instant::now() + Duration::from_mins(1);
        loop {
            let state = self.systemctl("is-system-running").1;
            if ["running\n", "degraded\n"].contains(&state.as_str()) {
                return;
            }
            let console = fs::read_to_string(self.folder.join("console")).unwrap();
            assert!(Instant::now() < limit, "systemd does not come up: {state}\n{console}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Shuts it down in order, and waits until it is off.
    pub(crate) fn power_off(&mut self) {
        let (status, said) =
            self.systemctl("start poweroff.target --job-mode=replace-irreversibly --no-block");
        assert_eq!(status, 0, "{said}");
        let mut systemd = self.systemd.take().unwrap();
        let limit = Instant::now() + Duration::from_mins(1);
        while systemd.try_wait().unwrap().is_none() {
            assert!(Instant::now() < limit, "the machine does not go off");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// `systemctl` with the words of a line: its status, and what it says.
    pub(crate) fn systemctl(&self, line: &str) -> (i32, String) {
        let Ok(pid) = fs::read_to_string(self.folder.join("pid")) else { return (-1, "not booted".into()) };
        let output = Command::new("nsenter")
            .args(["--target", pid.trim(), "--all", "--root", "--wd", "systemctl"])
            .args(line.split_whitespace())
            .output()
            .unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap_or(-1), text)
    }

    /// What the service has said since this was asked the last time.
    pub(crate) fn log(&self) -> String {
        let log = self.folder.join("log");
        let said = fs::read_to_string(&log).unwrap_or_default();
        let _ = fs::remove_file(log);
        said
    }
}

/// Gives the test an /etc that nobody else sees.
fn own_etc(folder: &Path) {
    let [changes, work] = ["etc", "etc-work"].map(|name| folder.join(name));
    fs::create_dir_all(&changes).unwrap();
    fs::create_dir_all(&work).unwrap();
    let options = format!("lowerdir=/etc,upperdir={},workdir={}", changes.display(), work.display());
    mount(Some("lab"), "/etc", Some("overlay"), MsFlags::empty(), Some(options.as_str())).unwrap();
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(systemd) = &mut self.systemd {
            let _ = systemd.kill();
            let _ = systemd.wait();
        }
    }
}

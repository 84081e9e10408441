//! A machine run by systemd, with the units of `packaging/` installed as by the packages.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};

/// The relevant units of systemd itself. They order services at boot and shutdown: without them the folders would be
/// gone while the service stops.
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

/// The units of the packages.
pub(crate) const PACKAGES: [&str; 7] = [
    "ipvsadm.service",
    "ipvsadm-metrics.service",
    "ipvsadm-metrics.timer",
    "ipvsadm-apply.path",
    "ipvsadm-apply.service",
    "ipvsadm-apply.timer",
    "ipvsadm-etcd@.service",
];

/// The packages' unit folder, and the folder for links made by `systemctl enable`, below the machine's folder.
const UNITS: &str = "usr/lib/systemd/system";
const ENABLED: &str = "etc/systemd/system";

/// The units and files of a machine, which can be started and stopped.
pub(crate) struct Machine {
    folder: PathBuf,
    systemd: Option<Child>,
}

impl Machine {
    /// Installs the units, in an empty network of this test, with this tool in place of the original.
    pub(crate) fn new(name: &str, drop_in: Option<&str>) -> Self {
        lab::isolate();
        lab::put(env!("CARGO_BIN_EXE_ipvsadm"));
        let folder = Path::new("/run").join(name);
        let units = folder.join(UNITS);
        let beside = units.join("ipvsadm.service.d");
        fs::create_dir_all(&beside).unwrap();
        fs::create_dir_all(folder.join(ENABLED)).unwrap();
        own_etc(&folder);
        // Those of the distribution's package, which this machine has.
        let _ = fs::remove_file("/etc/default/ipvsadm");
        for unit in SYSTEMDS {
            fs::copy(Path::new("/lib/systemd/system").join(unit), units.join(unit)).unwrap();
        }
        symlink("multi-user.target", units.join("default.target")).unwrap();
        let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
        for unit in PACKAGES {
            fs::copy(packaging.join(unit), units.join(unit)).unwrap();
        }
        let helper = Path::new("/usr/libexec/ipvsadm");
        fs::create_dir_all(helper).unwrap();
        for program in ["service", "apply-changed", "follow-etcd"] {
            fs::copy(packaging.join(program), helper.join(program)).unwrap();
        }
        let drop_in = drop_in.unwrap_or("debian/enabled.conf");
        fs::copy(packaging.join(drop_in), beside.join(Path::new(drop_in).file_name().unwrap())).unwrap();
        // There is no journal here.
        fs::write(
            beside.join("zz-lab.conf"),
            "[Service]\nStandardOutput=append:/mnt/log\nStandardError=inherit\n",
        )
        .unwrap();
        Self { folder, systemd: None }
    }

    /// Enables a unit like `systemctl enable`, while the machine is off.
    pub(crate) fn enable(&self, unit: &str) {
        let enabled =
            Command::new("systemctl").arg("--root").arg(&self.folder).args(["enable", unit]).output();
        let enabled = enabled.unwrap();
        assert!(enabled.status.success(), "{enabled:?}");
    }

    /// Adds another service: its settings beyond `[Service]`, and the commands of its start and stop.
    pub(crate) fn add(&self, name: &str, rest: &str, start: &str, stop: &str) {
        let unit = format!(
            "{rest}[Service]\nType=oneshot\nRemainAfterExit=yes\n\
            ExecStart=/bin/sh -c '{start}'\nExecStop=/bin/sh -c '{stop}'\n"
        );
        fs::write(self.units().join(name), unit).unwrap();
        self.enable(name);
    }

    /// The folder of its units.
    pub(crate) fn units(&self) -> PathBuf {
        self.folder.join(UNITS)
    }

    /// A file of the machine's `/mnt`.
    pub(crate) fn mnt(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap()
    }

    /// The machine's root folder, as seen from outside.
    pub(crate) fn root(&self) -> PathBuf {
        Path::new("/proc").join(fs::read_to_string(self.folder.join("pid")).unwrap().trim()).join("root")
    }

    /// Boots it, and waits until it is up.
    pub(crate) fn boot(&mut self) {
        let _ = fs::remove_file(self.folder.join("pid"));
        let boot = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/systemd/boot");
        let console = fs::File::create(self.folder.join("console")).unwrap();
        let systemd = Command::new(boot)
            .arg(&self.folder)
            .stdin(Stdio::null())
            .stdout(console.try_clone().unwrap())
            .stderr(console)
            .spawn();
        self.systemd = Some(systemd.unwrap());
        let limit = Instant::now() + Duration::from_secs(60);
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

    /// Shuts it down properly, and waits until it is off.
    pub(crate) fn power_off(&mut self) {
        let (status, said) =
            self.systemctl("start poweroff.target --job-mode=replace-irreversibly --no-block");
        assert_eq!(status, 0, "{said}");
        let mut systemd = self.systemd.take().unwrap();
        let limit = Instant::now() + Duration::from_secs(60);
        while systemd.try_wait().unwrap().is_none() {
            assert!(Instant::now() < limit, "the machine does not go off");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// `systemctl` with the words of a line: its status and output.
    pub(crate) fn systemctl(&self, line: &str) -> (i32, String) {
        self.inside("systemctl", line)
    }

    /// A program in the machine, with its `/run`: its status and output.
    pub(crate) fn inside(&self, program: &str, line: &str) -> (i32, String) {
        let Ok(pid) = fs::read_to_string(self.folder.join("pid")) else { return (-1, "not booted".into()) };
        let output = Command::new("nsenter")
            .args(["--target", pid.trim(), "--all", "--root", "--wd", program])
            .args(line.split_whitespace())
            .output()
            .unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap_or(-1), text)
    }

    /// The service's output since the last call.
    pub(crate) fn log(&self) -> String {
        let log = self.folder.join("log");
        let said = fs::read_to_string(&log).unwrap_or_default();
        let _ = fs::remove_file(log);
        said
    }
}

/// Gives the test a separate /etc.
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

//! A scratch host with real disks: loop devices, with the real blkid, mkfs and mount.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::report::Change;

use super::host::{Ended, Host};
use super::skip;

/// A systemctl that mounts a unit as systemd does, by the real mount(8). It looks for labels on the disks of this host alone.
const SYSTEMCTL: &str = r#"#!/bin/sh
verb= unit=
for argument; do
    case $argument in
    show | start | restart) verb=$argument ;;
    *.mount) unit=$argument ;;
    esac
done
[ -n "$unit" ] || exec "FOLDER/stub/systemctl" "$@"
get() { sed -n "s/^$1=//p" "FOLDER/root/etc/systemd/system/$unit"; }
where=FOLDER/root$(get Where) options=$(get Options) state=inactive
mountpoint -q "$where" && state=active
if [ "$verb" = show ]; then
    printf 'Result=success\nActiveState=%s\nSubState=x\n' "$state"
    exit
fi
[ "$state" = inactive ] || umount "$where"
if [ "$(get Options)" = bind ]; then
    mkdir -p "FOLDER/root$(get What)" "$where"
    mount --bind "FOLDER/root$(get What)" "$where"
    exit
fi
for disk in FOLDER/root/dev/*; do
    disk=$(readlink -f "$disk")
    [ "/dev/disk/by-label/$(blkid -p -s LABEL -o value "$disk")" = "$(get What)" ] || continue
    mkdir -p "$where"
    mount -t "$(get Type)" -o "${options:-defaults}" "$disk" "$where" 2>FOLDER/journal && exit
done
printf 'Job for %s failed.\nSee "systemctl status %s" and "journalctl -xeu %s" for details.\n' "$unit" "$unit" "$unit" >&2
exit 1
"#;

/// The journal has what the units' programs said, and nothing of the kernel, as in a container.
const JOURNALCTL: &str = r#"#!/bin/sh
case $* in *_SYSTEMD_UNIT=*) cat FOLDER/journal ;; esac
"#;

/// Tells whether a test on real disks can be run here, and notes the skipped test if it can't.
pub fn can_run(programs: &[&str]) -> bool {
    let missing = programs.iter().chain(&["losetup", "blkid"]).find(|program| which(program).is_none());
    let why = match missing {
        _ if !nix::unistd::geteuid().is_root() => "needs root".to_owned(),
        Some(program) => format!("needs {program}"),
        None => return true,
    };
    skip(&why);
    false
}

pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}

/// Leaves the mounts of other tests, in a mount namespace that was just made: a copy of one keeps its disk in use.
pub const OWN_MOUNTS: &str =
    "while read -r dev place _; do case $dev in /dev/loop*) umount -l \"$place\";; esac; done </proc/self/mounts";

/// Runs a shell command with `DEV` set, to its success.
pub fn shell(command: &str, device: &Path) -> String {
    let output = Command::new("bash")
        .args(["-ec", command])
        .env("DEV", device)
        .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()))
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let ended = Ended::from(output);
    assert_eq!(ended.code, Some(0), "{command}: {}{}", ended.stdout, ended.stderr);
    ended.stdout
}

/// A loop device over a sparse file, both gone when it is dropped.
pub struct Loop {
    pub file: tempfile::NamedTempFile,
    pub node: PathBuf,
}

impl Loop {
    pub fn of(mebibytes: u64) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(mebibytes << 20).unwrap();
        let node = shell("losetup --find --show $DEV", file.path()).trim().into();
        Loop { file, node }
    }

    /// A loop device over another, which is all of its file.
    pub fn over(below: &Loop) -> Self {
        let node = shell("losetup --find --show $DEV", &below.node).trim().into();
        Loop { file: tempfile::NamedTempFile::new().unwrap(), node }
    }

    /// A loop device over a part of another, by the options of losetup(8).
    pub fn part(below: &Loop, options: &str) -> Self {
        let node = shell(&format!("losetup --find --show {options} $DEV"), &below.node).trim().into();
        Loop { file: tempfile::NamedTempFile::new().unwrap(), node }
    }

    /// Makes the device read-only; writable again when what is given is dropped, as the next user of it wants it.
    pub fn read_only(&self) -> impl Drop + use<> {
        struct Writable(PathBuf);
        impl Drop for Writable {
            fn drop(&mut self) {
                let _ = Command::new("blockdev").arg("--setrw").arg(&self.0).status();
            }
        }
        shell("blockdev --setro $DEV", &self.node);
        Writable(self.node.clone())
    }

    /// Makes the device larger, as EC2 does with a volume that is in use.
    pub fn grow(&self, mebibytes: u64) {
        self.file.as_file().set_len(mebibytes << 20).unwrap();
        shell("losetup --set-capacity $DEV", &self.node);
    }

    /// Detaches the disk and attaches it again.
    pub fn reattach(&mut self) {
        shell("losetup --detach $DEV", &self.node);
        self.node = shell("losetup --find --show $DEV", self.file.path()).trim().into();
    }

    pub fn write(&self, at: u64, bytes: &[u8]) {
        use std::os::unix::fs::FileExt as _;
        let device = std::fs::OpenOptions::new().write(true).open(&self.node).unwrap();
        device.write_all_at(bytes, at).unwrap();
    }

    pub fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.node).unwrap()
    }

    /// Returns a tag of the disk, such as `LABEL`, as blkid(8) reads it.
    pub fn value(&self, name: &str) -> String {
        shell(&format!("blkid -p -s {name} -o value $DEV || true"), &self.node).trim().to_owned()
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("--detach").arg(&self.node).status();
    }
}

/// A scratch host whose programs are the real ones, but for systemctl and udevadm.
pub struct Machine {
    pub host: Host,
}

impl Machine {
    /// With the `storage` of this YAML text, and nothing else to do.
    pub fn with_storage(storage: &str) -> Self {
        let user_data = format!("#ecs-firstrun\nlogs: {{agent: none}}\nstorage:\n{storage}");
        Self::of(Host::of(Scenario::Success, user_data))
    }

    /// A host with its disks replaced by real ones, of which it has none yet.
    pub fn of(host: Host) -> Self {
        let machine = Machine { host };
        let stub = machine.folder().join("stub");
        std::fs::create_dir(&stub).unwrap();
        std::fs::rename(machine.bin("systemctl"), stub.join("systemctl")).unwrap();
        for name in ecs_firstrun::rehearse::programs::NAMES.iter().filter(|name| !["udevadm", "dockerd"].contains(name))
        {
            let _ = std::fs::remove_file(machine.bin(name));
        }
        for (name, text) in [("systemctl", SYSTEMCTL), ("journalctl", JOURNALCTL)] {
            machine.program(name, &text.replace("FOLDER", &machine.folder().to_string_lossy()));
        }
        symlink("/proc", machine.host.at("/proc")).unwrap();
        std::fs::create_dir_all(machine.host.at("/sys/class")).unwrap();
        symlink("/sys/class/block", machine.host.at("/sys/class/block")).unwrap();
        if !machine.host.at("/sys/block").exists() {
            symlink("/sys/block", machine.host.at("/sys/block")).unwrap();
        }
        std::fs::remove_dir_all(machine.host.at("/dev")).unwrap();
        std::fs::create_dir(machine.host.at("/dev")).unwrap();
        machine
    }

    pub fn folder(&self) -> &Path {
        self.host.folder.path()
    }

    pub fn bin(&self, name: &str) -> PathBuf {
        self.host.rehearsal.bin.join(name)
    }

    /// Puts a program first in PATH.
    pub fn program(&self, name: &str, text: &str) {
        std::fs::write(self.bin(name), text).unwrap();
        std::fs::set_permissions(self.bin(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn remove_program(&self, name: &str) {
        std::fs::remove_file(self.bin(name)).unwrap();
    }

    /// Attaches a disk under a name.
    pub fn attach(&self, name: &str, disk: &Loop) {
        let node = self.host.at("/dev").join(name);
        let _ = std::fs::remove_file(&node);
        symlink(&disk.node, node).unwrap();
    }

    pub fn run(&self) -> Ended {
        self.host.run()
    }

    /// Runs, and is refused, or fails, with this reason.
    pub fn reason(&self) -> String {
        let ended = self.run();
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        self.host.report().reason.unwrap()
    }

    /// Runs to success; what was changed in the step `storage`, in words.
    pub fn made(&self) -> Vec<String> {
        let ended = self.run();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let report = self.host.report();
        let storage = report.steps.into_iter().find(|step| step.name == "storage").unwrap();
        let made = storage.actions.into_iter().filter(|action| action.change == Change::Made);
        made.map(|action| action.action).collect()
    }

    /// Unmounts all mounts, as a reboot does. Tells whether nothing is mounted any more.
    pub fn unmount(&self) -> bool {
        for place in self.mounts().iter().rev() {
            let _ = Command::new("umount").arg(place).stderr(std::process::Stdio::null()).status();
        }
        self.mounts().is_empty()
    }

    fn mounts(&self) -> Vec<String> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let places = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        places.filter(|place| Path::new(place).starts_with(self.folder())).map(str::to_owned).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.unmount();
    }
}

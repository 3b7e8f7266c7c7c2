//! Users of a disk, the commands that end their use, and the refusal of a disk that has a user.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use nix::sys::stat::{major, minor};

use super::super::Host;
use super::names::kernel_name;
use super::remedy::refusal;

/// A user of a disk.
#[derive(Debug, PartialEq)]
pub(super) enum User {
    /// The disk is mounted, or a partition of the disk, which has a node of its own.
    Mount {
        partition: Option<String>,
        place: String,
    },
    Swap,
    /// An array, a mapped device or a loop device is over the disk.
    Holders(Vec<String>),
    Unknown,
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            User::Mount { partition: None, place } => write!(f, "mounted on {place}"),
            User::Mount { partition: Some(name), place } => write!(f, "its partition {name} is mounted on {place}"),
            User::Swap => f.write_str("as swap space"),
            User::Holders(names) => write!(f, "by {}", names.join(", ")),
            User::Unknown => f.write_str("by another program, or mounted in another namespace"),
        }
    }
}

impl User {
    fn is_root(&self) -> bool {
        matches!(self, User::Mount { place, .. } if place == "/")
    }

    /// Names the command that ends the use; none for the disk that the system runs from.
    fn remedy(&self, node: &Path) -> String {
        let command = match self {
            User::Mount { .. } if self.is_root() => {
                return "choose another device: the system runs from this one".to_owned();
            }
            User::Mount { partition, .. } => {
                let node = partition.as_ref().map_or(node.display().to_string(), |name| format!("/dev/{name}"));
                format!("umount -A {node}")
            }
            User::Swap => format!("swapoff {}", node.display()),
            User::Holders(names) => match names.as_slice() {
                [name] if name.starts_with("md") => format!("mdadm --stop /dev/{name}"),
                [name] if name.starts_with("dm-") => format!("dmsetup remove /dev/{name}"),
                [name] if name.starts_with("loop") => format!("losetup -d /dev/{name}"),
                _ => return "choose another device, or end what uses it".to_owned(),
            },
            User::Unknown => return "choose another device, or end what uses it".to_owned(),
        };
        format!("choose another device; or, if that use may end, run `{command}`")
    }
}

impl Host {
    /// Refuses a disk that is in use or read-only. `what` is another reason to refuse the disk, for the message.
    pub(super) fn refuse_used(&self, device: &str, node: &Path, what: Option<&str>) -> Result<()> {
        let what = what.map(|what| format!("{what}, and ")).unwrap_or_default();
        if let Some(user) = self.user_of(node)? {
            let what = format!("{what}it is in use, {user}");
            return Err(refusal(device, node, &what, &user.remedy(node)));
        }
        let attribute = format!("/sys/class/block/{}/ro", kernel_name(node));
        if self.read(&attribute)?.is_some_and(|value| value.trim() == "1") {
            let remedy = format!("run `blockdev --setrw {}`; or choose another device", node.display());
            return Err(refusal(device, node, &format!("{what}it is read-only"), &remedy));
        }
        Ok(())
    }

    /// Finds the user of a device; none if nobody uses it.
    pub(super) fn user_of(&self, node: &Path) -> Result<Option<User>> {
        // O_EXCL asks the kernel: mounts in every namespace, swap, arrays and mapped devices hold a disk exclusively, also
        // through its partitions.
        let opened = OpenOptions::new().read(true).custom_flags(nix::libc::O_EXCL).open(node);
        match opened {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(nix::libc::EBUSY) => return self.holder_of(node).map(Some),
            Err(error) => return Err(error).with_context(|| format!("open {}", node.display())),
        }
        // A loop device does not hold its disk exclusively.
        for name in self.names("/sys/block").unwrap_or_default().into_iter().filter(|name| name.starts_with("loop")) {
            let file = self.read(&format!("/sys/block/{name}/loop/backing_file"))?.unwrap_or_default();
            if Path::new(file.trim_end()) == node {
                return Ok(Some(User::Holders(vec![name])));
            }
        }
        Ok(None)
    }

    fn holder_of(&self, node: &Path) -> Result<User> {
        let number = fs::metadata(node).with_context(|| format!("look at {}", node.display()))?.rdev();
        let number = format!("{}:{}", major(number), minor(number));
        let disk = kernel_name(node);
        if let Some(mount) = self.mount_of(&disk, &number)? {
            return Ok(mount);
        }
        let swaps = self.read("/proc/swaps")?.unwrap_or_default();
        if swaps.lines().any(|line| line.split_whitespace().next() == node.to_str()) {
            return Ok(User::Swap);
        }
        let holders = self.holders(node);
        Ok(if holders.is_empty() { User::Unknown } else { User::Holders(holders) })
    }

    /// Lists the arrays and mapped devices over a disk.
    pub(super) fn holders(&self, node: &Path) -> Vec<String> {
        self.names(&format!("/sys/class/block/{}/holders", kernel_name(node))).unwrap_or_default()
    }

    /// Finds the mount of a disk or of one of its partitions. Among several mounts, the mount on `/` counts.
    fn mount_of(&self, disk: &str, number: &str) -> Result<Option<User>> {
        let folder = format!("/sys/class/block/{disk}");
        let partitions = self.names(&folder).unwrap_or_default().into_iter().filter(|name| name.starts_with(disk));
        let numbered = partitions.filter_map(|name| {
            let number = self.value_in(&format!("{folder}/{name}/dev"))?;
            Some((Some(name), number))
        });
        let devices: Vec<_> = std::iter::once((None, number.to_owned())).chain(numbered).collect();
        // proc(5): the third field of mountinfo is the device's number, the fifth the mount point.
        let mounts = self.read("/proc/self/mountinfo")?.unwrap_or_default();
        let found = mounts.lines().filter_map(|line| {
            let fields: Vec<_> = line.split(' ').collect();
            let (number, place) = (fields.get(2)?, fields.get(4)?);
            let (partition, _) = devices.iter().find(|(_, device)| device == number)?;
            Some(User::Mount { partition: partition.clone(), place: (*place).to_owned() })
        });
        Ok(found.min_by_key(|user| !user.is_root()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_used_by_the_mounts_of_its_partitions_and_the_system_runs_from_one() {
        let (_root, host) = crate::host::scratch();
        let put = |path: &str, text: &str| assert!(host.write(path, text.as_bytes(), 0o644).is_ok());
        put("/sys/class/block/nvme1n1/nvme1n1p1/dev", "259:7\n");
        put("/sys/class/block/nvme1n1/nvme1n1p128/dev", "259:8\n");
        put("/sys/class/block/nvme1n1/queue/dev", "259:9\n");
        let line = |number: &str, place: &str| format!("36 35 {number} / {place} rw - xfs /dev/x rw\n");
        let said = |mounts: &[(&str, &str)]| {
            put("/proc/self/mountinfo", &mounts.iter().map(|(number, place)| line(number, place)).collect::<String>());
            let user = host.mount_of("nvme1n1", "259:6").unwrap();
            user.map(|user| (user.to_string(), user.remedy(Path::new("/dev/nvme1n1"))))
        };
        assert_eq!(said(&[("259:9", "/x"), ("259:10", "/")]), None);
        let (words, remedy) = said(&[("259:6", "/old")]).unwrap();
        assert_eq!(words, "mounted on /old");
        assert_eq!(remedy, "choose another device; or, if that use may end, run `umount -A /dev/nvme1n1`");
        let (words, remedy) = said(&[("259:8", "/old")]).unwrap();
        assert_eq!(words, "its partition nvme1n1p128 is mounted on /old");
        assert!(remedy.ends_with("`umount -A /dev/nvme1n1p128`"), "{remedy}");
        let (words, remedy) = said(&[("259:8", "/boot/efi"), ("259:7", "/")]).unwrap();
        assert_eq!(words, "its partition nvme1n1p1 is mounted on /");
        assert_eq!(remedy, "choose another device: the system runs from this one");
    }

    #[test]
    fn each_use_ends_in_its_own_way() {
        let node = Path::new("/dev/xvdf");
        let command = |user: User| user.remedy(node).split('`').nth(1).unwrap_or_default().to_owned();
        let holder = |name: &str| User::Holders(vec![name.to_owned()]);
        for (user, expected) in [
            (User::Swap, "swapoff /dev/xvdf"),
            (holder("md127"), "mdadm --stop /dev/md127"),
            (holder("dm-3"), "dmsetup remove /dev/dm-3"),
            (holder("loop7"), "losetup -d /dev/loop7"),
            (holder("bcache0"), ""),
            (User::Holders(vec!["md1".to_owned(), "dm-0".to_owned()]), ""),
            (User::Unknown, ""),
        ] {
            assert_eq!(command(user), expected);
        }
    }
}

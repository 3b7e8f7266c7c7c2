//! A mount that fails is told with the words of mount(8) or of the kernel, and with what helps. systemctl says nothing
//! of either.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::remedies::{run_commands, ways, with_settings};
use super::{EXT4, EXT4_SIZE, XFS, XFS_SIZE};
use crate::support::disks::{Loop, Machine, can_run, shell};
use crate::support::skip;

/// The kernel's log for one test at a time, where it may be read: some of its lines on a mount do not name the disk.
fn kernel_log(programs: &[&str]) -> Option<MutexGuard<'static, ()>> {
    static LOG: Mutex<()> = Mutex::new(());
    if !can_run(programs) {
        return None;
    }
    if !std::process::Command::new("dmesg").output().is_ok_and(|output| output.status.success()) {
        skip("needs a kernel log that may be read");
        return None;
    }
    Some(LOG.lock().unwrap_or_else(PoisonError::into_inner))
}

fn failed(storage: &str, disk: &Loop) -> (Machine, String) {
    let machine = Machine::with_storage(storage);
    machine.attach("xvdcy", disk);
    let reason = machine.reason();
    let began = "storage: start data.mount: data.mount was not mounted: ";
    assert!(reason.starts_with(began) && !reason.contains("See "), "{reason}");
    (machine, reason)
}

#[test]
fn a_copy_of_a_mounted_xfs_is_mounted_with_another_uuid_or_with_nouuid() {
    let Some(_log) = kernel_log(&["mkfs.xfs", "mount", "xfs_admin"]) else { return };
    let two =
        "  - {device: /dev/xvdf, label: first, mount: /first}\n  - {device: /dev/xvdcy, label: docker, mount: /data}\n";
    let mut gone = Vec::new();
    for index in 0..2 {
        let (first, copy) = (Loop::of(XFS_SIZE), Loop::of(XFS_SIZE));
        shell("mkfs.xfs -q -L docker $DEV", &first.node);
        copy.write(0, &first.bytes());
        shell("xfs_admin -L first $DEV >&2", &first.node);
        let machine = Machine::with_storage(two);
        machine.attach("xvdf", &first);
        machine.attach("xvdcy", &copy);
        let reason = machine.reason();
        let name = copy.node.file_name().unwrap().to_str().unwrap();
        let says = format!(
            "data.mount was not mounted: the kernel says `XFS ({name}): Filesystem has duplicate UUID {} - can't mount`; ",
            copy.value("UUID")
        );
        assert!(reason.contains(&says), "{reason}");
        let way = ways(&reason).swap_remove(index);
        machine.unmount();
        run_commands(&way);
        let (head, last) = two.split_at(two.rfind("  - ").unwrap());
        let machine = Machine::with_storage(&format!("{head}{}", with_settings(last, &way)));
        machine.attach("xvdf", &first);
        machine.attach("xvdcy", &copy);
        assert!(machine.made().contains(&"start data.mount".to_owned()));
        gone.push(way.replace(&copy.node.display().to_string(), "DEV"));
    }
    let ways = [
        "it is a copy of a disk that is mounted: set `options: [nouuid]` in `storage`",
        "or run `mount -o nouuid DEV /mnt && umount /mnt && xfs_admin -U generate DEV`",
    ];
    assert_eq!(gone, ways);
}

#[test]
fn an_option_that_the_kernel_does_not_take_is_named() {
    let Some(_log) = kernel_log(&["mkfs.ext4", "mount"]) else { return };
    let with = |option: &str| EXT4.replace("mount:", &format!("options: [noatime, {option}], mount:"));
    for (option, named) in [("nofial", "nofial"), ("data=tidy", "data"), ("x=y", "x")] {
        let disk = Loop::of(EXT4_SIZE);
        let (_, reason) = failed(&with(option), &disk);
        let remedy = format!("; take `{named}` out of `options` in `storage`, or write it as mount(8) has it");
        assert!(reason.contains("the kernel says `ext4: ") && reason.ends_with(&remedy), "{reason}");
    }
}

#[test]
fn a_volume_that_is_smaller_than_its_filesystem_is_told_as_that() {
    let Some(_log) = kernel_log(&["mkfs.xfs", "mkfs.ext4", "mount"]) else { return };
    for (storage, mkfs, size) in [(XFS, "mkfs.xfs", 2 * XFS_SIZE), (EXT4, "mkfs.ext4", 2 * EXT4_SIZE)] {
        let disk = Loop::of(size);
        shell(&format!("{mkfs} -q -L docker $DEV"), &disk.node);
        let part = Loop::part(&disk, &format!("--sizelimit {}MiB", size * 3 / 4));
        let (machine, reason) = failed(storage, &part);
        let remedy = "; the volume is smaller than its filesystem: give it at least the size that it was made with";
        assert!(reason.ends_with(remedy), "{reason}");
        drop(part);
        machine.attach("xvdcy", &disk);
        machine.made();
    }
}

#[test]
fn a_damaged_filesystem_is_repaired() {
    let Some(_log) = kernel_log(&["mkfs.xfs", "mkfs.ext4", "mount", "xfs_repair", "e2fsck"]) else { return };
    let damage = [
        // A sum of the superblock that does not fit.
        (XFS, "mkfs.xfs", XFS_SIZE, 200, 1, "xfs_repair DEV"),
        // The descriptors of the groups.
        (EXT4, "mkfs.ext4", EXT4_SIZE, 2048, 16384, "e2fsck -fy DEV"),
    ];
    for (storage, mkfs, size, at, length, command) in damage {
        let disk = Loop::of(size);
        shell(&format!("{mkfs} -q -L docker $DEV"), &disk.node);
        disk.write(at, &vec![0xa5; length]);
        let (machine, reason) = failed(storage, &disk);
        let node = disk.node.display().to_string();
        let way = format!(
            "it is damaged: run `{}`; or restore the volume from an earlier snapshot",
            command.replace("DEV", &node)
        );
        let said = "mount(2) system call failed: Structure needs cleaning; the kernel says `";
        assert!(reason.contains(said), "{reason}");
        assert!(reason.ends_with(&way), "{reason}");
        run_commands(&reason);
        machine.made();
    }
}

#[test]
fn where_nobody_says_why_the_logs_are_named() {
    if !can_run(&["mkfs.ext4", "mount"]) {
        return;
    }
    let machine = Machine::with_storage(EXT4);
    let disk = Loop::of(EXT4_SIZE);
    machine.attach("xvdcy", &disk);
    for program in ["mount", "journalctl", "dmesg"] {
        machine.program(program, "#!/bin/sh\nexit 32\n");
    }
    let reason = machine.reason();
    let expected = "Job for data.mount failed. See \"systemctl status data.mount\" and \"journalctl -xeu data.mount\" for details.; `journalctl -u data.mount` and `dmesg` may say more";
    assert!(reason.ends_with(expected), "{reason}");
}

//! A mkfs that is killed in the middle, by strace(1) at one of its writes.

use super::{EXT4, EXT4_SIZE, XFS, XFS_SIZE};
use crate::support::disks::{Loop, Machine, can_run, shell};

const RECORD: &str = "/var/lib/ecs-firstrun/making/docker";

fn kill_at(machine: &Machine, mkfs: &str, write: u32) {
    let inject = format!("-e trace=pwrite64 -e inject=pwrite64:signal=KILL:when={write}");
    let real = shell(&format!("command -v {mkfs}"), std::path::Path::new("/"));
    machine.program(mkfs, &format!("#!/bin/sh\nexec strace -f -qq -o /dev/null {inject} {} \"$@\"\n", real.trim()));
}

#[test]
fn what_a_killed_mkfs_left_is_formatted_again_on_that_disk() {
    if !can_run(&["mkfs.xfs", "mkfs.ext4", "mount", "strace"]) {
        return;
    }
    // Before anything is written, in the middle, and just before the end.
    let table = [
        (XFS, "xfs", XFS_SIZE, [1, 4, 12, 40], "xfs_repair -n $DEV"),
        (EXT4, "ext4", EXT4_SIZE, [1, 5, 12, 25], "e2fsck -fn $DEV"),
    ];
    for (storage, kind, size, writes, check) in table {
        let mkfs = format!("mkfs.{kind}");
        for write in writes {
            let disk = Loop::of(size);
            let machine = Machine::with_storage(storage);
            machine.attach("xvdcy", &disk);
            kill_at(&machine, &mkfs, write);
            let reason = machine.reason();
            assert!(reason.contains(&format!("`{mkfs} ")) && reason.contains("signal: 9"), "{reason}");
            assert!(machine.host.at(RECORD).exists());

            machine.remove_program(&mkfs);
            let made = machine.made();
            assert!(made.iter().any(|made| made.starts_with("make ")), "{kind} at write {write}: {made:?}");
            assert!(!machine.host.at(RECORD).exists());
            machine.unmount();
            shell(check, &disk.node);
        }
    }
}

#[test]
fn what_a_killed_mkfs_left_is_refused_where_it_is_not_certain_that_it_is_ours() {
    if !can_run(&["mkfs.xfs", "mkfs.ext4", "strace"]) {
        return;
    }
    let table = [
        (XFS, "mkfs.xfs", XFS_SIZE, "it holds xfs with the label `docker`, but the mkfs that made it was interrupted"),
        (EXT4, "mkfs.ext4", EXT4_SIZE, "it has no filesystem, but it is not blank either (data at byte "),
    ];
    for (storage, mkfs, size, expected) in table {
        let half_made = || {
            let disk = Loop::of(size);
            let machine = Machine::with_storage(storage);
            machine.attach("xvdcy", &disk);
            kill_at(&machine, mkfs, 25);
            machine.reason();
            machine.remove_program(mkfs);
            (machine, disk)
        };
        let refused = |machine: &Machine, disk: &Loop| {
            let before = disk.bytes();
            let reason = machine.reason();
            assert!(reason.contains(expected), "{reason}");
            assert!(before == disk.bytes(), "{mkfs}: the disk was changed");
        };
        let (machine, mut disk) = half_made();
        let elsewhere = Machine::with_storage(storage);
        elsewhere.attach("xvdcy", &disk);
        refused(&elsewhere, &disk);

        // The disk has no serial number: attached again, it may be another one.
        disk.reattach();
        machine.attach("xvdcy", &disk);
        refused(&machine, &disk);

        // The record of one disk is of no use to another that looks the same.
        let (machine, disk) = half_made();
        let other = Loop::of(size);
        other.write(0, &disk.bytes());
        machine.attach("xvdcy", &other);
        refused(&machine, &other);
    }
}

#[test]
fn a_filesystem_that_was_finished_is_kept_though_the_record_is_still_there() {
    if !can_run(&["mkfs.ext4", "mount"]) {
        return;
    }
    let disk = Loop::of(EXT4_SIZE);
    let machine = Machine::with_storage(EXT4);
    machine.attach("xvdcy", &disk);
    // It ends well, and then the run is interrupted.
    let real = shell("command -v mkfs.ext4", &disk.node);
    machine.program("mkfs.ext4", &format!("#!/bin/sh\n{} \"$@\"\nexit 1\n", real.trim()));
    machine.reason();
    assert!(machine.host.at(RECORD).exists());
    let uuid = disk.value("UUID");
    assert_eq!(machine.made(), ["make mount point /data", "start data.mount"]);
    assert_eq!(disk.value("UUID"), uuid);
    assert!(!machine.host.at(RECORD).exists());
}

//! Storage on real block devices: loop devices with the real blkid, mkfs and mount. They need root.

mod foreign;
mod instance_store;
mod interrupted;
mod mount_failure;
mod remedies;

use std::os::unix::fs::MetadataExt as _;

use crate::support::disks::{Loop, Machine, can_run, shell};
use crate::support::skip;

const XFS: &str = "  - {device: /dev/xvdcy, label: docker, mount: /data}\n";
const EXT4: &str = "  - {device: /dev/xvdcy, filesystem: ext4, label: docker, mount: /data}\n";

/// The least that mkfs.xfs takes is 300 MiB.
const XFS_SIZE: u64 = 320;
const EXT4_SIZE: u64 = 64;

#[test]
fn a_blank_device_is_formatted_and_mounted_and_stays_as_it_is_over_reboots() {
    if !can_run(&["mkfs.xfs", "mkfs.ext4", "mount"]) {
        return;
    }
    for (storage, kind, size) in [(XFS, "xfs", XFS_SIZE), (EXT4, "ext4", EXT4_SIZE)] {
        let disk = Loop::of(size);
        let machine = Machine::with_storage(storage);
        machine.attach("xvdcy", &disk);
        assert!(machine.made().contains(&format!("make {kind} `docker` on /dev/xvdcy if it is blank")));
        assert_eq!((disk.value("TYPE"), disk.value("LABEL")), (kind.to_owned(), "docker".to_owned()));
        let mounted = machine.host.at("/data");
        std::fs::write(mounted.join("kept"), "x").unwrap();
        assert_ne!(mounted.metadata().unwrap().dev(), machine.host.at("/").metadata().unwrap().dev());

        let uuid = disk.value("UUID");
        assert_eq!(machine.made(), Vec::<String>::new());
        machine.unmount();
        assert_eq!(machine.made(), ["start data.mount"]);
        assert_eq!(disk.value("UUID"), uuid);
        assert_eq!(machine.host.text("/data/kept"), "x");
    }
}

#[test]
fn a_device_that_is_attached_late_is_waited_for() {
    if !can_run(&["mkfs.ext4", "mount"]) {
        return;
    }
    let disk = Loop::of(EXT4_SIZE);
    let machine = Machine::with_storage(EXT4);
    let made = std::thread::scope(|scope| {
        let made = scope.spawn(|| machine.made());
        std::thread::sleep(std::time::Duration::from_millis(1500));
        assert_eq!(disk.value("TYPE"), "");
        machine.attach("xvdcy", &disk);
        made.join().unwrap()
    });
    assert!(made.contains(&"wait until /dev/xvdcy is attached".to_owned()), "{made:?}");
    assert_eq!(disk.value("TYPE"), "ext4");
}

#[test]
fn a_filesystem_grows_with_its_volume() {
    if !can_run(&["mkfs.xfs", "mkfs.ext4", "mount", "xfs_growfs", "resize2fs"]) {
        return;
    }
    for (storage, kind, size) in [(XFS, "xfs", XFS_SIZE), (EXT4, "ext4", EXT4_SIZE)] {
        let disk = Loop::of(size);
        let machine = Machine::with_storage(storage);
        machine.attach("xvdcy", &disk);
        machine.made();
        if kind == "ext4" && !may_resize() {
            resize_unmounted(&machine);
        }
        let capacity = || {
            let data = nix::sys::statvfs::statvfs(&machine.host.at("/data")).unwrap();
            (data.blocks() * data.fragment_size()) >> 20
        };
        assert!(capacity() < size);
        let grown = [format!("grow {kind} on /dev/xvdcy if the volume is larger")];

        disk.grow(2 * size);
        assert_eq!(machine.made(), grown);
        assert!(capacity() > 2 * size * 3 / 4, "{kind}: {}", capacity());
        assert_eq!(machine.made(), Vec::<String>::new());

        // While the instance was stopped.
        machine.unmount();
        disk.grow(3 * size);
        assert_eq!(machine.made().last(), grown.last());
        assert!(capacity() > 3 * size * 3 / 4, "{kind}: {}", capacity());

        // No program is run if nothing has to grow.
        machine.program("xfs_growfs", "#!/bin/sh\nexit 1\n");
        machine.program("resize2fs", "#!/bin/sh\nexit 1\n");
        assert_eq!(machine.made(), Vec::<String>::new());
    }
}

/// Tells whether the kernel lets this process resize a mounted ext4, which needs CAP_SYS_RESOURCE.
fn may_resize() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(effective.trim(), 16).unwrap() & (1 << 24) != 0
}

/// Puts a resize2fs in place that unmounts the filesystem for as long as it works. A mount namespace that another test
/// makes in the meantime has the mount, too, and keeps the disk busy until it ends.
fn resize_unmounted(machine: &Machine) {
    skip("growth of a mounted ext4, which is unmounted for it here: the kernel asks for CAP_SYS_RESOURCE");
    let real = shell("command -v resize2fs", machine.folder());
    let place = machine.host.at("/data").display().to_string();
    let program = "#!/bin/sh\numount PLACE && for try in $(seq 50); do e2fsck -fp \"$1\" >&2 && break; sleep 0.1; done && REAL \"$1\" && mount \"$1\" PLACE\n";
    machine.program("resize2fs", &program.replace("PLACE", &place).replace("REAL", real.trim()));
}

#[test]
fn volumes_are_mounted_in_order_with_their_options_and_directories() {
    if !can_run(&["mkfs.xfs", "mkfs.ext4", "mount"]) {
        return;
    }
    let machine = Machine::with_storage(
        "  - device: /dev/sdf\n    filesystem: ext4\n    label: outer\n    mount: /data\n    options: [noatime, nodev]\n    directories: [{path: public/files, owner: \"1000:1001\", mode: \"2750\"}, {path: plain}]\n  - device: /dev/xvdcz\n    mount: /data/docker\n    options: [ro]\n",
    );
    let (outer, inner) = (Loop::of(EXT4_SIZE), Loop::of(XFS_SIZE));
    machine.attach("xvdf", &outer);
    machine.attach("xvdcz", &inner);
    machine.made();
    assert_eq!((outer.value("LABEL"), inner.value("LABEL")), ("outer".to_owned(), "docker".to_owned()));

    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let mount = |place: &str| {
        let at = machine.host.at(place).display().to_string();
        let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find(|fields| fields[1] == at);
        let fields = fields.unwrap_or_else(|| panic!("{at} is not mounted"));
        (fields[0].to_owned(), fields[2].to_owned(), fields[3].split(',').map(str::to_owned).collect::<Vec<_>>())
    };
    let (device, kind, options) = mount("/data");
    assert_eq!((device.as_str(), kind.as_str()), (outer.node.to_str().unwrap(), "ext4"));
    assert!(["noatime", "nodev"].iter().all(|option| options.iter().any(|o| o == option)), "{options:?}");
    let (device, kind, options) = mount("/data/docker");
    assert_eq!((device.as_str(), kind.as_str()), (inner.node.to_str().unwrap(), "xfs"));
    assert_eq!(options[0], "ro");

    let made = machine.host.at("/data/public/files").metadata().unwrap();
    assert_eq!((made.uid(), made.gid(), made.mode() & 0o7777), (1000, 1001, 0o2750));
    let plain = machine.host.at("/data/plain").metadata().unwrap();
    assert_eq!((plain.uid(), plain.gid(), plain.mode() & 0o7777), (0, 0, 0o755));
    assert_eq!(plain.dev(), machine.host.at("/data").metadata().unwrap().dev());
    machine.unmount();
    assert!(!machine.host.at("/data/plain").exists(), "the directory was made below the mount");
}

#[test]
fn a_second_disk_of_the_same_label_in_the_place_of_the_first_is_refused() {
    if !can_run(&["mkfs.ext4", "mount"]) {
        return;
    }
    let (disk, other) = (Loop::of(EXT4_SIZE), Loop::of(EXT4_SIZE));
    let machine = Machine::with_storage(EXT4);
    machine.attach("xvdcy", &disk);
    machine.made();
    machine.unmount();
    // Its name is the first of the two: the label leads to it.
    shell("mkfs.ext4 -q -L docker $DEV", &other.node);
    machine.attach("xvdaa", &other);
    let (found, mounted) = (disk.node.display(), other.node.display());
    let expected = format!(
        "storage: start data.mount: /data is on {mounted}, not on /dev/xvdcy ({found}): both disks have the label `docker`; detach {mounted}, or give it another label, `umount -A {mounted} && e2label {mounted} other`, and run ecs-firstrun again"
    );
    assert_eq!(machine.reason(), expected);
    // It stays mounted, and refused.
    assert_eq!(machine.reason(), expected);

    remedies::run_commands(&expected);
    assert_eq!(machine.made(), ["start data.mount"]);
}

#[test]
fn what_a_mount_hides_is_told_and_stays() {
    if !can_run(&["mkfs.ext4", "mount"]) {
        return;
    }
    let machine = Machine::with_storage(
        "  - {device: /dev/xvdcy, filesystem: ext4, label: docker, mount: /var/lib/docker}\ndocker: {data_root: /srv/docker}\n",
    );
    let disk = Loop::of(EXT4_SIZE);
    machine.attach("xvdcy", &disk);
    machine.host.put("/var/lib/docker/volumes/db/_data/table", "old");
    let ended = machine.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let hidden = "the volume hides the files that were already in /var/lib/docker (entries: 1)";
    assert!(ended.stderr.contains(hidden), "{}", ended.stderr);
    assert!(ended.stderr.contains("Docker's data is in /srv/docker now"), "{}", ended.stderr);
    assert!(!machine.host.at("/var/lib/docker/volumes").exists());

    let again = machine.run();
    assert!(!again.stderr.contains("hides"), "{}", again.stderr);
    machine.unmount();
    assert_eq!(machine.host.text("/var/lib/docker/volumes/db/_data/table"), "old");
    shell("e2fsck -fn $DEV", &disk.node);
}

//! Carries out each remedy of a refusal as written. The next run succeeds, and the data stays where the remedy says so.

use std::sync::{Mutex, PoisonError};

use super::{EXT4, EXT4_SIZE, XFS, XFS_SIZE};
use crate::support::disks::{Loop, Machine, can_run, shell};

/// The programs that remedies call. What else stands in backticks is a name.
const PROGRAMS: [&str; 13] = [
    "blkdiscard",
    "blockdev",
    "e2fsck",
    "e2label",
    "losetup",
    "mkfs.ext4",
    "mkfs.xfs",
    "mount",
    "tune2fs",
    "umount",
    "wipefs",
    "xfs_admin",
    "xfs_repair",
];
/// The settings of a volume that remedies change.
const SETTINGS: [&str; 4] = ["device", "filesystem", "label", "options"];

fn in_backticks(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn commands(text: &str) -> Vec<&str> {
    in_backticks(text).filter(|code| code.split(' ').next().is_some_and(|word| PROGRAMS.contains(&word))).collect()
}

fn settings(text: &str) -> Vec<(&str, &str)> {
    let settings = in_backticks(text).filter_map(|code| code.split_once(": "));
    settings.filter(|(key, _)| SETTINGS.contains(key)).collect()
}

/// Runs what a message says is to be run. e2fsck(8) ends with 1 where it has repaired something.
pub fn run_commands(text: &str) {
    // Tests that run at the same time have one /mnt.
    static MNT: Mutex<()> = Mutex::new(());
    for command in commands(text) {
        let _mnt = command.contains(" /mnt").then(|| MNT.lock().unwrap_or_else(PoisonError::into_inner));
        let command =
            if command.starts_with("e2fsck") { format!("{command} || [ $? = 1 ]") } else { command.to_owned() };
        shell(&command, std::path::Path::new("/"));
    }
}

/// The ways out that a reason names, each apart from the others.
pub fn ways(reason: &str) -> Vec<String> {
    let ways = reason.split("; ").filter(|way| !commands(way).is_empty() || !settings(way).is_empty());
    ways.map(str::to_owned).collect()
}

/// The volume with the settings that a remedy names.
pub fn with_settings(storage: &str, way: &str) -> String {
    settings(way).into_iter().fold(storage.to_owned(), |storage, (key, value)| {
        let begins = storage.find(&format!("{key}: ")).unwrap_or_else(|| storage.find('}').unwrap());
        let ends = begins + storage[begins..].find([',', '}']).unwrap();
        let comma = if storage[begins..].starts_with('}') { ", " } else { "" };
        format!("{}{comma}{key}: {value}{}", &storage[..begins], &storage[ends..])
    })
}

/// Goes each way out of the refusal of a disk, each time with a disk made ready anew. All but mkfs keep its data.
pub fn lead_out(what: &str, storage: &str, size: u64, prepare: &dyn Fn(&Loop)) -> Vec<String> {
    let refused = || {
        let (machine, disk) = (Machine::with_storage(storage), Loop::of(size));
        prepare(&disk);
        machine.attach("xvdcy", &disk);
        let ways = ways(&machine.reason());
        (machine, disk, ways)
    };
    let mut first = Some(refused());
    let count = first.as_ref().unwrap().2.len();
    assert!(count > 0, "{what}: there is no way out");
    let mut gone = Vec::new();
    for index in 0..count {
        let (machine, disk, ways) = first.take().unwrap_or_else(refused);
        let way = &ways[index];
        if way.contains("`device: ") {
            continue;
        }
        run_commands(way);
        let changed = (!settings(way).is_empty()).then(|| Machine::with_storage(&with_settings(storage, way)));
        let machine = changed.as_ref().unwrap_or(&machine);
        machine.attach("xvdcy", &disk);
        machine.made();
        machine.unmount();
        assert_eq!(machine.made(), ["start data.mount"], "{what}: {way}");
        gone.push(way.replace(&disk.node.display().to_string(), "DEV"));
    }
    gone
}

/// A disk with a filesystem that has a file in it.
fn with_file(mkfs: &'static str) -> impl Fn(&Loop) {
    move |disk: &Loop| {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().display();
        shell(&format!("{mkfs} $DEV >&2; mount $DEV {place}; echo x >{place}/kept; umount {place}"), &disk.node);
    }
}

#[test]
fn a_filesystem_that_is_right_but_for_its_label_keeps_its_data() {
    if !can_run(&["mkfs.xfs", "mkfs.ext4", "mount", "xfs_admin", "e2label", "tune2fs"]) {
        return;
    }
    let long = "  - {device: /dev/xvdcy, filesystem: ext4, label: sixteen-letters-, mount: /data}\n";
    let xfs_label = "run `mount -o nouuid DEV /mnt && umount /mnt && xfs_admin -L docker DEV` to keep its data";
    let ext4_label = "run `mount DEV /mnt && umount /mnt && e2label DEV docker` to keep its data";
    let made = "or, if nothing on this one is needed, run `wipefs -a DEV && mkfs.xfs -f -L docker DEV`";
    let made_ext4 = "or, if nothing on this one is needed, run `wipefs -a DEV && mkfs.ext4 -F -L docker DEV`";
    let old = "run `mount DEV /mnt && umount /mnt && tune2fs -O has_journal,extents -L docker DEV` to keep its data";
    let table: [(&str, &'static str, &[&str]); 13] = [
        (XFS, "mkfs.xfs -q", &[xfs_label]),
        (XFS, "mkfs.xfs -q -L db", &[xfs_label, "or set `label: db` in `storage`"]),
        (XFS, "mkfs.xfs -q -L 'my:data'", &[xfs_label]),
        (XFS, "mkfs.ext4 -q -L docker", &["set `filesystem: ext4` in `storage` to keep it as it is", made]),
        (
            XFS,
            "mkfs.ext4 -q -L sixteen-letters-",
            &["set `filesystem: ext4` and `label: sixteen-letters-` in `storage` to keep it as it is", made],
        ),
        (
            XFS,
            "mkfs.ext4 -q -L 'my data'",
            &[
                "run `mount DEV /mnt && umount /mnt && e2label DEV docker` and set `filesystem: ext4` in `storage` to keep its data",
                made,
            ],
        ),
        (EXT4, "mkfs.ext4 -q", &[ext4_label]),
        (EXT4, "mkfs.ext4 -q -L db", &[ext4_label, "or set `label: db` in `storage`"]),
        (EXT4, "mkfs.xfs -q -L docker", &["set `filesystem: xfs` in `storage` to keep it as it is", made_ext4]),
        (EXT4, "mkfs.ext3 -q", &[old, made_ext4]),
        (EXT4, "mkfs.ext2 -q -L docker", &[old, made_ext4]),
        (
            long,
            "mkfs.xfs -q",
            &[
                "run `mount -o nouuid DEV /mnt && umount /mnt && xfs_admin -L sixteen-lett DEV` and set `filesystem: xfs` and `label: sixteen-lett` in `storage` to keep its data",
                "or, if nothing on this one is needed, run `wipefs -a DEV && mkfs.ext4 -F -L sixteen-letters- DEV`",
            ],
        ),
        // A partition table, as it was before the filesystem was made.
        (
            EXT4,
            "table() { mkfs.ext4 -q -L db $1; echo label: dos | sfdisk -q --wipe never $1; }; table",
            &["run `wipefs -a -t dos DEV && mount DEV /mnt && umount /mnt && e2label DEV docker` to keep its data"],
        ),
    ];
    for (storage, mkfs, expected) in table {
        assert_eq!(lead_out(mkfs, storage, XFS_SIZE, &with_file(mkfs)), expected, "{mkfs}");
    }
}

#[test]
fn what_keeps_the_data_keeps_them() {
    if !can_run(&["mkfs.xfs", "mkfs.ext4", "mount", "xfs_admin", "e2label", "tune2fs"]) {
        return;
    }
    for (storage, mkfs) in [(XFS, "mkfs.xfs -q"), (EXT4, "mkfs.ext4 -q"), (EXT4, "mkfs.ext3 -q")] {
        let (machine, disk) = (Machine::with_storage(storage), Loop::of(XFS_SIZE));
        with_file(mkfs)(&disk);
        machine.attach("xvdcy", &disk);
        run_commands(&ways(&machine.reason())[0]);
        machine.made();
        assert_eq!(machine.host.text("/data/kept"), "x\n");
    }
}

/// As a snapshot is of a volume that was in use: its log was not written out.
#[test]
fn a_copy_of_a_mounted_filesystem_gets_its_label() {
    if !can_run(&["mkfs.xfs", "mkfs.ext4", "mount", "xfs_admin", "e2label"]) {
        return;
    }
    for (storage, mkfs) in [(XFS, "mkfs.xfs -q"), (EXT4, "mkfs.ext4 -q")] {
        let prepare = |disk: &Loop| {
            let source = Loop::of(XFS_SIZE);
            let folder = tempfile::tempdir().unwrap();
            let (place, copy) = (folder.path().display(), disk.node.display());
            let script = "MKFS $DEV; mount $DEV PLACE; echo x >PLACE/kept; sync -f PLACE; echo y >PLACE/more; sync PLACE/more; dd status=none if=$DEV of=COPY bs=1M; umount PLACE";
            let script = script.replace("MKFS", mkfs).replace("PLACE", &place.to_string());
            shell(&script.replace("COPY", &copy.to_string()), &source.node);
        };
        lead_out(mkfs, storage, XFS_SIZE, &prepare);
    }
}

#[test]
fn a_disk_that_is_too_small_for_xfs_takes_ext4() {
    if !can_run(&["mkfs.xfs", "mkfs.ext4", "mount"]) {
        return;
    }
    let (machine, disk) = (Machine::with_storage(XFS), Loop::of(200));
    machine.attach("xvdcy", &disk);
    let reason = machine.reason();
    if reason.contains("mkfs.xfs makes no filesystem of less than 300 MB, and the device has 200 MiB; ") {
        let ways = ways(&reason);
        assert_eq!(ways, ["set `filesystem: ext4` in `storage`, or give the volume at least 1 GiB"]);
        let machine = Machine::with_storage(&with_settings(XFS, &ways[0]));
        machine.attach("xvdcy", &disk);
        machine.made();
    }
}

#[test]
fn a_partition_may_be_named_in_place_of_its_disk() {
    if !can_run(&["mkfs.ext4", "mount", "sfdisk"]) {
        return;
    }
    let (machine, disk) = (Machine::with_storage(EXT4), Loop::of(EXT4_SIZE));
    shell("printf 'label: gpt\n2048,\n' | sfdisk -q --no-reread $DEV", &disk.node);
    machine.attach("xvdcy", &disk);
    let ways = ways(&machine.reason());
    assert_eq!(ways[0], "set `device: /dev/xvdcy1` in `storage`, if its first partition is meant");
    let partition = Loop::part(&disk, "--offset 1MiB");
    shell("mkfs.ext4 -q -L docker $DEV", &partition.node);
    let machine = Machine::with_storage(&with_settings(EXT4, &ways[0]));
    machine.attach("xvdcy", &disk);
    machine.attach("xvdcy1", &partition);
    let made = machine.made();
    let is_mounted_as_it_is =
        made.contains(&"start data.mount".to_owned()) && !made.iter().any(|made| made.contains("ext4"));
    assert!(is_mounted_as_it_is, "{made:?}");
}

#[test]
fn a_disk_in_use_is_to_be_unmounted_and_not_to_be_formatted() {
    if !can_run(&["mkfs.xfs", "mkfs.ext4", "mount", "xfs_admin"]) {
        return;
    }
    let (machine, disk) = (Machine::with_storage(XFS), Loop::of(XFS_SIZE));
    with_file("mkfs.xfs -q")(&disk);
    let places = ["one", "other"].map(|name| machine.folder().join(name));
    for place in &places {
        std::fs::create_dir(place).unwrap();
        shell(&format!("mount $DEV {}", place.display()), &disk.node);
    }
    machine.attach("xvdcy", &disk);
    let reason = machine.reason();
    assert!(
        reason.contains("it holds xfs without a label, not with `docker`, and it is in use, mounted on "),
        "{reason}"
    );
    let unmount = format!("or, if that use may end, run `umount -A {}`", disk.node.display());
    assert_eq!(ways(&reason), [unmount]);
    run_commands(&reason);
    run_commands(&ways(&machine.reason())[0]);
    machine.made();
    assert_eq!(machine.host.text("/data/kept"), "x\n");

    let (machine, below) = (Machine::with_storage(EXT4), Loop::of(EXT4_SIZE));
    let mut above = Loop::over(&below);
    machine.attach("xvdcy", &below);
    let reason = machine.reason();
    assert_eq!(ways(&reason), [format!("or, if that use may end, run `losetup -d {}`", above.node.display())]);
    run_commands(&reason);
    // It is detached: under this name may be another test's disk.
    above.node = "/dev/null".into();
    machine.made();
}

#[test]
fn a_read_only_disk_is_to_be_made_writable_first() {
    if !can_run(&["mkfs.ext4", "mount", "blockdev"]) {
        return;
    }
    let (machine, disk) = (Machine::with_storage(EXT4), Loop::of(EXT4_SIZE));
    let writable = disk.read_only();
    machine.attach("xvdcy", &disk);
    let reason = machine.reason();
    assert!(reason.contains("nothing on it was changed: it is read-only; run `blockdev --setrw "), "{reason}");
    run_commands(&reason);
    machine.made();
    drop(writable);
}

#[test]
fn an_xfs_without_ftype_is_refused_below_dockers_data_alone() {
    if !can_run(&["mkfs.xfs", "mount"]) {
        return;
    }
    let storage = format!("{XFS}docker: {{data_root: /data/docker}}\n");
    let prepare = |disk: &Loop| {
        shell("mkfs.xfs -q -m crc=0 -n ftype=0 -L docker $DEV", &disk.node);
    };
    let make = "or, if nothing on this one is needed, run `wipefs -a DEV && mkfs.xfs -f -n ftype=1 -L docker DEV`";
    assert_eq!(lead_out("ftype=0", &storage, XFS_SIZE, &prepare), [make]);
    let other_label = |disk: &Loop| {
        shell("mkfs.xfs -q -m crc=0 -n ftype=0 -L old $DEV", &disk.node);
    };
    assert_eq!(lead_out("ftype=0, another label", &storage, XFS_SIZE, &other_label), [make]);
    let of_ext4 = storage.replace("label", "filesystem: ext4, label");
    let make = "or, if nothing on this one is needed, run `wipefs -a DEV && mkfs.ext4 -F -L docker DEV`";
    assert_eq!(lead_out("ftype=0, not ext4", &of_ext4, XFS_SIZE, &prepare), [make]);

    let disk = Loop::of(XFS_SIZE);
    prepare(&disk);
    let words = "it holds xfs with the label `docker`, made without ftype (d_type), which Docker's overlay2 needs; ";
    for (storage, refused) in [(storage.as_str(), true), (XFS, false)] {
        let machine = Machine::with_storage(storage);
        machine.attach("xvdcy", &disk);
        let plan = machine.host.call(&["plan", "--json"], &[]);
        let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
        let actions = plan["steps"].as_array().unwrap().iter().flat_map(|step| step["actions"].as_array().unwrap());
        let made: Vec<_> = actions.filter(|action| action["action"] == "ensure_filesystem").collect();
        assert_eq!(made[0]["foreseen"], if refused { "refused" } else { "already_done" });
        assert_eq!(made[0]["refusal"].as_str().unwrap_or_default().contains(words), refused, "{}", made[0]);
    }
}

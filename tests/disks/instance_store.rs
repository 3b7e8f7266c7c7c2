//! The instance store: one disk, or an array over several. The arrays are those of a stand-in for mdadm, which needs no
//! kernel with RAID; the one disk is real.

use ecs_firstrun::rehearse::Scenario;

use super::foreign::array_superblock;
use super::remedies::run_commands;
use super::{EXT4_SIZE, XFS_SIZE};
use crate::support::disks::{Loop, Machine, can_run};
use crate::support::host::Host;

const STORE: &str = "Amazon EC2 NVMe Instance Storage        \n";
const EBS: &str = "Amazon Elastic Block Store              \n";
const SEVERAL: &str =
    "#ecs-firstrun\nlogs: {agent: none}\nstorage: [{device: instance_store, label: scratch, mount: /scratch}]\n";

#[test]
fn one_disk_is_formatted_as_it_is_and_anew_when_it_came_back_blank() {
    if !can_run(&["mkfs.ext4", "mount"]) {
        return;
    }
    let machine =
        Machine::with_storage("  - {device: instance_store, filesystem: ext4, label: scratch, mount: /scratch}\n");
    let (root, store) = (Loop::of(EXT4_SIZE), Loop::of(EXT4_SIZE));
    machine.host.put("/sys/block/nvme0n1/device/model", EBS);
    machine.attach("nvme0n1", &root);
    machine.attach("nvme1n1", &store);
    machine.made();
    assert_eq!((root.value("TYPE").as_str(), store.value("LABEL").as_str()), ("", "scratch"));
    machine.unmount();
    assert_eq!(machine.made(), ["start scratch.mount"]);
    machine.unmount();

    let blank = Loop::of(EXT4_SIZE);
    machine.attach("nvme1n1", &blank);
    assert_eq!(machine.made(), ["make ext4 `scratch` on the instance store if it is blank", "start scratch.mount"]);
    assert_eq!((root.value("TYPE").as_str(), blank.value("LABEL").as_str()), ("", "scratch"));
}

/// An instance with an EBS volume and three disks in its instance store.
struct Instance(Host);

impl Instance {
    fn new() -> Self {
        let host = Host::of(Scenario::Success, SEVERAL);
        for (index, model) in [EBS, STORE, STORE, STORE].into_iter().enumerate() {
            host.put(&format!("/sys/block/nvme{index}n1/device/model"), model);
            host.put(&format!("/sys/class/block/nvme{index}n1/wwid"), &format!("nvme.1d0f-{index}\n"));
            host.put(&format!("/dev/nvme{index}n1"), "");
        }
        Instance(host)
    }

    /// Runs, and gives the calls of programs that change a disk, with this host's paths.
    fn run(&self, code: i32) -> Vec<String> {
        let before = self.0.rehearsal.programs.calls().len();
        let ended = self.0.run();
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        let root = self.0.rehearsal.root.display().to_string();
        let calls = self.0.rehearsal.programs.calls().split_off(before).into_iter();
        let changing = calls.filter(|call| call.program == "mdadm" || call.program.starts_with("mkfs"));
        changing.map(|call| format!("{} {}", call.program, call.args.join(" ").replace(&root, ""))).collect()
    }

    fn reason(&self) -> String {
        self.0.report().reason.unwrap().replace(&self.0.rehearsal.root.display().to_string(), "")
    }

    fn forget(&self, folders: &[&str]) {
        folders.iter().for_each(|folder| drop(std::fs::remove_dir_all(self.0.folder.path().join(folder))));
    }

    fn shut_down(&self) {
        let devices = ["root/sys/class/block/md127", "root/dev/md"];
        let holders = (1..4).map(|index| format!("root/sys/class/block/nvme{index}n1/holders"));
        self.forget(&holders.collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>());
        self.forget(&devices);
        self.forget(&["rehearsal/mounts", "rehearsal/started"]);
        std::fs::remove_file(self.0.at("/dev/md127")).unwrap();
    }

    /// A stop and a start: the disks of the instance store come back blank.
    fn stop_and_start(&self) {
        self.shut_down();
        self.forget(&["rehearsal/filesystems", "rehearsal/arrays"]);
    }
}

const DISKS: &str = "/dev/nvme1n1 /dev/nvme2n1 /dev/nvme3n1";
const MKFS: &str = "mkfs.xfs -q -K -L scratch /dev/md127";

fn create() -> String {
    format!(
        "mdadm --create /dev/md/scratch --run --level=0 --metadata=1.2 --homehost=any --name=scratch --raid-devices=3 {DISKS}"
    )
}

#[test]
fn several_disks_become_an_array_that_is_made_when_blank_and_assembled_when_not() {
    let instance = Instance::new();
    assert_eq!(instance.run(0), [create(), MKFS.to_owned()]);
    assert_eq!(instance.run(0), Vec::<String>::new());
    instance.shut_down();
    assert_eq!(instance.run(0), [format!("mdadm --assemble /dev/md/scratch {DISKS}")]);
    assert_eq!(instance.run(0), Vec::<String>::new());
    // A new root volume has no file that names the array.
    instance.shut_down();
    instance.forget(&["root/var", "root/etc", "root/run"]);
    assert_eq!(instance.run(0), [format!("mdadm --assemble /dev/md/scratch {DISKS}")]);
    instance.stop_and_start();
    assert_eq!(instance.run(0), [create(), MKFS.to_owned()]);
}

#[test]
fn an_array_that_lost_a_disk_is_refused_and_not_made_anew() {
    let instance = Instance::new();
    instance.run(0);
    instance.shut_down();
    std::fs::remove_dir_all(instance.0.at("/sys/block/nvme3n1")).unwrap();
    assert_eq!(instance.run(1), ["mdadm --assemble /dev/md/scratch /dev/nvme1n1 /dev/nvme2n1"]);
    assert!(
        instance.reason().contains("assembled from 2 drives - not enough to start the array"),
        "{}",
        instance.reason()
    );

    // udev has put together what there is.
    for index in [1, 2] {
        instance.0.put(&format!("/sys/class/block/nvme{index}n1/holders/md127"), "");
    }
    instance.0.put("/sys/class/block/md127/md/array_state", "inactive\n");
    instance.0.put("/sys/class/block/md127/md/raid_disks", "3\n");
    assert_eq!(instance.run(1), Vec::<String>::new());
    let expected = "nothing on it was changed: its array md127 is inactive, of 3 disks, and 2 are there";
    assert!(instance.reason().contains(expected), "{}", instance.reason());
}

#[test]
fn an_instance_store_that_is_partly_something_else_is_refused() {
    let table = [
        ("", "", "nvme2n1: it is blank"),
        ("ext4", "data", "nvme2n1: it holds ext4 with the label `data`"),
        ("linux_raid_member", "any:scratch", "neither all blank nor all of one array `scratch`"),
        ("linux_raid_member", "any:other", "nvme2n1: it is a member of the RAID array `other`"),
    ];
    for (kind, label, expected) in table {
        let instance = Instance::new();
        instance.run(0);
        instance.shut_down();
        let node = instance.0.at("/dev/nvme2n1");
        instance.0.rehearsal.programs.existing_filesystem(&node, kind, label).unwrap();
        if kind.is_empty() {
            let record = node.display().to_string().replace('/', "%2F");
            std::fs::remove_file(instance.0.folder.path().join("rehearsal/filesystems").join(record)).unwrap();
        }
        assert_eq!(instance.run(1), Vec::<String>::new(), "{kind}");
        assert!(instance.reason().contains("can't be used, and nothing on it was changed: "), "{}", instance.reason());
        assert!(instance.reason().contains(expected), "{}", instance.reason());
    }
}

#[test]
fn an_array_of_another_name_is_kept_by_its_name_or_zeroed() {
    if !can_run(&["mkfs.xfs", "blkdiscard"]) {
        return;
    }
    let disks = [Loop::of(XFS_SIZE), Loop::of(XFS_SIZE)];
    let machine = |label: &str| {
        let storage = format!("  - {{device: instance_store, label: {label}, mount: /scratch}}\n");
        let machine = Machine::with_storage(&storage);
        // The kernel is asked for no array: that mdadm is called tells that the disks are taken.
        machine.program("mdadm", "#!/bin/sh\nexit 7\n");
        for (disk, name) in disks.iter().zip(["nvme1n1", "nvme2n1"]) {
            machine.host.put(&format!("/sys/block/{name}/device/model"), STORE);
            machine.attach(name, disk);
        }
        machine
    };
    disks.iter().for_each(|disk| disk.write(4096, &array_superblock(8)));
    let mut nodes = disks.each_ref().map(|disk| disk.node.display().to_string());
    nodes.sort();
    let zero = format!("if nothing on these is needed, run `blkdiscard -z {}`", nodes.join(" && blkdiscard -z "));
    let refused = machine("scratch");
    let reason = refused.reason();
    let keep = "); set `label: store` in `storage` to keep it; or start a new instance, whose disks are blank; or, ";
    assert!(reason.ends_with(&format!("{keep}{zero}")), "{reason}");

    let reason = machine("store").reason();
    assert!(reason.contains("`mdadm --assemble ") && reason.ends_with(&zero), "{reason}");
    run_commands(&reason);
    let reason = refused.reason();
    assert!(reason.contains("`mdadm --create "), "{reason}");
}

#[test]
fn an_array_whose_making_was_interrupted_is_made_again() {
    let instance = Instance::new();
    // mdadm is killed when one of the disks has its superblock.
    let mdadm = instance.0.rehearsal.bin.join("mdadm");
    std::fs::remove_file(&mdadm).unwrap();
    std::fs::write(&mdadm, "#!/bin/sh\nkill -KILL $$\n").unwrap();
    std::fs::set_permissions(&mdadm, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(instance.run(1), Vec::<String>::new());
    assert!(instance.0.at("/var/lib/ecs-firstrun/making/scratch").exists());
    let node = instance.0.at("/dev/nvme1n1");
    instance.0.rehearsal.programs.existing_filesystem(&node, "linux_raid_member", "any:scratch").unwrap();

    std::fs::remove_file(&mdadm).unwrap();
    std::os::unix::fs::symlink(crate::support::host::BINARY, &mdadm).unwrap();
    let calls = ["mdadm --zero-superblock /dev/nvme1n1".to_owned(), create(), MKFS.to_owned()];
    assert_eq!(instance.run(0), calls);
    assert!(!instance.0.at("/var/lib/ecs-firstrun/making/scratch").exists());
}

use tempfile::TempDir;

use super::*;

struct Machine {
    folder: TempDir,
    programs: Programs,
    state: StubState,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let units = ["docker.service", "ecs.service"];
        let programs = Programs::prepare(&at("state"), &at("bin"), Path::new("/bin/true"), &units).unwrap();
        let state = StubState::new(at("state"), at("root"));
        std::fs::create_dir_all(at("root/dev")).unwrap();
        std::fs::write(at("root/dev/xvdcy"), "").unwrap();
        Self { folder, programs, state }
    }

    fn run(&self, line: &str) -> ProgramOutput {
        let mut words = line.split(' ').map(str::to_owned);
        let program = words.next().unwrap();
        run(&program, &words.collect::<Vec<_>>(), &self.state).unwrap()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join("root").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

#[test]
fn the_stubs_are_linked() {
    let machine = Machine::new();
    let bin = machine.folder.path().join("bin");
    install(&bin, Path::new("/bin/false")).unwrap();
    assert_eq!(std::fs::read_link(bin.join("mkfs.xfs")).unwrap(), Path::new("/bin/false"));
    assert_eq!(main_if_stub(OsStr::new("/usr/bin/ecs-firstrun"), []), None);
}

#[test]
fn an_unknown_unit_is_not_found() {
    let machine = Machine::new();
    let outcome = machine.run("systemctl start awslogsd.service");
    assert_eq!(outcome.exit, 5);
    assert_eq!(outcome.stderr, "Failed to start awslogsd.service: Unit awslogsd.service not found.\n");
    let shown = machine.run("systemctl show awslogsd.service --property=LoadState,ActiveState");
    assert_eq!(shown, ProgramOutput::printed("LoadState=not-found\nActiveState=inactive\n"));
    assert_eq!(machine.run("systemctl stop awslogsd.service").exit, 5);
    assert_eq!(machine.run("systemctl enable awslogsd.service").exit, 1, "the agent enables nothing");
    assert_eq!(machine.run("systemctl start --now docker.service").exit, 1, "nor has it this option");
}

#[test]
fn a_unit_fails_as_scripted() {
    let machine = Machine::new();
    machine.programs.fail_after("ecs.service", Duration::from_millis(60), 5).unwrap();
    let show = "systemctl show ecs.service --property=ActiveState,SubState,Result,ExecMainStatus";
    let inactive = "Result=success\nExecMainStatus=0\nActiveState=inactive\nSubState=dead\n";
    assert_eq!(machine.run(show).stdout, inactive);
    assert!(!machine.programs.started_marker("ecs.service").exists());
    assert_eq!(machine.run("systemctl start --no-block docker.service ecs.service").exit, 0);
    assert!(machine.programs.started_marker("ecs.service").exists());
    let running = "Result=success\nExecMainStatus=0\nActiveState=active\nSubState=running\n";
    assert_eq!(machine.run(show).stdout, running);
    std::thread::sleep(Duration::from_millis(70));
    let failed = "Result=exit-code\nExecMainStatus=5\nActiveState=failed\nSubState=failed\n";
    assert_eq!(machine.run(show).stdout, failed);
    let others = machine.run("systemctl show docker.service ecs.service --property=ActiveState");
    assert_eq!(others.stdout, "ActiveState=active\n\nActiveState=failed\n");
    let calls = machine.programs.calls();
    assert_eq!(calls.len(), 5);
    assert_eq!(calls[1].args, ["start", "--no-block", "docker.service", "ecs.service"]);
    assert_eq!((calls[0].program.as_str(), calls[0].exit), ("systemctl", 0));
}

#[test]
fn blkid_finds_what_mkfs_made() {
    let machine = Machine::new();
    let probe = "blkid -p -o export /dev/xvdcy";
    assert_eq!(machine.run(probe), ProgramOutput::failed(2, ""));
    assert_eq!(machine.run("mkfs.xfs -L longer-than-twelve /dev/xvdcy").exit, 1);
    assert_eq!(machine.run("mkfs.xfs -L docker /dev/xvdcy").exit, 0);
    let found = machine.run(probe).stdout;
    assert!(found.starts_with("DEVNAME=/dev/xvdcy\nLABEL=docker\nUUID="), "{found}");
    assert!(found.ends_with("\nTYPE=xfs\nUSAGE=filesystem\n"), "{found}");
    let again = machine.run("mkfs.xfs /dev/xvdcy");
    assert!(again.exit == 1 && again.stderr.contains("existing filesystem (xfs)"), "{again:?}");
    assert_eq!(machine.run("mkfs.ext4 -L a-label-of-more-than-16 /dev/xvdcy").exit, 0);
    assert!(machine.run(probe).stdout.contains("LABEL=a-label-of-more-\n"));
    assert_eq!(machine.run("mkfs.xfs /dev/xvdcz").exit, 1);
}

#[test]
fn what_is_on_a_device_beforehand_is_found() {
    let machine = Machine::new();
    let device = machine.folder.path().join("root/dev/xvdcy");
    machine.programs.existing_filesystem(&device, "LVM2_member", "").unwrap();
    assert!(machine.run("blkid -p -o export /dev/xvdcy").stdout.contains("TYPE=LVM2_member\nUSAGE=raid\n"));
    let named = format!("blkid -p -o export {}", device.display());
    assert!(machine.run(&named).stdout.contains("TYPE=LVM2_member\n"));
    assert!(machine.run("mkfs.xfs /dev/xvdcy").stderr.contains("existing filesystem (LVM2_member)"));
}

#[test]
fn a_mount_unit_mounts_what_is_there() {
    let machine = Machine::new();
    let unit = "[Mount]\nWhat=/dev/disk/by-label/docker\nWhere=/data\nType=xfs\nOptions=noatime\n";
    assert_eq!(machine.run("systemctl start data.mount").exit, 5);
    machine.write("etc/systemd/system/data.mount", unit);
    let failed = machine.run("systemctl start data.mount");
    assert!(failed.exit == 1 && failed.stderr.starts_with("Job for data.mount failed."), "{failed:?}");
    assert_eq!(machine.run("mkfs.xfs -L docker /dev/xvdcy").exit, 0);
    assert_eq!(machine.run("systemctl start data.mount").exit, 0);
    assert_eq!(machine.run("systemctl show data.mount --property=SubState").stdout, "SubState=mounted\n");
    assert_eq!(machine.run("xfs_growfs /data").exit, 0);
    assert_eq!(machine.run("mkfs.xfs -f /dev/xvdcy").exit, 1, "it is mounted");
    assert_eq!(machine.run("systemctl stop data.mount").exit, 0);
    assert_eq!(machine.run("xfs_growfs /data").exit, 1);
}

#[test]
fn arrays_are_made_and_assembled_of_all_their_members() {
    let machine = Machine::new();
    machine.write("dev/nvme1n1", "");
    machine.write("dev/nvme2n1", "");
    let disks = "/dev/nvme1n1 /dev/nvme2n1";
    let create = format!("mdadm --create /dev/md/store --name=store --homehost=any --raid-devices=2 {disks}");
    assert_eq!(machine.run(&create).exit, 0);
    assert!(machine.run("blkid -p -o export /dev/nvme1n1").stdout.contains("LABEL=any:store\n"));
    assert_eq!(machine.run("mkfs.xfs /dev/md/store").exit, 0);
    assert!(machine.run(&create).stderr.contains("is busy"));
    let unplugged = || std::fs::remove_dir_all(machine.folder.path().join("root/sys")).unwrap();
    unplugged();
    let degraded = machine.run("mdadm --assemble /dev/md/store /dev/nvme1n1");
    assert!(degraded.exit == 1 && degraded.stderr.contains("not enough to start"), "{degraded:?}");
    assert_eq!(machine.run(&format!("mdadm --assemble /dev/md/store {disks}")).exit, 0);
    assert!(machine.run("blkid -p -o export /dev/md127").stdout.contains("TYPE=xfs\n"));
    unplugged();
    assert_eq!(machine.run("mdadm --zero-superblock /dev/nvme1n1").exit, 0);
    assert_eq!(machine.run(&format!("mdadm --assemble /dev/md/store {disks}")).exit, 1);
}

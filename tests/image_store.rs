//! Both image stores of Docker: where it keeps images in containerd, containerd's directory comes from the volume, too.

mod real;

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use ecs_firstrun::rehearse::Scenario;

use crate::support::disks::{Loop, Machine, can_run};
use crate::support::host::Host;

const MOUNT: &str = "var-lib-containerd.mount";
const VOLUME: &str = "#ecs-firstrun\nsignal: {stack: web, resource: Instances}\nlogs: {agent: none}\n\
    storage: [{device: /dev/xvdcy, filesystem: ext4, label: docker, mount: /data}]\ndocker: {data_root: /data/docker}\n";

/// Puts a dockerd of this version into PATH, which counts how often it is asked.
fn dockerd(host: &Host, version: &str) {
    let program = host.rehearsal.bin.join("dockerd");
    let _ = std::fs::remove_file(&program);
    let text = format!(
        "#!/bin/sh\necho asked >>{}\necho 'Docker version {version}, build 0a1b2c3'\n",
        host.folder.path().join("asked").display()
    );
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

fn asked(host: &Host) -> usize {
    std::fs::read_to_string(host.folder.path().join("asked")).unwrap_or_default().lines().count()
}

/// The calls of systemctl that change something, in order.
fn systemctl(host: &Host) -> Vec<String> {
    let calls = host.rehearsal.programs.calls().into_iter().filter(|call| call.program == "systemctl");
    calls.map(|call| call.args.join(" ")).filter(|call| !call.starts_with("show")).collect()
}

#[test]
fn containerds_directory_is_mounted_after_the_volume_and_before_docker() {
    let host = Host::of(Scenario::Success, VOLUME);
    dockerd(&host, "29.0.1");
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let calls = systemctl(&host);
    let at =
        |call: &str| calls.iter().position(|made| made == call).unwrap_or_else(|| panic!("no {call} in {calls:?}"));
    let mounted = at(&format!("start {MOUNT}"));
    assert!(at("start data.mount") < mounted && mounted < at("start --no-block docker.service"), "{calls:?}");
    assert!(host.at("/data/docker/ecs-firstrun-containerd").is_dir());
    assert!(
        !calls.iter().any(|call| call.starts_with("stop")),
        "nothing runs that would have to be stopped: {calls:?}"
    );

    // Nothing is left to do, and what dockerd said is still known.
    let before = systemctl(&host).len();
    assert_eq!(host.run().code, Some(0));
    assert_eq!(systemctl(&host)[before..], [] as [&str; 0]);
    assert_eq!(asked(&host), 1);
}

#[test]
fn another_dockerd_is_asked_again_and_one_that_says_nothing_changes_nothing() {
    let host = Host::of(Scenario::Success, VOLUME);
    dockerd(&host, "25.0.16");
    assert_eq!(host.run().code, Some(0));
    let unit = format!("/etc/systemd/system/{MOUNT}");
    assert!(!host.at(&unit).exists());
    dockerd(&host, "29.1.0-ce");
    assert_eq!(host.run().code, Some(0));
    assert_eq!((asked(&host), host.at(&unit).exists()), (2, true));
    std::fs::write(host.rehearsal.bin.join("dockerd"), "#!/bin/sh\nexit 1\n").unwrap();
    assert_eq!(host.run().code, Some(0));
    assert!(host.at(&unit).exists());
    // A driver that keeps its images below the data root.
    std::fs::write(host.at("/var/lib/ecs-firstrun/image/daemon.json"), r#"{"storage-driver": "overlay2"}"#).unwrap();
    assert_eq!(host.run().code, Some(0));
    assert!(!host.at(&unit).exists());
    assert!(!host.at("/etc/systemd/system/containerd.service.d/ecs-firstrun-mounts.conf").exists());
}

#[test]
fn a_containerd_that_runs_already_is_stopped_first_and_docker_starts_it_again() {
    let host = Host::of(Scenario::Success, VOLUME);
    dockerd(&host, "29.0.1");
    let marker = host.rehearsal.programs.started_marker("containerd.service");
    std::fs::create_dir_all(marker.parent().unwrap()).unwrap();
    std::fs::write(marker, "1").unwrap();
    let units = host.folder.path().join("rehearsal/units");
    let known = std::fs::read_to_string(&units).unwrap();
    std::fs::write(units, known + "\ncontainerd.service\n").unwrap();
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let calls = systemctl(&host);
    let at =
        |call: &str| calls.iter().position(|made| made == call).unwrap_or_else(|| panic!("no {call} in {calls:?}"));
    let stopped = at("stop docker.service containerd.service");
    assert!(stopped < at(&format!("start {MOUNT}")), "{calls:?}");
    assert!(at(&format!("start {MOUNT}")) < at("start --no-block docker.service"), "{calls:?}");
}

#[test]
fn images_that_are_there_already_stay_and_are_told_and_what_was_only_started_is_mounted_over() {
    if !can_run(&["mkfs.ext4", "mount"]) {
        return;
    }
    let storage =
        "  - {device: /dev/xvdcy, filesystem: ext4, label: docker, mount: /data}\ndocker: {data_root: /data/docker}\n";
    let disk = Loop::of(64);
    let blob = "/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256/0a1b2c";
    let volume = |machine: &Machine| machine.host.at("/data").metadata().unwrap().dev();
    let containerd = |machine: &Machine| machine.host.at("/var/lib/containerd").metadata().unwrap().dev();

    let machine = Machine::with_storage(storage);
    dockerd(&machine.host, "29.0.1");
    machine.attach("xvdcy", &disk);
    machine.host.put(blob, "layer");
    let ended = machine.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let told = "containerd's data stays in /var/lib/containerd, not on the volume /data: it holds images or containers";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    assert_eq!(machine.host.text(blob), "layer");
    assert_ne!(containerd(&machine), volume(&machine));

    // Without them it is a tree without content.
    std::fs::remove_file(machine.host.at(blob)).unwrap();
    machine.host.put("/var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db", "");
    let ended = machine.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("stays in"), "{}", ended.stderr);
    assert_eq!(containerd(&machine), volume(&machine));
    machine.host.put(blob, "on the volume");
    assert!(
        Path::new(&machine.host.at("/data/docker/ecs-firstrun-containerd/io.containerd.content.v1.content")).exists()
    );

    // A mounted directory's contents do not count as the root disk's, neither now nor after a reboot.
    assert!(machine.made().is_empty());
    assert!(machine.unmount());
    assert_eq!(machine.made(), ["start data.mount", &format!("start {MOUNT}")]);
    assert_eq!(machine.host.text(blob), "on the volume");
    assert!(machine.unmount());
}

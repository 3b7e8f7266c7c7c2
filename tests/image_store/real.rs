//! The real Docker of several Debians, each with its own containerd, on what a plan makes of its version and settings.
//!
//! `make setup-dockers` unpacks them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use ecs_firstrun::instance::Instance;
use ecs_firstrun::plan::plan;
use ecs_firstrun::run::documents;

use crate::support::disks::can_run;
use crate::support::{repository, skip};

const SNAPSHOTTER: &str = "{features: {containerd-snapshotter: true}}";

/// A Debian, the daemon in it, the directives, and whether Docker keeps images in containerd then.
const DOCKERS: [(&str, &str, &str, bool); 8] = [
    ("bookworm", "dockerd", "{}", false),
    ("bookworm", "dockerd", SNAPSHOTTER, false),
    ("trixie", "dockerd", "{}", false),
    ("trixie", "dockerd", SNAPSHOTTER, true),
    ("sid", "dockerd", SNAPSHOTTER, true),
    // With the containerd of Debian, which has no Docker 29 yet.
    ("sid", "dockerd-29", "{}", true),
    ("sid", "dockerd-29", "{storage-driver: overlay2}", false),
    ("sid", "dockerd-29", "{features: {containerd-snapshotter: false}}", false),
];

#[test]
fn an_image_takes_no_room_on_the_root_disk() {
    if !can_run(&["mkfs.ext4", "unshare", "mount"]) {
        return;
    }
    for (suite, program, daemon, in_containerd) in DOCKERS {
        let tree = repository("target/lint/dockers").join(suite);
        if !tree.join("made").exists() || !tree.join("usr/sbin").join(program).exists() {
            skip(&format!("the image store of {program} on Debian {suite}: make setup-dockers could not get it"));
            continue;
        }
        let shown = loads(&tree, program, daemon);
        let number = |name: &str| shown[name].parse::<i64>().unwrap();
        assert_eq!(
            shown["status"].contains("io.containerd.snapshotter"),
            in_containerd,
            "{suite} {program} {daemon}: {shown:?}"
        );
        assert_eq!(!shown["what"].is_empty(), in_containerd, "{suite} {program} {daemon}: {shown:?}");
        assert_eq!(shown["root"], "/data/docker");
        assert!(number("root_grown") < 1 << 20, "{suite} {program} {daemon}: {shown:?}");
        assert!(number("volume_grown") > 200 << 20, "{suite} {program} {daemon}: {shown:?}");
        assert_eq!(shown["images"], "1", "{suite} {program} {daemon} after a reboot: {shown:?}");
    }
}

/// Answers of Docker and of the disks, when the plan for this Docker is carried out and an image is loaded.
fn loads(tree: &Path, program: &str, daemon: &str) -> BTreeMap<String, String> {
    let mut instance = Instance::example();
    let version = Command::new("chroot").arg(tree).args([program, "--version"]).output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    instance.image.docker =
        version.strip_prefix("Docker version ").and_then(|rest| Some(rest.split_once(',')?.0.into()));
    let text = format!(
        "#ecs-firstrun\nlogs: {{agent: none}}\nstorage: [{{device: /dev/xvdcy, mount: /data}}]\n\
         docker: {{data_root: /data/docker, daemon: {daemon}}}\n"
    );
    let parsed = documents("user data", text.as_bytes());
    assert_eq!(parsed.problems.len(), 0);
    let plan = plan(&parsed.config, &instance);
    let written = |path: &str| {
        let file = plan.files().find(|(_, file)| file.path == path);
        file.map(|(_, file)| file.contents.reveal().to_owned()).unwrap_or_default()
    };
    let unit = written("/etc/systemd/system/var-lib-containerd.mount");
    let get = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "--kill-child"])
        .arg(repository("tests/image_store/real.sh"))
        .current_dir(folder.path())
        .envs([("TREE", tree), ("DOCKERD", Path::new(program))])
        .env("DAEMON_JSON", written("/etc/docker/daemon.json"))
        .envs([("WHAT", get("What=")), ("WHERE", get("Where="))])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tree:?} {program} {daemon}: {said}");
    let shown = String::from_utf8(output.stdout).unwrap();
    let lines = shown.lines().filter_map(|line| line.split_once('='));
    let lines = lines.map(|(name, value)| (name.to_owned(), value.to_owned()));
    lines.chain([("what".to_owned(), get("What=").to_owned())]).collect()
}

//! `doctor --image`: a sound image, and each defect that it refuses, on the files of a scratch image.

mod binary;
mod leftovers;
mod log_agent;
mod selinux;
mod units;

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;

use ecs_firstrun::doctor::INSTALLED;
use serde_json::Value;

use crate::support::doctor::assert_has;
use crate::support::host::{BINARY, Ended, tree};
use crate::support::repository;

const X86_64: u16 = 62;
const AARCH64: u16 = 183;
/// The kinds of program headers: a segment to load, and the name of a dynamic linker.
const LOAD: u32 = 1;
const INTERPRETER: u32 = 3;

/// A folder with what an image of ours has, as far as the check looks at it.
struct Image {
    folder: tempfile::TempDir,
}

/// The head of a program's file, as elf(5) has it: the file's header, and a program header of each kind.
fn program(machine: u16, kinds: &[u32]) -> Vec<u8> {
    let mut head = b"\x7fELF\x02\x01\x01".to_vec();
    head.resize(64, 0);
    head[18..20].copy_from_slice(&machine.to_le_bytes());
    head[32..40].copy_from_slice(&64_u64.to_le_bytes());
    head[54..56].copy_from_slice(&56_u16.to_le_bytes());
    head[56..58].copy_from_slice(&u16::try_from(kinds.len()).unwrap().to_le_bytes());
    for kind in kinds {
        head.extend(kind.to_le_bytes());
        head.extend([0; 52]);
    }
    head
}

impl Image {
    fn new() -> Self {
        let image = Self { folder: tempfile::tempdir().unwrap() };
        image.put("/usr/bin/ecs-firstrun", program(X86_64, &[LOAD]));
        std::fs::set_permissions(image.at("/usr/bin/ecs-firstrun"), std::fs::Permissions::from_mode(0o755)).unwrap();
        image.put("/usr/lib/systemd/systemd", program(X86_64, &[LOAD, INTERPRETER]));
        for (path, text) in INSTALLED {
            image.put(path, text);
        }
        for unit in ["cloud-init.target", "cloud-init.service", "docker.service", "docker.socket", "ecs.service"] {
            image.put(&format!("/usr/lib/systemd/system/{unit}"), "[Unit]\n");
        }
        image.put("/etc/systemd/system/amazon-cloudwatch-agent.service", "[Unit]\n");
        image.put("/opt/aws/amazon-cloudwatch-agent/bin/CWAGENT_VERSION", "1.300070.0b123\n");
        image.put("/opt/aws/amazon-cloudwatch-agent/etc/common-config.toml", "");
        image.enable("ecs-firstrun.service", "cloud-init.target");
        image.put("/etc/machine-id", "");
        image.put("/etc/ecs/ecs.config", "# nothing but a comment = here\n");
        image.put("/var/lib/dbus/empty", "");
        image
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        std::fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        std::fs::write(self.at(path), content).unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        std::fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        symlink(target, self.at(path)).unwrap();
    }

    fn enable(&self, unit: &str, target: &str) {
        self.link(
            &format!("/etc/systemd/system/{target}.wants/{unit}"),
            &format!("../../../../usr/lib/systemd/system/{unit}"),
        );
    }

    fn remove(&self, path: &str) {
        std::fs::remove_file(self.at(path)).unwrap();
    }

    /// Nothing of the machine or its environment has a part in this.
    fn check(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(BINARY);
        command.args(["doctor", "--image", "--root"]).arg(self.folder.path()).args(arguments).env_clear();
        Ended::from(command.output().unwrap())
    }

    fn findings(&self) -> (Option<i32>, Vec<Value>) {
        let ended = self.check(&["--json"]);
        let diagnosis: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
        (ended.code, diagnosis["findings"].as_array().unwrap().clone())
    }
}

/// An image that was spoilt so is refused for this one reason, which is found by this check, and said in these words.
fn is_refused(spoil: impl FnOnce(&Image), check: &str, words: &[&str]) {
    let image = Image::new();
    spoil(&image);
    let (code, findings) = image.findings();
    let problems: Vec<_> = findings.iter().filter(|finding| finding["verdict"] == "problem").collect();
    assert_eq!((code, problems.len()), (Some(1), 1), "{problems:#?}");
    assert_eq!(problems[0]["check"], check, "{problems:#?}");
    for part in ["found", "why", "remedy"] {
        assert!(problems[0][part].as_str().is_some_and(|text| text.len() > 5), "no {part}: {problems:#?}");
    }
    let ended = image.check(&[]);
    assert!(ended.stdout.starts_with("don't bake this: "), "{}", ended.stdout);
    assert_has(ended.stdout.lines().next().unwrap(), words);
}

#[test]
fn an_image_as_it_is_baked_is_right_and_the_check_changes_nothing() {
    let image = Image::new();
    let before = tree(image.folder.path());
    let (code, findings) = image.findings();
    let not_ok: Vec<_> = findings.iter().filter(|finding| finding["verdict"] != "ok").collect();
    assert_eq!((code, not_ok), (Some(0), vec![]));
    assert!(before == tree(image.folder.path()));
    let ended = image.check(&[]);
    assert_has(
        &ended.stdout,
        &["nothing wrong was found", "binary static, and for x86_64, like the image", "1.300070.0b123"],
    );
    assert!(ended.stdout.lines().all(|line| line.chars().count() <= 80), "{}", ended.stdout);
}

#[test]
fn a_folder_that_is_no_image_is_refused_for_all_that_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let image = Image { folder };
    let (code, findings) = image.findings();
    assert_eq!(code, Some(1));
    let is_problem =
        |check: &str| findings.iter().any(|finding| finding["check"] == check && finding["verdict"] == "problem");
    for check in ["binary", "installed", "cloud_init", "units", "log_agent"] {
        assert!(is_problem(check), "{check}: {findings:#?}");
    }
}

#[test]
fn a_document_of_the_image_with_a_mistake_is_refused_and_one_that_user_data_completes_is_not() {
    let path = "/etc/ecs-firstrun/conf.d/10-image.yaml";
    let spoil = |image: &Image| image.put(path, "#ecs-firstrun\nlogs: {retention: 30}\n");
    is_refused(spoil, "configuration", &["conf.d/10-image.yaml:2:8: unknown key `retention`", "correct the document"]);
    let image = Image::new();
    image.put(path, "proxy: {no_proxy: [.internal]}\nsignal: {timeout: 20m}\necs: {tags: {team: payments}}\n");
    assert_eq!(image.findings(), (Some(0), image.findings().1), "{}", image.check(&[]).stdout);
}

#[test]
fn a_configuration_of_docker_that_is_no_json_is_refused() {
    let spoil = |image: &Image| image.put("/etc/docker/daemon.json", "{\"live-restore\": true,}\n");
    is_refused(spoil, "docker", &["/etc/docker/daemon.json is not a JSON object", "line 1 column 23"]);
}

#[test]
fn settings_of_the_ecs_agent_are_told_and_their_values_not_shown() {
    let text = "ECS_CLUSTER=production\n#ECS_LOGLEVEL=debug\nECS_ENGINE_AUTH_DATA={\"hunter2canary\": {}}\n";
    let image = Image::new();
    image.put("/etc/ecs/ecs.config", text);
    let told = image.check(&[]);
    assert_eq!(told.code, Some(0), "{}", told.stdout);
    let words = "/etc/ecs/ecs.config sets ECS_CLUSTER, ECS_ENGINE_AUTH_DATA: that setting stays on each instance, and overrides";
    let flat = told.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains(words), "{}", told.stdout);
    assert!(!told.stdout.contains("hunter2canary") && !image.check(&["--json"]).stdout.contains("hunter2"));
}

/// EC2 leaves a volume out of an image if the builder has one of that name. What comes of it, `make test-bake` shows.
#[test]
fn the_volume_that_an_image_can_do_without_is_one_of_the_builder() {
    let template: Value = serde_json::from_str(&std::fs::read_to_string(repository("packer.json")).unwrap()).unwrap();
    let builder = &template["builders"][0];
    let names = |key: &str| -> Vec<&str> {
        builder[key].as_array().unwrap().iter().map(|mapping| mapping["device_name"].as_str().unwrap()).collect()
    };
    assert_eq!(names("launch_block_device_mappings"), ["/dev/xvda", "/dev/xvdcy"]);
    assert_eq!(names("ami_block_device_mappings"), ["/dev/xvdcy"]);
    let left_out = &builder["ami_block_device_mappings"][0]["no_device"];
    assert_eq!(
        (left_out.as_str(), &template["variables"]["root_volume_alone"]),
        (Some("{{user `root_volume_alone`}}"), &"false".into())
    );
}

#[test]
fn the_documentation_shows_the_check_as_it_is() {
    let image = Image::new();
    image.enable("ecs.service", "multi-user.target");
    let said = image.check(&[]).stdout;
    let refused = said.split("\nok\n").next().unwrap();
    let shown = std::fs::read_to_string(repository("docs/image.md")).unwrap();
    assert!(shown.contains(refused), "{refused}");
}

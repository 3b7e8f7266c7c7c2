//! `doctor --image`: what it finds right, and each defect that it refuses, on the files of a scratch image.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;

use ecs_firstrun::doctor::INSTALLED;
use serde_json::Value;

use crate::selinux::set_label;
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
        &["nothing wrong was found", "binary static, for x86_64, as the image is", "1.300070.0b123"],
    );
    assert!(ended.stdout.lines().all(|line| line.chars().count() <= 80), "{}", ended.stdout);
}

#[test]
fn an_arm64_image_is_right_with_an_arm64_binary() {
    let image = Image::new();
    image.put("/usr/bin/ecs-firstrun", program(AARCH64, &[LOAD]));
    image.put("/usr/lib/systemd/systemd", program(AARCH64, &[LOAD, INTERPRETER]));
    assert_eq!(image.findings().0, Some(0));
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
fn a_missing_binary_is_refused() {
    is_refused(
        |image| image.remove("/usr/bin/ecs-firstrun"),
        "binary",
        &["/usr/bin/ecs-firstrun is missing", "install"],
    );
}

#[test]
fn a_binary_that_may_not_be_executed_is_refused() {
    let spoil = |image: &Image| {
        let mode = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(image.at("/usr/bin/ecs-firstrun"), mode).unwrap();
    };
    is_refused(spoil, "binary", &["is not executable", "chmod 0755"]);
}

#[test]
fn a_binary_that_is_not_static_is_refused() {
    let spoil = |image: &Image| image.put("/usr/bin/ecs-firstrun", program(X86_64, &[LOAD, INTERPRETER]));
    is_refused(spoil, "binary", &["needs a dynamic linker", "make build"]);
}

#[test]
fn a_binary_for_another_processor_is_refused() {
    let spoil = |image: &Image| image.put("/usr/bin/ecs-firstrun", program(AARCH64, &[LOAD]));
    is_refused(spoil, "binary", &["made for aarch64 (arm64), and the image for x86_64", "make build ARCH=x86_64"]);
}

#[test]
fn a_binary_that_was_not_copied_whole_is_refused() {
    let spoil = |image: &Image| image.put("/usr/bin/ecs-firstrun", &program(X86_64, &[LOAD])[..70]);
    is_refused(spoil, "binary", &["is not a program for x86_64 or arm64", "may be incomplete"]);
}

#[test]
fn each_file_of_ours_that_is_missing_or_differs_is_refused() {
    for (path, text) in INSTALLED {
        is_refused(|image| image.remove(path), "installed", &[&format!("{path} is missing"), "install it again"]);
        let spoil = |image: &Image| image.put(path, format!("{text}# and more\n"));
        is_refused(spoil, "installed", &[&format!("{path} is not the file of ecs-firstrun"), "install it again"]);
    }
}

#[test]
fn a_unit_or_drop_in_that_stands_in_the_place_of_ours_is_refused() {
    let spoil = |image: &Image| image.put("/etc/systemd/system/ecs.service.d/10-ecs-firstrun.conf", "[Unit]\n");
    is_refused(spoil, "installed", &["/etc/systemd/system/ecs.service.d/10-ecs-firstrun.conf overrides"]);
    let spoil = |image: &Image| image.link("/etc/systemd/system/ecs-firstrun.service", "/dev/null");
    is_refused(spoil, "installed", &["/etc/systemd/system/ecs-firstrun.service overrides", "delete it"]);
}

#[test]
fn a_unit_of_ours_that_is_not_enabled_is_refused() {
    let link = "/etc/systemd/system/cloud-init.target.wants/ecs-firstrun.service";
    is_refused(|image| image.remove(link), "units", &["ecs-firstrun.service is not enabled", "systemctl enable"]);
    let spoil = |image: &Image| {
        image.remove(link);
        image.enable("ecs-firstrun.service", "multi-user.target");
    };
    is_refused(spoil, "units", &["cloud-init.target does not pull it in"]);
}

#[test]
fn a_unit_that_is_enabled_and_must_not_be_is_refused() {
    for (unit, target) in [
        ("docker.service", "multi-user.target"),
        ("docker.socket", "sockets.target"),
        ("ecs.service", "multi-user.target"),
        ("amazon-cloudwatch-agent.service", "multi-user.target"),
        ("awslogsd.service", "multi-user.target"),
    ] {
        let words = [format!("{unit} is enabled: {target} pulls it in"), format!("`systemctl disable {unit}`")];
        is_refused(|image| image.enable(unit, target), "units", &words.each_ref().map(String::as_str));
    }
    let another_name = "/usr/lib/systemd/system/multi-user.target.requires/moby.service";
    let spoil = |image: &Image| image.link(another_name, "../docker.service");
    is_refused(spoil, "units", &["docker.service is enabled"]);
}

#[test]
fn a_containerd_that_is_enabled_is_right_as_long_as_it_waits() {
    let enable = |image: &Image, target: &str| {
        image.put("/usr/lib/systemd/system/containerd.service", "[Unit]\n");
        image.enable("containerd.service", target);
    };
    let image = Image::new();
    enable(&image, "multi-user.target");
    let ended = image.check(&[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    for target in ["sysinit.target", "cloud-init.service"] {
        let words = ["containerd.service is enabled", target, "disable containerd.service"];
        is_refused(|image| enable(image, target), "units", &words);
    }
    // Without the line of our unit nothing has it wait, but for its own.
    let unit = "/usr/lib/systemd/system/ecs-firstrun.service";
    let text = std::fs::read_to_string(image.at(unit)).unwrap();
    image.put(unit, text.replace("Before=containerd.service\n", ""));
    let told = |image: &Image| {
        let (_, findings) = image.findings();
        let mut found = findings.iter().filter_map(|finding| finding["found"].as_str());
        found.any(|found| found.contains("would not wait for ecs-firstrun.service: multi-user.target pulls it in"))
    };
    assert!(told(&image));
    let drop_in = "/etc/systemd/system/containerd.service.d/order.conf";
    image.put(drop_in, "[Unit]\nAfter=network.target ecs-firstrun.service\n");
    assert!(!told(&image));
}

#[test]
fn images_in_containerd_are_told_where_they_are() {
    let image = Image::new();
    image.put("/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256/0a", "");
    let ended = image.check(&[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert!(ended.stdout.contains("containerd has images or containers in /var/lib/containerd"), "{}", ended.stdout);
}

#[test]
fn a_unit_that_is_masked_is_refused() {
    let spoil = |image: &Image| image.link("/etc/systemd/system/docker.service", "/dev/null");
    is_refused(spoil, "units", &["docker.service is masked", "systemctl unmask"]);
    let spoil = |image: &Image| image.link("/etc/systemd/system/cloud-init.target", "/dev/null");
    is_refused(spoil, "cloud_init", &["cloud-init.target is masked"]);
}

#[test]
fn an_image_without_docker_or_without_the_ecs_agent_is_refused() {
    for unit in ["docker.service", "ecs.service"] {
        let spoil = |image: &Image| image.remove(&format!("/usr/lib/systemd/system/{unit}"));
        is_refused(spoil, "units", &[&format!("{unit} is missing"), "ECS-optimized"]);
    }
}

#[test]
fn an_image_without_cloud_init_is_refused() {
    for unit in ["cloud-init.target", "cloud-init.service"] {
        let spoil = |image: &Image| image.remove(&format!("/usr/lib/systemd/system/{unit}"));
        is_refused(spoil, "cloud_init", &["cloud-init is missing", "install cloud-init"]);
    }
    let image = Image::new();
    image.remove("/usr/lib/systemd/system/cloud-init.service");
    image.put("/usr/lib/systemd/system/cloud-init-network.service", "[Unit]\n");
    assert_eq!(image.findings().0, Some(0), "cloud-init 24.3 and newer");
}

#[test]
fn a_cloud_init_that_is_disabled_is_refused() {
    let spoil = |image: &Image| image.put("/etc/cloud/cloud-init.disabled", "");
    is_refused(spoil, "cloud_init", &["/etc/cloud/cloud-init.disabled disables cloud-init", "delete it"]);
}

#[test]
fn an_image_without_a_log_agent_is_refused_unless_it_asks_for_none() {
    let version = "/opt/aws/amazon-cloudwatch-agent/bin/CWAGENT_VERSION";
    is_refused(|image| image.remove(version), "log_agent", &["there is no log agent", "amazon-cloudwatch-agent"]);
    let unit = "/etc/systemd/system/amazon-cloudwatch-agent.service";
    is_refused(|image| image.remove(unit), "log_agent", &["but not its unit, amazon-cloudwatch-agent.service"]);
    let image = Image::new();
    image.remove(version);
    image.put("/usr/lib/systemd/system/awslogsd.service", "[Unit]\n");
    assert_eq!(image.findings().0, Some(0), "awslogs is one, too");
    image.put("/etc/ecs-firstrun/conf.d/10-logs.yaml", "logs: {agent: cloudwatch}\n");
    assert_eq!(image.findings().0, Some(1), "but not the one that is configured");
    image.remove("/usr/lib/systemd/system/awslogsd.service");
    image.put("/etc/ecs-firstrun/conf.d/10-logs.yaml", "logs: {agent: none}\n");
    assert_eq!(image.findings().0, Some(0), "none is configured");
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
fn state_of_the_ecs_agent_is_refused() {
    let spoil = |image: &Image| image.put("/var/lib/ecs/data/agent.db", "stale");
    is_refused(spoil, "state", &["/var/lib/ecs/data/agent.db is left", "cleanup.sh"]);
}

#[test]
fn settings_of_the_ecs_agent_are_told_and_their_values_not_shown() {
    let text = "ECS_CLUSTER=production\n#ECS_LOGLEVEL=debug\nECS_ENGINE_AUTH_DATA={\"hunter2canary\": {}}\n";
    let image = Image::new();
    image.put("/etc/ecs/ecs.config", text);
    let told = image.check(&[]);
    assert_eq!(told.code, Some(0), "{}", told.stdout);
    let words = "/etc/ecs/ecs.config sets ECS_CLUSTER, ECS_ENGINE_AUTH_DATA: that stays, and wins";
    let flat = told.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains(words), "{}", told.stdout);
    assert!(!told.stdout.contains("hunter2canary") && !image.check(&["--json"]).stdout.contains("hunter2"));
}

/// Files that a run of this agent writes, with names that say so.
const LEFT_BY_A_RUN: [&str; 7] = [
    "/var/lib/ecs-firstrun/state.json",
    "/var/log/ecs-firstrun.log",
    "/var/log/ecs-firstrun-runs.log",
    "/etc/systemd/system/docker.service.d/ecs-firstrun-proxy.conf",
    "/etc/ecs-firstrun/proxy.env",
    "/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.d/ecs-firstrun.json",
    "/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.d/ecs-firstrun.yaml",
];

#[test]
fn what_a_run_of_this_agent_has_left_is_refused() {
    for path in LEFT_BY_A_RUN {
        is_refused(|image| image.put(path, "{}"), "last_run", &[&format!("{path} is left"), "cleanup.sh"]);
    }
}

#[test]
fn the_script_that_the_remedy_names_removes_what_is_refused() {
    let image = Image::new();
    let logs = "/opt/aws/amazon-cloudwatch-agent/logs";
    let of_the_log_agent = [
        format!("{logs}/amazon-cloudwatch-agent.log"),
        format!("{logs}/state/ecs-firstrun/i-0builder/receiver_journald_"),
    ];
    let others =
        ["/var/lib/ecs/data/agent.db", "/var/lib/cloud/instances/i-0builder/datasource", "/root/.ssh/authorized_keys"];
    let left: Vec<&str> =
        LEFT_BY_A_RUN.into_iter().chain(others).chain(of_the_log_agent.iter().map(String::as_str)).collect();
    left.iter().for_each(|path| image.put(path, "left"));
    // A unit of this name may be the image's own.
    let mount = "/etc/systemd/system/var-lib-containerd.mount";
    image.put(mount, "[Mount]\nWhat=/mnt/containerd\n");
    let mut again = Command::new("bash");
    again.arg(repository("builder-scripts/cleanup.sh")).env("ROOT", image.folder.path());
    assert_eq!(Ended::from(again.output().unwrap()).code, Some(0));
    assert!(image.at(mount).exists());
    image.put(mount, "# Written by ecs-firstrun.\n[Mount]\n");
    let left: Vec<_> = left.into_iter().chain([mount]).collect();
    left.iter().for_each(|path| {
        if *path != mount {
            image.put(path, "left")
        }
    });
    assert_eq!(image.findings().0, Some(1));
    let mut script = Command::new("bash");
    script.arg(repository("builder-scripts/cleanup.sh")).env("ROOT", image.folder.path());
    let ended = Ended::from(script.output().unwrap());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let still: Vec<_> = left.iter().filter(|path| image.at(path).exists()).collect();
    assert!(still.is_empty(), "{still:?}");
    assert_eq!(image.findings(), (Some(0), image.findings().1), "{}", image.check(&[]).stdout);
}

#[test]
fn an_identity_of_the_host_that_was_baked_is_refused() {
    let id = "0123456789abcdef0123456789abcdef\n";
    is_refused(|image| image.put("/etc/machine-id", id), "identity", &["/etc/machine-id is not empty"]);
    is_refused(|image| image.put("/var/lib/dbus/machine-id", id), "identity", &["/var/lib/dbus/machine-id is left"]);
    let key = "/etc/ssh/ssh_host_ed25519_key";
    is_refused(|image| image.put(key, "secret"), "identity", &["/etc/ssh/ssh_host_ed25519_key is left", "cleanup.sh"]);
    let image = Image::new();
    image.put("/etc/machine-id", "uninitialized\n");
    image.link("/var/lib/dbus/machine-id", "/etc/machine-id");
    assert_eq!(image.findings().0, Some(0), "that is no identity");
}

#[test]
fn state_of_cloud_init_is_refused() {
    let spoil = |image: &Image| image.put("/var/lib/cloud/instances/i-0builder/datasource", "");
    is_refused(spoil, "cloud_init", &["/var/lib/cloud/instances is left", "cleanup.sh"]);
}

#[test]
fn keys_of_those_who_baked_the_image_are_refused() {
    for path in ["/root/.ssh/authorized_keys", "/home/ec2-user/.ssh/authorized_keys"] {
        is_refused(|image| image.put(path, "ssh-ed25519 AAAA"), "ssh_keys", &[&format!("{path} is left")]);
    }
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

/// A file that an image brings for the CloudWatch agent.
const FOLDER: &str = "/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.d";

#[test]
fn files_for_the_log_agent_that_go_with_ours_are_right() {
    let image = Image::new();
    let metrics =
        r#"{"agent": {"run_as_user": "root"}, "metrics": {"metrics_collected": {"disk": {"measurement": ["used"]}}}}"#;
    image.put(&format!("{FOLDER}/metrics.json"), metrics);
    image.put("/opt/aws/amazon-cloudwatch-agent/etc/common-config.toml", "[proxy]\nHTTP_PROXY = \"http://image:1\"\n");
    image.put("/opt/aws/amazon-cloudwatch-agent/bin/CWAGENT_VERSION", "1.300071.0b1\n");
    assert_eq!(image.findings().0, Some(0));
    // A journal of the image's own goes with ours, which is read otherwise.
    let journal = r#"{"logs": {"logs_collected": {"journald": {"collect_list": [{"log_group_name": "j"}]}}}}"#;
    image.put(&format!("{FOLDER}/journal.json"), journal);
    image.put(&format!("{FOLDER}/same.json"), journal);
    assert_eq!(image.findings().0, Some(0), "{:#?}", image.findings().1);
}

#[test]
fn a_file_that_keeps_the_log_agent_from_its_work_is_refused() {
    let put =
        |name: &'static str, text: &'static str| move |image: &Image| image.put(&format!("{FOLDER}/{name}"), text);
    let journals = |image: &Image| {
        for (name, unit) in [("a.json", "sshd.service"), ("b.json", "auditd.service")] {
            let section = format!(r#"{{"collect_list": [{{"log_group_name": "j", "units": ["{unit}"]}}]}}"#);
            image.put(
                &format!("{FOLDER}/{name}"),
                format!(r#"{{"logs": {{"logs_collected": {{"journald": {section}}}}}}}"#),
            );
        }
    };
    is_refused(
        journals,
        "log_agent",
        &["/a.json and ", "/b.json give different values for `logs.logs_collected.journald`"],
    );
    is_refused(
        put("README.txt", "nothing to see\n"),
        "log_agent",
        &["/README.txt is no JSON object (", "correct it in the image"],
    );
    is_refused(put("sub/x.json", "{\"agent\": "), "log_agent", &["/sub/x.json is no JSON object ("]);
    is_refused(put("otel.yaml", "receivers: ["), "log_agent", &["/otel.yaml is no YAML (line "]);
    let main = |image: &Image| image.put("/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.json", "");
    is_refused(main, "log_agent", &["/amazon-cloudwatch-agent.json is no JSON object ("]);
    let common = |image: &Image| image.put("/opt/aws/amazon-cloudwatch-agent/etc/common-config.toml", "[proxy\n");
    is_refused(common, "log_agent", &["common-config.toml is no TOML (line 1: ", "or empty it there"]);
    let missing = |image: &Image| image.remove("/opt/aws/amazon-cloudwatch-agent/etc/common-config.toml");
    is_refused(missing, "log_agent", &["common-config.toml is missing", "an empty file is enough"]);
    let retention = |image: &Image| {
        let entry = |days: u32| {
            format!(
                r#"{{"logs": {{"logs_collected": {{"files": {{"collect_list": [{{"file_path": "/x", "log_group_name": "web/ec2/Instances/var/log/ecs/ecs-agent", "retention_in_days": {days}}}]}}}}}}}}"#
            )
        };
        image.put(&format!("{FOLDER}/a.json"), entry(7));
        image.put(&format!("{FOLDER}/b.json"), entry(14));
    };
    is_refused(retention, "log_agent", &["/a.json and ", "/b.json give different values for `retention_in_days`"]);
    let password = |image: &Image| {
        image.put("/etc/ecs-firstrun/conf.d/50.yaml", "proxy: {url: 'http://me:canary@proxy:3128'}\n");
        let entry = r#"{"file_path": "/var/log/messages", "log_group_name": "shop"}"#;
        image.put(
            &format!("{FOLDER}/shop.json"),
            format!(r#"{{"logs": {{"logs_collected": {{"files": {{"collect_list": [{entry}]}}}}}}}}"#),
        );
    };
    is_refused(
        password,
        "log_agent",
        &["/shop.json sends /var/log/messages to the log group shop", "_PROXY is set to"],
    );
    let of_ours = |image: &Image| {
        image.put("/etc/ecs-firstrun/conf.d/50.yaml", "logs: {retention_days: 30}\n");
        let entry = r#"{"file_path": "/x", "log_group_name": "web/ec2/Instances/var/log/ecs/ecs-agent", "retention_in_days": 7}"#;
        image.put(
            &format!("{FOLDER}/image.json"),
            format!(r#"{{"logs": {{"logs_collected": {{"files": {{"collect_list": [{entry}]}}}}}}}}"#),
        );
    };
    is_refused(
        of_ours,
        "log_agent",
        &["/ecs-firstrun.json and ", "/image.json give different values for `retention_in_days`"],
    );
}

/// An image in a folder, whose settings have SELinux on.
fn with_selinux(image: &Image) {
    image.put("/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n");
    image.put(
        "/etc/selinux/targeted/contexts/files/file_contexts",
        "/var/lib/docker(/.*)?\tsystem_u:object_r:container_var_lib_t:s0\n",
    );
}

#[test]
fn selinux_labels_with_which_nothing_would_start_are_refused() {
    let image = Image::new();
    with_selinux(&image);
    // Without any label the whole image gets them at the first boot.
    assert_eq!(image.findings().0, Some(0));
    let systemd = |image: &Image| assert!(set_label(&image.at("/usr/lib/systemd/systemd"), "init_exec_t"));
    if !set_label(&image.at("/usr/lib/systemd/systemd"), "init_exec_t") {
        return;
    }
    let binary = "/usr/bin/ecs-firstrun";
    for kind in ["user_tmp_t", "tmp_t", "admin_home_t", "unlabeled_t"] {
        let spoil = |image: &Image| {
            with_selinux(image);
            systemd(image);
            assert!(set_label(&image.at(binary), kind));
        };
        is_refused(spoil, "selinux", &[&format!("{binary} has the SELinux label `{kind}`; `restorecon -v {binary}`")]);
    }
    let unlabelled = |image: &Image| {
        with_selinux(image);
        systemd(image);
    };
    is_refused(unlabelled, "selinux", &[&format!("{binary} has no SELinux label; `restorecon -v {binary}`")]);
    let data_root = |image: &Image| {
        with_selinux(image);
        image.put("/var/lib/docker/overlay2/x", "");
        assert!(set_label(&image.at("/var/lib/docker"), "user_home_t"));
    };
    is_refused(data_root, "selinux", &["/var/lib/docker has the SELinux label `user_home_t`"]);
    assert!(set_label(&image.at(binary), "bin_t"));
    assert_eq!(image.findings().0, Some(0));
    assert!(set_label(&image.at(binary), "user_tmp_t"));
    assert_eq!(image.findings().0, Some(1));
    image.put("/etc/selinux/config", "SELINUX=disabled\n");
    assert_eq!(image.findings().0, Some(0));
}

#[test]
fn containers_with_labels_that_the_policy_lacks_are_refused() {
    let image = Image::new();
    with_selinux(&image);
    image.put("/etc/docker/daemon.json", r#"{"selinux-enabled": true}"#);
    assert_eq!(image.findings().0, Some(0));
    let spoil = |image: &Image| {
        with_selinux(image);
        image.put("/etc/docker/daemon.json", r#"{"selinux-enabled": true}"#);
        image.put("/etc/selinux/targeted/contexts/files/file_contexts", "/var(/.*)? system_u:object_r:var_t:s0\n");
    };
    is_refused(spoil, "selinux", &["has no labels for containers; install container-selinux in the image"]);
}

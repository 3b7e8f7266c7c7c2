//! The real Docker of several Debians, which pulls from a real registry: that what a run asks and reads is what Docker takes
//! and says. The registry stands for one of Amazon ECR, too, by its name, with TLS, and open to ECR's token alone.
//!
//! `make setup-dockers` unpacks both.

use std::io::BufRead as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ecs_firstrun::rehearse::cloud::ECR_PASSWORD;
use ecs_firstrun::report::Change;

use crate::support::disks::can_run;
use crate::support::host::Host;
use crate::support::{repository, skip};

/// Debians, the daemon of each, and its directives.
const DOCKERS: [(&str, &str, &str); 5] = [
    ("bookworm", "dockerd", "{}"),
    ("trixie", "dockerd", "{}"),
    ("trixie", "dockerd", "{\"features\": {\"containerd-snapshotter\": true}}"),
    ("sid", "dockerd", "{}"),
    // With containerd's image store.
    ("sid", "dockerd-29", "{}"),
];
/// The registry under names that only its Docker resolves, and on loopback.
const ECR: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
const CLOSED: &str = "closed.internal";
const OPEN: &str = "127.0.0.1:5000";

#[test]
fn the_real_docker_pulls_what_a_run_asks_for_and_its_refusals_are_understood() {
    if !can_run(&["unshare", "mount", "ip", "tar"]) {
        return;
    }
    let registry = repository("target/lint/registry");
    if !registry.join("usr/bin/docker-registry").exists() {
        return skip("pulls by the real Docker: make setup-dockers could not get a registry");
    }
    for (suite, dockerd, daemon) in DOCKERS {
        let tree = repository("target/lint/dockers").join(suite);
        if !tree.join("usr/sbin").join(dockerd).exists() {
            skip(&format!("pulls by the {dockerd} of Debian {suite}: make setup-dockers could not get it"));
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut docker = Command::new("unshare")
            .args(["--mount", "--pid", "--net", "--fork", "--kill-child"])
            .arg(repository("tests/image_pulls/real.sh"))
            .current_dir(folder.path())
            .envs([("TREE", &tree), ("REGISTRY", &registry)])
            .env("DOCKERD", dockerd)
            .env("DAEMON_JSON", daemon)
            .env("HOSTS", format!("{ECR} {CLOSED}"))
            .env("CREDENTIALS", format!("AWS:{ECR_PASSWORD}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        match digest(&mut docker) {
            Some(digest) => pulls(&format!("{suite} {dockerd} {daemon}"), &digest, &folder.path().join("docker.sock")),
            None => panic!("{suite} {dockerd} {daemon}: {:?}", docker.wait_with_output()),
        }
        // It ends with its input.
        drop(docker.stdin.take());
        docker.wait().unwrap();
    }
}

/// The digest of the registry's image, once Docker is ready.
fn digest(docker: &mut Child) -> Option<String> {
    let lines = std::io::BufReader::new(docker.stdout.as_mut()?).lines();
    let said: Vec<_> = lines.map_while(Result::ok).take_while(|line| line != "ready").collect();
    said.iter().find_map(|line| line.strip_prefix("digest=").map(str::to_owned))
}

fn pulls(docker: &str, digest: &str, socket: &Path) {
    for (image, expected) in [
        (format!("{OPEN}/team/base:7"), Change::Made),
        // At the first boot of another instance: the registry has nothing new.
        (format!("{OPEN}/team/base:7"), Change::AlreadyDone),
        (format!("{OPEN}/team/base@{digest}"), Change::AlreadyDone),
        (format!("{ECR}/team/base:7"), Change::Made),
        (format!("{ECR}/team/base@{digest}"), Change::AlreadyDone),
    ] {
        let host = host(&image, socket);
        let ended = host.run();
        assert_eq!(ended.code, Some(0), "{docker} {image}: {}", ended.stderr);
        let steps = host.report().steps;
        let change = steps.into_iter().find(|step| step.name == "pull").unwrap().actions[0].change;
        assert_eq!(change, expected, "{docker} {image}: {}", ended.stderr);
    }
    for (image, words) in [
        (format!("{OPEN}/team/base:8"), "and the repository the tag 8"),
        (format!("{OPEN}/none:7"), "check that 127.0.0.1:5000 has the repository"),
        (format!("{ECR}/team/base:8"), "and the repository the tag 8"),
        (format!("{CLOSED}/team/base:7"), "ecs-firstrun logs in to Amazon ECR alone: at closed.internal"),
    ] {
        let host = host(&image, socket);
        let ended = host.run();
        assert_eq!(ended.code, Some(1), "{docker} {image}: {}", ended.stderr);
        let reason = host.report().reason.unwrap();
        assert!(reason.contains(words), "{docker} {image}: {reason}");
        assert!(!reason.contains(ECR_PASSWORD), "{docker} {image}: {reason}");
    }
}

/// A host whose Docker is that of this socket, and which must have an image.
fn host(image: &str, socket: &Path) -> Host {
    let pull = format!("docker: {{pull: [{{image: \"{image}\", required: true, timeout: 30s}}]}}");
    let user_data =
        format!("#ecs-firstrun\nsignal: {{stack: web, resource: Instances}}\necs: {{cluster: production}}\n{pull}\n");
    let host = Host::in_cloud(&user_data, |options| {
        options.docker = None;
        options.iam_role = Some("web-instances".into());
    });
    std::fs::create_dir_all(host.at("/run")).unwrap();
    std::os::unix::fs::symlink(socket, host.at("/run/docker.sock")).unwrap();
    host
}

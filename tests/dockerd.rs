//! `docker.daemon` as the real dockerd reads it: the `daemon.json` that a plan writes is asked about with `dockerd --validate`,
//! with the flags that Docker's unit on Amazon Linux gives, and so is what the parser refuses.
//!
//! `make setup-dockerd` installs Debian's.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use ecs_firstrun::config::schema::schema;
use ecs_firstrun::instance::Instance;
use ecs_firstrun::plan::plan;
use ecs_firstrun::run::documents;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::support::disks::OWN_MOUNTS;
use crate::support::host::BINARY;
use crate::support::{repository, skip};

/// The folder into which `make setup-dockerd` installs dockerd.
const INSTALLED: &str = "target/lint/dockerd";
/// The flags of docker.service on Amazon Linux, its /etc/sysconfig/docker included.
const FLAGS: [&str; 5] =
    ["-H", "fd://", "--containerd=/run/containerd/containerd.sock", "--default-ulimit", "nofile=32768:65536"];
/// The number of settings that are made.
const MADE: usize = 300;

/// Directives that are younger than Debian's dockerd: it refuses them, and the parser warns of them.
const NEWER: [&str; 9] = [
    "allow-direct-routing",
    "bip6",
    "bridge-accept-fwmark",
    "default-stop-timeout",
    "firewall-backend",
    "host-gateway-ips",
    "ip-forward-no-drop",
    "min-api-version",
    "nri-opts",
];
/// Messages of the parser about what `dockerd --validate` accepts, but Docker refuses when it starts.
const LATER: [&str; 2] = ["the URL of a mirror is expected", "a network is expected"];

/// The real dockerd, and a folder for what it reads.
struct Dockerd {
    folder: tempfile::TempDir,
    program: PathBuf,
}

impl Dockerd {
    fn found() -> Option<Self> {
        let program = repository(INSTALLED).join("dockerd");
        let runs = Command::new(&program).arg("--version").output().is_ok_and(|output| output.status.success());
        if !runs {
            skip("daemon.json by the real dockerd: make setup-dockerd could not install it");
            return None;
        }
        Some(Self { folder: tempfile::tempdir().unwrap(), program })
    }

    /// Gives dockerd's words against a configuration; nothing if dockerd takes the configuration.
    fn refusal(&self, daemon_json: &str) -> Option<String> {
        let file = self.folder.path().join("daemon.json");
        std::fs::write(&file, daemon_json).unwrap();
        // Its proxy for published ports is looked for in PATH.
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", repository(INSTALLED).display());
        let mut command = Command::new(&self.program);
        command.args(["--validate", "--config-file"]).arg(&file).args(FLAGS).env("PATH", path);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), said.contains("configuration OK"), "{said}");
        (!output.status.success()).then_some(said)
    }

    /// Fails where parser and dockerd differ about a value of `docker.daemon`, and nothing above says why.
    fn compare(&self, daemon: &Value) -> Result<bool, String> {
        let document = json!({ "docker": { "daemon": daemon } });
        let parsed = documents("user data", format!("#ecs-firstrun\n{document}\n").as_bytes());
        let mut problems: Vec<_> = parsed.problems.iter().map(|problem| problem.message.clone()).collect();
        // A document in which nothing is configured is refused as such.
        problems.retain(|problem| !problem.contains("nothing is configured"));
        if problems.is_empty() {
            let written = written(&parsed.config);
            return match self.refusal(&written) {
                Some(_) if is_newer(daemon) => Ok(true),
                Some(said) => Err(format!("only dockerd refuses {written}: {said}")),
                None => Ok(true),
            };
        }
        let later = |problem: &String| LATER.iter().any(|words| problem.contains(words));
        match self.refusal(&daemon.to_string()) {
            None if !problems.iter().all(later) && !is_newer(daemon) => {
                Err(format!("only the parser refuses {daemon}: {problems:?}"))
            }
            _ => Ok(false),
        }
    }
}

/// The `daemon.json` that a run would write on an instance of the stock image; an empty one where it would write none.
fn written(config: &ecs_firstrun::config::Config) -> String {
    let plan = plan(config, &Instance::example());
    let file = plan.files().find(|(_, file)| file.path == "/etc/docker/daemon.json");
    file.map_or_else(|| "{}".to_owned(), |(_, file)| file.contents.reveal().to_owned())
}

fn is_newer(daemon: &Value) -> bool {
    let inner =
        |value: &Value| value.as_object().is_some_and(|below| below.keys().any(|key| NEWER.contains(&key.as_str())));
    inner(daemon) || daemon.as_object().is_some_and(|entries| entries.values().any(inner))
}

/// Settings that people write, right and wrong ones.
const SETTINGS: &[&str] = &[
    r#"{}"#,
    r#"{"log-driver": "local", "log-opts": {"max-size": "20m", "max-file": 5, "compress": false}}"#,
    r#"{"log-opts": {"max-file": [3]}}"#,
    r#"{"debug": "false"}"#,
    r#"{"userland-proxy": 0}"#,
    r#"{"icc": null, "dns": null}"#,
    r#"{"log-driver": 5}"#,
    r#"{"log_driver": "local"}"#,
    r#"{"insecure-registries": "registry.corp.example:5000"}"#,
    r#"{"insecure-registry": ["registry.corp.example:5000"]}"#,
    r#"{"dns": ["10.0.0.2", "fd00::2"], "dns-search": ["corp.example"], "dns-opts": ["ndots:2"]}"#,
    r#"{"dns": ["resolver"]}"#,
    r#"{"dns-search": ["corp_example"]}"#,
    r#"{"mtu": "1400"}"#,
    r#"{"mtu": 1400.5}"#,
    r#"{"max-concurrent-uploads": -2}"#,
    r#"{"shutdown-timeout": -1}"#,
    r#"{"default-shm-size": "256m"}"#,
    r#"{"default-shm-size": 268435456}"#,
    r#"{"default-shm-size": "256 mebi"}"#,
    r#"{"default-ulimits": {"nofile": {"Name": "nofile", "Soft": 64000, "Hard": 64000}}}"#,
    r#"{"containerd": "/run/containerd/containerd.sock"}"#,
    r#"{"hosts": ["fd://", "tcp://127.0.0.1:2375"]}"#,
    r#"{"default-ipc-mode": "host"}"#,
    r#"{"default-cgroupns-mode": "host"}"#,
    r#"{"log-level": "Error", "log-format": "json"}"#,
    r#"{"log-format": "JSON"}"#,
    r#"{"labels": ["com.docker.x=1"]}"#,
    r#"{"labels": ["team=payments", "empty="]}"#,
    r#"{"node-generic-resources": ["gpu=UUID-1", "gpu=UUID-2"]}"#,
    r#"{"node-generic-resources": ["gpu"]}"#,
    r#"{"runtimes": {"nvidia": {"path": "nvidia-container-runtime", "runtimeArgs": []}}}"#,
    r#"{"runtimes": {"nvidia": {"path": "nvidia-container-runtime", "args": "x"}}}"#,
    r#"{"runtimes": {"nvidia": "nvidia-container-runtime"}}"#,
    r#"{"features": {"containerd-snapshotter": false, "of-tomorrow": true}}"#,
    r#"{"builder": {"gc": {"enabled": true, "defaultKeepStorage": "20GB", "policy": [{"keepStorage": "10GB", "filter": ["unused-for=48h"]}]}}}"#,
    r#"{"builder": {"gc": {"policy": [{"keepStorage": 10}]}}}"#,
    r#"{"default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1400"}}}"#,
    r#"{"default-network-opts": {"bridge": {"com.docker.network.driver.mtu": 1400}}}"#,
    r#"{"default-address-pools": [{"base": "172.30.0.0/16", "size": "24"}]}"#,
    r#"{"default-address-pools": {"base": "172.30.0.0/16", "size": 24}}"#,
    r#"{"proxies": {"http-proxy": "http://p:3128", "no-proxy": "localhost"}}"#,
    r#"{"proxies": {"no_proxy": "localhost"}}"#,
    r#"{"fixed-cidr-v6": "fd00:1::/64", "ipv6": true}"#,
    r#"{"fixed-cidr-v6": "172.30.0.0/16"}"#,
    r#"{"default-gateway": "172.17.0.1"}"#,
    r#"{"ip": "localhost"}"#,
    r#"{"tls": true}"#,
    r#"{"storage-opt": ["overlay2.size=10G"]}"#,
    r#"{"storage-opts": ["overlay2.size=10G"], "storage-driver": "overlay2"}"#,
    r#"{"graph": "/data"}"#,
    r#"{"data-root": "/data/docker", "exec-root": "/run/docker"}"#,
    r#"{"anything": {"mtu": 1400}}"#,
    r#"{"anything": {"mtu": 1400, "thing": 1}}"#,
    r#"{"selinux-enabled": false, "no-new-privileges": true, "userns-remap": "default", "cgroup-parent": "docker.slice"}"#,
    r#"{"metrics-addr": 9323}"#,
    r#"{"authorization-plugins": "plugin"}"#,
];

#[test]
fn settings_that_people_write_are_judged_as_dockerd_judges_them() {
    let Some(dockerd) = Dockerd::found() else { return };
    let verdicts: Vec<_> = SETTINGS.iter().map(|text| dockerd.compare(&serde_json::from_str(text).unwrap())).collect();
    let differ: Vec<_> = verdicts.iter().filter_map(|verdict| verdict.as_ref().err()).collect();
    assert!(differ.is_empty(), "{differ:#?}");
    let taken = verdicts.iter().filter(|verdict| **verdict == Ok(true)).count();
    assert!(taken > 15 && verdicts.len() - taken > 25, "{taken} of {}", verdicts.len());
}

#[test]
fn settings_made_at_random_are_judged_as_dockerd_judges_them() {
    let Some(dockerd) = Dockerd::found() else { return };
    let properties = schema()["properties"]["docker"]["properties"]["daemon"]["properties"].clone();
    // The first two are given as flags here; which programs there are depends on the host.
    let others = ["config-file", "validate", "userland-proxy-path"];
    let names = properties.as_object().unwrap().keys().filter(|name| !others.contains(&name.as_str()));
    let names: Vec<String> = names.cloned().collect();
    // The same settings each time: there are more than a run can try.
    let mut runner = TestRunner::deterministic();
    let settings = btree_map(select(names), value(), 1..3);
    let mut differ = Vec::new();
    for _ in 0..MADE {
        let daemon = json!(settings.new_tree(&mut runner).unwrap().current());
        differ.extend(dockerd.compare(&daemon).err());
    }
    assert!(differ.is_empty(), "{} differ: {differ:#?}", differ.len());
}

/// A value of each kind, and texts of each form.
fn value() -> impl Strategy<Value = Value> {
    let texts = [
        "",
        "true",
        "3",
        "debug",
        "WARN",
        "private",
        "host",
        "json",
        "10.0.0.2",
        "fd00::2",
        "172.30.0.0/16",
        "fd00:1::/64",
        "a=b",
        "a=b=c",
        "io.docker.x=y",
        "corp.example",
        "https://mirror.corp.example",
        "http://u:p@mirror",
        "64M",
        "1.5gib",
        "/data",
    ];
    let scalar = prop_oneof![
        3 => select(texts.to_vec()).prop_map(Value::from),
        1 => Just(Value::Null),
        2 => any::<bool>().prop_map(Value::from),
        2 => select(vec![-1, 0, 3, 1400]).prop_map(Value::from),
        1 => Just(json!(1.5)),
    ];
    let names = ["path", "runtimeArgs", "base", "size", "GC", "enabled", "http-proxy", "mtu", "network-host", "x"];
    scalar.prop_recursive(2, 6, 3, move |below| {
        prop_oneof![
            vec(below.clone(), 0..3).prop_map(Value::from),
            btree_map(select(names.to_vec()), below, 0..3).prop_map(|entries| json!(entries)),
        ]
    })
}

/// The machine, with another `/etc` in a mount namespace of its own: with this `daemon.json`, this /etc/sysconfig/docker, and
/// systemd's answer about the unit of Amazon Linux. Gives the finding of `doctor --image` on Docker.
fn finding(dockerd: &Dockerd, daemon_json: &str, options: &str) -> Option<Value> {
    if !nix::unistd::geteuid().is_root() {
        skip("doctor --image with the real dockerd: needs root, for a mount namespace");
        return None;
    }
    let folder = dockerd.folder.path();
    let (etc, programs) = (folder.join("etc"), folder.join("bin"));
    for made in [&etc.join("docker"), &etc.join("sysconfig"), &programs] {
        std::fs::create_dir_all(made).unwrap();
    }
    std::fs::write(etc.join("docker/daemon.json"), daemon_json).unwrap();
    std::fs::write(etc.join("sysconfig/docker"), format!("# The flags\nDAEMON_MAXFILES=1048576\n{options}\n")).unwrap();
    let shown = "ExecStart={ path=/usr/bin/dockerd ; argv[]=/usr/bin/dockerd -H fd:// \
        --containerd=/run/containerd/containerd.sock $OPTIONS $DOCKER_STORAGE_OPTIONS ; ignore_errors=no ; pid=0 }\n\
        EnvironmentFiles=/etc/sysconfig/docker (ignore_errors=yes)\nEnvironmentFiles=/run/docker/runtimes.env (ignore_errors=yes)";
    let stub = programs.join("systemctl");
    std::fs::write(&stub, format!("#!/bin/sh\ncat <<'END'\n{shown}\nEND\n")).unwrap();
    std::fs::set_permissions(&stub, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}:/usr/sbin:/usr/bin", programs.display(), repository(INSTALLED).display());
    let script = format!("{OWN_MOUNTS}; mount --bind {} /etc && exec {BINARY} doctor --image --json", etc.display());
    let output = Command::new("unshare").args(["--mount", "sh", "-c", &script]).env("PATH", path).output().unwrap();
    let diagnosis: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    diagnosis["findings"].as_array().unwrap().iter().find(|finding| finding["check"] == "docker").cloned()
}

#[test]
fn the_check_of_an_image_asks_dockerd_with_the_flags_of_its_unit() {
    let Some(dockerd) = Dockerd::found() else { return };
    let options = "OPTIONS=\"--default-ulimit nofile=32768:65536\"";
    for (daemon_json, options, found) in [
        (r#"{"live-restore": true}"#, options, None),
        (r#"{"live-restore": "yes"}"#, options, Some("cannot unmarshal string into Go struct field")),
        (
            r#"{"hosts": ["unix:///run/docker.sock"]}"#,
            options,
            Some("both as a flag and in the configuration file: hosts"),
        ),
        (r#"{"default-ulimits": {}}"#, options, Some("both as a flag and in the configuration file: default-ulimits")),
        (r#"{"default-ulimits": {}}"#, "OPTIONS=", None),
    ] {
        let Some(finding) = finding(&dockerd, daemon_json, options) else { return };
        let said = finding["found"].as_str().unwrap();
        match found {
            None => assert_eq!(finding["verdict"], "ok", "{finding}"),
            Some(words) => assert!(finding["verdict"] == "problem" && said.contains(words), "{finding}"),
        }
    }
}

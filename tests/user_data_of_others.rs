//! User data that knows nothing of this agent: the instance is as good as one of an image without it.

use std::time::Duration;

use ecs_firstrun::rehearse::cloud::{RegisteredAs, Registration, Server};
use ecs_firstrun::report::Outcome;

use crate::support::host::Host;
use crate::support::user_data::SMALLEST;

/// The ECS console's, with the blank behind `bash` and the semicolon.
const CONSOLE: &str = "#!/bin/bash \necho ECS_CLUSTER=production >> /etc/ecs/ecs.config;";

#[test]
fn docker_and_ecs_start_and_nothing_else_is_touched() {
    let before = Host::in_cloud(CONSOLE, |_| {}).tree();
    for user_data in [CONSOLE, "#cloud-config\nruncmd: [[touch, /x]]\n", "Content-Type: text/plain\n\nhello\n", ""] {
        let host = Host::in_cloud(user_data, |_| {});
        let ended = host.run();
        assert_eq!(ended.code, Some(0), "{user_data}: {}", ended.stderr);
        assert_eq!(host.started(), ["docker.service", "ecs.service"], "{user_data}");
        let written: Vec<_> = host.tree().into_keys().filter(|path| !before.contains_key(path)).collect();
        let is_ours = |path: &String| path.contains("ecs-firstrun");
        assert!(written.iter().all(is_ours), "{user_data}: {written:?}");
        assert!(host.requests(Server::CloudFormation).is_empty() && host.requests(Server::Ecs).is_empty());
        let report = host.report();
        assert_eq!((report.outcome, report.steps.len()), (Outcome::Success, 2), "{user_data}");
        assert!(host.reason().contains("are started as on an image without ecs-firstrun"), "{}", host.reason());
    }
}

#[test]
fn without_user_data_it_is_the_same() {
    let host = Host::in_cloud("", |options| options.user_data = None);
    let before = host.tree();
    assert_eq!(host.run().code, Some(0));
    assert_eq!(host.started(), ["docker.service", "ecs.service"]);
    assert!(before == host.tree());
}

#[test]
fn what_names_this_agent_is_left_to_call_it_and_what_is_refused_starts_nothing() {
    for (user_data, code, words) in [
        (
            "#!/bin/sh\nECS_CLUSTER=production ecs-firstrun run\n",
            0,
            "the user data names ecs-firstrun: nothing was started",
        ),
        ("#cloud-config\nruncmd: [[/usr/bin/ecs-firstrun, run]]\n", 0, "nothing was started"),
        ("# ecs-firstrun\necs: {cluster: production}\n", 0, "nothing was started"),
        ("#ecs-firstrun\necs: {clusters: production}\n", 3, "unknown key `clusters`"),
    ] {
        let host = Host::in_cloud(user_data, |_| {});
        assert_eq!(host.run().code, Some(code), "{user_data}: {}", host.reason());
        assert!(host.reason().contains(words), "{user_data}: {}", host.reason());
        assert_eq!(host.started(), Vec::<String>::new(), "{user_data}");
    }
}

#[test]
fn a_docker_that_is_not_installed_is_told() {
    let host = Host::in_cloud(CONSOLE, |_| {});
    let marker = host.rehearsal.programs.started_marker("docker.service");
    let units = marker.ancestors().map(|folder| folder.join("units")).find(|file| file.is_file()).unwrap();
    std::fs::write(units, "ecs.service\n").unwrap();
    assert_eq!(host.run().code, Some(1));
    assert!(host.reason().contains("docker.service not found"), "{}", host.reason());
}

#[test]
fn a_plan_shows_what_is_started() {
    let host = Host::in_cloud(CONSOLE, |_| {});
    let ended = host.call(&["plan"], &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("queue   the start of ecs.service"), "{}", ended.stdout);
    assert!(ended.stdout.contains("note: there is no ecs-firstrun configuration"), "{}", ended.stdout);
}

/// A document of ours beside other writers of ecs.config: each keeps its lines, and the last one of a name counts.
#[test]
fn the_lines_of_others_in_ecs_config_stay_over_reboots() {
    let path = "/etc/ecs/ecs.config";
    let others = [
        "ECS_LOGLEVEL=debug",
        "ECS_LOGLEVEL=\"debug\"\r\n\r\nECS_RESERVED_MEMORY=32\r\n",
        "no assignment at all\n = \nECS_INSTANCE_ATTRIBUTES={\"a\":\"b\\\n",
        &"x".repeat(1 << 20),
        "",
    ];
    for others in others {
        let host = Host::in_cloud(SMALLEST, |_| {});
        host.put(path, others);
        let block = "# BEGIN ecs-firstrun\nECS_CLUSTER=production\n# END ecs-firstrun\n";
        for boot in 0..2 {
            assert_eq!(host.run().code, Some(0), "{}", host.reason());
            let appended = "ECS_RESERVED_MEMORY=64\n".repeat(boot);
            assert_eq!(host.text(path), format!("{block}{others}{appended}"));
            host.put(path, &format!("{}ECS_RESERVED_MEMORY=64\n", host.text(path)));
            let mode = std::os::unix::fs::PermissionsExt::mode(&host.at(path).metadata().unwrap().permissions());
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}

#[test]
fn lines_that_the_configuration_has_no_more_go_and_those_of_others_stay() {
    let path = "/etc/ecs/ecs.config";
    for others in ["", "ECS_CLUSTER=jobs\n"] {
        let host = Host::in_cloud("#ecs-firstrun\necs: {config: {ECS_LOGLEVEL: debug}}\n", |options| {
            let cluster = if others.is_empty() { "default" } else { "jobs" }.to_owned();
            options.registration = Registration::After(Duration::ZERO, RegisteredAs { cluster });
        });
        host.put(path, others);
        assert_eq!(host.run().code, Some(0), "{}", host.reason());
        assert_eq!(host.text(path), format!("# BEGIN ecs-firstrun\nECS_LOGLEVEL=debug\n# END ecs-firstrun\n{others}"));
        let user_data = host.folder.path().join("user-data");
        std::fs::write(&user_data, "#ecs-firstrun\necs: {}\n").unwrap();
        for _boot in 0..2 {
            assert_eq!(host.call(&["run", "--user-data", user_data.to_str().unwrap()], &[]).code, Some(0));
            assert_eq!(host.text(path), others);
        }
    }
}

#[test]
fn an_ecs_config_that_is_a_pipe_holds_nothing_up() {
    let host = Host::in_cloud(SMALLEST, |_| {});
    let path = host.at("/etc/ecs/ecs.config");
    std::fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(host.run().code, Some(1));
    assert!(host.reason().contains("/etc/ecs/ecs.config: it is a pipe"), "{}", host.reason());
    host.one_signal("FAILURE");
}

#[test]
fn an_ecs_config_that_is_no_text_is_left_and_told() {
    let host = Host::in_cloud(SMALLEST, |_| {});
    std::fs::write(host.at("/etc/ecs/ecs.config"), b"ECS_CLUSTER=\xff\n").unwrap();
    assert_eq!(host.run().code, Some(1));
    assert!(host.reason().contains("/etc/ecs/ecs.config: it is not UTF-8 text"), "{}", host.reason());
    assert_eq!(std::fs::read(host.at("/etc/ecs/ecs.config")).unwrap(), b"ECS_CLUSTER=\xff\n");
    host.one_signal("FAILURE");
}

/// The scripts of the user data are ordered after this agent's unit, and may be what lets it reach CloudFormation.
#[test]
fn a_run_that_fails_holds_the_scripts_up_no_longer() {
    let host = Host::in_cloud("#ecs-firstrun\nsignal: {stack: web, resource: Instances}\necs: {clusters: a}\n", |_| {});
    let path = host.folder.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let ended = host.call(&["run"], &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    assert_ne!(ended.code, Some(0), "{}", ended.stderr);
    let mut said = Vec::new();
    let mut message = [0; 4096];
    while let Ok(length) = socket.recv(&mut message) {
        said.push(String::from_utf8_lossy(&message[..length]).into_owned());
    }
    let ready = said.iter().position(|said| said.contains("READY=1")).expect("it says that it is ready");
    let told = said.iter().rposition(|said| said.starts_with("STATUS=")).unwrap();
    assert!(ready < told, "{said:?}");
    host.one_signal("FAILURE");
    assert_eq!(host.started(), Vec::<String>::new());
}

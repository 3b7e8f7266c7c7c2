//! The work of a run with a proxy: who gets it, who can read its password, and what is left when it goes.

use std::collections::BTreeSet;

use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::rehearse::cloud::Server;

use crate::support::host::Host;
use crate::support::user_data::{COMPLETE, SMALLEST};

#[test]
fn a_proxy_that_is_asked_for_is_used_for_cloudformation_and_never_for_the_instance_metadata() {
    let host = Host::of(Scenario::Proxy, COMPLETE);
    // The fake CloudFormation itself is on loopback, which is never reached through a proxy.
    let beyond = "http://cloudformation.eu-central-1.amazonaws.com";
    let ended = host.run_with(&[("AWS_ENDPOINT_URL_CLOUDFORMATION", beyond)]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(host.one_signal("SUCCESS").proxied);
    let proxied = host.requests(Server::Proxy);
    assert!(!proxied.is_empty());
    let imds = host.rehearsal.cloud.imds_endpoint();
    let ecs = host.rehearsal.cloud.ecs_endpoint();
    for request in &proxied {
        assert!(!request.path_and_query.starts_with(&imds) && !request.path_and_query.starts_with(&ecs), "{request:?}");
    }
    let url = host.rehearsal.cloud.proxy_endpoint();
    for unit in ["docker.service", "ecs.service", "amazon-ssm-agent.service"] {
        let drop_in = host.text(&format!("/etc/systemd/system/{unit}.d/ecs-firstrun-proxy.conf"));
        assert!(drop_in.ends_with("[Service]\nEnvironmentFile=/etc/ecs-firstrun/proxy.env\n"), "{unit}: {drop_in}");
    }
    let variables = host.text("/etc/ecs-firstrun/proxy.env");
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"] {
        assert!(variables.contains(&format!("\n{name}=\"{url}\"\n")), "{name}: {variables}");
    }
    for name in ["NO_PROXY", "no_proxy"] {
        let direct = "localhost,127.0.0.1,::1,169.254.169.254,fd00:ec2::254,169.254.170.2,";
        assert!(variables.contains(&format!("\n{name}=\"{direct}")), "{name}: {variables}");
    }
    assert!(host.text("/etc/ecs/ecs.config").contains("NO_PROXY=localhost,127.0.0.1,::1,169.254.169.254"));
    assert!(host.text("/etc/dnf/dnf.conf").contains(&format!("proxy={url}")));
    assert!(host.text("/opt/aws/amazon-cloudwatch-agent/etc/common-config.toml").contains(&url));
}

#[test]
fn a_proxy_that_is_not_asked_for_any_more_leaves_no_trace() {
    let host = Host::of(Scenario::Proxy, SMALLEST);
    let shared = ["/etc/dnf/dnf.conf", "/opt/aws/amazon-cloudwatch-agent/etc/common-config.toml"];
    let before = shared.map(|path| host.text(path));
    assert_eq!(host.run().code, Some(0));
    assert_ne!(before, shared.map(|path| host.text(path)));
    std::fs::remove_file(host.at("/etc/ecs-firstrun/conf.d/50-rehearsal-proxy.yaml")).unwrap();
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(before, shared.map(|path| host.text(path)));
    let traces = host
        .tree()
        .into_iter()
        .filter(|(path, (_, bytes))| path.contains("proxy") || String::from_utf8_lossy(bytes).contains("PROXY="));
    assert_eq!(traces.map(|(path, _)| path).collect::<Vec<_>>(), Vec::<String>::new());
    let restarted =
        host.rehearsal.programs.calls().into_iter().filter(|call| call.args.iter().any(|arg| arg == "restart"));
    let restarted: BTreeSet<_> = restarted.filter_map(|call| call.args.last().cloned()).collect();
    for unit in ["docker.service", "ecs.service", "amazon-ssm-agent.service"] {
        assert!(restarted.contains(unit), "{unit} still runs with the proxy; restarted: {restarted:?}");
    }
}

#[test]
fn a_proxys_password_that_is_not_there_any_more_leaves_the_files_with_the_modes_that_they_had() {
    use std::os::unix::fs::PermissionsExt as _;
    let host = Host::in_cloud(SMALLEST, |_| {});
    let shared = [("/etc/dnf/dnf.conf", 0o644), ("/opt/aws/amazon-cloudwatch-agent/etc/common-config.toml", 0o664)];
    for (path, mode) in shared {
        std::fs::set_permissions(host.at(path), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let modes = || shared.map(|(path, _)| host.at(path).metadata().unwrap().permissions().mode() & 0o7777);
    let before = shared.map(|(path, _)| host.text(path));
    let run = |proxy: &str| {
        let ended = host.run_with(&[("PROXY_URL", proxy)]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    };
    let (with, without) = ("http://squid:hunter2canary@proxy:3128", "http://proxy:3128");
    for (proxy, expected) in
        [(with, [0o600; 2]), (with, [0o600; 2]), (without, [0o644, 0o664]), (with, [0o600; 2]), ("", [0o644, 0o664])]
    {
        run(proxy);
        assert_eq!(modes(), expected, "{proxy}");
    }
    assert_eq!(before, shared.map(|(path, _)| host.text(path)));
    let records = host.tree().into_keys().filter(|path| path.starts_with("var/lib/ecs-firstrun/modes"));
    assert_eq!(records.collect::<Vec<_>>(), Vec::<String>::new());
}

/// The restarted units, since the calls of before.
fn restarted(host: &Host, before: usize) -> BTreeSet<String> {
    let calls = host.rehearsal.programs.calls().into_iter().skip(before);
    calls
        .filter(|call| call.args.iter().any(|arg| arg == "restart"))
        .filter_map(|call| call.args.last().cloned())
        .collect()
}

const PROXIED: [&str; 3] = ["docker.service", "ecs.service", "amazon-ssm-agent.service"];

#[test]
fn a_password_that_changes_restarts_whoever_reads_it() {
    let host = Host::in_cloud(SMALLEST, |_| {});
    let calls = || host.rehearsal.programs.calls().len();
    let run = |proxy: &str| {
        let before = calls();
        let ended = host.run_with(&[("PROXY_URL", proxy)]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        restarted(&host, before)
    };
    let (first, second) = ("http://squid:hunter2canary@proxy:3128", "http://squid:hunter3canary@proxy:3128");
    run(first);
    assert_eq!(run(first), BTreeSet::new());
    let after = run(second);
    assert!(PROXIED.iter().all(|unit| after.contains(*unit)), "{after:?}");
    assert!(host.text("/etc/ecs-firstrun/proxy.env").contains("hunter3canary"));
    assert_eq!(run(second), BTreeSet::new());
}

/// A host that an older release has configured: its drop-ins have the password in `Environment=`.
fn with_older_drop_ins(user_data: &str) -> Host {
    use std::os::unix::fs::PermissionsExt as _;
    let host = Host::in_cloud(user_data, |_| {});
    for unit in PROXIED {
        let path = format!("/etc/systemd/system/{unit}.d/ecs-firstrun-proxy.conf");
        let text =
            "# Written by ecs-firstrun.\n[Service]\nEnvironment=\"HTTP_PROXY=http://squid:oldcanary@proxy:3128\"\n";
        host.put(&path, text);
        std::fs::set_permissions(host.at(&path), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    host
}

#[test]
fn drop_ins_of_an_older_release_leave_no_password_behind() {
    let with_proxy = "http://squid:newcanary@proxy:3128";
    let without_ecs = "#ecs-firstrun\ndocker: {daemon: {debug: true}}\nsignal: {stack: web, resource: Instances}\n";
    for (user_data, proxy, has_ssm_agent, left) in [
        (SMALLEST, with_proxy, true, &PROXIED[..]),
        (SMALLEST, "http://proxy:3128", true, &PROXIED[..]),
        (SMALLEST, "", true, &[]),
        (without_ecs, with_proxy, true, &["docker.service", "amazon-ssm-agent.service"]),
        (SMALLEST, with_proxy, false, &["docker.service", "ecs.service"]),
        (SMALLEST, "", false, &[]),
    ] {
        let host = with_older_drop_ins(user_data);
        if !has_ssm_agent {
            std::fs::remove_file(host.at("/usr/bin/amazon-ssm-agent")).unwrap();
        }
        let ended = host.run_with(&[("PROXY_URL", proxy)]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let tree = host.tree();
        for (path, (mode, bytes)) in &tree {
            let text = String::from_utf8_lossy(bytes);
            assert!(!text.contains("oldcanary"), "{path}: {text}");
            let is_of_systemd = path.starts_with("etc/systemd/");
            assert!(!text.contains("newcanary") || (*mode == 0o600 && !is_of_systemd), "{path}: {mode:o}");
            assert!(!is_of_systemd || !text.contains("Environment="), "{path}: {text}");
        }
        let expected: BTreeSet<_> =
            left.iter().map(|unit| format!("etc/systemd/system/{unit}.d/ecs-firstrun-proxy.conf")).collect();
        let drop_ins: BTreeSet<_> = tree.into_keys().filter(|path| path.ends_with("-proxy.conf")).collect();
        assert_eq!(drop_ins, expected, "{proxy}");
        assert_eq!(host.at("/etc/ecs-firstrun/proxy.env").exists(), !proxy.is_empty());
    }
}

#[test]
fn the_cloudwatch_agent_finds_its_own_files_closed_and_as_they_were() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = "/opt/aws/amazon-cloudwatch-agent";
    let (json, log) = (format!("{folder}/etc/env-config.json"), format!("{folder}/logs/amazon-cloudwatch-agent.log"));
    let older = format!("{folder}/logs/amazon-cloudwatch-agent-2026-11-24T00-00-00.000.log.gz");
    let found =
        |host: &Host, path: &str| (host.text(path), host.at(path).metadata().unwrap().permissions().mode() & 0o7777);
    let host = Host::in_cloud(SMALLEST, |_| {});
    assert_eq!(host.run().code, Some(0));
    assert_eq!((found(&host, &json), found(&host, &log)), (("{}".to_owned(), 0o600), (String::new(), 0o600)));

    let host = Host::in_cloud(SMALLEST, |_| {});
    for (path, text) in
        [(&json, "{\"HTTPS_PROXY\": \"http://squid:oldcanary@proxy\"}"), (&log, "a line\n"), (&older, "packed")]
    {
        host.put(path, text);
        std::fs::set_permissions(host.at(path), std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let before = [&json, &log, &older].map(|path| host.text(path));
    assert_eq!(host.run().code, Some(0));
    for (path, text) in [&json, &log, &older].into_iter().zip(before) {
        assert_eq!(found(&host, path), (text, 0o600), "{path}");
    }

    let host = Host::in_cloud(SMALLEST, |_| {});
    host.put("/etc/elsewhere", "");
    std::fs::create_dir_all(host.at(&log).parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(host.at("/etc/elsewhere"), host.at(&log)).unwrap();
    let ended = host.run();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let reason = host.reason();
    assert!(reason.contains(&format!("{log} is a symbolic link")) && reason.ends_with("; remove it"), "{reason}");
    assert!(!host.started().contains(&"amazon-cloudwatch-agent.service".to_owned()));
}

#[test]
fn awslogs_gets_the_password_in_a_file_of_root_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let host = Host::in_cloud(SMALLEST, |_| {});
    std::fs::remove_dir_all(host.at("/opt/aws/amazon-cloudwatch-agent")).unwrap();
    host.put("/usr/sbin/awslogsd", "");
    let units = host.folder.path().join("rehearsal/units");
    std::fs::write(&units, format!("{}\nawslogsd.service", std::fs::read_to_string(&units).unwrap())).unwrap();
    let ended = host.run_with(&[("PROXY_URL", "http://squid:hunter2canary@proxy:3128")]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let path = "/etc/awslogs/proxy.conf";
    assert!(host.text(path).contains("HTTPS_PROXY=http://squid:hunter2canary@proxy:3128\n"));
    assert_eq!(host.at(path).metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    assert!(!host.at("/opt/aws/amazon-cloudwatch-agent").exists(), "it is not the agent that is used");
}

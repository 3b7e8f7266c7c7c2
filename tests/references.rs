//! References to values that Systems Manager and Secrets Manager keep: resolved before anything changes, told when they
//! can't be, and kept where they stand on a boot without network.

use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::rehearse::cloud::{Cloud, CloudOptions, Server, ValueAnswer};
use ecs_firstrun::report::Outcome;
use nix::sys::signal::Signal;

use crate::support::host::{Ended, Host, STATE, kill, until};

const SIGNAL: &str = "#ecs-firstrun\nsignal: {stack: web, resource: Instances}\n";
/// User data with a reference in each section that takes one.
const EACH: &str = "#ecs-firstrun\nsignal: {stack: web, resource: Instances}\n\
    proxy: {url: {ssm: /network/proxy-url}}\n\
    ecs:\n  cluster: production\n  config:\n    ECS_ENGINE_AUTH_TYPE: dockercfg\n    ECS_ENGINE_AUTH_DATA: {secretsmanager: registry, key: auth}\n    ECS_LOG_OPTS: {splunk-token: {ssm: '/splunk/token:3'}}\n\
    docker: {daemon: {log-driver: splunk, log-opts: {splunk-token: {ssm: '/splunk/token:3'}}}}\n";
const PROXY: &str = "http://user:canary-of-proxy@proxy.internal:3128";
const TOKEN: &str = "canary-of-splunk";
const AUTH: &str = r#"{"registry.internal":{"auth":"canary-of-registry"}}"#;

/// A host with a role, in a cloud that has the values.
fn host(user_data: &str, change: impl FnOnce(&mut CloudOptions)) -> Host {
    Host::in_cloud(user_data, |options| {
        let text = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        options.iam_role = Some("web-instances".into());
        options.parameters.values =
            [("/network/proxy-url", PROXY), ("/splunk/token:3", &format!("{TOKEN}\n"))].map(text).into();
        options.secrets.values =
            [("registry", serde_json::json!({ "auth": AUTH }).to_string().as_str())].map(text).into();
        change(options);
    })
}

/// Rotates the proxy's URL, the first value of a boot, to one without a scheme.
fn proxy_misfits_on_the_second_boot(options: &mut CloudOptions) {
    options.parameters.answers = vec![ValueAnswer::Value, ValueAnswer::Value, ValueAnswer::Rotated("canary:1")].into();
}

fn assert_succeeded(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// Fails unless the run has failed before it changed the host, and returns the reason that the stack has.
fn refused(host: &Host, ended: &Ended) -> String {
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    host.one_signal("FAILURE");
    let report = host.report();
    let steps: Vec<_> = report.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(steps, ["fetch", "references", "signal"]);
    for path in ["/etc/ecs-firstrun/proxy.env", "/etc/docker/daemon.json"] {
        assert!(!host.at(path).exists(), "{path} is there");
    }
    assert_eq!(host.text("/etc/ecs/ecs.config"), "");
    report.reason.unwrap()
}

#[test]
fn each_value_is_in_the_file_that_needs_it_and_asked_for_once() {
    let host = host(EACH, |_| {});
    assert_succeeded(&host.run());
    host.one_signal("SUCCESS");
    assert!(host.text("/etc/ecs-firstrun/proxy.env").contains(&format!("HTTP_PROXY=\"{PROXY}\"")));
    let settings = host.text("/etc/ecs/ecs.config");
    assert!(settings.contains(&format!("ECS_ENGINE_AUTH_DATA={AUTH}\n")), "{settings}");
    assert!(settings.contains(&format!("ECS_LOG_OPTS={{\"splunk-token\":\"{TOKEN}\"}}\n")), "{settings}");
    let daemon: serde_json::Value = serde_json::from_str(&host.text("/etc/docker/daemon.json")).unwrap();
    assert_eq!(daemon["log-opts"]["splunk-token"], TOKEN);
    assert_eq!((host.requests(Server::Ssm).len(), host.requests(Server::SecretsManager).len()), (2, 1));
    assert!(host.report().steps.iter().any(|step| step.name == "references" && step.outcome == Outcome::Success));
}

#[test]
fn a_value_is_in_no_output_and_only_in_files_that_root_alone_reads() {
    let host = host(EACH, |_| {});
    let commands =
        [vec!["run"], vec!["plan", "--diff"], vec!["plan", "--json"], vec!["doctor"], vec!["status", "--json"]];
    let ended: Vec<_> = commands.iter().map(|arguments| host.call(arguments, &[])).collect();
    assert_succeeded(&ended[0]);
    let shown: String = ended.iter().map(|ended| format!("{}{}", ended.stdout, ended.stderr)).collect();
    let is_secret = |text: &str| text.contains("canary") || text.contains("proxy.internal");
    assert!(!is_secret(&shown), "{shown}");
    let files = crate::support::host::tree(&host.rehearsal.root).into_iter();
    let holders: Vec<_> = files.filter(|(_, (_, bytes))| is_secret(&String::from_utf8_lossy(bytes))).collect();
    for (path, (mode, _)) in &holders {
        assert!(mode & 0o077 == 0 && !path.starts_with("var/"), "{path} has mode {mode:o}");
    }
    assert!(holders.len() >= 3, "{holders:?}");
    let note = "a run reads `proxy.url` from the parameter `/network/proxy-url` before it changes anything";
    assert!(ended[1].stdout.split_whitespace().collect::<Vec<_>>().join(" ").contains(note), "{}", ended[1].stdout);
}

#[test]
fn a_later_boot_changes_nothing_where_the_values_are_the_same() {
    let host = host(EACH, |_| {});
    assert_succeeded(&host.run());
    let before = host.tree();
    host.rehearsal.restart().unwrap();
    assert_succeeded(&host.run());
    assert!(host.tree() == before, "the host has changed");
    assert_eq!(host.requests(Server::Ssm).len(), 4);
}

#[test]
fn what_can_not_be_resolved_is_named_with_its_error_and_its_remedy() {
    let of = |url: &str| format!("{SIGNAL}ecs: {{cluster: production}}\nproxy: {{url: {url}}}\n");
    type Change = fn(&mut CloudOptions);
    let table: [(&str, Change, &[&str]); 6] = [
        (
            "{ssm: /missing}",
            |_| {},
            &["proxy.url: the parameter `/missing` can't be resolved: ParameterNotFound", "check the parameter's name"],
        ),
        (
            "{ssm: /network/proxy-url}",
            |options| options.parameters.answers = vec![ValueAnswer::AccessDenied].into(),
            &["AccessDeniedException", "must permit ssm:GetParameter"],
        ),
        (
            "{ssm: /network/proxy-url}",
            |options| options.parameters.answers = vec![ValueAnswer::KeyDenied].into(),
            &["AccessDeniedException", "must permit kms:Decrypt"],
        ),
        (
            "{secretsmanager: missing}",
            |_| {},
            &["the secret `missing`", "ResourceNotFoundException", "check the secret's name"],
        ),
        (
            "{secretsmanager: registry}",
            |options| options.secrets.answers = vec![ValueAnswer::KeyDenied].into(),
            &["Access to KMS is not allowed", "must permit kms:Decrypt"],
        ),
        (
            "{secretsmanager: registry, key: url}",
            |_| {},
            &["the key `url` of the secret `registry`", "has no value for the key `url`"],
        ),
    ];
    for (url, change, words) in table {
        let host = host(&of(url), change);
        let reason = refused(&host, &host.run());
        for word in words {
            assert!(reason.contains(word), "{url}: {reason}");
        }
    }
}

#[test]
fn each_reference_that_is_refused_is_told() {
    let text = format!(
        "{SIGNAL}ecs: {{cluster: c, config: {{ECS_ENGINE_AUTH_DATA: {{ssm: /a}}}}}}\nproxy: {{url: {{ssm: /b}}}}\n"
    );
    let host = host(&text, |_| {});
    let reason = refused(&host, &host.run());
    assert!(
        reason.contains("ecs.config.ECS_ENGINE_AUTH_DATA: the parameter `/a`")
            && reason.contains("proxy.url: the parameter `/b`"),
        "{reason}"
    );
}

#[test]
fn throttling_and_errors_of_the_service_pass() {
    let text = format!("{SIGNAL}ecs: {{cluster: production}}\nproxy: {{url: {{ssm: /network/proxy-url}}}}\n");
    let host = host(&text, |options| {
        options.parameters.answers = vec![ValueAnswer::Throttle, ValueAnswer::InternalError, ValueAnswer::Reset].into();
    });
    assert_succeeded(&host.run());
    assert_eq!(host.requests(Server::Ssm).len(), 4);
}

#[test]
fn a_value_that_does_not_fit_is_refused_without_being_shown() {
    let text = format!("{SIGNAL}ecs: {{cluster: production}}\nproxy: {{url: {{ssm: /network/proxy-url}}}}\n");
    let host = host(&text, |options| {
        options.parameters.values.insert("/network/proxy-url".to_owned(), "canary-proxy:3128".to_owned());
    });
    let ended = host.run();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    host.one_signal("FAILURE");
    let reason = host.report().reason.unwrap();
    assert!(reason.contains("the value of the parameter `/network/proxy-url` does not fit"), "{reason}");
    assert!(reason.contains("has no scheme") && !format!("{reason}{}", ended.stderr).contains("canary"), "{reason}");
}

#[test]
fn a_later_boot_without_network_keeps_what_stands_in_the_files() {
    let host = host(EACH, |options| {
        // The first boot needs three answers.
        options.parameters.answers = vec![ValueAnswer::Value; 2].into();
        options.parameters.answers.extend([ValueAnswer::AccessDenied; 8]);
        options.secrets.answers = vec![ValueAnswer::Value].into();
        options.secrets.answers.extend([ValueAnswer::AccessDenied; 8]);
    });
    assert_succeeded(&host.run());
    let before = host.tree();
    host.rehearsal.restart().unwrap();
    let ended = host.run();
    assert_succeeded(&ended);
    assert!(host.tree() == before, "the host has changed");
    let warnings = host.report().warnings;
    let kept = warnings.iter().filter(|warning| warning.contains("what an earlier boot wrote is kept")).count();
    assert_eq!(kept, 4, "{warnings:?}");
    assert!(!format!("{}{warnings:?}", ended.stderr).contains("canary"));
}

#[test]
fn a_later_boot_keeps_what_stands_in_the_files_if_a_new_value_does_not_fit() {
    let host = host(EACH, proxy_misfits_on_the_second_boot);
    assert_succeeded(&host.run());
    let before = host.tree();
    host.rehearsal.restart().unwrap();
    let ended = host.run();
    assert_succeeded(&ended);
    assert!(host.tree() == before, "the host has changed");
    let warnings = host.report().warnings;
    let [warning] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(
        warning.contains("the value of the parameter `/network/proxy-url` does not fit")
            && warning.ends_with("; what an earlier boot wrote is kept"),
        "{warning}"
    );
    assert!(!format!("{}{warning}", ended.stderr).contains("canary"));
}

/// A stand-in must not get into a file that has lost its value.
#[test]
fn a_value_that_no_file_has_is_the_new_one_where_another_does_not_fit() {
    let host = host(EACH, proxy_misfits_on_the_second_boot);
    assert_succeeded(&host.run());
    std::fs::remove_file(host.at("/etc/docker/daemon.json")).unwrap();
    host.rehearsal.restart().unwrap();
    assert_succeeded(&host.run());
    let daemon: serde_json::Value = serde_json::from_str(&host.text("/etc/docker/daemon.json")).unwrap();
    assert_eq!(daemon["log-opts"]["splunk-token"], TOKEN);
    assert!(host.text("/etc/ecs-firstrun/proxy.env").contains(PROXY));
}

/// An image may have a setting of its own in the place of a reference.
#[test]
fn what_the_image_has_in_the_place_of_a_reference_is_nobodys_value() {
    let host = host(EACH, |options| {
        options.secrets.answers = vec![ValueAnswer::AccessDenied; 2].into();
    });
    let of_image = "ECS_ENGINE_AUTH_DATA={\"registry.internal\":{\"auth\":\"of the image\"}}\n";
    host.put("/etc/ecs/ecs.config", of_image);
    for _ in 0..2 {
        let ended = host.run();
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert_eq!(host.text("/etc/ecs/ecs.config"), of_image);
        host.rehearsal.restart().unwrap();
    }
    host.one_signal("FAILURE");
}

#[test]
fn an_instance_that_leaves_its_warm_pool_keeps_what_stands_in_the_files() {
    let host = host(EACH, |options| {
        options.target_lifecycle_state = Some("Warmed:Stopped".into());
        options.parameters.answers = vec![ValueAnswer::Value; 2].into();
        options.parameters.answers.extend([ValueAnswer::AccessDenied; 4]);
    });
    let ended = host.run_and(|pid| {
        until(|| host.rehearsal.report().is_ok_and(|report| report.outcome == Outcome::Success));
        kill(pid, Signal::SIGTERM);
    });
    assert_succeeded(&ended);
    host.rehearsal.cloud.bring_to("InService");
    host.rehearsal.restart().unwrap();
    assert_succeeded(&host.run());
    host.one_signal("SUCCESS");
    let state = host.text(STATE);
    assert!(state.contains("proxy.url: the parameter `/network/proxy-url`") && !state.contains("canary"), "{state}");
}

#[test]
fn a_service_that_does_not_answer_leaves_time_for_another() {
    const ROTATED: &str = r#"{"auth": "{\"registry.internal\":{\"auth\":\"canary-that-is-new\"}}"}"#;
    let host = host(EACH, |options| {
        options.parameters.answers = vec![ValueAnswer::Value; 2].into();
        options.parameters.answers.extend([ValueAnswer::Silence; 100]);
        options.secrets.answers = vec![ValueAnswer::Value, ValueAnswer::Rotated(ROTATED)].into();
    });
    assert_succeeded(&host.run());
    host.rehearsal.restart().unwrap();
    assert_succeeded(&host.run());
    assert!(host.text("/etc/ecs/ecs.config").contains("canary-that-is-new"));
    let warnings = host.report().warnings;
    assert!(warnings.len() == 3 && warnings.iter().all(|warning| warning.contains("the parameter")), "{warnings:?}");
}

#[test]
fn a_later_boot_takes_a_value_that_was_rotated() {
    let host = host(EACH, |options| {
        options.parameters.answers = [ValueAnswer::Value; 3].into();
        options.parameters.answers.push_back(ValueAnswer::Rotated("canary-that-is-new"));
    });
    assert_succeeded(&host.run());
    host.rehearsal.restart().unwrap();
    assert_succeeded(&host.run());
    let daemon: serde_json::Value = serde_json::from_str(&host.text("/etc/docker/daemon.json")).unwrap();
    assert_eq!(daemon["log-opts"]["splunk-token"], "canary-that-is-new");
    assert!(host.report().warnings.is_empty(), "{:?}", host.report().warnings);
}

#[test]
fn the_references_are_asked_for_through_the_proxy_unless_it_is_one() {
    let direct = Host::of(Scenario::Success, EACH);
    assert_succeeded(&direct.run());
    assert!(direct.requests(Server::Proxy).is_empty());
    let text = format!(
        "{SIGNAL}ecs: {{cluster: c, config: {{ECS_ENGINE_AUTH_DATA: {{secretsmanager: registry, key: auth}}}}}}\n"
    );
    let proxied = Host::of(Scenario::Proxy, text);
    assert_succeeded(&proxied.run());
    let asked: Vec<_> = proxied.requests(Server::Proxy).into_iter().map(|request| request.path_and_query).collect();
    assert!(asked.iter().any(|target| target.contains("secretsmanager.eu-central-1")), "{asked:?}");
}

/// The proxy's URL comes from a cloud beside that of the proxy, since the URL is known only when the proxy runs.
#[test]
fn a_proxy_that_has_its_value_carries_the_failure_of_another_reference() {
    let text = "#ecs-firstrun\nsignal: {stack: web, resource: Instances, timeout: 20s}\n\
        proxy: {url: {ssm: /network/proxy-url}}\necs: {cluster: c, config: {ECS_ENGINE_AUTH_DATA: {ssm: /missing}}}\n";
    let host = Host::of(Scenario::Proxy, text);
    let mut options = CloudOptions::default();
    options.parameters.values.insert("/network/proxy-url".to_owned(), host.rehearsal.cloud.proxy_endpoint());
    let beside = Cloud::start(options).unwrap();
    let ended = host.run_with(&[("AWS_ENDPOINT_URL_SSM", &beside.ssm_endpoint())]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    host.one_signal("FAILURE");
    let asked: Vec<_> = host.requests(Server::Proxy).into_iter().map(|request| request.path_and_query).collect();
    assert!(asked.iter().any(|target| target.contains("cloudformation")), "{asked:?}");
    assert!(host.reason().contains("the parameter `/missing` can't be resolved"), "{}", host.reason());
}

#[test]
fn a_service_that_does_not_answer_keeps_no_other_from_being_asked() {
    let user_data = EACH.replace("resource: Instances", "resource: Instances, timeout: 12s");
    let host = host(&user_data, |_| {});
    let silent = [("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:1")];
    let reason = refused(&host, &host.run_with(&silent));
    assert_eq!(host.requests(Server::SecretsManager).len(), 1);
    assert!(reason.contains("com.amazonaws.eu-central-1.ssm") && !reason.contains(".secretsmanager"), "{reason}");
    // A later boot falls back on the files, within its seconds.
    let host = self::host(EACH, |_| {});
    assert_succeeded(&host.run());
    let before = host.tree();
    host.rehearsal.restart().unwrap();
    let began = std::time::Instant::now();
    assert_succeeded(&host.run_with(&silent));
    assert!(began.elapsed().as_secs() < 30 && host.tree() == before, "{:?}", began.elapsed());
}

/// Selectors and regions reach AWS as they were given.
#[test]
fn a_version_and_the_region_of_an_arn_are_in_the_request() {
    let arn = "arn:aws:secretsmanager:eu-west-3:123456789012:secret:registry-AbCdEf";
    for (beside, key, value) in [
        ("version_stage: AWSPREVIOUS", "VersionStage", "AWSPREVIOUS"),
        ("version_id: EXAMPLE1-90ab-cdef-fedc-ba987EXAMPLE", "VersionId", "EXAMPLE1-90ab-cdef-fedc-ba987EXAMPLE"),
    ] {
        let text =
            format!("{SIGNAL}ecs: {{cluster: production}}\nproxy: {{url: {{secretsmanager: '{arn}', {beside}}}}}\n");
        let host = host(&text, |options| {
            options.secrets.values.insert(arn.to_owned(), PROXY.to_owned());
        });
        assert_succeeded(&host.run());
        let requests = host.requests(Server::SecretsManager);
        let body: serde_json::Value = serde_json::from_slice(&requests[0].body).unwrap();
        assert_eq!((&body["SecretId"], &body[key]), (&arn.into(), &value.into()), "{body}");
        assert!(requests[0].header("authorization").unwrap().contains("/eu-west-3/secretsmanager/"));
    }
}

#[test]
fn a_role_that_may_not_read_them_is_told_in_a_rehearsal() {
    let host = Host::of(Scenario::ReferenceDenied, EACH);
    let reason = refused(&host, &host.run());
    assert!(reason.contains("ssm:GetParameter") && reason.contains("secretsmanager:GetSecretValue"), "{reason}");
}

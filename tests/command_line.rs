//! The commands beside `run`: what they print, and their exit codes.

use std::process::{Command, Stdio};

use ecs_firstrun::instance::Instance;
use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::rehearse::cloud::IdentityDouble;

use crate::support::host::{BINARY, Ended, Host};
use crate::support::repository;
use crate::support::user_data::SMALLEST;

/// Runs the binary in an environment of its own. Nothing answers at its endpoints.
fn ecs_firstrun(arguments: &[&str]) -> Ended {
    let mut command = Command::new(BINARY);
    command.args(arguments).env_clear().current_dir(repository("")).stdin(Stdio::null());
    command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9").output().unwrap().into()
}

const FACTS: &str = "examples/facts/amazon-linux-2023.json";

#[test]
fn a_plan_from_files_is_that_of_the_golden_case_and_needs_no_network() {
    for name in ["smallest", "complete"] {
        let user_data = format!("examples/user-data/{name}.yaml");
        let ended = ecs_firstrun(&["plan", "--facts", FACTS, "--user-data", &user_data]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        let expected = std::fs::read_to_string(repository(&format!("tests/cases/{name}/plan.txt"))).unwrap();
        assert_eq!(ended.stdout, expected);
    }
}

#[test]
fn a_dry_run_prints_the_plan() {
    let ended = ecs_firstrun(&["run", "--dry-run", "--user-data", "examples/user-data/smallest.yaml"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("set     ECS_CLUSTER in /etc/ecs/ecs.config"), "{}", ended.stdout);
    assert!(ended.stderr.contains("example instance"), "{}", ended.stderr);
}

#[test]
fn a_plan_in_json_has_the_steps_and_no_secret() {
    for name in ["everything", "proxy-with-password", "ecs-variables"] {
        let user_data = format!("tests/cases/{name}/user-data");
        let ended = ecs_firstrun(&["plan", "--json", "--facts", FACTS, "--user-data", &user_data]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let plan: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(plan["steps"].as_array().unwrap().last().unwrap()["name"], "wait");
        for secret in ["squid:", "p%40ss", "p@ss", "squid:secret", "canary"] {
            assert!(!ended.stdout.contains(secret), "{name} shows {secret}");
        }
    }
}

#[test]
fn a_plan_of_refused_user_data_shows_the_errors_and_exits_with_2() {
    let ended = ecs_firstrun(&["plan", "--facts", FACTS, "--user-data", "tests/refused/unknown-key/user-data"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.contains("did you mean `cluster`?"), "{}", ended.stderr);
}

#[test]
fn a_plan_without_user_data_says_how_to_give_it() {
    let ended = ecs_firstrun(&["plan", "--facts", FACTS]);
    assert_eq!(ended.code, Some(2));
    let words = "the user data can't be read from the instance metadata; give it with --user-data FILE";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
}

#[test]
fn facts_that_are_not_facts_are_refused() {
    let user_data = "examples/user-data/smallest.yaml";
    let ended = ecs_firstrun(&["plan", "--facts", user_data, "--user-data", user_data]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("does not hold facts"), "{}", ended.stderr);
}

#[test]
fn facts_of_another_version_are_refused_as_such_whatever_their_shape() {
    let folder = tempfile::tempdir().unwrap();
    let facts = folder.path().join("facts.json");
    std::fs::write(&facts, r#"{"version": 9}"#).unwrap();
    let ended = ecs_firstrun(&["plan", "--facts", facts.to_str().unwrap(), "--user-data", FACTS]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("holds facts of version 9, this ecs-firstrun reads version 1"), "{}", ended.stderr);
}

#[test]
fn validate_tells_right_from_wrong() {
    let right = ecs_firstrun(&["validate", "examples/user-data/complete.yaml"]);
    assert_eq!((right.code, right.stdout.as_str()), (Some(0), "examples/user-data/complete.yaml: no mistakes found\n"));
    for (file, words) in [
        ("tests/refused/unknown-key/user-data", "1 error found."),
        ("tests/refused/several-errors/user-data", "7 errors found."),
        ("tests/refused/truncated-gzip/user-data", "ends too early"),
        ("Cargo.toml", "holds no ecs-firstrun configuration"),
        ("no-such-file", "no-such-file"),
    ] {
        let wrong = ecs_firstrun(&["validate", file]);
        assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(2), ""), "{file}: {}", wrong.stderr);
        assert!(wrong.stderr.contains(words), "{file}: {}", wrong.stderr);
    }
}

#[test]
fn what_is_said_of_a_value_is_not_as_long_as_the_value() {
    let long = "x y".repeat(170_000);
    let documents = [
        format!("#ecs-firstrun\necs: {{cluster: \"{long}\"}}\n"),
        format!("#ecs-firstrun\necs: {{cluster: a, \"{long}\": b}}\n"),
        format!("#ecs-firstrun\necs: {{cluster: a, attributes: {{\"{long}\": b}}}}\n"),
        format!("#ecs-firstrun\necs: {{cluster: a, attributes: {{a: [\"{long}\"]}}}}\n"),
    ];
    for document in documents {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &document).unwrap();
        let ended = ecs_firstrun(&["validate", &file.path().display().to_string()]);
        assert_eq!(ended.code, Some(2), "{:.300}", ended.stderr);
        assert!(ended.stderr.len() < 3000, "{:.300}", ended.stderr);
        let parsed = ecs_firstrun::run::documents("user data", document.as_bytes());
        let reason = ecs_firstrun::config::summary(&parsed.problems);
        assert!((50..3000).contains(&reason.len()), "{reason:.300}");
    }
}

#[test]
fn an_output_that_is_full_or_closed_changes_no_exit_code() {
    let full = || Stdio::from(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    let code = |arguments: &[&str], stdout: Stdio, stderr: Stdio| {
        let mut command = Command::new(BINARY);
        command.args(arguments).env_clear().current_dir(repository("")).stdin(Stdio::null());
        command.stdout(stdout).stderr(stderr).status().unwrap().code()
    };
    let smallest = "examples/user-data/smallest.yaml";
    let root = tempfile::tempdir().unwrap();
    let root = root.path().to_str().unwrap();
    let table: [(&[&str], i32); 6] = [
        (&["validate", "tests/refused/several-errors/user-data"], 2),
        (&["validate", "no-such-file"], 2),
        (&["validate", smallest], 0),
        (&["plan", "--root", root, "--user-data", smallest], 0),
        (&["plan", "--facts", FACTS, "--user-data", "tests/refused/unknown-key/user-data"], 2),
        (&["rehearse", "--list"], 0),
    ];
    for (arguments, expected) in table {
        assert_eq!(code(arguments, Stdio::null(), full()), Some(expected), "{arguments:?} with a full disk");
        assert_eq!(code(arguments, closed(), closed()), Some(expected), "{arguments:?} with nobody who reads");
    }
    assert_eq!(code(&["rehearse", "--list"], full(), Stdio::null()), Some(2));
    // The log has lines, too. Nothing is started for user data that may call this agent.
    let host = Host::in_cloud("#!/bin/sh\necs-firstrun run\n", |_| {});
    let (root, imds) = (host.rehearsal.root.to_str().unwrap(), host.rehearsal.cloud.imds_endpoint());
    assert_eq!(code(&["run", "--root", root, "--imds-endpoint", &imds], Stdio::null(), full()), Some(0));
}

#[test]
fn an_endpoint_that_is_no_address_is_refused_at_once_and_named() {
    let smallest = "examples/user-data/smallest.yaml";
    let table: [&[&str]; 4] = [
        &["run", "--cloudformation-endpoint", "foo:bar"],
        &["plan", "--user-data", smallest, "--imds-endpoint", "notaurl"],
        &["doctor", "--cloudformation-endpoint", "ftp://host"],
        &["signal", "--stack", "web", "--resource", "Instances", "--url", "http://"],
    ];
    for arguments in table {
        let ended = ecs_firstrun(arguments);
        let [.., option, value] = arguments else { unreachable!() };
        let expected = format!("error: invalid value '{value}' for '");
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.starts_with(&expected) && ended.stderr.contains(option), "{}", ended.stderr);
        assert!(ended.stderr.contains("begins with http:// or https:// and names a host"), "{}", ended.stderr);
    }
    let ended = ecs_firstrun(&["plan", "--user-data", smallest, "--imds-endpoint", "https://host"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("the instance metadata service is asked over http://"), "{}", ended.stderr);
    let ended = ecs_firstrun(&["plan", "--user-data", smallest, "--cloudformation-endpoint", ""]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn validate_reads_standard_input() {
    let file = std::fs::File::open(repository("tests/cases/base64-of-gzip/user-data")).unwrap();
    let ended = Ended::from(Command::new(BINARY).arg("validate").stdin(file).output().unwrap());
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "standard input: no mistakes found\n"));
}

#[test]
fn usage_that_is_wrong_exits_with_2() {
    for arguments in [&["plan", "--no-such-option"][..], &["no-such-command"], &[]] {
        assert_eq!(ecs_firstrun(arguments).code, Some(2), "{arguments:?}");
    }
}

#[test]
fn facts_of_an_instance_can_be_given_back_to_plan() {
    let host = Host::in_cloud(SMALLEST, |_| {});
    let root = host.rehearsal.root.display().to_string();
    let imds = host.rehearsal.cloud.imds_endpoint();
    let ended = ecs_firstrun(&["facts", "--root", &root, "--imds-endpoint", &imds]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let facts: Instance = serde_json::from_str(&ended.stdout).unwrap();
    let identity = IdentityDouble::default();
    assert_eq!((facts.instance_id, facts.region), (identity.instance_id, identity.region));
    assert_eq!(facts.image.cloudwatch_agent.as_deref(), Some("1.300071.0"));
    host.put("/facts.json", &ended.stdout);
    let facts = host.at("/facts.json").display().to_string();
    let ended = ecs_firstrun(&["plan", "--facts", &facts, "--user-data", "examples/user-data/smallest.yaml"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn status_shows_the_last_run_and_its_exit_code_says_how_it_went() {
    let well = Host::in_cloud(SMALLEST, |_| {});
    let badly = Host::of(Scenario::BadUserData, "#ecs-firstrun\necs: {clusterr: a}\n");
    let status = |host: &Host, json: &[&str]| {
        let root = host.rehearsal.root.display().to_string();
        ecs_firstrun(&[&["status", "--root", &root], json].concat())
    };
    let none = status(&well, &[]);
    assert_eq!(none.code, Some(2));
    assert!(none.stderr.contains("no run on this host yet"), "{}", none.stderr);
    well.run();
    let shown = status(&well, &["--wait"]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert!(shown.stdout.starts_with("success on i-0f1e2d3c4b5a69788"), "{}", shown.stdout);
    assert!(shown.stdout.contains("signal SUCCESS for Instances in stack web: accepted"), "{}", shown.stdout);
    assert_eq!(status(&well, &["--json"]).stdout, well.text("/var/lib/ecs-firstrun/report.json"));
    // Nobody is named who could be told.
    assert_eq!(badly.run().code, Some(3));
    let shown = status(&badly, &[]);
    assert_eq!(shown.code, Some(1));
    assert!(shown.stdout.contains("refused"), "{}", shown.stdout);
}

#[test]
fn a_rehearsal_lists_its_scenarios_and_exits_as_the_job_does() {
    let listed = ecs_firstrun(&["rehearse", "--list"]);
    let names: Vec<_> = listed.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let known = [
        "success",
        "reboot",
        "no-user-data",
        "bad-user-data",
        "slow-imds",
        "late-device",
        "foreign-disk",
        "never",
        "wrong-cluster",
        "agent-exits5",
        "denied",
        "unreachable",
        "reference-denied",
        "warm-pool",
        "throttled",
        "not-waited-for",
        "log-agent-ends",
        "proxy",
    ];
    assert_eq!(names, known);
    assert!(listed.stdout.lines().all(|line| line.chars().count() <= 80), "{}", listed.stdout);
    let ended = ecs_firstrun(&["rehearse", "--scenario", "bad-user-data"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stdout.contains("FAILURE for web Instances"), "{}", ended.stdout);
    assert!(ended.stdout.ends_with("exit code 2\n"), "{}", ended.stdout);
}

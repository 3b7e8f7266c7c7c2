//! `doctor` and the reason of a run that fails: each cause told apart, with its remedy, by the real binary.

use std::time::{Duration, SystemTime};

use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::rehearse::cloud::Registration;

use crate::schema::drift;
use crate::support::doctor::{SHORT_WAIT, assert_has, doctor, findings, host_that_fails, host_with, put_agent_state};
use crate::support::host::Host;
use crate::support::repository;
use crate::support::user_data::{SMALLEST, UNSIGNALLED};

/// The ECS agent's behaviour. It gives up with exit code 5, or is restarted again and again while its unit is active.
#[derive(Clone, Copy, PartialEq)]
enum Agent {
    GivesUp,
    Repeats,
}

/// The situations in which an ECS agent was seen not to register: its log, its end, the cause, the remedy.
const FAILURES: [(&str, Agent, &str, &str); 19] = [
    ("cluster-not-found", Agent::GivesUp, "the cluster `production` does not exist", "correct `ecs.cluster`"),
    ("cluster-changed", Agent::GivesUp, "saved state belongs to another cluster", "delete /var/lib/ecs/data"),
    (
        "denied",
        Agent::Repeats,
        "the instance's role lacks a permission that the ECS agent needs",
        "allow the action in the role",
    ),
    ("badtoken", Agent::Repeats, "AWS rejects the credentials", "AWS_ACCESS_KEY_ID"),
    ("throttled", Agent::Repeats, "ECS throttles the registration", "launch fewer instances at once"),
    ("unreachable", Agent::Repeats, "the ECS agent can't connect to ECS", "a NAT gateway"),
    ("dns", Agent::Repeats, "the name of the ECS endpoint does not resolve", "enableDnsSupport"),
    ("proxy-refused", Agent::Repeats, "the ECS agent can't reach the proxy", "correct host and port in `proxy.url`"),
    ("no-docker", Agent::Repeats, "the ECS agent can't reach Docker", "`journalctl -u docker.service`"),
    ("bad-attributes-json", Agent::Repeats, "the ECS agent can't read a setting", "/etc/ecs/ecs.config"),
    ("cloud-init-none", Agent::GivesUp, "cloud-init used no data source", "without `datasource_list: [None]`"),
    ("metadata-blocked", Agent::Repeats, "the ECS agent can't reach the instance metadata", "let no firewall"),
    ("attribute-refused", Agent::GivesUp, "missingAttributes=\"shop.rack-position\"", "correct it in `ecs.attributes`"),
    (
        "reserved-memory",
        Agent::Repeats,
        "ECS_RESERVED_MEMORY is more than the instance has",
        "lower ECS_RESERVED_MEMORY",
    ),
    ("state-damaged", Agent::Repeats, "the ECS agent's saved state can't be read", "delete /var/lib/ecs/data"),
    ("deregistered", Agent::GivesUp, "the container instance was deregistered", "delete /var/lib/ecs/data"),
    (
        "docker-down",
        Agent::Repeats,
        "ecs-init.log says `cannot connect to Docker endpoint`",
        "`journalctl -u docker.service`",
    ),
    ("not-started", Agent::Repeats, "Docker can't start the ECS agent's container", "`docker rm -f ecs-agent`"),
    ("old-agent", Agent::Repeats, "the ECS agent can't connect to ECS", "a NAT gateway"),
];

fn fails_with_its_cause(names: &[&str]) {
    for (name, agent, cause, remedy) in FAILURES.into_iter().filter(|(name, ..)| names.contains(name)) {
        let host = host_that_fails(name);
        if agent == Agent::GivesUp {
            host.rehearsal.programs.fail_after("ecs.service", Duration::from_millis(100), 5).unwrap();
        }
        let ended = host.run();
        assert_eq!(ended.code, Some(1), "{name}: {}", ended.stderr);
        let reason = host.reason();
        assert!(reason.starts_with("wait: ") && reason.lines().count() == 1, "{name}: {reason}");
        let seen = if agent == Agent::GivesUp { "exit code 5" } else { "not registered with `production`" };
        assert_has(&reason, &[cause, remedy, seen, ".log says `"]);
        assert_has(&host.text("/dev/console"), &[cause, remedy]);

        let ended = doctor(&host);
        assert_eq!(ended.code, Some(1), "{name}: {}", ended.stderr);
        let first = ended.stdout.lines().next().unwrap();
        assert!(first.starts_with("most likely: "), "{name}: {first}");
        assert_has(first, &[cause, remedy]);
    }
}

#[test]
fn a_cluster_that_does_not_exist_or_has_changed_is_named() {
    fails_with_its_cause(&["cluster-not-found", "cluster-changed"]);
}

#[test]
fn credentials_that_are_denied_or_not_taken_are_told_apart() {
    fails_with_its_cause(&["denied", "badtoken", "throttled"]);
}

#[test]
fn networks_that_lead_nowhere_are_told_apart() {
    fails_with_its_cause(&["unreachable", "dns", "proxy-refused"]);
}

#[test]
fn a_setting_that_cannot_be_read_and_a_docker_that_does_not_run_are_told_apart() {
    fails_with_its_cause(&["no-docker", "bad-attributes-json"]);
}

#[test]
fn what_ends_a_start_before_it_registers_is_told_apart() {
    fails_with_its_cause(&["cloud-init-none", "metadata-blocked", "reserved-memory", "state-damaged"]);
}

#[test]
fn what_ecs_does_not_take_is_told_apart() {
    fails_with_its_cause(&["attribute-refused", "deregistered", "old-agent"]);
}

#[test]
fn what_keeps_ecs_init_from_starting_the_agent_is_told_apart() {
    fails_with_its_cause(&["docker-down", "not-started"]);
}

#[test]
fn a_failure_of_ecs_init_is_over_once_the_agent_starts() {
    let host = host_that_fails("not-started");
    let endpoint = host.rehearsal.cloud.cloudformation_endpoint();
    let says = || findings(&host, &endpoint, "agent_log").remove(0)["found"].as_str().unwrap().to_owned();
    assert_has(&says(), &["ecs-init.log says `could not start Agent"]);
    let denied = std::fs::read_to_string(repository("tests/doctor/denied/ecs-agent.log")).unwrap();
    host.put("/var/log/ecs/ecs-agent.log", &denied.replace("T06:14", "T06:15"));
    assert_has(&says(), &["role lacks a permission"]);
    host.put("/var/log/ecs/ecs-agent.log", &denied.replace("T06:14", "T06:13"));
    assert_has(&says(), &["ecs-init.log says `could not start Agent"]);
}

#[test]
fn errors_of_tasks_are_not_held_against_a_registered_agent() {
    let host = host_with(|_| {});
    assert_eq!(host.run().code, Some(0));
    let pull = "level=error time=2026-10-05T06:15:00Z msg=\"Failed to pull image\" error=\"AccessDeniedException\"\n\
                level=critical time=2026-10-05T06:15:01Z msg=\"No containers in the task\"\n";
    host.put("/var/log/ecs/ecs-agent.log", pull);
    let ended = doctor(&host);
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
}

#[test]
fn an_agent_that_was_deregistered_while_it_ran_is_told() {
    let host = host_with(|_| {});
    assert_eq!(host.run().code, Some(0));
    let log = std::fs::read_to_string(repository("tests/doctor/deregistered-running/ecs-agent.log")).unwrap();
    host.put("/var/log/ecs/ecs-agent.log", &log);
    let ended = doctor(&host);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert_has(ended.stdout.lines().next().unwrap(), &["the container instance was deregistered", "delete /var/lib"]);
}

#[test]
fn an_error_that_is_not_known_is_quoted_as_what_the_agent_said_last() {
    let host = host_that_fails("denied");
    let odd = "level=critical time=2026-10-05T06:15:00Z msg=\"The flux has frozen\" module=flux.go\n";
    host.put("/var/log/ecs/ecs-agent.log", odd);
    assert_eq!(host.run().code, Some(1));
    let words =
        ["the ECS agent does not come up: ecs-agent.log says `The flux has frozen`", "correct what this line names"];
    assert_has(&host.reason(), &words);
    assert_has(doctor(&host).stdout.lines().next().unwrap(), &words);
}

#[test]
fn the_table_has_every_situation_that_was_seen() {
    let mut folders: Vec<_> =
        repository("tests/doctor").read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    folders.retain(|name| name != "registered" && name != "deregistered-running");
    folders.sort();
    let mut known: Vec<_> = FAILURES.iter().map(|(name, ..)| std::ffi::OsString::from(name)).collect();
    known.sort();
    assert_eq!(folders, known);
}

#[test]
fn a_wait_condition_is_told_the_cause() {
    let host = host_that_fails("denied");
    let handle = host.rehearsal.cloud.wait_handle_url();
    let signal = format!("signal: {{wait_handle: \"{handle}\", stack: null, resource: null}}\n");
    host.put("/etc/ecs-firstrun/conf.d/60.yaml", &signal);
    host.rehearsal.cloud.begin_registration();
    let user_data = host.folder.path().join("user-data");
    std::fs::write(&user_data, UNSIGNALLED).unwrap();
    let ended = host.call(&["run", "--user-data", user_data.to_str().unwrap()], &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let signals = host.rehearsal.cloud.signals();
    assert_eq!(signals.len(), 1);
    assert_has(
        signals[0].reason.as_deref().unwrap_or_default(),
        &[
            "the instance's role lacks a permission",
            "not authorized to perform: ecs:RegisterContainerInstance",
            "allow the action",
        ],
    );
}

#[test]
fn on_a_host_that_is_well_nothing_is_wrong() {
    let host = host_with(|_| {});
    assert_eq!(host.run().code, Some(0));
    let ended = doctor(&host);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.stdout.lines().next(), Some("nothing wrong was found"));
    assert_has(
        &ended.stdout,
        &[
            "cluster registered with `production`, container instance 5b0d3c7e9a1f",
            "unit docker.service is active (running)",
            "Docker it answers at its socket",
            "credentials of the role web-instances, good until",
            "endpoints cloudformation, ecs, ecs-a, ecs-t, logs can be reached (127.0.0.1)",
            "clock within",
        ],
    );
    assert!(ended.stdout.lines().all(|line| line.chars().count() <= 80), "{}", ended.stdout);
    assert!(!ended.stdout.contains("rehearsal-secret") && !ended.stdout.contains("ASIAREHEARSAL"));
}

#[test]
fn doctor_changes_nothing() {
    let host = host_that_fails("denied");
    let before = host.tree();
    assert_eq!(doctor(&host).code, Some(1));
    assert!(before == host.tree());
    assert_eq!(host.started(), Vec::<String>::new());
}

#[test]
fn an_agent_that_is_registered_but_not_connected_is_told_from_one_that_is_not() {
    let host = host_with(|_| {});
    assert_eq!(host.run().code, Some(0));
    let log = std::fs::read_to_string(repository("tests/doctor/registered/ecs-agent.log")).unwrap();
    host.put("/var/log/ecs/ecs-agent.log", &log);
    let ended = doctor(&host);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert_has(ended.stdout.lines().next().unwrap(), &["registered but can't hold its connection", "ecs-a-*"]);
    let connected = "level=info time=2026-10-05T06:20:00Z msg=\"Connected to ACS endpoint\"\n";
    host.put("/var/log/ecs/ecs-agent.log", &(log + connected));
    assert_eq!(doctor(&host).code, Some(0));
}

#[test]
fn an_agent_in_another_cluster_is_the_cause_whatever_the_log_says() {
    let host = Host::of(Scenario::WrongCluster, SMALLEST);
    assert_eq!(host.run().code, Some(1));
    let ended = doctor(&host);
    assert_has(ended.stdout.lines().next().unwrap(), &["registered with `default`, not with `production`", "delete"]);
}

#[test]
fn a_log_of_before_this_boot_is_not_the_cause() {
    let host = host_that_fails("denied");
    let booted = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    host.put("/proc/stat", &format!("cpu 1 2 3\nbtime {booted}\nprocesses 4\n"));
    assert_eq!(host.run().code, Some(1));
    let reason = host.reason();
    assert!(
        !reason.contains("role lacks a permission") && reason.contains("not registered with `production`"),
        "{reason}"
    );
    host.put("/proc/stat", "cpu 1 2 3\nbtime 1790000000\n");
    assert_has(doctor(&host).stdout.lines().next().unwrap(), &["role lacks a permission"]);
}

#[test]
fn what_the_ecs_agent_has_saved_of_another_instance_or_cluster_is_told() {
    let host = host_with(|options| options.registration = Registration::Never);
    host.put("/etc/ecs-firstrun/conf.d/50.yaml", SHORT_WAIT);
    put_agent_state(&host, "own");
    assert_eq!(host.run().code, Some(1));
    // It is of this instance and of this cluster.
    assert!(!host.reason().contains("saved"), "{:?}", host.report().reason);

    let host = host_with(|options| options.registration = Registration::Never);
    host.put("/etc/ecs-firstrun/conf.d/50.yaml", SHORT_WAIT);
    host.put("/etc/ecs-firstrun/conf.d/60.yaml", "ecs: {config: {ECS_LOGLEVEL: debug}}\n");
    put_agent_state(&host, "own");
    let user_data = host.folder.path().join("user-data");
    std::fs::write(&user_data, SMALLEST.replace("production", "staging")).unwrap();
    let options = ["--user-data", user_data.to_str().unwrap()];
    assert_eq!(host.call(&[&["run"], options.as_slice()].concat(), &[]).code, Some(1));
    let words = [
        "has saved the state of another cluster, `production`; it is configured for `staging`: `ECS_CLUSTER=staging` in \
         line 2 of /etc/ecs/ecs.config",
        "delete /var/lib/ecs/data",
    ];
    assert_has(&host.reason(), &words);
    let ended = host.call(&[&["doctor"], options.as_slice()].concat(), &[]);
    assert_has(ended.stdout.lines().next().unwrap(), &words);
}

#[test]
fn what_the_ecs_agent_has_saved_of_another_instance_is_no_cause() {
    let host = host_that_fails("denied");
    for (database, verdict, found) in [
        ("other", "problem", "belongs to another instance, `i-00000000000000001`"),
        ("rejoined", "problem", "belongs to another instance, `i-00000000000000001`"),
        ("own", "ok", "the saved state belongs to this instance"),
    ] {
        put_agent_state(&host, database);
        let state = findings(&host, &host.rehearsal.cloud.cloudformation_endpoint(), "state").remove(0);
        assert_eq!(state["verdict"], verdict, "{database}: {state}");
        assert_has(state["found"].as_str().unwrap(), &[found]);
        assert_has(doctor(&host).stdout.lines().next().unwrap(), &["role lacks a permission"]);
    }
    // Nor where nothing else is known.
    let host = host_with(|options| options.registration = Registration::Never);
    host.put("/etc/ecs-firstrun/conf.d/50.yaml", SHORT_WAIT);
    put_agent_state(&host, "other");
    assert_eq!(host.run().code, Some(1));
    let reason = host.reason();
    assert!(reason.contains("was not registered with `production`") && !reason.contains("saved"), "{reason}");
}

/// Replaces the times and sizes that differ from run to run by the values in the document.
fn as_documented(text: &str, report: &ecs_firstrun::report::Report) -> String {
    let text = text.replace(&report.started, "2026-11-23T14:31:56Z");
    let lines = text.lines().map(|line| {
        if let Some((before, _)) = line.split_once(", good until ") {
            return format!("{before}, good until 2026-11-23T20:31:56Z\n");
        }
        match line.split_once("/ has ") {
            Some((before, free)) if free.ends_with(" free") => format!("{before}/ has 56 GiB free\n"),
            _ => format!("{line}\n"),
        }
    });
    lines.collect()
}

#[test]
fn the_output_that_the_documentation_shows_is_that_of_a_cluster_that_does_not_exist() {
    let host = host_that_fails("cluster-not-found");
    host.rehearsal.programs.fail_after("ecs.service", Duration::from_millis(100), 5).unwrap();
    assert_eq!(host.run().code, Some(1));
    let shown = as_documented(&doctor(&host).stdout, &host.report());
    let path = "docs/operations.md";
    let text = std::fs::read_to_string(repository(path)).unwrap();
    let begins = text.find("```text\nmost likely: ").expect("a block that shows `doctor`") + "```text\n".len();
    let ends = begins + text[begins..].find("```\n").unwrap();
    drift(path, &format!("{}{shown}{}", &text[..begins], &text[ends..]));
}

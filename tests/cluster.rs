//! The cluster of the instance: another one, none any more, or the right one at last; and what keeps the instance out of it.

use std::time::Duration;

use ecs_firstrun::rehearse::cloud::{Cloud, CloudOptions, RegisteredAs, Registration};
use ecs_firstrun::report::Outcome;

use crate::support::doctor::{SHORT_WAIT, assert_has, doctor, findings, host_with, put_agent_state};
use crate::support::host::{Ended, Host, until};
use crate::support::user_data::SMALLEST;

const ECS_CONFIG: &str = "/etc/ecs/ecs.config";

fn registered_with(cluster: &str, delay: Duration) -> Registration {
    Registration::After(delay, RegisteredAs { cluster: cluster.to_owned() })
}

/// Appends a line as a script of the user data does.
fn append(host: &Host, line: &str) {
    host.put(ECS_CONFIG, &format!("{}\n{line}\n", host.text(ECS_CONFIG)));
}

fn status(host: &Host) -> Ended {
    host.call(&["status"], &[])
}

/// Gives the host another cloud, in which the ECS agent registers so once it is started.
fn move_to(host: &mut Host, registration: Registration) {
    host.rehearsal.cloud = Cloud::start(CloudOptions {
        user_data: Some(SMALLEST.into()),
        iam_role: Some("web-instances".to_owned()),
        registration,
        registration_starts_on: Some(host.rehearsal.programs.started_marker("ecs.service")),
        docker: Some(ecs_firstrun::rehearse::docker_socket(&host.rehearsal.root, &host.rehearsal.programs)),
        ..CloudOptions::default()
    })
    .unwrap();
}

#[test]
fn a_line_that_wins_over_the_configuration_is_named() {
    let host = host_with(|options| options.registration = registered_with("green", Duration::from_millis(800)));
    let ended = host.run_and(|_| {
        until(|| host.rehearsal.programs.started_marker("ecs.service").exists());
        append(&host, "ECS_CLUSTER=blue\nECS_CLUSTER=green");
    });
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    host.one_signal("FAILURE");
    let words = [
        "the ECS agent is registered with `green`, not with `production`",
        "; `ECS_CLUSTER=green` in line 6 of /etc/ecs/ecs.config wins over the configuration: remove that line",
        "delete /var/lib/ecs/data",
    ];
    assert_has(&host.reason(), &words);
    assert_has(doctor(&host).stdout.lines().next().unwrap(), &words);
}

/// The smallest document, without a cluster.
fn without_cluster() -> String {
    SMALLEST.replace("ecs:\n  cluster: production\n", "ecs: {}\n")
}

#[test]
fn without_a_cluster_it_is_the_one_that_the_settings_name_when_the_agent_starts() {
    for (image, appended, cluster) in [
        ("", "ECS_CLUSTER=jobs-1a2b_Batch_0123\n", "jobs-1a2b_Batch_0123"),
        ("ECS_CLUSTER=first\n", "ECS_CLUSTER=second\nECS_LOGLEVEL=debug", "second"),
        ("", "ECS_CLUSTER=\r\n", "default"),
        ("ECS_LOGLEVEL=\u{e4}", "", "default"),
    ] {
        let host = host_with(|options| {
            options.user_data = Some(without_cluster().into());
            options.registration = registered_with(cluster, Duration::from_millis(800));
        });
        host.put(ECS_CONFIG, image);
        let ended = host.run_and(|_| {
            until(|| host.rehearsal.programs.started_marker("ecs.service").exists());
            host.put(ECS_CONFIG, &format!("{image}{appended}"));
        });
        assert_eq!(ended.code, Some(0), "{appended}: {}", ended.stderr);
        assert_eq!(host.text(ECS_CONFIG), format!("{image}{appended}"));
        assert_eq!(host.report().cluster.as_deref(), Some(cluster));
        host.one_signal("SUCCESS");
        let finding = findings(&host, &host.rehearsal.cloud.cloudformation_endpoint(), "cluster").remove(0);
        let found = finding["found"].as_str().unwrap();
        assert!(found.contains(&format!("registered with `{cluster}`")), "{found}");
        let set_by = if appended.contains("CLUSTER") { "set by `ECS_CLUSTER=" } else { "no file sets ECS_CLUSTER" };
        assert!(found.contains(set_by), "{found}");
    }
}

#[test]
fn without_a_cluster_an_agent_in_another_one_than_its_settings_name_is_told() {
    let host = host_with(|options| {
        options.user_data = Some(without_cluster().into());
        options.registration = registered_with("default", Duration::from_millis(800));
    });
    let ended = host.run_and(|_| {
        until(|| host.rehearsal.programs.started_marker("ecs.service").exists());
        host.put(ECS_CONFIG, "ECS_CLUSTER=jobs\n");
    });
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    host.one_signal("FAILURE");
    let words = ["registered with `default`, not with `jobs`", "delete /var/lib/ecs/data"];
    assert_has(&host.reason(), &words);
    assert_has(doctor(&host).stdout.lines().next().unwrap(), &words);
}

#[test]
fn without_a_cluster_the_reason_says_who_names_it() {
    for (settings, words) in [
        ("", "was not registered with `default` (no file sets ECS_CLUSTER) within"),
        (
            "ECS_CLUSTER=jobs\n",
            "was not registered with `jobs` (set by `ECS_CLUSTER=jobs` in line 1 of /etc/ecs/ecs.config) within",
        ),
    ] {
        let host = host_with(|options| {
            options.user_data = Some(format!("{}wait: {{timeout: 2s}}\n", without_cluster()).into());
            options.registration = Registration::Never;
        });
        host.put(ECS_CONFIG, settings);
        assert_eq!(host.run().code, Some(1));
        assert_has(&host.reason(), &[words]);
    }
}

#[test]
fn a_boot_that_ends_in_another_cluster_is_no_success() {
    let mut host = host_with(|_| {});
    assert_eq!(host.run().code, Some(0));
    host.rehearsal.programs.restart().unwrap();
    move_to(&mut host, registered_with("green", Duration::ZERO));
    assert_eq!(host.run().code, Some(0));
    let ours = host.text(ECS_CONFIG);
    assert_has(
        &host.report().to_string(),
        &["note: the host is configured", "does not wait for its registration on this boot"],
    );
    append(&host, "ECS_CLUSTER=green");
    let words = ["registered with `green`, not with `production`; `ECS_CLUSTER=green` in line 5"];
    until(|| status(&host).code == Some(1));
    let ended = status(&host);
    assert!(ended.stdout.starts_with("failure on "), "{}", ended.stdout);
    assert_has(&ended.stdout, &words);
    assert_has(&host.call(&["status", "--json"], &[]).stdout, &["\"outcome\": \"failure\"", words[0]]);
    let ended = doctor(&host);
    assert_has(ended.stdout.lines().next().unwrap(), &words);
    assert!(!ended.stdout.contains("succeeded"), "{}", ended.stdout);
    // A run that changes nothing there, so that the ECS agent is not restarted.
    host.put(ECS_CONFIG, &ours);
    let ended = host.run();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_has(&host.reason(), &["registered with `green`, not with `production`"]);
    assert!(host.rehearsal.cloud.signals().is_empty(), "the first outcome holds");
}

#[test]
fn a_boot_whose_agent_has_saved_another_cluster_is_no_success() {
    let host = host_with(|_| {});
    assert_eq!(host.run().code, Some(0));
    host.rehearsal.programs.restart().unwrap();
    put_agent_state(&host, "own");
    let user_data = host.folder.path().join("user-data");
    std::fs::write(&user_data, SMALLEST.replace("production", "staging")).unwrap();
    let ended = host.call(&["run", "--user-data", user_data.to_str().unwrap()], &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    host.one_signal("SUCCESS");
    let report = host.report();
    assert_eq!(report.outcome, Outcome::Failure);
    assert_has(&report.reason.unwrap_or_default(), &["saved the state of another cluster, `production`", "`staging`"]);
    assert_has(&host.text("/var/log/ecs-firstrun.log"), &["FAILURE: the ECS agent has saved"]);
}

#[test]
fn an_instance_that_was_deregistered_is_a_problem_though_its_agent_still_answers() {
    let host = host_with(|_| {});
    host.put("/proc/stat", "cpu 1 2 3\nbtime 1790000000\n");
    assert_eq!(host.run().code, Some(0));
    let registered = "level=info time=2026-11-29T14:31:03Z msg=\"Registered container instance with cluster!\"\n";
    let gone = "level=error time=2026-11-29T15:31:04Z msg=\"Failed to connect to ACS\" error=\"InactiveInstanceException: The \
        container instance is inactive\"\nlevel=info time=2026-11-29T15:31:04Z msg=\"Container instance is deregistered\"\n";
    host.put("/var/log/ecs/ecs-agent.log", &format!("{registered}{gone}"));
    let ended = doctor(&host);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert_has(
        ended.stdout.lines().next().unwrap(),
        &["deregistered", "delete /var/lib/ecs/data, start ecs.service again"],
    );
    let cluster = || findings(&host, &host.rehearsal.cloud.cloudformation_endpoint(), "cluster").remove(0);
    assert_has(
        cluster()["found"].as_str().unwrap(),
        &["answers as container instance 5b0d3c7e9a1f", "deregistered since"],
    );
    // It has registered again.
    let again = registered.replace("T14:", "T16:");
    host.put("/var/log/ecs/ecs-agent.log", &format!("{registered}{gone}{again}"));
    assert_eq!(cluster()["verdict"], "ok");
    assert_eq!(doctor(&host).code, Some(0));
}

#[test]
fn a_failed_run_is_no_problem_once_the_instance_has_registered() {
    let mut host = host_with(|options| options.registration = Registration::Never);
    host.put("/etc/ecs-firstrun/conf.d/50.yaml", SHORT_WAIT);
    assert_eq!(host.run().code, Some(1));
    let ended = doctor(&host);
    assert_eq!(ended.code, Some(1));
    assert_has(
        &ended.stdout,
        &["problem: last run", "failed in the step `wait`: wait: the ECS agent was not registered"],
    );
    assert!(!ended.stdout.contains("ecs-firstrun status"), "its reason is there: {}", ended.stdout);
    move_to(&mut host, registered_with("production", Duration::ZERO));
    let ended = doctor(&host);
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert_has(&ended.stdout, &["nothing wrong was found", "that is history: the instance has become a member"]);
}

#[test]
fn memory_that_is_reserved_and_not_there_fails_the_run_before_anything_is_started() {
    let user_data = format!("{SMALLEST}  config: {{ECS_RESERVED_MEMORY: 9000}}\n");
    let host = Host::in_cloud(&user_data, |_| {});
    host.put("/proc/meminfo", "MemTotal:        7951360 kB\nMemFree:         1024 kB\n");
    let words = ["ecs.config.ECS_RESERVED_MEMORY: 9000 MiB are reserved, and the host has 7765 MiB of memory"];
    assert_has(&host.call(&["plan"], &[]).stdout, &words);
    assert_eq!(host.run().code, Some(1));
    assert_has(&host.reason(), &words);
    host.one_signal("FAILURE");
    assert_eq!(host.started(), Vec::<String>::new());
    assert_has(doctor(&host).stdout.lines().next().unwrap(), &words);

    let host = host_with(|options| options.registration = Registration::Never);
    host.put("/proc/meminfo", "MemTotal:        7951360 kB\n");
    host.put(ECS_CONFIG, "ECS_CLUSTER=production\nECS_RESERVED_MEMORY=32\nECS_RESERVED_MEMORY=8000\n");
    let words = ["`ECS_RESERVED_MEMORY=8000` in line 3 of /etc/ecs/ecs.config: 8000 MiB are reserved"];
    assert_has(&doctor(&host).stdout, &words);
}

#[test]
fn a_shutdown_decides_nothing() {
    let host = host_with(|_| {});
    host.rehearsal.programs.shut_down().unwrap();
    let ended = host.run();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let report = host.report();
    assert_eq!(report.outcome, Outcome::Interrupted);
    assert_has(
        &report.reason.unwrap_or_default(),
        &["the host shuts down", "is destructive", "the next run continues"],
    );
    assert!(host.rehearsal.cloud.signals().is_empty());
    host.rehearsal.programs.restart().unwrap();
    assert_eq!(host.run().code, Some(0));
    host.one_signal("SUCCESS");
}

#[test]
fn what_a_shutdown_stops_is_not_taken_for_a_failure() {
    let mut host = host_with(|options| options.registration = Registration::Never);
    host.rehearsal.programs.fail_after("ecs.service", Duration::from_secs(1), 0).unwrap();
    let ended = host.run_and(|_| {
        until(|| host.rehearsal.programs.started_marker("ecs.service").exists());
        host.rehearsal.programs.shut_down().unwrap();
    });
    assert_eq!((ended.code, host.report().outcome), (Some(3), Outcome::Interrupted), "{}", ended.stderr);
    assert!(host.rehearsal.cloud.signals().is_empty());
    host.rehearsal.programs.restart().unwrap();
    host.rehearsal.programs.fail_after("ecs.service", Duration::from_secs(3600), 0).unwrap();
    move_to(&mut host, registered_with("production", Duration::ZERO));
    assert_eq!(host.run().code, Some(0));
    host.one_signal("SUCCESS");
}

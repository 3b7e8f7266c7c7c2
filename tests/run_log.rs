//! The log of runs: one line of JSON for each run, however it ended, and none that is torn.

use std::os::unix::fs::PermissionsExt as _;

use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::rehearse::cloud::Registration;
use ecs_firstrun::report::{BUG, Outcome};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::host::{Ended, Host, INSTANCE, kill, until};
use crate::support::tmpfs::Tmpfs;
use crate::support::user_data::{SMALLEST, UNSIGNALLED, misspelt};

const RUNS: &str = "/var/log/ecs-firstrun-runs.log";
const STATUS: &str = "/run/ecs-firstrun/status";

/// The lines, each of which is a whole JSON object in a line of its own.
pub fn lines(host: &Host) -> Vec<Value> {
    let text = host.text(RUNS);
    assert!(text.ends_with('\n'), "{text:?}");
    let parsed = text.lines().map(|line| {
        assert!(line.starts_with("{\"time\":\""), "{line}");
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    });
    parsed.collect()
}

/// One key of each line; empty where a line lacks it.
fn all(host: &Host, key: &str) -> Vec<String> {
    lines(host).iter().map(|line| line[key].as_str().unwrap_or_default().to_owned()).collect()
}

/// An instance whose ECS agent never registers, so that a run waits until it is ended.
fn waits() -> Host {
    Host::in_cloud(SMALLEST, |options| options.registration = Registration::Never)
}

/// A run that gets a signal while it waits for the ECS agent.
fn ended_by(host: &Host, signal: Signal) {
    // That of the run before would be taken for this one's.
    let _ = std::fs::remove_file(host.at(STATUS));
    host.run_and(|pid| {
        until(|| std::fs::read_to_string(host.at(STATUS)).is_ok_and(|status| status.contains("wait")));
        kill(pid, signal);
    });
}

#[test]
fn a_run_that_goes_well_and_the_next_boot_are_a_line_each() {
    let host = Host::in_cloud(SMALLEST, |_| {});
    assert_eq!(host.run().code, Some(0));
    let report = host.report();
    let found = lines(&host);
    let [line] = &found[..] else { panic!("{found:?}") };
    for (key, expected) in [
        ("instance_id", INSTANCE),
        ("image_id", "ami-0c1d2e3f405162738"),
        ("stack", "web"),
        ("resource", "Instances"),
        ("cluster", "production"),
        ("boot", "first"),
        ("outcome", "success"),
        ("signal", "accepted"),
        ("version", env!("CARGO_PKG_VERSION")),
    ] {
        assert_eq!(line[key], expected, "{key} in {line}");
    }
    for absent in ["reason", "failed_step", "lifecycle_hook"] {
        assert!(line.get(absent).is_none(), "{absent} in {line}");
    }
    let seconds = |ms: u64| Value::from(ms as f64 / 1000.0);
    assert_eq!(line["seconds"], seconds(report.duration_ms));
    let steps: Vec<_> = line["steps"].as_object().unwrap().iter().collect();
    let expected: Vec<_> = report.steps.iter().map(|step| (&step.name, seconds(step.duration_ms))).collect();
    assert_eq!(steps, expected.iter().map(|(name, seconds)| (*name, seconds)).collect::<Vec<_>>());
    let slowest = line["slowest_step"].as_str().unwrap();
    assert_eq!(line["slowest_step_seconds"], line["steps"][slowest]);
    let mode = host.at(RUNS).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o644);
    assert_eq!(host.run().code, Some(0));
    assert_eq!((all(&host, "boot"), all(&host, "outcome")), (words("first later"), words("success success")));
    assert_eq!(all(&host, "signal"), words("accepted accepted_earlier"));
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

#[test]
fn a_run_that_fails_or_is_refused_says_why() {
    for (host, code, outcome, step, reason) in [
        (
            Host::of(Scenario::AgentExits5, SMALLEST),
            1,
            "failure",
            "wait",
            "wait: the cluster `production` does not exist",
        ),
        (Host::in_cloud(&misspelt(SMALLEST), |_| {}), 2, "refused", "", "unknown key `clusterr`"),
    ] {
        assert_eq!(host.run().code, Some(code));
        let found = lines(&host);
        assert_eq!(found.len(), 1, "{found:?}");
        let line = &found[0];
        assert_eq!(line["outcome"], outcome);
        assert_eq!(line["failed_step"].as_str().unwrap_or_default(), step);
        assert!(line["reason"].as_str().unwrap().contains(reason), "{line}");
        // Of a document with a mistake what is right still tells whose instance it is.
        assert_eq!((&line["stack"], &line["boot"]), (&"web".into(), &"first".into()));
    }
}

#[test]
fn a_run_that_a_panic_ends_is_one_line_wherever_that_is() {
    for actions in [
        "begin=panic",
        "gather=panic",
        "parse=panic",
        "plan=panic",
        "action=panic",
        "conclude=panic",
        "conclude=1*panic",
        "decided=1*panic",
        "tell=panic",
    ] {
        let host = Host::in_cloud(SMALLEST, |_| {});
        let ended = host.run_with(&[("FAILPOINTS", actions)]);
        let found = lines(&host);
        assert_eq!(found.len(), 1, "{actions}: {found:?} {}", ended.stderr);
        assert_eq!(found[0]["outcome"], "failure", "{actions}");
        assert!(found[0]["reason"].as_str().unwrap().starts_with(BUG), "{actions}: {found:?}");
    }
}

#[test]
fn a_run_that_is_told_to_stop_is_one_line_and_decides_nothing() {
    let host = waits();
    ended_by(&host, Signal::SIGTERM);
    assert_eq!(host.report().outcome, Outcome::Interrupted);
    ended_by(&host, Signal::SIGINT);
    assert_eq!((all(&host, "outcome"), all(&host, "boot")), (words("interrupted interrupted"), words("first first")));
    assert_eq!(lines(&host)[0].get("failed_step"), None);
}

#[test]
fn the_line_of_a_run_that_was_killed_is_added_by_the_next_one() {
    let host = waits();
    ended_by(&host, Signal::SIGKILL);
    assert!(!host.at(RUNS).exists());
    ended_by(&host, Signal::SIGKILL);
    assert_eq!(lines(&host).len(), 1);
    ended_by(&host, Signal::SIGTERM);
    let found = lines(&host);
    assert_eq!(all(&host, "outcome"), words("interrupted interrupted interrupted"));
    assert!(found[1]["reason"] == found[0]["reason"] && found[2]["reason"] != found[0]["reason"], "{found:?}");
    assert!(found[0]["reason"].as_str().unwrap().starts_with("the run was killed"), "{found:?}");
    assert_eq!((&found[0]["stack"], &found[0]["instance_id"]), (&"web".into(), &INSTANCE.into()));
}

#[test]
fn a_hand_over_has_the_line_of_the_unit_alone() {
    let host = Host::in_cloud(SMALLEST, |_| {});
    host.put("/etc/systemd/system/ecs-firstrun.service", "");
    host.put("/proc/self/cgroup", "0::/system.slice/cloud-final.service\n");
    assert_eq!(host.run().code, Some(0));
    assert!(!host.at(RUNS).exists());
    host.put("/proc/self/cgroup", "0::/system.slice/ecs-firstrun.service\n");
    assert_eq!(host.run().code, Some(0));
    assert_eq!(all(&host, "outcome"), ["success"]);
    // Without a unit to hand over to, this process does the run, and the run has a line.
    let host = Host::in_cloud(SMALLEST, |_| {});
    host.put("/proc/self/cgroup", "0::/system.slice/cloud-final.service\n");
    assert_eq!(host.run().code, Some(1));
    assert_eq!(all(&host, "outcome"), ["failure"]);
}

#[test]
fn a_run_without_a_signal_is_a_first_boot_once() {
    let tags = [("aws:cloudformation:stack-name", "blue"), ("aws:cloudformation:logical-id", "Group")];
    let host = Host::in_cloud(UNSIGNALLED, |options| {
        options.tags = tags.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    });
    for _ in 0..2 {
        assert_eq!(host.run().code, Some(0));
    }
    assert_eq!(all(&host, "boot"), words("first later"));
    assert_eq!((all(&host, "stack"), all(&host, "resource")), (words("blue blue"), words("Group Group")));
    // A failure that nobody waits for is kept by the report alone.
    let host = Host::of(Scenario::AgentExits5, UNSIGNALLED);
    for _ in 0..2 {
        assert_eq!(host.run().code, Some(1));
    }
    assert_eq!(all(&host, "boot"), words("first later"));
    // Without any configuration, too; and the report of another instance says nothing of this one.
    let host = Host::in_cloud("", |options| options.user_data = None);
    for _ in 0..2 {
        assert_eq!(host.run().code, Some(0));
    }
    assert_eq!(all(&host, "boot"), words("first later"));
    let report = host.text("/var/lib/ecs-firstrun/report.json");
    host.put("/var/lib/ecs-firstrun/report.json", &report.replace(INSTANCE, "i-00000000000000001"));
    assert_eq!(host.run().code, Some(0));
    assert_eq!(all(&host, "boot"), words("first later first"));
}

#[test]
fn a_run_of_the_image_alone_is_followed_by_the_first_boot_of_the_stack() {
    let host = Host::in_cloud("", |options| options.user_data = None);
    host.put("/etc/ecs-firstrun/conf.d/50-own.yaml", "ecs: {cluster: production}\n");
    assert_eq!(host.run().code, Some(0));
    assert_eq!(host.run_with(&[("STACK_NAME", "web"), ("AUTOSCALING_GROUP", "Instances")]).code, Some(0));
    host.one_signal("SUCCESS");
    assert_eq!(
        (all(&host, "boot"), all(&host, "stack")),
        (words("first first"), vec![String::new(), "web".to_owned()])
    );
}

#[test]
fn the_way_through_a_warm_pool_is_two_lines() {
    let document = "#ecs-firstrun\nsignal:\n  stack: web\n  resource: Instances\n  lifecycle_hook: {name: launch, group: g}\necs: {cluster: production}\n";
    let host = Host::in_cloud(document, |options| {
        options.iam_role = Some("web-instances".into());
        options.target_lifecycle_state = Some("Warmed:Running".into());
    });
    let ended = host.run_and(|_| {
        until(|| host.at(RUNS).exists());
        host.rehearsal.cloud.bring_to("InService");
    });
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(all(&host, "boot"), words("warm_pool first"));
    assert_eq!(all(&host, "lifecycle_hook"), words("accepted accepted"));
    assert_eq!(host.run().code, Some(0));
    assert_eq!(all(&host, "boot"), words("warm_pool first later"));
}

#[test]
fn without_an_identity_document_the_line_says_what_is_known() {
    let host = Host::in_cloud(SMALLEST, |_| {});
    assert_eq!(host.run().code, Some(0));
    // A state of before the image was read.
    let state = host.text("/var/lib/ecs-firstrun/state.json");
    let without = state.replace("\"image_id\": \"ami-0c1d2e3f405162738\",", "");
    assert_ne!(state, without);
    host.put("/var/lib/ecs-firstrun/state.json", &without);
    host.put("/sys/class/dmi/id/board_asset_tag", &format!("{INSTANCE}\n"));
    assert_eq!(offline(&host).code, Some(0));
    host.put("/var/lib/ecs-firstrun/state.json", &state);
    assert_eq!(offline(&host).code, Some(0));
    let image = "ami-0c1d2e3f405162738".to_owned();
    assert_eq!(all(&host, "image_id"), [image.clone(), String::new(), image]);
    assert_eq!(all(&host, "instance_id"), [INSTANCE; 3]);
}

/// A run that reaches no instance metadata.
fn offline(host: &Host) -> Ended {
    host.call(&["run", "--imds-endpoint", "http://127.0.0.1:9"], &[])
}

#[test]
fn a_log_that_has_grown_is_moved_away_and_what_a_loss_of_power_left_is_taken_away() {
    let host = Host::in_cloud(SMALLEST, |_| {});
    let old = "{\"time\":\"2026-01-02T03:04:05Z\"}\n";
    host.put(RUNS, &format!("{old}{{\"time\":\"2026-0"));
    assert_eq!(host.run().code, Some(0));
    let text = host.text(RUNS);
    assert!(text.starts_with(&format!("{old}{{\"time\":\"")) && lines(&host).len() == 2, "{text}");
    let many = old.repeat((1 << 20) / old.len() + 1);
    host.put(RUNS, &many);
    assert_eq!(host.run().code, Some(0));
    assert_eq!(lines(&host).len(), 1);
    assert_eq!(host.text(&format!("{RUNS}.1")), many);
}

#[test]
fn a_disk_that_is_full_tears_no_line_and_one_that_takes_nothing_keeps_no_run_from_its_end() {
    let host = Host::in_cloud(SMALLEST, |_| {});
    let log = host.at("/var/log");
    let Some(mounted) = Tmpfs::mount(&log, "64k") else { return };
    // There is room for some bytes more in the log's last page, and for no other page.
    let line = format!("{{\"time\":\"{}\"}}\n", "x".repeat(88));
    let before = line.repeat(4090 / line.len());
    host.put(RUNS, &before);
    let filled = std::fs::write(log.join("filling"), vec![0; 1 << 20]);
    assert_eq!(filled.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("lacks the line of this run: write /var/log/ecs-firstrun-runs.log"),
        "{}",
        ended.stderr
    );
    assert!(host.text(RUNS) == before, "there is a torn line: {}", &host.text(RUNS)[before.len()..]);
    mounted.make_read_only();
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("lacks the line of this run: write /var/log/ecs-firstrun-runs.log: Read-only"),
        "{}",
        ended.stderr
    );
    assert!(host.text(RUNS) == before, "there is a torn line: {}", &host.text(RUNS)[before.len()..]);
    drop(mounted);
    assert_eq!(host.run().code, Some(0));
    assert_eq!(all(&host, "boot"), ["later"]);
}

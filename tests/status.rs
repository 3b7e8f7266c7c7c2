//! `status`: each state that a run can be in, in text, as JSON and as SVG.

use std::io::Write as _;
use std::process::{Command, Stdio};

use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::report::{Outcome, Report, StepReport};

use crate::support::host::{BINARY, Ended, Host, until};
use crate::support::terminal::{OnTerminal, without_codes};
use crate::support::user_data::{COMPLETE, SMALLEST};

const REPORT: &str = "/var/lib/ecs-firstrun/report.json";

fn status(host: &Host, arguments: &[&str]) -> Ended {
    host.call(&[&["status"], arguments].concat(), &[])
}

/// `status --report -` with this on its standard input.
fn status_of(text: &str, arguments: &[&str]) -> Ended {
    let mut command = Command::new(BINARY);
    command.args(["status", "--report", "-"]).args(arguments).env_clear();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

/// A report of a run that has come as far as to wait.
fn waiting() -> Report {
    let step = |name: &str, start_ms, outcome| StepReport {
        name: name.to_owned(),
        outcome,
        start_ms,
        duration_ms: 10,
        actions: Vec::new(),
    };
    let mut report = Report::begin();
    report.steps = vec![step("fetch", 0, Outcome::Success), step("wait", 10, Outcome::Running)];
    report
}

fn put(host: &Host, report: &Report) {
    host.put(REPORT, &serde_json::to_string(report).unwrap());
}

#[test]
fn when_nothing_ran_it_says_so_and_exits_with_2() {
    let host = Host::of(Scenario::Success, SMALLEST);
    let ended = status(&host, &[]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.starts_with("error: there has been no run on this host yet"), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1);
}

#[test]
fn after_a_success_a_failure_and_a_reboot_it_says_how_the_run_went() {
    let host = Host::of(Scenario::Success, COMPLETE);
    assert_eq!(host.run().code, Some(0));
    let ended = status(&host, &[]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.stdout.starts_with("success on i-0f1e2d3c4b5a69788, started "), "{}", ended.stdout);
    assert!(ended.stdout.contains("\ncritical path: wait "), "{}", ended.stdout);
    assert!(
        ended.stdout.ends_with("\nsignal SUCCESS for Instances in stack web: accepted (auth: instance_identity)\n")
    );
    assert_eq!(status(&host, &["--json"]).stdout, host.text(REPORT));

    assert_eq!(host.run().code, Some(0));
    let ended = status(&host, &[]);
    assert!(
        ended.stdout.contains("signal SUCCESS for Instances in stack web: sent by an earlier run, accepted"),
        "{}",
        ended.stdout
    );

    let host = Host::of(Scenario::Never, COMPLETE);
    assert_eq!(host.run().code, Some(1));
    let ended = status(&host, &[]);
    assert_eq!(ended.code, Some(1));
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert!(lines[0].starts_with("failure on i-") && lines[1].starts_with("reason: wait: the ECS agent"), "{lines:?}");
    assert!(
        lines.iter().any(|line| line.starts_with("wait ") && line.ends_with("█  failed") || line.ends_with(" failed"))
    );
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:?}");
}

#[test]
fn while_a_run_goes_it_says_what_is_waited_for() {
    let host = Host::of(Scenario::Success, SMALLEST);
    put(&host, &waiting());
    host.put("/run/ecs-firstrun/status", "waiting until pigs fly\n");
    let ended = status(&host, &[]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.stdout.starts_with("running on an unknown instance"), "{}", ended.stdout);
    assert!(ended.stdout.contains("\nnow: waiting until pigs fly\n"), "{}", ended.stdout);
}

#[test]
fn a_run_that_a_reboot_cut_off_is_not_said_to_go_on() {
    let host = Host::of(Scenario::Success, SMALLEST);
    put(&host, &waiting());
    host.put("/proc/stat", "cpu 1 2\nbtime 99999999999\n");
    let ended = status(&host, &[]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.starts_with("interrupted on"), "{}", ended.stdout);
    assert!(ended.stdout.contains("rebooted before this run ended"), "{}", ended.stdout);
}

#[test]
fn a_run_is_followed_in_a_log_by_a_line_for_each_change() {
    let host = Host::of(Scenario::Never, COMPLETE);
    host.run_and(|_| {
        let ended = status(&host, &["--wait"]);
        assert_eq!(ended.code, Some(1));
        let lines: Vec<_> = ended.stderr.lines().collect();
        let is_there = |words: &str| lines.iter().filter(|line| line.contains(words)).count();
        assert_eq!(
            is_there("wait       waiting for the ECS agent to register with `production`: its introspection endpoint"),
            1,
            "{lines:#?}"
        );
        for step in ["fetch ", "logs ", "storage ", "docker ", "ecs ", "start "] {
            assert!(lines.iter().any(|line| line.starts_with(step) && !line.ends_with("failed")), "{step}: {lines:#?}");
        }
        assert!(lines.iter().any(|line| line.starts_with("wait ") && line.ends_with("s  failed")), "{lines:#?}");
        assert!(!ended.stderr.contains('\x1b') && !ended.stderr.contains('\r'), "{}", ended.stderr);
        assert!(ended.stdout.starts_with("failure on i-"), "{}", ended.stdout);
    });
}

#[test]
fn a_run_is_followed_on_a_terminal_in_place() {
    let host = Host::of(Scenario::Never, COMPLETE);
    host.run_and(|_| {
        let mut command = host.rehearsal.command_of(BINARY.as_ref()).into_std();
        command.args(["status", "--wait"]);
        let (shown, code) = OnTerminal::spawn(command).ended();
        assert_eq!(code, Some(1));
        assert!(shown.contains("\x1b[33mwait      \x1b[0m"), "{shown}");
        assert!(shown.contains("\x1b[A\r\x1b[J"), "two lines are not drawn anew: {shown}");
        let plain = without_codes(&shown).replace('\r', "\n");
        assert!(plain.lines().all(|line| line.chars().count() <= 80), "{plain}");
        assert!(plain.contains("its introspection endpoint refuses connections"), "{plain}");
    });
}

#[test]
fn the_svg_is_well_formed_and_has_a_bar_for_each_step() {
    for (scenario, critical) in [(Scenario::Success, "critical"), (Scenario::Never, "bad")] {
        let host = Host::of(scenario, COMPLETE);
        host.run();
        let file = host.folder.path().join("timeline.svg");
        let ended = status(&host, &["--svg", file.to_str().unwrap()]);
        assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "", ""));
        let svg = std::fs::read_to_string(file).unwrap();
        assert_eq!(status(&host, &["--svg", "-"]).stdout, svg);
        let document = roxmltree::Document::parse(&svg).unwrap();
        let bars = document.descendants().filter(|node| node.has_tag_name("rect") && node.attribute("rx").is_some());
        let bars: Vec<_> = bars.collect();
        let report = host.report();
        assert_eq!(bars.len(), report.steps.len());
        let of_wait = report.steps.iter().position(|step| step.name == "wait").unwrap();
        assert_eq!(bars[of_wait].attribute("class"), Some(critical));
        for (bar, step) in bars.iter().zip(&report.steps) {
            assert!(bar.first_element_child().unwrap().text().unwrap().starts_with(&format!("{}  ", step.name)));
            let number = |name: &str| bar.attribute(name).unwrap().parse::<f64>().unwrap();
            assert!(number("x") >= 24.0 && number("x") + number("width") <= 940.0, "{bar:?}");
        }
        assert!(svg.contains("@media (prefers-color-scheme: dark)"));
    }
}

#[test]
fn the_report_of_another_instance_can_be_shown() {
    let mut report = waiting();
    report.instance_id = Some("i-<&>\"\u{1b}[31m".to_owned());
    report.outcome = Outcome::Failure;
    let text = serde_json::to_string(&report).unwrap();
    let shown = status_of(&text, &[]);
    assert_eq!(shown.code, Some(1), "{}", shown.stderr);
    assert!(shown.stdout.starts_with("failure on i-<&>\" [31m") && !shown.stdout.contains('\x1b'), "{}", shown.stdout);
    let svg = status_of(&text, &["--svg", "-"]);
    assert_eq!(svg.code, Some(0));
    roxmltree::Document::parse(&svg.stdout).unwrap();
}

#[test]
fn what_is_no_report_is_refused_in_a_sentence() {
    let whole = serde_json::to_string(&waiting()).unwrap();
    for (text, words) in [
        ("", "not a complete report of ecs-firstrun"),
        ("[]", "not a complete report of ecs-firstrun"),
        (&whole[..whole.len() / 2], "not a complete report of ecs-firstrun"),
        (
            "{\"version\": 9, \"something\": 1}",
            "a newer ecs-firstrun wrote it (report version 9; this ecs-firstrun reads version 1)",
        ),
    ] {
        let ended = status_of(text, &[]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{text}");
        assert!(
            ended.stderr.starts_with("error: standard input: ") && ended.stderr.contains(words),
            "{}",
            ended.stderr
        );
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
    let missing = Command::new(BINARY).args(["status", "--report", "no-such-file"]).output().unwrap();
    let missing = Ended::from(missing);
    assert_eq!(missing.code, Some(2));
    assert!(missing.stderr.contains("no-such-file"), "{}", missing.stderr);
}

#[test]
fn what_a_run_waits_for_is_kept_for_status_while_it_waits() {
    let host = Host::of(Scenario::Never, SMALLEST);
    host.run_and(|_| {
        let file = host.at("/run/ecs-firstrun/status");
        let says = |words: &str| std::fs::read_to_string(&file).is_ok_and(|text| text.contains(words));
        until(|| says("waiting for the ECS agent to register with `production`: its introspection endpoint refuses connections"));
    });
    assert!(host.text("/run/ecs-firstrun/status").starts_with("FAILURE: wait:"));
}

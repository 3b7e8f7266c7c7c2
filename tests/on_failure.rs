//! `on_failure`: a failed instance reported to Auto Scaling and powered off, after it was told, and once in its life.

use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::rehearse::cloud::{AutoScalingAnswer, CfnAnswer, CloudOptions, Server};
use ecs_firstrun::report::{DeliveryState, Outcome, SignalReport};
use nix::sys::signal::Signal;

use crate::support::host::{Ended, Host, INSTANCE, kill, until};

const USER_DATA: &str = "#ecs-firstrun
signal: {stack: web, resource: Instances, timeout: 8s}
logs: {agent: none}
ecs: {cluster: production}
on_failure: {health: unhealthy, power: \"off\"}
";

const NOT_POWERED_OFF: &str = "the machine is not powered off, although on_failure.power asks for this: ";

/// A host with a role.
fn host(user_data: &str, change: impl FnOnce(&mut CloudOptions)) -> Host {
    Host::in_cloud(user_data, |options| {
        options.iam_role = Some("web-instances".into());
        change(options);
    })
}

/// A host with a mistake in a document of its image.
fn host_with_mistake(user_data: &str, change: impl FnOnce(&mut CloudOptions)) -> Host {
    let host = host(user_data, change);
    host.put_mistake();
    host
}

fn run(host: &Host, code: i32) -> Ended {
    let ended = host.run();
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    ended
}

/// The number of times that the instance was reported as unhealthy, and that the machine was powered off.
fn acts(host: &Host) -> (usize, usize) {
    let reports = host.rehearsal.cloud.health_calls();
    for report in &reports {
        let got = (report.status.as_str(), report.respects_grace_period, report.instance_id.as_str());
        assert_eq!(got, ("Unhealthy", false, INSTANCE));
    }
    let calls = host.rehearsal.programs.calls().into_iter();
    let power = calls.filter(|call| call.program == "systemctl" && call.args.iter().any(|arg| arg.contains("power")));
    let power: Vec<_> = power.map(|call| call.args).collect();
    assert!(power.iter().all(|args| args == &["poweroff"]), "{power:?}");
    (reports.len(), power.len())
}

fn health(host: &Host) -> SignalReport {
    host.report().health.unwrap()
}

#[test]
fn a_success_does_neither_and_a_later_failure_does_not_either() {
    let host = host(USER_DATA, |_| {});
    run(&host, 0);
    host.put_mistake();
    let ended = run(&host, 2);
    assert!(ended.stderr.contains("on_failure does not act: an earlier run"), "{}", ended.stderr);
    assert_eq!(acts(&host), (0, 0));
    assert!(host.report().health.is_none() && !host.report().powers_off);
    // Without anybody to signal, too.
    let alone = self::host(&USER_DATA.replace("signal:", "#"), |_| {});
    run(&alone, 0);
    alone.put_mistake();
    run(&alone, 3);
    assert_eq!(acts(&alone), (0, 0));
}

/// The first outcome stays what CloudFormation is told, and says nothing of whether tasks may run.
#[test]
fn a_failure_after_a_first_one_and_a_success_does_neither() {
    let host = host_with_mistake(&USER_DATA.replace(", power: \"off\"", ""), |_| {});
    let unreachable = [("AWS_ENDPOINT_URL_AUTO_SCALING", "http://127.0.0.1:1")];
    assert_eq!(host.run_with(&unreachable).code, Some(3));
    host.remove_mistake();
    run(&host, 0);
    host.put_mistake();
    let ended = run(&host, 2);
    assert!(ended.stderr.contains("on_failure does not act: an earlier run"), "{}", ended.stderr);
    assert_eq!(acts(&host), (0, 0));
}

#[test]
fn a_failure_is_signalled_then_reported_to_the_group_and_at_last_the_machine_is_powered_off() {
    let host = host_with_mistake(USER_DATA, |_| {});
    let ended = run(&host, 2);
    let signal = host.one_signal("FAILURE");
    assert_eq!(acts(&host), (1, 1));
    assert!(signal.at <= host.rehearsal.cloud.health_calls()[0].at);
    let asked: Vec<_> = host.rehearsal.cloud.requests().into_iter().map(|request| request.server).collect();
    let at = |server| asked.iter().position(|asked| *asked == server).unwrap();
    assert!(at(Server::CloudFormation) < at(Server::AutoScaling), "{asked:?}");
    // Nothing is asked and no other program runs after it.
    assert_eq!(host.rehearsal.programs.calls().last().unwrap().args, ["poweroff"]);
    let report = host.report();
    assert!(report.powers_off && report.outcome == Outcome::Refused, "{report}");
    assert_eq!(health(&host).to_string(), format!("Unhealthy for instance {INSTANCE}: accepted (auth: iam)"));
    let shown = host.call(&["status"], &[]).stdout;
    for words in
        ["signal FAILURE for", "health Unhealthy for instance", "the machine is powered off (on_failure.power)"]
    {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let words = "powering off: the first run of this instance has failed";
    assert!(ended.stderr.contains(words) && host.text("/dev/console").contains(words), "{}", ended.stderr);
    let line: serde_json::Value = serde_json::from_str(&host.text("/var/log/ecs-firstrun-runs.log")).unwrap();
    assert_eq!((&line["health"], &line["powers_off"]), (&"accepted".into(), &true.into()));
}

#[test]
fn whoever_starts_the_machine_again_can_look_at_it() {
    for keys in ["health: unhealthy, power: \"off\"", "power: off", "health: unhealthy"] {
        let user_data = USER_DATA.replace("health: unhealthy, power: \"off\"", keys);
        let host = host_with_mistake(&user_data, |_| {});
        let expected = (usize::from(keys.contains("health")), usize::from(keys.contains("power")));
        for boot in 0..2 {
            let ended = run(&host, 2);
            assert_eq!(acts(&host), expected, "{keys}");
            assert_eq!(ended.stderr.contains("on_failure does not act: it has acted"), boot == 1, "{}", ended.stderr);
            host.rehearsal.restart().unwrap();
        }
        assert!(host.report().health.is_none() && !host.report().powers_off, "{keys}");
    }
}

#[test]
fn what_cloudformation_refuses_or_never_answers_keeps_neither_from_happening() {
    let refused = host_with_mistake(USER_DATA, |options| {
        options.cloudformation = vec![CfnAnswer::AccessDenied; 4].into();
    });
    run(&refused, 3);
    assert_eq!(acts(&refused), (1, 1));
    let out_of_reach = host_with_mistake(USER_DATA, |_| {});
    let ended = out_of_reach.run_with(&[("AWS_ENDPOINT_URL_CLOUDFORMATION", "http://127.0.0.1:1")]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert_eq!(out_of_reach.report().signal.unwrap().delivery, DeliveryState::Undelivered);
    assert_eq!(acts(&out_of_reach), (1, 1));
}

#[test]
fn nobody_need_be_signalled() {
    let host = host(&USER_DATA.replace("signal:", "#").replace("production", "elsewhere"), |_| {});
    host.put("/etc/ecs-firstrun/conf.d/50-wait.yaml", "wait: {timeout: 1s}\n");
    run(&host, 1);
    assert_eq!((acts(&host), host.requests(Server::CloudFormation).len()), ((1, 1), 0));
    host.rehearsal.restart().unwrap();
    run(&host, 1);
    assert_eq!(acts(&host), (1, 1));
}

#[test]
fn a_hook_is_abandoned_before_and_a_panic_is_a_failure() {
    let hook = USER_DATA.replace("timeout: 8s", "lifecycle_hook: {name: launch, group: web}");
    let host = host(&hook, |_| {});
    let ended = host.run_with(&[("FAILPOINTS", "plan=panic")]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let abandoned = host.rehearsal.cloud.lifecycle_calls().into_iter().find(|call| call.result.is_some()).unwrap();
    assert_eq!(abandoned.result.as_deref(), Some("ABANDON"));
    assert!(abandoned.at <= host.rehearsal.cloud.health_calls()[0].at);
    assert_eq!(acts(&host), (1, 1));
    // Where the configuration was not parsed, each document is read alone.
    let host = self::host(USER_DATA, |_| {});
    host.run_with(&[("FAILPOINTS", "parse=panic")]);
    host.one_signal("FAILURE");
    assert_eq!(acts(&host), (1, 1));
}

#[test]
fn each_answer_of_auto_scaling_is_retried_or_explained() {
    use AutoScalingAnswer::{AccessDenied, Contention, NotInGroup, Reset, Throttle};
    use DeliveryState::{Accepted, Refused};
    let table: [(&[AutoScalingAnswer], DeliveryState, i32, &str); 3] = [
        (&[Throttle, Reset, Contention], Accepted, 2, "accepted (auth: iam)"),
        (&[AccessDenied], Refused, 3, "the instance's role must permit autoscaling:SetInstanceHealth"),
        (&[NotInGroup], Refused, 3, "for another one, leave on_failure.health out"),
    ];
    for (answers, delivery, code, message) in table {
        let host = host_with_mistake(USER_DATA, |options| options.health = answers.to_vec().into());
        run(&host, code);
        let told = health(&host);
        assert_eq!(told.delivery, delivery, "{answers:?}: {}", told.message);
        assert!(told.message.contains(message), "{answers:?}: {}", told.message);
        assert_eq!(acts(&host), (usize::from(delivery == Accepted), 1), "{answers:?}");
    }
    let host = host_with_mistake(USER_DATA, |options| options.iam_role = None);
    run(&host, 3);
    let message = health(&host).message;
    assert!(message.contains("instance profile whose role permits autoscaling:SetInstanceHealth"), "{message}");
}

/// Without power, the report of a group that could not be reached is made up for by a later boot that fails, too.
#[test]
fn a_report_that_is_not_delivered_is_bounded_and_sent_by_the_next_run_that_fails() {
    let host = host_with_mistake(&USER_DATA.replace(", power: \"off\"", ""), |_| {});
    let ended = host.run_with(&[("AWS_ENDPOINT_URL_AUTO_SCALING", "http://127.0.0.1:1")]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert_eq!(health(&host).delivery, DeliveryState::Undelivered);
    run(&host, 2);
    assert_eq!(acts(&host), (1, 0));
    run(&host, 2);
    assert_eq!(acts(&host), (1, 0));
}

#[test]
fn a_run_that_is_stopped_does_neither_and_the_next_one_does_both() {
    let host = host_with_mistake(USER_DATA, |_| {});
    host.put("/etc/ecs-firstrun/conf.d/70-no-limit.yaml", "signal: {timeout: 15m}\n");
    let mut command = host.rehearsal.command(std::path::Path::new(crate::support::host::BINARY)).into_std();
    command.env("AWS_ENDPOINT_URL_CLOUDFORMATION", "http://127.0.0.1:1").stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    until(|| host.decision().is_some());
    kill(child.id(), Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert_eq!(acts(&host), (0, 0));
    assert!(!host.report().powers_off);
    run(&host, 2);
    assert_eq!(acts(&host), (1, 1));
}

/// The log agent has its time between the report and the end. A shutdown within it is not ours, and does not count.
#[test]
fn a_shutdown_while_the_last_lines_are_sent_leaves_the_power_to_the_next_boot() {
    let user_data = "#ecs-firstrun\nsignal: {stack: web, resource: Instances}\necs: {cluster: elsewhere}\nwait: {timeout: 1s}\non_failure: {power: off}\n";
    let host = host(user_data, |_| {});
    let ended = host.run_and(|pid| {
        until(|| host.rehearsal.report().is_ok_and(|report| report.powers_off));
        kill(pid, Signal::SIGTERM);
    });
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(acts(&host), (0, 0));
    let report = host.report();
    assert!(!report.powers_off && report.warnings[0].starts_with(NOT_POWERED_OFF), "{report}");
    host.put_mistake();
    run(&host, 2);
    assert_eq!(acts(&host), (0, 1));
}

/// A boot that does not know of it would power the machine off again, and nobody could ever look at it.
#[test]
fn a_machine_whose_state_cannot_be_kept_stays_on() {
    let host = host_with_mistake(USER_DATA, |_| {});
    // A folder in the place of the file that a damaged state is kept as.
    host.put("/var/lib/ecs-firstrun/state.json", "{");
    host.put("/var/lib/ecs-firstrun/state.json.unreadable/file", "");
    run(&host, 2);
    assert_eq!(acts(&host), (1, 0));
    let report = host.report();
    assert!(!report.powers_off && report.warnings[0].starts_with(NOT_POWERED_OFF), "{report}");
    assert!(host.text("/dev/console").contains(NOT_POWERED_OFF));
}

#[test]
fn neither_happens_to_an_instance_that_goes_away_or_is_ready_in_its_warm_pool() {
    let terminated = host_with_mistake(USER_DATA, |options| {
        options.target_lifecycle_state = Some("Terminated".into());
    });
    run(&terminated, 0);
    assert_eq!(acts(&terminated), (0, 0));
    let warm = host(USER_DATA, |options| options.target_lifecycle_state = Some("Warmed:Stopped".into()));
    let ended = warm.run_and(|pid| {
        until(|| warm.rehearsal.report().is_ok_and(|report| report.outcome == Outcome::Success));
        kill(pid, Signal::SIGTERM);
    });
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(acts(&warm), (0, 0));
    // Its first outcome for service is one of its own.
    warm.rehearsal.cloud.bring_to("InService");
    warm.put_mistake();
    run(&warm, 2);
    assert_eq!(acts(&warm), (1, 1));
}

#[test]
fn a_refusal_does_what_the_valid_part_asks_for() {
    let host = host(&USER_DATA.replace("\"off\"", "false"), |_| {});
    run(&host, 2);
    assert_eq!(acts(&host), (1, 0));
}

#[test]
fn more_mistakes_than_are_shown_keep_neither_from_happening() {
    let mistakes: String = (0..200).map(|n| format!("key{n}: 1\n")).collect();
    let host = host(&format!("{USER_DATA}{mistakes}"), |_| {});
    run(&host, 2);
    host.one_signal("FAILURE");
    assert_eq!(acts(&host), (1, 1));
}

#[test]
fn the_group_is_told_through_the_proxy() {
    let host = Host::of(Scenario::Proxy, USER_DATA);
    host.put_mistake();
    let keys = [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "shh")];
    assert_eq!(host.run_with(&keys).code, Some(2));
    assert_eq!(acts(&host), (1, 1));
    assert!(host.rehearsal.cloud.health_calls()[0].proxied);
}

//! The lifecycle hook of an Auto Scaling group: completed once, with what was decided, and kept waiting until then.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::rehearse::cloud::{
    AutoScalingAnswer, CloudOptions, LifecycleCall, RegisteredAs, Registration, Server, SignalAuth,
};
use ecs_firstrun::report::{DeliveryState, Outcome, SignalReport};
use nix::sys::signal::Signal;

use crate::support::host::{BINARY, Ended, Host, INSTANCE, kill, until};

const ALONE: &str =
    "#ecs-firstrun\nsignal: {lifecycle_hook: {name: launch, group: web-Instances}}\necs: {cluster: production}\n";
const BESIDE: &str = "#ecs-firstrun\nsignal:\n  stack: web\n  resource: Instances\n  lifecycle_hook: {name: launch}\necs: {cluster: production}\n";

/// A host with a role, whose tags name its group.
fn host(user_data: &str, change: impl FnOnce(&mut CloudOptions)) -> Host {
    Host::in_cloud(user_data, |options| {
        options.iam_role = Some("web-instances".into());
        options.tags = [("aws:autoscaling:groupName".into(), "web-Instances".into())].into();
        change(options);
    })
}

/// The completions that Auto Scaling has accepted.
fn completions(host: &Host) -> Vec<String> {
    host.rehearsal.cloud.lifecycle_calls().into_iter().filter_map(|call| call.result).collect()
}

fn heartbeats(host: &Host) -> Vec<LifecycleCall> {
    let calls = host.rehearsal.cloud.lifecycle_calls().into_iter();
    calls.filter(|call| call.result.is_none()).collect()
}

fn told(host: &Host) -> SignalReport {
    host.report().lifecycle_hook.unwrap()
}

#[test]
fn success_completes_the_action_with_continue_and_once() {
    let host = host(ALONE, |_| {});
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let call = host.rehearsal.cloud.lifecycle_calls().pop().unwrap();
    let got = (call.result.as_deref(), call.hook.as_str(), call.group.as_str(), call.instance_id.as_str());
    assert_eq!(got, (Some("CONTINUE"), "launch", "web-Instances", INSTANCE));
    assert_eq!(
        told(&host).to_string(),
        "CONTINUE for lifecycle hook launch of group web-Instances: accepted (auth: iam)"
    );
    assert!(host.report().signal.is_none() && host.requests(Server::CloudFormation).is_empty());
    let before = host.requests(Server::AutoScaling).len();
    assert_eq!(host.run().code, Some(0));
    assert_eq!(host.requests(Server::AutoScaling).len(), before);
    assert_eq!(told(&host).delivery, DeliveryState::AcceptedEarlier);
}

#[test]
fn failure_and_refusal_complete_the_action_with_abandon() {
    let never = host(ALONE, |options| options.registration = Registration::Never);
    never.put("/etc/ecs-firstrun/conf.d/50-wait.yaml", "wait: {timeout: 1s}\n");
    assert_eq!(never.run().code, Some(1));
    assert_eq!(completions(&never), ["ABANDON"]);
    let refused = host(ALONE, |_| {});
    refused.put_mistake();
    assert_eq!(refused.run().code, Some(2));
    assert_eq!(completions(&refused), ["ABANDON"]);
    assert_eq!(heartbeats(&refused), []);
}

#[test]
fn stack_and_hook_are_both_told_and_the_tags_name_the_group() {
    let host = host(BESIDE, |_| {});
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    host.one_signal("SUCCESS");
    assert_eq!(completions(&host), ["CONTINUE"]);
    assert_eq!(host.rehearsal.cloud.lifecycle_calls()[0].group, "web-Instances");
    let shown = host.call(&["status"], &[]).stdout;
    assert!(
        shown.contains("signal SUCCESS for Instances") && shown.contains("lifecycle action CONTINUE for"),
        "{shown}"
    );
}

#[test]
fn a_group_that_nothing_names_is_said_to_be_missing() {
    let host = host(BESIDE, |options| options.tags.clear());
    assert_eq!(host.run().code, Some(3));
    host.one_signal("SUCCESS");
    let told = told(&host);
    assert_eq!(told.delivery, DeliveryState::Refused);
    assert!(told.message.contains("set signal.lifecycle_hook.group"), "{}", told.message);
}

#[test]
fn the_action_is_kept_waiting_for_as_long_as_the_registration_takes() {
    let registered = RegisteredAs { cluster: "production".to_owned() };
    let host = host(ALONE, |options| options.registration = Registration::After(Duration::from_secs(22), registered));
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // The shortest timeout that a hook can have is 30 seconds.
    assert_eq!(heartbeats(&host).len(), 2);
    assert_eq!(completions(&host), ["CONTINUE"]);
}

/// Runs the agent against an Auto Scaling that answers so, and returns the report of the completion.
#[test]
fn temporary_answers_are_retried_and_final_ones_explained() {
    use AutoScalingAnswer::{AccessDenied, Contention, NoActiveAction, NoSuchGroup, Reset, Throttle};
    use DeliveryState::{Accepted, NotWaitedFor, Refused};
    // Of a host that is up for long, and of two that may be here before Auto Scaling has begun the action.
    let (late, replaced, early) = ("900.00 1.00\n", "200.00 1.00\n", "12.00 1.00\n");
    let table: [(&str, &[AutoScalingAnswer], DeliveryState, i32, &str); 7] = [
        (late, &[Throttle, Reset, Contention], Accepted, 0, "accepted (auth: iam)"),
        (late, &[NoActiveAction], NotWaitedFor, 0, "No active Lifecycle Action found with instance ID i-0f1e"),
        (early, &[NoActiveAction, NoActiveAction], Accepted, 0, "accepted"),
        (replaced, &[NoActiveAction], Accepted, 0, "accepted"),
        (late, &[NoSuchGroup], Refused, 3, "check signal.lifecycle_hook"),
        (late, &[AccessDenied, AccessDenied], Refused, 3, "role must permit autoscaling:CompleteLifecycleAction"),
        (late, &[], Accepted, 0, "accepted"),
    ];
    for (uptime, answers, delivery, code, message) in table {
        let host = host(ALONE, |options| options.auto_scaling = answers.to_vec().into());
        host.put("/proc/uptime", uptime);
        let ended = host.run();
        assert_eq!(ended.code, Some(code), "{answers:?}: {}", ended.stderr);
        let told = told(&host);
        assert_eq!(told.delivery, delivery, "{answers:?}: {}", told.message);
        assert!(told.message.contains(message), "{answers:?}: {}", told.message);
        assert_eq!(completions(&host).len(), usize::from(delivery == Accepted), "{answers:?}");
    }
}

#[test]
fn a_host_without_a_role_is_told_what_it_needs() {
    let host = host(ALONE, |options| options.iam_role = None);
    assert_eq!(host.run().code, Some(3));
    assert!(told(&host).message.contains("instance profile"), "{}", told(&host).message);
}

/// The variable, which says something else, is for whoever gives no option.
#[test]
fn the_roles_credentials_are_read_where_the_option_has_the_instance_metadata() {
    let host = host(&BESIDE.replace("stack: web", "stack: web\n  auth: iam"), |_| {});
    let nowhere = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")];
    let cloud = &host.rehearsal.cloud;
    let (metadata, formation) = (cloud.imds_endpoint(), cloud.cloudformation_endpoint());
    let ended = host.call(&["run", "--imds-endpoint", &metadata], &nowhere);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(cloud.signals()[0].auth, SignalAuth::Iam);
    assert_eq!(completions(&host), ["CONTINUE"]);
    let to = ["signal", "--role", "any", "--stack", "web", "--resource", "Others", "--url", &formation];
    let ended = host.call(&[&to[..], &["--imds-endpoint", &metadata]].concat(), &nowhere);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(cloud.signals()[1].auth, SignalAuth::Iam);
}

#[test]
fn what_is_not_delivered_is_told_by_the_next_run_and_never_contradicted() {
    let user_data = ALONE.replace("signal: {", "signal: {timeout: 8s, ");
    let host = host(&user_data, |_| {});
    host.put_mistake();
    let ended = host.run_with(&[("AWS_ENDPOINT_URL_AUTO_SCALING", "http://127.0.0.1:1")]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert_eq!(told(&host).delivery, DeliveryState::Undelivered);
    assert!(told(&host).message.contains("refused"), "{}", told(&host).message);
    host.remove_mistake();
    assert_eq!(host.run().code, Some(0));
    assert_eq!(completions(&host), ["ABANDON"]);
}

/// The one does not wait for the other: a stack out of reach must not keep the instance from service.
#[test]
fn a_stack_that_cannot_be_reached_does_not_keep_the_hook_waiting() {
    let host = host(&BESIDE.replace("stack: web", "stack: web\n  timeout: 8s"), |_| {});
    let mut command = host.rehearsal.command(Path::new(BINARY)).into_std();
    command.env("AWS_ENDPOINT_URL_CLOUDFORMATION", "http://127.0.0.1:1").stderr(Stdio::null());
    let mut run = command.spawn().unwrap();
    until(|| completions(&host) == ["CONTINUE"]);
    assert!(run.try_wait().unwrap().is_none(), "the stack was given up before the hook was completed");
    assert_eq!(run.wait().unwrap().code(), Some(3));
    assert_eq!(completions(&host), ["CONTINUE"]);
    assert_eq!(host.run().code, Some(0));
    host.one_signal("SUCCESS");
    assert_eq!(completions(&host), ["CONTINUE"]);
}

#[test]
fn the_hook_is_told_through_the_proxy() {
    let host = Host::of(Scenario::Proxy, ALONE);
    let keys = [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "shh")];
    let ended = host.run_with(&keys);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let calls = host.rehearsal.cloud.lifecycle_calls();
    assert!(calls.len() >= 2 && calls.iter().all(|call| call.proxied), "{calls:?}");
    let asked = host.requests(Server::Proxy);
    let url = "http://autoscaling.eu-central-1.amazonaws.com/";
    assert!(asked.iter().all(|request| request.path_and_query == url), "{asked:?}");
}

#[test]
fn a_warm_pool_gets_its_instance_prepared_and_the_stack_is_told_on_the_boot_into_service() {
    let host = host(BESIDE, |options| options.target_lifecycle_state = Some("Warmed:Stopped".into()));
    // Auto Scaling stops it once the action is completed.
    let ended = host.run_and(|pid| {
        until(|| completions(&host) == ["CONTINUE"] && host.rehearsal.report().unwrap().outcome == Outcome::Success);
        kill(pid, Signal::SIGTERM);
    });
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let report = host.report();
    assert!(report.reason.as_ref().unwrap().contains("ready in its warm pool"), "{report}");
    assert!(report.signal.is_none() && host.requests(Server::CloudFormation).is_empty());
    assert_eq!(host.started(), ["amazon-cloudwatch-agent.service", "docker.service"]);
    assert!(host.text("/etc/ecs/ecs.config").contains("ECS_CLUSTER=production"));
    host.rehearsal.cloud.bring_to("InService");
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    host.one_signal("SUCCESS");
    assert_eq!(completions(&host), ["CONTINUE", "CONTINUE"]);
    assert!(host.started().contains(&"ecs.service".to_owned()));
    let before = host.requests(Server::AutoScaling).len();
    assert_eq!(host.run().code, Some(0));
    assert_eq!(host.requests(Server::AutoScaling).len(), before);
}

#[test]
fn an_instance_that_runs_in_its_warm_pool_goes_into_service_without_a_boot() {
    let host = host(BESIDE, |options| options.target_lifecycle_state = Some("Warmed:Running".into()));
    let ended = host.run_and(|_| {
        until(|| completions(&host) == ["CONTINUE"]);
        host.rehearsal.cloud.bring_to("InService");
    });
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    host.one_signal("SUCCESS");
    assert_eq!(completions(&host), ["CONTINUE", "CONTINUE"]);
    assert_eq!(host.report().outcome, Outcome::Success);
    assert!(host.started().contains(&"ecs.service".to_owned()));
}

#[test]
fn what_fails_in_a_warm_pool_is_abandoned_and_no_business_of_the_stack() {
    let host = host(BESIDE, |options| options.target_lifecycle_state = Some("Warmed:Stopped".into()));
    host.put_mistake();
    let ended = host.run_and(|pid| {
        until(|| completions(&host) == ["ABANDON"] && host.rehearsal.report().unwrap().outcome == Outcome::Refused);
        kill(pid, Signal::SIGTERM);
    });
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(host.requests(Server::CloudFormation).is_empty());
    // If Auto Scaling puts the instance into service all the same, the next run has its own outcome.
    host.remove_mistake();
    host.rehearsal.cloud.bring_to("InService");
    let Ended { code, stderr, .. } = host.run();
    assert_eq!(code, Some(0), "{stderr}");
    host.one_signal("SUCCESS");
}

#[test]
fn an_instance_without_a_configuration_does_not_stay_in_its_warm_pool_for_ever() {
    let host = host("#!/bin/sh\ntrue\n", |options| options.target_lifecycle_state = Some("Warmed:Running".into()));
    assert_eq!(host.run().code, Some(0));
    assert_eq!(host.requests(Server::AutoScaling).len(), 0);
}

/// Nobody waits for it, and the ECS agent would register what goes away at once.
#[test]
fn an_instance_that_auto_scaling_terminates_is_neither_started_nor_signalled() {
    let states = ["Terminated", "Terminating", "Terminating:Wait", "Terminating:Proceed", "Terminating:Retained"];
    for (state, has_mistake) in states.into_iter().map(|state| (state, false)).chain([("Terminated", true)]) {
        let host = host(BESIDE, |options| options.target_lifecycle_state = Some(state.into()));
        if has_mistake {
            host.put_mistake();
        }
        for _ in 0..2 {
            let ended = host.run();
            assert_eq!(ended.code, Some(0), "{state}: {}", ended.stderr);
            let report = host.report();
            let reason = report.reason.as_deref().unwrap_or_default();
            assert!(
                reason.contains(&format!("terminates the instance (its target lifecycle state is {state})")),
                "{reason}"
            );
            assert_eq!(report.outcome, Outcome::Success);
            assert!(report.signal.is_none() && report.lifecycle_hook.is_none(), "{report}");
        }
        assert_eq!(host.started(), [] as [String; 0], "{state}");
        assert!(!host.at("/run/ecs-firstrun/configured").exists(), "{state}: Docker and ECS may start");
        assert!(host.requests(Server::CloudFormation).is_empty() && host.requests(Server::AutoScaling).is_empty());
    }
}

#[test]
fn an_instance_that_leaves_its_warm_pool_to_be_terminated_does_not_go_into_service() {
    let host = host(BESIDE, |options| options.target_lifecycle_state = Some("Warmed:Running".into()));
    let ended = host.run_and(|_| {
        until(|| completions(&host) == ["CONTINUE"]);
        host.rehearsal.cloud.bring_to("Terminated");
    });
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(host.report().reason.unwrap().contains("terminates the instance"));
    assert!(!host.started().contains(&"ecs.service".to_owned()));
    assert!(host.requests(Server::CloudFormation).is_empty());
    assert_eq!(completions(&host), ["CONTINUE"]);
}

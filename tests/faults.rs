//! More of what can go wrong on the way of a signal: where the agent is killed, what stands in between, what comes late.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::rehearse::cloud::{CfnAnswer, Cloud, CloudOptions, Request, Server, SignalAuth};
use ecs_firstrun::report::DeliveryState;
use nix::sys::signal::Signal;

use crate::support::host::{BINARY, Host, INSTANCE, kill, until};
use crate::support::lacks_strace;
use crate::support::user_data::{COMPLETE, SMALLEST, with_signal};

const STATE: &str = "/var/lib/ecs-firstrun/state.json";

/// A host whose first run is refused; its second one would come out well.
fn refused(change: impl FnOnce(&mut CloudOptions)) -> Host {
    let host = Host::in_cloud(SMALLEST, change);
    host.put_mistake();
    host
}

/// What is kept of the outcome, and whether CloudFormation is known to have it.
fn kept(host: &Host) -> Option<(String, bool)> {
    let text = std::fs::read_to_string(host.at(STATE)).ok()?;
    let state: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let decision = state.get("decision").filter(|decision| !decision.is_null())?;
    Some((decision["status"].as_str().unwrap().to_owned(), !decision["settled"].is_null()))
}

/// The next run, without the mistake: it says what was decided, if anything was.
fn next_run_tells(host: &Host, expected: &[&str]) {
    host.remove_mistake();
    assert_eq!(host.run().code, Some(0));
    assert_eq!(host.statuses(), expected);
    assert!(kept(host).unwrap().1);
    assert_eq!(host.run().code, Some(0));
    assert_eq!(host.statuses(), expected, "a third run has told it again");
}

/// Killed when it replaces the state for the `n`th time, from 0, or not at all where strace is missing. Which of its renames
/// that is shows in the run of a twin.
fn killed_at_state(host: &Host, n: usize) -> bool {
    if lacks_strace() {
        return false;
    }
    let twin = refused(|_| {});
    let trace = twin.folder.path().join("trace");
    twin.traced(&["-o", trace.to_str().unwrap(), "-e", "trace=rename"]);
    let text = std::fs::read_to_string(trace).unwrap();
    let renames = text.lines().filter(|line| line.starts_with("rename(")).enumerate();
    let of_state: Vec<_> =
        renames.filter(|(_, line)| line.contains(&format!("{STATE}\")"))).map(|(at, _)| at).collect();
    assert_eq!(of_state.len(), 2, "{text}");
    let inject = format!("inject=rename:signal=KILL:when={}", of_state[n] + 1);
    let ended = host.traced(&["-o", "/dev/null", "-e", &inject]);
    assert_ne!(ended.code, Some(2), "it was not killed: {}", ended.stderr);
    true
}

#[test]
fn killed_before_the_outcome_is_kept_a_run_has_decided_nothing() {
    let host = refused(|_| {});
    if killed_at_state(&host, 0) {
        assert_eq!((kept(&host), host.statuses().len()), (None, 0));
        next_run_tells(&host, &["SUCCESS"]);
    }
}

#[test]
fn killed_when_the_outcome_is_kept_and_not_sent_a_run_is_followed_by_the_same_outcome() {
    let host = refused(|_| {});
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let mut command = host.rehearsal.command(Path::new(BINARY)).into_std();
    command.env("AWS_ENDPOINT_URL_CLOUDFORMATION", endpoint).stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let _taken = silent.accept().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!((kept(&host), host.statuses().len()), (Some(("FAILURE".to_owned(), false)), 0));
    next_run_tells(&host, &["FAILURE"]);
}

#[test]
fn killed_after_it_was_sent_and_before_the_answer_a_signal_is_sent_once_more() {
    let host = refused(|options| options.cloudformation = [CfnAnswer::Slow(Duration::from_secs(20))].into());
    let ended = host.run_and(|pid| {
        until(|| host.statuses().len() == 1);
        kill(pid, Signal::SIGKILL);
    });
    assert_eq!(ended.code, None);
    assert_eq!(kept(&host), Some(("FAILURE".to_owned(), false)));
    next_run_tells(&host, &["FAILURE", "FAILURE"]);
}

#[test]
fn killed_after_it_was_accepted_and_before_that_is_kept_a_signal_is_sent_once_more() {
    let host = refused(|_| {});
    if killed_at_state(&host, 1) {
        assert_eq!((kept(&host), host.statuses().len()), (Some(("FAILURE".to_owned(), false)), 1));
        next_run_tells(&host, &["FAILURE", "FAILURE"]);
    }
}

/// A link to itself can't be read, and could be replaced.
#[test]
fn a_state_that_cannot_be_read_is_left_as_it_is_and_the_outcome_holds_on_this_boot() {
    let host = refused(|_| {});
    std::fs::create_dir_all(host.at(STATE).parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("state.json", host.at(STATE)).unwrap();
    let ended = host.run();
    for words in [&format!("make {STATE} readable, or move it away")[..], "kept until the next boot only"] {
        assert!(ended.stderr.contains(words), "no {words} in {}", ended.stderr);
    }
    host.remove_mistake();
    assert_eq!(host.run().code, Some(0));
    assert_eq!(host.statuses(), ["FAILURE"]);
    assert!(host.at(STATE).is_symlink());
}

/// Killed at each step of the way to a new state, or at none.
#[test]
fn a_state_that_cannot_be_parsed_is_never_lost() {
    const DAMAGED: &str = "{\"version\": 1, \"decision\": {\"sta";
    let aside = format!("{STATE}.unreadable");
    let damaged = || {
        let host = refused(|_| {});
        host.put(STATE, DAMAGED);
        host
    };
    let is_kept = |host: &Host| {
        let text = |path: &str| std::fs::read_to_string(host.at(path)).unwrap_or_default();
        text(STATE) == DAMAGED || text(&aside) == DAMAGED
    };
    let host = damaged();
    let ended = host.run();
    assert!(ended.stderr.contains(&format!("can't be parsed, is kept as {aside}")), "{}", ended.stderr);
    assert!(is_kept(&host));
    next_run_tells(&host, &["FAILURE"]);
    if lacks_strace() {
        return;
    }
    for n in 1..50 {
        let host = damaged();
        let inject = format!("inject=rename:signal=KILL:when={n}");
        let ended = host.traced(&["-o", "/dev/null", "-e", &inject]);
        assert!(is_kept(&host), "killed at rename {n}");
        if ended.code == Some(2) {
            assert!(n > 3, "{n}");
            return;
        }
        let status = kept(&host).map_or("SUCCESS".to_owned(), |(status, _)| status);
        host.remove_mistake();
        assert_eq!(host.run().code, Some(0));
        assert!(is_kept(&host) && host.statuses().iter().all(|told| *told == status), "killed at rename {n}");
    }
    panic!("the run was killed each time");
}

/// CloudFormation has one code for a stack that is done, one that isn't there, and a resource that isn't in it.
#[test]
fn each_text_of_a_validation_error_is_told_apart_by_both_ways_of_authentication() {
    use DeliveryState::{Accepted, NotWaitedFor, Refused, TooLate};
    let invalid = |text| vec![CfnAnswer::Error(400, "ValidationError", text)];
    let stack = "arn:aws:cloudformation:eu-central-1:123456789012:stack/web/8a6f2c50";
    let expired = CfnAnswer::Error(403, "ExpiredToken", "The security token included in the request is expired");
    let unknown =
        CfnAnswer::Error(403, "InvalidClientTokenId", "The security token included in the request is invalid.");
    let in_state = |state| format!("Stack {stack} is in {state} state and cannot be signaled").leak() as &str;
    let done = ["CREATE_COMPLETE", "UPDATE_COMPLETE"].map(in_state);
    let failed = ["ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS"].map(in_state);
    let mut table: Vec<(&str, Vec<CfnAnswer>, DeliveryState, i32, &str)> = Vec::new();
    for auth in ["instance_identity", "iam"] {
        table.extend(done.iter().map(|text| (auth, invalid(text), NotWaitedFor, 0, "does not wait for it")));
        table.extend(failed.iter().map(|text| (auth, invalid(text), TooLate, 0, "the signal came too late")));
        table.extend([
            (auth, invalid("Stack 'web' does not exist"), Refused, 3, "check signal.stack, signal.resource"),
            (auth, invalid("Stack:web does not exist"), Refused, 3, "check signal.stack, signal.resource"),
            (auth, invalid("Resource Instances does not exist for stack web"), Refused, 3, "check signal.stack"),
            (auth, invalid("Invalid LogicalResourceId"), Refused, 3, "Invalid LogicalResourceId"),
        ]);
    }
    table.extend([
        ("iam", vec![expired.clone(), expired], Accepted, 0, "(auth: iam)"),
        ("iam", vec![unknown.clone(), unknown], Accepted, 0, "(auth: iam)"),
        (
            "iam",
            vec![CfnAnswer::AccessDenied],
            Refused,
            3,
            "the instance's role must permit cloudformation:SignalResource",
        ),
        ("auto", vec![CfnAnswer::AccessDenied], Accepted, 0, "(auth: iam)"),
    ]);
    for (auth, answers, delivery, code, message) in table {
        let user_data = with_signal(&format!("auth: {auth}"));
        let host = Host::in_cloud(&user_data, |options| {
            options.cloudformation = answers.clone().into();
            options.iam_role = Some("web-instances".into());
        });
        let ended = host.run();
        assert_eq!(ended.code, Some(code), "{auth} {answers:?}: {}", ended.stderr);
        let report = host.report().signal.unwrap();
        assert_eq!(report.delivery, delivery, "{auth} {answers:?}: {}", report.message);
        assert!(report.message.contains(message), "{auth} {answers:?}: {}", report.message);
        let sent = answers.len() + usize::from(delivery == Accepted);
        assert_eq!(host.requests(Server::CloudFormation).len(), sent, "{auth} {answers:?}");
        // What nobody waits for, and what was refused, leaves nothing: the one is done, the other is tried by each run.
        assert_eq!(host.statuses().len(), usize::from(delivery == Accepted), "{auth} {answers:?}");
        assert_eq!(kept(&host), Some(("SUCCESS".to_owned(), delivery != Refused)), "{auth} {answers:?}");
    }
}

#[test]
fn whoever_asks_to_be_left_alone_is_left_alone_for_so_long() {
    let host = Host::in_cloud(SMALLEST, |options| options.cloudformation = [CfnAnswer::Busy(3)].into());
    assert_eq!(host.run().code, Some(0));
    host.one_signal("SUCCESS");
    let at: Vec<_> = host.requests(Server::CloudFormation).into_iter().map(|request| request.at).collect();
    // The first pause would be half a second at most.
    assert!(at.len() == 2 && at[1] - at[0] >= Duration::from_secs(3), "{at:?}");
}

#[test]
fn a_proxy_that_drops_connections_is_tried_again() {
    let host = Host::in_cloud(SMALLEST, |options| options.proxy_drops = 2);
    let proxy = host.rehearsal.cloud.proxy_endpoint();
    host.put("/etc/ecs-firstrun/conf.d/70-proxy.yaml", &format!("proxy: {{url: \"{proxy}\"}}\n"));
    let beyond = [("AWS_ENDPOINT_URL_CLOUDFORMATION", "http://cloudformation.eu-central-1.amazonaws.com")];
    let ended = host.run_with(&beyond);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(host.requests(Server::Proxy).len(), 3);
    assert!(host.one_signal("SUCCESS").proxied);
}

#[test]
fn a_proxy_that_drops_connect_is_named_and_the_next_run_makes_up_for_it() {
    let user_data = with_signal("timeout: 8s");
    let host = Host::in_cloud(&user_data, |options| options.proxy_drops = 100);
    let proxy = host.rehearsal.cloud.proxy_endpoint();
    host.put("/etc/ecs-firstrun/conf.d/70-proxy.yaml", &format!("proxy: {{url: \"{proxy}\"}}\n"));
    let ended =
        host.run_with(&[("AWS_ENDPOINT_URL_CLOUDFORMATION", "https://cloudformation.eu-central-1.amazonaws.com")]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let asked = host.requests(Server::Proxy);
    let target = "cloudformation.eu-central-1.amazonaws.com:443";
    let connects = |request: &Request| request.method == "CONNECT" && request.path_and_query == target;
    assert!(asked.len() > 2 && asked.iter().all(connects), "{asked:?}");
    let report = host.report().signal.unwrap();
    assert_eq!(report.delivery, DeliveryState::Undelivered);
    assert!(report.message.contains("tunnel"), "{}", report.message);
    assert_eq!(host.run().code, Some(0));
    host.one_signal("SUCCESS");
}

#[test]
fn instance_metadata_that_come_late_are_waited_for() {
    let host = Host::in_cloud(SMALLEST, |_| {});
    // A port where nobody listens yet.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = host.rehearsal.command(Path::new(BINARY)).into_std();
    command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://{address}"));
    let child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(host.statuses().len(), 0);
    let options = CloudOptions { imds_address: address, user_data: Some(SMALLEST.into()), ..CloudOptions::default() };
    let _late = Cloud::start(options).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let signal = host.one_signal("SUCCESS");
    assert_eq!((signal.auth, signal.unique_id.as_str()), (SignalAuth::InstanceIdentity, INSTANCE));
}

/// Whatever else is wrong with the user data, the stack is told, and through the proxy where there is one.
#[test]
fn the_stack_is_found_in_user_data_that_are_wrong_elsewhere() {
    let good = "signal: {stack: web, resource: Instances}\n";
    let mime = |second: &str| {
        format!(
            "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b\"\n\n--b\nContent-Type: \
             application/vnd.ecs-firstrun+yaml\n\n{good}ecs: {{cluster: production}}\n--b\nContent-Type: \
             application/vnd.ecs-firstrun+yaml\n\n{second}\n--b--\n"
        )
    };
    let table = [
        ("an unknown key", format!("#ecs-firstrun\n{good}ecs: {{cluster: production, clusterr: x}}\n")),
        ("an unknown section", format!("#ecs-firstrun\n{good}ecss: {{cluster: production}}\n")),
        ("wrong kinds", format!("#ecs-firstrun\n{good}ecs: [production]\nstorage: 3\nlogs: yes please\n")),
        ("a wrong kind beside the target", format!("#ecs-firstrun\n{}", good.replace("}", ", timeout: [1]}"))),
        ("no more YAML half way", format!("#ecs-firstrun\n{good}ecs: {{cluster: production, tags: [\n")),
        ("a broken document beside a good one", mime("ecs: {cluster: [")),
        ("a document that is a list beside a good one", mime("- ecs")),
        ("a document that is text beside a good one", mime("production")),
    ];
    for (what, user_data) in table {
        let host = Host::in_cloud(&user_data, |_| {});
        let proxy = host.rehearsal.cloud.proxy_endpoint();
        host.put("/etc/ecs-firstrun/conf.d/70-proxy.yaml", &format!("proxy: {{url: \"{proxy}\"}}\n"));
        let beyond = [("AWS_ENDPOINT_URL_CLOUDFORMATION", "http://cloudformation.eu-central-1.amazonaws.com")];
        let ended = host.run_with(&beyond);
        assert_eq!(ended.code, Some(2), "{what}: {}", ended.stderr);
        assert!(host.one_signal("FAILURE").proxied, "{what}");
        assert_eq!(host.started(), Vec::<String>::new(), "{what}");
    }
}

#[test]
fn a_program_that_the_kernel_kills_for_want_of_memory_is_an_outcome_that_says_so() {
    let host = Host::of(Scenario::Success, COMPLETE);
    let mkfs = host.rehearsal.bin.join("mkfs.xfs");
    std::fs::remove_file(&mkfs).unwrap();
    std::fs::write(&mkfs, "#!/bin/sh\nkill -KILL $$\n").unwrap();
    std::fs::set_permissions(&mkfs, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let ended = host.run();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    host.one_signal("FAILURE");
    let reason = host.report().reason.unwrap();
    assert!(reason.contains("mkfs.xfs") && reason.contains("when memory runs out"), "{reason}");
}

#[test]
fn the_endpoint_of_all_services_serves_where_cloudformation_has_none_of_its_own() {
    for auth in ["instance_identity", "iam"] {
        let host = Host::in_cloud(SMALLEST, |_| {});
        host.put("/etc/ecs-firstrun/conf.d/50-auth.yaml", &format!("signal: {{auth: {auth}}}\n"));
        let everywhere = host.rehearsal.cloud.cloudformation_endpoint();
        let keys = [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "shh")];
        let places = [("AWS_ENDPOINT_URL_CLOUDFORMATION", ""), ("AWS_ENDPOINT_URL", everywhere.as_str())];
        let ended = host.run_with(&[keys, places].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(host.statuses(), ["SUCCESS"], "{auth}");
        assert!(ended.stderr.contains(&format!("accepted (auth: {auth})")), "{}", ended.stderr);
    }
}

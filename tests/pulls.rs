//! Pulls of images: before the ECS agent or beside the run, once or on a later boot, and what is told of each way to fail.
//!
//! Docker and Amazon ECR are doubles here. `tests/image_pulls.rs` has the real Docker, and a real registry.

use std::time::Duration;

use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::rehearse::cloud::{
    CfnAnswer, CloudOptions, ECR_PASSWORD, EcrAnswer, PullAnswer, Registration, Request, Server,
};
use ecs_firstrun::report::{Change, Outcome};
use nix::sys::signal::Signal;

use crate::support::host::{Ended, Host, STATE, kill, until};

const ECR: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";

/// A host with a role, whose user data has these pulls.
fn host(pulls: &str, change: impl FnOnce(&mut CloudOptions)) -> Host {
    Host::in_cloud(&user_data(pulls), |options| {
        options.iam_role = Some("web-instances".into());
        change(options);
    })
}

fn user_data(pulls: &str) -> String {
    format!(
        "#ecs-firstrun\nsignal: {{stack: web, resource: Instances}}\necs: {{cluster: production}}\ndocker: {{pull: [{pulls}]}}\n"
    )
}

/// The pulls that Docker was asked for, as repository and tag.
fn pulled(host: &Host) -> Vec<String> {
    let asked = host.requests(Server::Docker).into_iter().filter(|request| request.method == "POST");
    asked.map(|request| request.path_and_query.replace("/v1.44/images/create?fromImage=", "")).collect()
}

fn answers(repository: &str, answers: &[PullAnswer]) -> (String, std::collections::VecDeque<PullAnswer>) {
    (repository.to_owned(), answers.to_vec().into())
}

fn status(host: &Host) -> String {
    std::fs::read_to_string(host.at("/run/ecs-firstrun/status")).unwrap_or_default()
}

fn succeeded(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// Fails unless the report has one warning, which has these words.
fn assert_warned(host: &Host, words: &str) {
    let warnings = host.report().warnings;
    assert!(matches!(&warnings[..], [warning] if warning.contains(words)), "{warnings:?}");
}

#[test]
fn a_required_image_is_there_before_the_ecs_agent_and_the_others_are_pulled_beside_the_run() {
    let pulls = format!("{{image: nginx}}, {{image: '{ECR}/base:7', required: true}}, {{image: '{ECR}/more'}}");
    let host = host(&pulls, |_| {});
    let ended = host.run();
    succeeded(&ended);
    host.one_signal("SUCCESS");
    let base = format!("{ECR}%2Fbase&tag=7");
    assert_eq!(pulled(&host), [&base, "nginx&tag=latest", &format!("{ECR}%2Fmore&tag=latest")]);
    // One token serves both.
    assert_eq!(host.requests(Server::Ecr).len(), 1);
    let steps: Vec<_> = host.report().steps.into_iter().map(|step| (step.name, step.outcome)).collect();
    let names: Vec<_> = steps.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[names.len() - 6..], ["start", "pull", "start_ecs", "pull_beside", "wait", "signal"]);
    assert!(steps.iter().all(|(_, outcome)| *outcome == Outcome::Success), "{steps:?}");
    assert_eq!(host.report().warnings, [""; 0]);
}

#[test]
fn the_token_is_in_the_request_to_docker_and_nowhere_else() {
    let pulls = format!("{{image: '{ECR}/base:7', required: true}}, {{image: '{ECR}/denied:1'}}");
    let words = format!("denied: {ECR_PASSWORD} is not known");
    let refused = answers(&format!("{ECR}/denied"), &[PullAnswer::Fails(words)]);
    let host = host(&pulls, |options| options.pulls = [refused].into());
    let ended = host.call(&["-v", "run"], &[]);
    succeeded(&ended);
    let has_auth = |request: &Request| request.header("x-registry-auth").is_some();
    let asked = host.requests(Server::Docker);
    assert_eq!(asked.iter().filter(|request| has_auth(request)).count(), 2);
    assert!(asked.iter().filter(|request| request.method == "GET").all(|request| !has_auth(request)));
    let shown = host.call(&["status", "--json"], &[]).stdout;
    let files = host.tree().into_values().map(|(_, bytes)| String::from_utf8_lossy(&bytes).into_owned());
    for text in files.chain([ended.stdout, ended.stderr, shown]) {
        assert!(!text.contains(ECR_PASSWORD) && !text.contains("RWNyVG9rZW5DYW5hcnk"), "{text}");
    }
    assert_warned(&host, "denied: *** is not known");
}

#[test]
fn an_image_that_was_pulled_is_not_asked_for_on_a_later_boot_unless_it_is_gone() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let pulls = format!("{{image: nginx, required: true}}, {{image: 'a@{digest}', required: true}}, {{image: b}}");
    let host = host(&pulls, |options| options.images = ["nginx:latest".into(), format!("a@{digest}")].into());
    let change = |host: &Host, name: &str| {
        let steps = host.report().steps;
        let step = steps.iter().find(|step| step.name == name).unwrap();
        step.actions.iter().map(|action| action.change).collect::<Vec<_>>()
    };
    succeeded(&host.run());
    // The tag of the image's own nginx may have moved since; the digest is there already.
    assert_eq!(pulled(&host), ["nginx&tag=latest", "b&tag=latest"]);
    assert_eq!(change(&host, "pull"), [Change::AlreadyDone; 2]);
    host.rehearsal.restart().unwrap();
    succeeded(&host.run());
    assert_eq!(pulled(&host).len(), 2);
    assert_eq!(host.requests(Server::Ecr).len(), 0);
    let state: serde_json::Value = serde_json::from_str(&host.text(STATE)).unwrap();
    assert_eq!(state["pulled"], serde_json::json!([format!("a@{digest}"), "b", "nginx"]));
}

#[test]
fn a_required_image_that_cannot_be_had_fails_the_run_before_the_ecs_agent_starts() {
    let image = format!("{{image: '{ECR}/base:7', required: true, timeout: 2s}}");
    let denied = "ecr:GetAuthorizationToken, ecr:BatchGetImage and ecr:GetDownloadUrlForLayer";
    let of_docker: [(PullAnswer, &str); 4] = [
        (PullAnswer::Refused(500, "Head \"https://x/v2/\": no basic auth credentials".into()), denied),
        (PullAnswer::Fails("denied: Your authorization token has expired.".into()), denied),
        (
            PullAnswer::Refused(404, "manifest for base:7 not found: manifest unknown".into()),
            "and the repository the tag 7",
        ),
        (PullAnswer::After(Duration::from_secs(60)), "had not ended after 2s; Docker needs a way to 123456789012"),
    ];
    for (answer, words) in of_docker {
        let host = host(&image, |options| options.pulls = [answers(&format!("{ECR}/base"), &[answer])].into());
        let ended = host.run();
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        host.one_signal("FAILURE");
        let reason = host.report().reason.unwrap();
        let begins = format!("pull: pull {ECR}/base:7: ");
        assert!(reason.starts_with(&begins) && reason.contains(words), "{reason}");
        assert!(!host.started().contains(&"ecs.service".to_owned()));
    }
    let no_token = host(&image, |options| options.ecr = vec![EcrAnswer::AccessDenied].into());
    assert_eq!(no_token.run().code, Some(1));
    let reason = no_token.report().reason.unwrap();
    assert!(reason.contains("Amazon ECR gives no token") && reason.contains("ecr:GetAuthorizationToken"), "{reason}");
    assert_eq!(pulled(&no_token), [""; 0]);
    let no_role = host(&image, |options| options.iam_role = None);
    assert_eq!(no_role.run().code, Some(1));
    assert!(no_role.report().reason.unwrap().contains("instance profile"));
}

#[test]
fn an_image_that_is_not_required_is_a_warning_if_it_cannot_be_had() {
    let pulls = "{image: me/app, timeout: 20s}, {image: nginx}";
    let refused = PullAnswer::Fails("pull access denied for me/app, repository does not exist".into());
    let host = host(pulls, |options| options.pulls = [answers("me/app", &[refused])].into());
    let ended = host.run();
    succeeded(&ended);
    host.one_signal("SUCCESS");
    assert_eq!(host.report().outcome, Outcome::Success);
    assert_warned(&host, "the image me/app was not pulled: pull access denied for me/app, repository does not exist; ");
    assert_eq!(pulled(&host).len(), 2);
}

#[test]
fn what_may_pass_is_tried_again() {
    let pulls = format!("{{image: '{ECR}/base:7', required: true}}");
    let tries = [
        PullAnswer::BreaksOff,
        PullAnswer::Refused(500, "Get \"https://x/v2/\": dial tcp: i/o timeout".into()),
        PullAnswer::Fails("net/http: TLS handshake timeout".into()),
    ];
    let host = host(&pulls, |options| {
        options.pulls = [answers(&format!("{ECR}/base"), &tries)].into();
        options.ecr = vec![EcrAnswer::Throttle, EcrAnswer::Reset].into();
    });
    let ended = host.run();
    succeeded(&ended);
    assert_eq!((pulled(&host).len(), host.requests(Server::Ecr).len()), (4, 3));
    assert_eq!(ended.stderr.matches("is tried again").count(), 3, "{}", ended.stderr);
}

#[test]
fn the_signal_does_not_wait_for_a_pull_that_is_not_required_and_the_run_does() {
    let pulls = "{image: slow, timeout: 20s}, {image: last}";
    let slow = answers("slow", &[PullAnswer::After(Duration::from_secs(3))]);
    let host = host(pulls, |options| options.pulls = [slow].into());
    let ended = host.run_and(|_| {
        until(|| !host.rehearsal.cloud.signals().is_empty() && status(&host).contains("; pulling 2 more images"));
        // The outcome is told already.
        assert_eq!(host.report().outcome, Outcome::Success);
        assert_eq!(pulled(&host).len(), 1);
    });
    succeeded(&ended);
    host.one_signal("SUCCESS");
    assert_eq!(pulled(&host).len(), 2);
    assert!(host.text(STATE).contains("\"slow\"") && !status(&host).contains("pulling"), "{}", status(&host));
}

#[test]
fn a_pull_goes_on_where_nobody_took_the_signal() {
    let slow = answers("slow", &[PullAnswer::After(Duration::from_secs(3))]);
    let host = host("{image: slow, timeout: 20s}", |options| {
        options.pulls = [slow].into();
        options.cloudformation = vec![CfnAnswer::AccessDenied; 2].into();
    });
    let ended = host.run();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(host.text(STATE).contains("\"slow\""), "{}", ended.stderr);
}

#[test]
fn a_run_that_fails_ends_the_pulls_beside_it() {
    let slow = answers("slow", &[PullAnswer::After(Duration::from_secs(60))]);
    let text = user_data("{image: slow, timeout: 2m}").replace("Instances}", "Instances, timeout: 3s}");
    let host = Host::in_cloud(&text, |options| {
        options.pulls = [slow].into();
        options.registration = Registration::Never;
    });
    let ended = host.run();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("the run has failed, which ends the pulls beside it"), "{}", ended.stderr);
}

#[test]
fn an_image_that_was_pulled_before_a_stop_is_not_forgotten() {
    let host = host("{image: nginx}", |options| options.registration = Registration::Never);
    let ended = host.run_and(|pid| {
        // Docker describes the image before the pull and after it.
        until(|| host.requests(Server::Docker).iter().filter(|request| request.method == "GET").count() == 2);
        std::thread::sleep(Duration::from_millis(500));
        kill(pid, Signal::SIGTERM);
    });
    assert_eq!(host.report().outcome, Outcome::Interrupted, "{}", ended.stderr);
    assert!(host.text(STATE).contains("\"nginx\""), "{}", ended.stderr);
}

#[test]
fn each_region_has_a_token_of_its_own() {
    let pulls = format!(
        "{{image: '{ECR}/base:7'}}, {{image: '{ECR}/more:7'}}, {{image: '{}/base:7'}}",
        ECR.replace("eu-central-1", "us-east-1")
    );
    let host = host(&pulls, |_| {});
    succeeded(&host.run());
    let scopes: Vec<_> = host
        .requests(Server::Ecr)
        .iter()
        .map(|request| request.header("authorization").unwrap().split('/').nth(2).unwrap().to_owned())
        .collect();
    assert_eq!(scopes, ["eu-central-1", "us-east-1"]);
    assert_eq!(host.report().warnings, [""; 0]);
}

#[test]
fn a_stop_ends_the_pulls_that_go_on_and_the_next_boot_pulls_again() {
    let slow = answers("slow", &[PullAnswer::After(Duration::from_secs(60))]);
    let host = host("{image: slow, timeout: 2m}", |options| options.pulls = [slow].into());
    let ended = host.run_and(|pid| {
        until(|| status(&host).contains("; pulling 1 more image"));
        kill(pid, Signal::SIGTERM);
    });
    succeeded(&ended);
    assert_eq!(host.report().outcome, Outcome::Success);
    assert!(!host.text(STATE).contains("slow\""));
    succeeded(&host.run());
    assert_eq!(pulled(&host).len(), 2);
    host.one_signal("SUCCESS");
}

#[test]
fn a_warm_pool_gets_every_image_before_its_run_ends_and_service_needs_no_registry() {
    let pulls = format!("{{image: '{ECR}/base:7'}}, {{image: gone}}");
    let refused = answers("gone", &[PullAnswer::Refused(404, "not found".into())]);
    let host = host(&pulls, |options| {
        options.target_lifecycle_state = Some("Warmed:Running".into());
        options.pulls = [refused].into();
    });
    let ended = host.run_and(|_| {
        until(|| host.at("/var/lib/ecs-firstrun/report.json").exists() && host.report().outcome == Outcome::Success);
        assert_eq!(pulled(&host).len(), 2);
        assert_warned(&host, "the image gone was not pulled: not found");
        host.rehearsal.cloud.bring_to("InService");
    });
    succeeded(&ended);
    host.one_signal("SUCCESS");
    assert_eq!(pulled(&host), [&format!("{ECR}%2Fbase&tag=7"), "gone&tag=latest", "gone&tag=latest"]);
    assert_eq!(host.requests(Server::Ecr).len(), 1);
}

#[test]
fn progress_is_in_the_status_line_and_no_line_a_second_in_the_log() {
    let slow = answers("slow", &[PullAnswer::After(Duration::from_secs(4))]);
    let host = host("{image: slow, required: true}", |options| options.pulls = [slow].into());
    let ended = host.run_and(|_| until(|| status(&host).contains("pulling slow: 0 of 2 layers, ")));
    succeeded(&ended);
    assert_eq!(ended.stderr.matches("slow").count(), 2, "{}", ended.stderr);
}

#[test]
fn the_token_is_asked_for_through_the_proxy() {
    let host = Host::of(Scenario::Proxy, user_data(&format!("{{image: '{ECR}/base:7', required: true}}")));
    let ended = host.run_with(&[("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "shh")]);
    succeeded(&ended);
    let asked = host.requests(Server::Proxy);
    assert!(
        asked.iter().any(|request| request.path_and_query == "http://api.ecr.eu-central-1.amazonaws.com/"),
        "{asked:?}"
    );
}

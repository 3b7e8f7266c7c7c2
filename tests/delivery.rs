//! The delivery of a signal: what each answer of CloudFormation, a proxy and a broken network comes to.

use std::time::Duration;

use ecs_firstrun::rehearse::cloud::{CfnAnswer, Request, Server};
use ecs_firstrun::report::DeliveryState;

use crate::support::at_once;
use crate::support::host::Host;
use crate::support::user_data::{SMALLEST, with_signal};

/// Runs the agent against a CloudFormation, or a proxy before it, that answers so, and returns the signal's report.
#[test]
fn temporary_answers_are_retried_and_final_ones_explained() {
    use CfnAnswer::{AccessDenied, CannotBeSignaled, HtmlPage, NoSuchStack, Reset, ServerError, Slow, Throttle};
    use DeliveryState::{Accepted, NotWaitedFor, Refused};
    let second = Duration::from_secs(1);
    let table: [(&[CfnAnswer], usize, DeliveryState, i32, &str); 11] = [
        (&[ServerError, ServerError, ServerError], 4, Accepted, 0, "accepted (auth: instance_identity)"),
        (&[Throttle, Throttle, Throttle], 4, Accepted, 0, "accepted"),
        (&[HtmlPage(502), HtmlPage(407)], 3, Accepted, 0, "accepted"),
        (&[HtmlPage(403)], 2, Accepted, 0, "accepted"),
        (&[HtmlPage(200)], 2, Accepted, 0, "accepted"),
        (&[Reset, Reset], 3, Accepted, 0, "accepted"),
        (&[Slow(second)], 1, Accepted, 0, "accepted"),
        (&[Reset, Throttle, HtmlPage(502), Slow(second)], 4, Accepted, 0, "accepted"),
        (&[CannotBeSignaled], 1, NotWaitedFor, 0, "CREATE_COMPLETE state and cannot be signaled"),
        (&[NoSuchStack], 1, Refused, 3, "check signal.stack, signal.resource and signal.region"),
        (&[AccessDenied], 1, Refused, 3, "the instance must belong to signal.stack"),
    ];
    let check = |(answers, requests, delivery, code, message): &(&[CfnAnswer], usize, DeliveryState, i32, &str)| {
        let identity_only = with_signal("auth: instance_identity");
        let host = Host::in_cloud(&identity_only, |options| options.cloudformation = answers.to_vec().into());
        let ended = host.run();
        assert_eq!(ended.code, Some(*code), "{answers:?}: {}", ended.stderr);
        let told = host.report().signal.unwrap();
        assert_eq!(told.delivery, *delivery, "{answers:?}: {}", told.message);
        assert!(told.message.contains(message), "{answers:?}: {}", told.message);
        assert_eq!(host.requests(Server::CloudFormation).len(), *requests, "{answers:?}");
        match delivery {
            Accepted => drop(host.one_signal("SUCCESS")),
            _ => assert_eq!(host.rehearsal.cloud.signals().len(), 0),
        }
    };
    at_once(table.iter().map(|row| || check(row)));
}

#[test]
fn a_cloudformation_that_throttles_is_signalled_until_it_accepts() {
    let host =
        Host::in_cloud(SMALLEST, |options| options.cloudformation = [CfnAnswer::Throttle, CfnAnswer::Throttle].into());
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("CloudFormation has not accepted the request yet").count(), 2, "{}", ended.stderr);
    host.one_signal("SUCCESS");
    assert_eq!(host.requests(Server::CloudFormation).len(), 3);
}

#[test]
fn a_retry_after_is_waited_for() {
    let user_data = with_signal("timeout: 8s");
    let host = Host::in_cloud(&user_data, |options| options.cloudformation = vec![CfnAnswer::Busy(3600); 40].into());
    assert_eq!(host.run().code, Some(3));
    // There is one more try when the time is over, and would be several of the usual pauses before.
    assert_eq!(host.requests(Server::CloudFormation).len(), 2);
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
        table.extend(done.iter().map(|text| (auth, invalid(text), NotWaitedFor, 0, "does not wait for this signal")));
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
    let check = |(auth, answers, delivery, code, message): &(&str, Vec<CfnAnswer>, DeliveryState, i32, &str)| {
        let user_data = with_signal(&format!("auth: {auth}"));
        let host = Host::in_cloud(&user_data, |options| {
            options.cloudformation = answers.clone().into();
            options.iam_role = Some("web-instances".into());
        });
        let ended = host.run();
        assert_eq!(ended.code, Some(*code), "{auth} {answers:?}: {}", ended.stderr);
        let report = host.report().signal.unwrap();
        assert_eq!(report.delivery, *delivery, "{auth} {answers:?}: {}", report.message);
        assert!(report.message.contains(message), "{auth} {answers:?}: {}", report.message);
        let sent = answers.len() + usize::from(*delivery == Accepted);
        assert_eq!(host.requests(Server::CloudFormation).len(), sent, "{auth} {answers:?}");
        // CloudFormation keeps no status that nobody waits for or that it refused. Each run sends a refused status again.
        assert_eq!(host.statuses().len(), usize::from(*delivery == Accepted), "{auth} {answers:?}");
        assert_eq!(host.decision(), Some(("SUCCESS".to_owned(), *delivery != Refused)), "{auth} {answers:?}");
    };
    at_once(table.iter().map(|row| || check(row)));
}

/// A signal is there already where the answer to it was lost, or another one has signalled for the instance.
#[test]
fn a_signal_that_is_there_already_is_settled_in_each_way_of_authentication() {
    let by_hand = |host: &Host| {
        let endpoint = host.rehearsal.cloud.cloudformation_endpoint();
        let to =
            ["signal", "--url", &endpoint, "--stack", "web", "--resource", "Instances", "--region", "eu-central-1"];
        let ended = host.call(&to, &[]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    };
    let check = |(auth, is_lost): &(&str, bool)| {
        let user_data = with_signal(&format!("auth: {auth}"));
        let host = Host::in_cloud(&user_data, |options| {
            options.iam_role = Some("web-instances".into());
            options.cloudformation.extend(is_lost.then_some(CfnAnswer::Lost));
        });
        if !is_lost {
            by_hand(&host);
        }
        let ended = host.run();
        assert_eq!(ended.code, Some(0), "{auth} {is_lost}: {}", ended.stderr);
        let told = host.report().signal.unwrap();
        assert_eq!(told.delivery, DeliveryState::Accepted, "{auth} {is_lost}: {}", told.message);
        assert!(
            told.message.starts_with("accepted before: CloudFormation already has a signal with this ID"),
            "{}",
            told.message
        );
        assert_eq!(host.rehearsal.cloud.signals().len(), 1, "{auth} {is_lost}");
        assert_eq!(host.requests(Server::CloudFormation).len(), 2, "{auth} {is_lost}");
        assert_eq!(host.run().code, Some(0));
        assert_eq!(host.report().signal.unwrap().delivery, DeliveryState::AcceptedEarlier);
        assert_eq!(host.requests(Server::CloudFormation).len(), 2, "{auth} {is_lost}");
    };
    let table = ["instance_identity", "iam", "auto"].into_iter().flat_map(|auth| [(auth, true), (auth, false)]);
    at_once(table.collect::<Vec<_>>().iter().map(|row| || check(row)));
}

#[test]
fn a_stack_that_does_not_wait_is_no_failure() {
    let host = Host::in_cloud(SMALLEST, |options| options.cloudformation = [CfnAnswer::CannotBeSignaled].into());
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(host.report().signal.unwrap().delivery, DeliveryState::NotWaitedFor);
    assert!(host.rehearsal.cloud.signals().is_empty());
    assert_eq!(host.run().code, Some(0));
    assert_eq!(host.requests(Server::CloudFormation).len(), 1);
}

#[test]
fn a_stack_that_was_rolled_back_before_is_a_warning() {
    let text = "Stack web is in ROLLBACK_IN_PROGRESS state and cannot be signaled";
    let host = Host::in_cloud(SMALLEST, |options| {
        options.cloudformation = vec![CfnAnswer::Error(400, "ValidationError", text)].into();
    });
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let line = ended.stderr.lines().find(|line| line.contains("signal SUCCESS for")).unwrap();
    assert!(line.contains("WARN") && line.contains("too late") && line.contains(text), "{line}");
    assert_eq!(host.report().signal.unwrap().delivery, DeliveryState::TooLate);
    let shown = host.call(&["status"], &[]).stdout.replace('\n', " ");
    assert!(shown.contains("the signal came too late"), "{shown}");
    assert_eq!(host.run().code, Some(0));
    assert_eq!(host.requests(Server::CloudFormation).len(), 1);
}

#[test]
fn a_signal_that_cloudformation_refuses_ends_with_exit_code_3() {
    let user_data = with_signal("auth: instance_identity");
    let host = Host::in_cloud(&user_data, |options| options.cloudformation = [CfnAnswer::NoSuchStack].into());
    assert_eq!(host.run().code, Some(3));
    assert_eq!(host.report().signal.unwrap().delivery, DeliveryState::Refused);
}

#[test]
fn a_signal_that_could_not_be_sent_is_sent_by_the_next_run() {
    let user_data = with_signal("timeout: 20s");
    let host = Host::in_cloud(&user_data, |_| {});
    let ended = host.run_with(&[("AWS_ENDPOINT_URL_CLOUDFORMATION", "http://127.0.0.1:9")]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert_eq!(host.report().signal.unwrap().delivery, DeliveryState::Undelivered);
    assert_eq!(host.run().code, Some(0));
    host.one_signal("SUCCESS");
}

/// A signal that can't be delivered is said to be so, with the cause, and is delivered by the next run.
#[test]
fn a_signal_that_cannot_be_delivered_names_the_cause_and_is_sent_by_the_next_run() {
    let closed = "http://127.0.0.1:1".to_owned();
    let nowhere = "http://cloudformation.invalid".to_owned();
    let (expired, ca) = tls_server(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let (of_another_name, other_ca) = tls_server(|params| params.subject_alt_names.clear());
    let (good, good_ca) = tls_server(|_| {});
    let table = [
        (closed, None, "Connection refused"),
        (nowhere, None, "dns error"),
        (expired, Some(ca), "certificate expired"),
        (of_another_name, Some(other_ca), "certificate not valid for name"),
        (good, None, "UnknownIssuer"),
    ];
    let _kept = good_ca;
    let check = |(endpoint, bundle, cause): &(String, Option<tempfile::NamedTempFile>, &str)| {
        let host = Host::in_cloud(&with_signal("timeout: 8s"), |_| {});
        let bundle = bundle.as_ref().map(|file| file.path().to_str().unwrap()).unwrap_or_default();
        let ended = host.run_with(&[("AWS_ENDPOINT_URL_CLOUDFORMATION", endpoint), ("AWS_CA_BUNDLE", bundle)]);
        assert_eq!(ended.code, Some(3), "{cause}: {}", ended.stderr);
        let told = host.report().signal.unwrap();
        assert_eq!(told.delivery, DeliveryState::Undelivered);
        assert!(told.message.contains(cause), "{cause}: {}", told.message);
        assert_eq!(host.run().code, Some(0));
        host.one_signal("SUCCESS");
    };
    at_once(table.iter().map(|row| || check(row)));
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

/// A server that speaks TLS with such a certificate, and the file of the authority that issued it.
fn tls_server(change: impl FnOnce(&mut rcgen::CertificateParams)) -> (String, tempfile::NamedTempFile) {
    use std::io::Write as _;
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    change(&mut params);
    let key = rcgen::KeyPair::generate().unwrap();
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let chain = vec![certificate.der().clone()];
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = std::sync::Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, Ok(mut connection)) = (stream.unwrap(), rustls::ServerConnection::new(config.clone()))
            else {
                return;
            };
            let _ = connection.complete_io(&mut stream);
        }
    });
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(authority_pem.as_bytes()).unwrap();
    (endpoint, file)
}

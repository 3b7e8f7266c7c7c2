//! The signal, whatever goes wrong on its way: one decided status, delivered once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::rehearse::cloud::{CfnAnswer, Server};
use ecs_firstrun::report::{DeliveryState, Outcome};
use nix::sys::signal::Signal;

use crate::support::host::{BINARY, Ended, Host, kill, until};
use crate::support::lacks_strace;
use crate::support::user_data::{SMALLEST, with_signal};

#[test]
fn a_run_that_is_told_to_stop_decides_nothing_and_the_next_one_goes_on() {
    let host = Host::of(Scenario::Never, SMALLEST);
    let stop = |pid: u32| {
        until(|| host.rehearsal.programs.started_marker("ecs.service").exists());
        kill(pid, Signal::SIGTERM);
    };
    let ended = host.run_and(stop);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let report = host.report();
    assert_eq!(report.outcome, Outcome::Interrupted);
    assert_eq!(report.steps.last().unwrap().outcome, Outcome::Interrupted);
    assert!(host.requests(Server::CloudFormation).is_empty());
    assert_eq!(host.run().code, Some(1));
    host.one_signal("FAILURE");
}

#[test]
fn a_run_that_is_told_to_stop_while_it_signals_leaves_that_to_the_next_one() {
    let host = Host::in_cloud(SMALLEST, |options| options.cloudformation = vec![CfnAnswer::Throttle; 40].into());
    let mut running = None;
    let stop = |pid: u32| {
        until(|| host.requests(Server::CloudFormation).len() > 1);
        running = Some(host.report());
        kill(pid, Signal::SIGTERM);
    };
    let ended = host.run_and(stop);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let running = running.unwrap();
    assert_eq!((running.outcome, running.signal.unwrap().delivery), (Outcome::Running, DeliveryState::Pending));
    let report = host.report();
    assert_eq!((report.outcome, report.signal.unwrap().delivery), (Outcome::Success, DeliveryState::Undelivered));
    assert!(host.rehearsal.cloud.signals().is_empty());
}

#[test]
fn the_time_since_the_boot_counts_against_the_stacks_timeout() {
    let host = Host::of(Scenario::Never, SMALLEST);
    std::fs::remove_file(host.at("/etc/ecs-firstrun/conf.d/50-rehearsal.yaml")).unwrap();
    // The timeout is 15 minutes; six seconds are left of it, and half of them for the signal.
    host.put("/proc/uptime", "894.02 1700.33\n");
    let began = std::time::Instant::now();
    assert_eq!(host.run().code, Some(1));
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    host.one_signal("FAILURE");
}

#[test]
fn user_data_that_hide_the_stack_are_reported_to_that_of_the_instances_tags() {
    let stack = "arn:aws:cloudformation:eu-central-1:123456789012:stack/web/8a6f2c50";
    let tags = [("aws:cloudformation:stack-id", stack), ("aws:cloudformation:logical-id", "Instances")];
    let host = Host::in_cloud("#ecs-firstrun\nsignal: [stack\n", |options| {
        options.tags = tags.map(|(key, value)| (key.into(), value.into())).into();
    });
    let ended = host.run();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let signals = host.rehearsal.cloud.signals();
    let told: Vec<_> =
        signals.iter().map(|told| (told.status.as_str(), told.stack.as_str(), told.resource.as_str())).collect();
    assert_eq!(told, [("FAILURE", stack, "Instances")]);
}

/// What becomes of a signal that CloudFormation, or what stands before it, answers so.
#[test]
fn what_passes_is_tried_again_and_what_stays_is_explained() {
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
    all(table.iter().map(|row| || check(row)));
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
        assert!(told.message.starts_with("accepted before: a signal with this id is there"), "{}", told.message);
        assert_eq!(host.rehearsal.cloud.signals().len(), 1, "{auth} {is_lost}");
        assert_eq!(host.requests(Server::CloudFormation).len(), 2, "{auth} {is_lost}");
        assert_eq!(host.run().code, Some(0));
        assert_eq!(host.report().signal.unwrap().delivery, DeliveryState::AcceptedEarlier);
        assert_eq!(host.requests(Server::CloudFormation).len(), 2, "{auth} {is_lost}");
    };
    let table = ["instance_identity", "iam", "auto"].into_iter().flat_map(|auth| [(auth, true), (auth, false)]);
    all(table.collect::<Vec<_>>().iter().map(|row| || check(row)));
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

/// A signal that can't be delivered is said to be so, with the cause, and is delivered by the next run.
#[test]
fn what_stays_away_is_named_and_made_up_for_by_the_next_run() {
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
    all(table.iter().map(|row| || check(row)));
}

/// Killed at each rename and each connection of a run that comes out well, and of one that is refused for a file that is
/// gone at the next run: that one ends what was begun, and CloudFormation never hears two different things.
#[test]
fn a_run_that_is_killed_is_ended_by_the_next_which_contradicts_nothing() {
    if lacks_strace() {
        return;
    }
    let host = |refused: bool| {
        let host = Host::in_cloud(SMALLEST, |_| {});
        if refused {
            host.put_mistake();
        }
        host
    };
    let calls = |refused, call: &str| {
        let host = host(refused);
        let trace = host.folder.path().join("trace");
        host.traced(&["-o", trace.to_str().unwrap(), "-e", call]);
        std::fs::read_to_string(trace).unwrap().lines().filter(|line| line.contains('(')).count()
    };
    let cases = [(false, "rename"), (false, "connect"), (true, "rename"), (true, "connect")];
    let points: Vec<_> = cases
        .into_iter()
        .flat_map(|(refused, call)| (1..=calls(refused, call)).map(move |at| (refused, call, at)))
        .collect();
    assert!(points.len() > 25, "{points:?}");
    let hit = AtomicUsize::new(0);
    let check = |(refused, call, at): &(bool, &str, usize)| {
        let host = host(*refused);
        let killed = host.traced(&["-o", "/dev/null", "-e", &format!("inject={call}:signal=KILL:when={at}")]);
        // The number of looks at the ECS agent is not the same each time.
        hit.fetch_add(usize::from(killed.code != Some(0)), Ordering::Relaxed);
        if *refused {
            host.remove_mistake();
        }
        assert_eq!(host.run().code, Some(0), "{refused} {call} {at}");
        let told = host.statuses();
        // Killed between CloudFormation's answer and keeping it, a run is followed by the same signal once more.
        assert!(matches!(told.len(), 1 | 2) && told.iter().all(|status| *status == told[0]), "{call} {at}: {told:?}");
    };
    all(points.iter().map(|point| || check(point)));
    assert!(hit.into_inner() + 4 > points.len());
}

#[test]
fn signal_stands_in_for_cfn_signal() {
    let host = Host::in_cloud("", |_| {});
    let cfn_signal = host.folder.path().join("cfn-signal");
    std::os::unix::fs::symlink(BINARY, &cfn_signal).unwrap();
    let send = |arguments: &[&str]| {
        let mut command = std::process::Command::new(&cfn_signal);
        command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", host.rehearsal.cloud.imds_endpoint());
        command.env("AWS_ENDPOINT_URL_CLOUDFORMATION", host.rehearsal.cloud.cloudformation_endpoint());
        Ended::from(command.args(arguments).output().unwrap())
    };
    let to_stack = ["--stack", "web", "--resource", "Instances", "--region", "eu-central-1"];
    for (arguments, status) in [
        (&["-e", "0"][..], "SUCCESS"),
        (&["-e", "7"], "FAILURE"),
        (&["-e", "0", "-s", "false"], "FAILURE"),
        (&["--success", "true", "--id", "i-another"], "SUCCESS"),
    ] {
        let ended = send(&[arguments, &to_stack].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{arguments:?}: {}", ended.stderr);
        assert_eq!(host.rehearsal.cloud.signals().last().unwrap().status, status, "{arguments:?}");
    }
    assert_eq!(host.rehearsal.cloud.signals().last().unwrap().unique_id, "i-another");
    // One that is there already is no news.
    let ended = send(&[&["-e", "0"], &to_stack[..]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("a signal with this id is there"), "{}", ended.stdout);
    assert_eq!(host.rehearsal.cloud.signals().len(), 4);
    let handle = host.rehearsal.cloud.wait_handle_url();
    let ended = send(&["-e", "1", "-r", "no disk", "-d", "more", &handle]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "CloudFormation took the signal FAILURE\n"),
        "{}",
        ended.stderr
    );
    let told = host.requests(Server::CloudFormation).pop().unwrap();
    assert_eq!(
        String::from_utf8(told.body).unwrap(),
        r#"{"Status":"FAILURE","Reason":"no disk","UniqueId":"i-0f1e2d3c4b5a69788","Data":"more"}"#
    );
    for (arguments, code, message) in [
        (&["--stack", "web"][..], 1, "--stack needs --resource"),
        (&["no-url"], 1, "no http:// or https:// URL"),
        (&["--success", "maybe"], 2, "invalid value 'maybe'"),
        (&["--credential-file", "/no/such", "--stack", "web", "--resource", "R"], 1, "read /no/such"),
    ] {
        let ended = send(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}");
        assert!(ended.stderr.contains(message), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn the_address_that_is_given_for_all_of_aws_is_that_of_cloudformation_too() {
    let host = Host::in_cloud("", |_| {});
    let mut command = std::process::Command::new(BINARY);
    command.args(["signal", "--stack", "web", "--resource", "Instances", "--region", "eu-central-1", "-e", "0"]);
    command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", host.rehearsal.cloud.imds_endpoint());
    // What is empty is as good as left out.
    command.env("AWS_ENDPOINT_URL_CLOUDFORMATION", "");
    command.env("AWS_ENDPOINT_URL", host.rehearsal.cloud.cloudformation_endpoint());
    let mut signal = command.spawn().unwrap();
    let began = std::time::Instant::now();
    while host.rehearsal.cloud.signals().is_empty() && began.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let told = host.rehearsal.cloud.signals().len();
    if told == 0 {
        signal.kill().unwrap();
    }
    assert_eq!((told, signal.wait().unwrap().code()), (1, Some(0)));
}

/// Checks at the same time, all to their end.
fn all<F: FnOnce() + Send>(checks: impl Iterator<Item = F>) {
    let checks = std::sync::Mutex::new(checks.collect::<std::collections::VecDeque<_>>());
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some(check) = { checks.lock().unwrap().pop_front() } {
                    check();
                }
            });
        }
    });
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

//! `signal`: its secrets are in its arguments and its environment, and what it says of a failure must not repeat them.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ecs_firstrun::rehearse::Scenario;
use ecs_firstrun::rehearse::cloud::{CfnAnswer, Cloud, CloudOptions, ProxyCredentials, Request, Server};
use serde_json::json;

use super::canary::{Canary, Seen, files};
use super::{each, ours, proxy, user_data, wait_handle};
use crate::support::host::{BINARY, Ended, Host};

/// Runs `signal` with these arguments, variables and standard input; it has 15 seconds.
fn signal(cloud: &Cloud, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Ended {
    let mut command = Command::new("timeout");
    command.args(["15", BINARY, "signal", "-v", "--id", "i-1"]).args(arguments).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", cloud.imds_endpoint());
    command.env("AWS_ENDPOINT_URL_CLOUDFORMATION", cloud.cloudformation_endpoint()).envs(variables.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Not all of these read it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Ended::from(child.wait_with_output().unwrap())
}

/// Arguments, where `HANDLE` stands for the wait handle of the cloud, and `BASE64` for that in base64; variables; the exit code.
type Given<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], i32);

#[test]
fn signal_repeats_no_secret_that_it_was_given() {
    let handle = |cloud: &Cloud| wait_handle(&cloud.cloudformation_endpoint());
    let secret = Canary::SignalSecret.text();
    let (key, closed) = (secret.as_str(), proxy("127.0.0.1:9"));
    let closed = closed.as_str();
    let no_url = format!("http://me:{key}@[");
    let file = tempfile::NamedTempFile::new().unwrap();
    let credentials = file.path().with_extension("keys");
    let mut written =
        std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&credentials).unwrap();
    writeln!(written, "AWSAccessKeyId={key}\nAWSSecret={key}").unwrap();
    let credentials = credentials.to_str().unwrap();
    let stack = ["--stack", "web", "--resource", "Instances", "--region", "eu-central-1"];
    let away = "http://cloudformation.test";
    let given: [Given<'_>; 16] = [
        (&["HANDLE"], &[], 0),
        (&["BASE64"], &[], 0),
        (&["-"], &[], 0),
        (&["HANDLE", "HANDLE"], &[], 2),
        (&["--exit-code", "HANDLE"], &[], 2),
        (&["--nonsense=HANDLE"], &[], 2),
        (&["HANDLE", "--stack", "web"], &[], 1),
        (&["ftp://x/?HANDLE"], &[], 1),
        (&["HANDLE"], &[("HTTPS_PROXY", &no_url)], 1),
        (&["HANDLE", "--https-proxy", &no_url], &[], 1),
        (&["--access-key", key], &[], 2),
        (&[&stack[..], &["--access-key", "AKID", "--secret-key", key]].concat(), &[], 0),
        (&[&stack[..], &["--credential-file", credentials]].concat(), &[], 1),
        (&[&stack[..], &["--role", "x"]].concat(), &[("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", key)], 0),
        (&[&stack[..], &["--url", away, "--https-proxy", closed]].concat(), &[], 124),
        (&[&stack[..], &["--url", away]].concat(), &[("HTTP_PROXY", closed)], 124),
    ];
    let seen = std::sync::Mutex::new(Seen::default());
    each(given.to_vec(), |(arguments, variables, code)| {
        let cloud = Cloud::start(CloudOptions::default()).unwrap();
        let url = handle(&cloud);
        let filled: Vec<_> = arguments
            .iter()
            .map(|text| text.replace("HANDLE", &url).replace("BASE64", &STANDARD.encode(&url)))
            .collect();
        let filled: Vec<_> = filled.iter().map(String::as_str).collect();
        let ended = signal(&cloud, &filled, variables, &format!("{url}\n"));
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.stderr);
        let mut seen = seen.lock().unwrap();
        seen.ended(&format!("signal {arguments:?}"), &ended);
        for Request { headers, .. } in cloud.requests() {
            seen.open(&format!("signal {arguments:?}, a request"), format!("{headers:?}"));
        }
    });
    seen.into_inner().unwrap().assert_nothing();
}

#[test]
fn an_answer_that_repeats_the_request_is_not_repeated() {
    let answers = [
        CfnAnswer::AccessDenied,
        CfnAnswer::NoSuchStack,
        CfnAnswer::HtmlPage(404),
        CfnAnswer::Error(403, "SignatureDoesNotMatch", "https://b/x?X-Amz-Signature=WaitHandleCanaryA is not right"),
        CfnAnswer::Error(400, "ValidationError", "Password=SignalSecretCanaryA"),
    ];
    let seen = std::sync::Mutex::new(Seen::default());
    each(answers.to_vec(), |answer| {
        let cloud =
            Cloud::start(CloudOptions { cloudformation: vec![answer.clone(); 20].into(), ..Default::default() })
                .unwrap();
        let url = wait_handle(&cloud.cloudformation_endpoint());
        let text = format!("#ecs-firstrun\nsignal: {{wait_handle: \"{url}\", timeout: 8s}}\n");
        let host = Host::in_cloud(&text, |_| {});
        let ended = host.call(&["run", "-v"], &[]);
        assert_eq!(ended.code, Some(3), "{answer:?}: {}", ended.stderr);
        let by_hand = signal(&cloud, &[&url], &[], "");
        let mut seen = seen.lock().unwrap();
        seen.ended(&format!("run, {answer:?}"), &ended);
        seen.ended(&format!("signal, {answer:?}"), &by_hand);
        seen.tree(&format!("run, {answer:?}"), &files(&host.rehearsal.root));
    });
    seen.into_inner().unwrap().assert_nothing();
}

/// Whatever a proxy does: it alone is told what it is told, and nobody hears of that.
#[test]
fn a_proxy_alone_is_told_its_password() {
    let credentials = |password: String| Some(ProxyCredentials { user: Canary::ProxyUser.text(), password });
    let right = credentials(Canary::ProxyPassword.text());
    let cases = [
        ("takes it", right.clone(), 0, 0),
        ("drops a connection", right, 2, 0),
        ("wants another", credentials("another".to_owned()), 0, 3),
    ];
    let seen = std::sync::Mutex::new(Seen::default());
    each(cases.to_vec(), |(what, credentials, drops, code)| {
        let text = user_data(&ours("{stack: web, resource: Instances, timeout: 8s}", ""));
        let host = Host::in_cloud(&text, |options| {
            options.proxy_credentials = credentials;
            options.proxy_drops = drops;
            options.iam_role = Some("web-instances".into());
            let value = Canary::ReferencedValue.text();
            options.secrets.values = [("splunk".into(), json!({ "token": value }).to_string())].into();
            options.parameters.values = [("/source".into(), value)].into();
        });
        let url = proxy(&host.rehearsal.cloud.proxy_endpoint());
        let beyond = "http://cloudformation.eu-central-1.amazonaws.com";
        let ended = host.call(&["run", "-v"], &[("PROXY_URL", &url), ("AWS_ENDPOINT_URL_CLOUDFORMATION", beyond)]);
        assert_eq!(ended.code, Some(code), "{what}: {}", ended.stderr);
        if code == 0 {
            assert!(host.one_signal("SUCCESS").proxied);
        }
        let mut seen = seen.lock().unwrap();
        seen.ended(&format!("a proxy that {what}"), &ended);
        seen.tree(&format!("a proxy that {what}"), &files(&host.rehearsal.root));
        let requests = host.rehearsal.cloud.requests();
        assert!(requests.iter().any(|request| request.server == Server::Proxy));
        for request in requests {
            let told = request.header("proxy-authorization").map(|header| Canary::shown_in(header.as_bytes()));
            let expected = (request.server == Server::Proxy).then(|| vec![Canary::ProxyPassword, Canary::ProxyUser]);
            assert_eq!(told, expected, "{:?}", request.server);
            let for_one = |name: &str| ["proxy-authorization", "x-registry-auth"].contains(&name);
            let others: Vec<_> = request.headers.iter().filter(|(name, _)| !for_one(name)).collect();
            seen.open(&format!("a request to {:?}", request.server), format!("{others:?} {}", request.path_and_query));
        }
    });
    seen.into_inner().unwrap().assert_nothing();
}

/// The credentials of the instance's role, with which a signal is signed, are nobody's to see.
#[test]
fn the_keys_of_the_role_and_the_tokens_of_the_metadata_are_kept_nowhere() {
    let text = "#ecs-firstrun\nsignal: {stack: web, resource: Instances, auth: iam}\necs: {cluster: production}\n";
    let host = Host::in_cloud(text, |options| options.iam_role = Some("instance".to_owned()));
    let ended = host.call(&["run", "-v", "--log-format", "json"], &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let requests = host.rehearsal.cloud.requests();
    assert!(requests.iter().any(|request| request.header("x-amz-security-token").is_some()), "nothing was signed");
    let tokens = requests.iter().filter_map(|request| request.header("x-aws-ec2-metadata-token")).map(str::to_owned);
    let tokens: std::collections::BTreeSet<_> =
        tokens.chain(["rehearsal-secret", "rehearsal-token"].map(String::from)).collect();
    let mut seen = vec![ended.stdout, ended.stderr];
    seen.extend(
        files(&host.rehearsal.root).into_values().map(|(_, bytes)| String::from_utf8_lossy(&bytes).into_owned()),
    );
    for request in requests.iter().filter(|request| request.server != Server::Imds) {
        let headers = request.headers.iter().filter(|(name, _)| name != "x-amz-security-token");
        seen.push(format!("{:?} {} {:?}", headers.collect::<Vec<_>>(), request.path_and_query, request.body));
    }
    assert!(tokens.len() >= 3, "{tokens:?}");
    for token in tokens {
        assert!(!seen.iter().any(|text| text.contains(&token)), "{token} is shown");
    }
}

#[test]
fn the_name_of_cfn_signal_is_no_way_around_it() {
    let host = Host::of(Scenario::Success, "");
    let cfn_signal = host.folder.path().join("cfn-signal");
    symlink(BINARY, &cfn_signal).unwrap();
    let url = wait_handle("http://127.0.0.1:9");
    let ended = Ended::from(Command::new(Path::new(&cfn_signal)).args([&url, &url]).output().unwrap());
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let mut seen = Seen::default();
    seen.ended("cfn-signal", &ended);
    seen.assert_nothing();
}

//! The instance metadata as a run reads them: each once, with one token, and again where the service fails or is late.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use ecs_firstrun::rehearse::cloud::{Cloud, CloudOptions, ImdsFaults, Server, SignalAuth};

use crate::support::host::{BINARY, Host, INSTANCE};
use crate::support::user_data::SMALLEST;

#[test]
fn the_instance_metadata_are_read_with_one_token_and_each_once() {
    let host = Host::in_cloud(SMALLEST, |_| {});
    assert_eq!(host.run().code, Some(0));
    let requests = host.requests(Server::Imds);
    let mut sequence: Vec<_> =
        requests.iter().map(|request| format!("{} {}", request.method, request.path_and_query)).collect();
    // The requests after the identity document are sent at once, so their order varies.
    sequence[2..8].sort();
    assert_eq!(
        sequence,
        [
            "PUT /latest/api/token",
            "GET /latest/dynamic/instance-identity/document",
            "GET /latest/dynamic/instance-identity/signature",
            "GET /latest/meta-data/ami-launch-index",
            "GET /latest/meta-data/autoscaling/target-lifecycle-state",
            "GET /latest/meta-data/services/domain",
            "GET /latest/meta-data/tags/instance",
            "GET /latest/user-data",
        ]
    );
    assert!(requests[0].header("x-aws-ec2-metadata-token-ttl-seconds").is_some());
    let tokens: BTreeSet<_> = requests[1..].iter().map(|request| request.header("x-aws-ec2-metadata-token")).collect();
    assert!(tokens.len() == 1 && tokens.iter().all(Option::is_some), "{tokens:?}");
}

#[test]
fn instance_metadata_that_are_not_ready_are_asked_again() {
    let host = Host::in_cloud(SMALLEST, |options| {
        options.imds_faults = ImdsFaults { unavailable: 3, ..ImdsFaults::default() }
    });
    assert_eq!(host.run().code, Some(0));
    host.one_signal("SUCCESS");
    assert_eq!(host.requests(Server::Imds).iter().filter(|request| request.status == 503).count(), 3);
}

#[test]
fn instance_metadata_that_come_late_are_waited_for() {
    let host = Host::in_cloud(SMALLEST, |_| {});
    // A port where nobody listens yet.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = host.rehearsal.command(Path::new(BINARY)).into_std();
    command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://{address}"));
    let child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(host.statuses().len(), 0);
    let options =
        CloudOptions { imds_address: Some(address), user_data: Some(SMALLEST.into()), ..CloudOptions::default() };
    let _late = Cloud::start(options).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let signal = host.one_signal("SUCCESS");
    assert_eq!((signal.auth, signal.unique_id.as_str()), (SignalAuth::InstanceIdentity, INSTANCE));
}

#[test]
fn optional_metadata_that_is_refused_does_not_fail_the_run() {
    let host = Host::in_cloud(SMALLEST, |options| {
        let refused = vec!["/latest/meta-data/autoscaling", "/latest/meta-data/services", "/latest/meta-data/tags"];
        options.imds_faults = ImdsFaults { refused, ..ImdsFaults::default() }
    });
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    host.one_signal("SUCCESS");
    assert!(ended.stderr.contains("going on without /latest/meta-data/tags/instance: "), "{}", ended.stderr);
}

#[test]
fn a_token_that_expires_is_replaced() {
    let host = Host::in_cloud(SMALLEST, |options| {
        options.imds_faults = ImdsFaults { first_token_uses: Some(2), ..ImdsFaults::default() }
    });
    assert_eq!(host.run().code, Some(0));
    host.one_signal("SUCCESS");
    let requests = host.requests(Server::Imds);
    assert!(requests.iter().any(|request| request.status == 401));
    assert_eq!(requests.iter().filter(|request| request.method == "PUT").count(), 2);
}

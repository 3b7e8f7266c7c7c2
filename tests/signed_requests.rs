//! Signed requests: those of the AWS CLI for the same calls, which `tests/recorded` holds.

use std::collections::BTreeMap;

use ecs_firstrun::rehearse::cloud::{Request, Server};

use crate::support::host::Host;
use crate::support::repository;

const USER_DATA: &str = "#ecs-firstrun
signal:
  stack: arn:aws:cloudformation:eu-central-1:123456789012:stack/web/8a6f2c50
  resource: Instances
  auth: iam
  lifecycle_hook: {name: launch, group: web-Instances}
ecs: {cluster: production}
on_failure: {health: unhealthy}
";

/// The part of a request that does not depend on who signs it and when.
#[derive(Debug, PartialEq)]
struct Wire {
    method: String,
    path: String,
    content_type: String,
    parameters: BTreeMap<String, String>,
    algorithm: String,
    /// Region, service and the end of the credential's scope.
    scope: String,
    /// Checks that everything that must be signed is signed.
    signed: [bool; 2],
}

impl Wire {
    fn new(method: &str, path: &str, header: impl Fn(&str) -> String, body: &[u8]) -> Self {
        let signature = header("authorization");
        let (algorithm, rest) = signature.split_once(' ').unwrap();
        let part = |name: &str| rest.split(", ").find_map(|part| part.strip_prefix(name)).unwrap();
        let signed: Vec<_> = part("SignedHeaders=").split(';').collect();
        assert_eq!(part("Signature=").len(), 64, "{signature}");
        Wire {
            method: method.to_owned(),
            path: path.to_owned(),
            content_type: header("content-type").split(';').next().unwrap().to_owned(),
            parameters: url::form_urlencoded::parse(body).into_owned().collect(),
            algorithm: algorithm.to_owned(),
            scope: part("Credential=").splitn(3, '/').nth(2).unwrap().to_owned(),
            signed: ["host", "x-amz-date"].map(|name| signed.contains(&name)),
        }
    }

    fn recorded(name: &str) -> Self {
        let text = std::fs::read_to_string(repository("tests/recorded").join(name)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut words = head.lines().next().unwrap().split(' ');
        let header = |name: &str| {
            let mut fields = head.lines().filter_map(|line| line.split_once(": "));
            fields
                .find(|(field, _)| field.eq_ignore_ascii_case(name))
                .map_or_else(String::new, |(_, text)| text.to_owned())
        };
        Wire::new(words.next().unwrap(), words.next().unwrap(), header, body.as_bytes())
    }

    fn of(request: &Request) -> Self {
        let header = |name: &str| request.header(name).unwrap_or_default().to_owned();
        Wire::new(&request.method, &request.path_and_query, header, &request.body)
    }
}

#[test]
fn signed_requests_are_those_of_the_aws_cli() {
    let host = Host::in_cloud(USER_DATA, |options| options.iam_role = Some("web-instances".into()));
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let sent = [host.requests(Server::AutoScaling), host.requests(Server::CloudFormation)].concat();
    let names = ["record-lifecycle-action-heartbeat.http", "complete-lifecycle-action.http", "signal-resource.http"];
    assert_eq!(sent.len(), names.len());
    for (request, name) in sent.iter().zip(names) {
        assert_recorded(request, name);
    }
    let failed = Host::in_cloud(USER_DATA, |options| options.iam_role = Some("web-instances".into()));
    failed.put_mistake();
    assert_eq!(failed.run().code, Some(2));
    assert_recorded(failed.requests(Server::AutoScaling).last().unwrap(), "set-instance-health.http");
}

fn assert_recorded(request: &Request, name: &str) {
    assert_eq!(Wire::of(request), Wire::recorded(name), "{name}");
    // Those of a role have a token, which is signed too.
    assert_eq!(request.header("x-amz-security-token"), Some("rehearsal-token"));
    assert!(request.header("authorization").unwrap().contains("x-amz-security-token"));
}

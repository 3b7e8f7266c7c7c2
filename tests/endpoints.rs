//! The endpoints of AWS: by rule, as botocore's own rules have them, and as a run and `doctor` ask for them.

use std::process::{Command, Stdio};

use ecs_firstrun::aws::endpoint::{Service, Variant};
use ecs_firstrun::rehearse::cloud::Server;
use ecs_firstrun::report::DeliveryState;
use serde::Deserialize;

use crate::support::host::{BINARY, Host, until};
use crate::support::{at_once, repository, skip};

/// An endpoint, as `with_botocore.py` prints it.
#[derive(Deserialize)]
struct OfBotocore {
    service: String,
    region: String,
    domain: String,
    fips: bool,
    dual_stack: bool,
    url: String,
}

#[test]
fn the_rules_are_those_of_botocore_in_every_region_of_every_partition() {
    let python = repository("target/lint/endpoints/venv/bin/python");
    if !python.exists() {
        return skip("needs botocore; `make setup-endpoints` installs it where there is Python with venv");
    }
    let names = Service::ALL.map(Service::name);
    let printed =
        Command::new(&python).arg(repository("tests/endpoints/with_botocore.py")).args(names).output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let all: Vec<OfBotocore> = serde_json::from_slice(&printed.stdout).unwrap();
    for OfBotocore { service, region, domain, fips, dual_stack, url } in &all {
        let ours = Service::ALL.into_iter().find(|ours| ours.name() == service).unwrap();
        let variant = Variant { fips: *fips, dual_stack: *dual_stack };
        for domain in ["", domain] {
            assert_eq!(&ours.by_rule(region, domain, variant), url, "{service} in {region}, {variant:?}");
        }
    }
    let of = |region: &str| all.iter().filter(|endpoint| endpoint.region == region).count();
    let one_of_each = [
        "us-east-1",
        "cn-north-1",
        "us-gov-west-1",
        "eusc-de-east-1",
        "us-iso-east-1",
        "us-isob-east-1",
        "eu-isoe-west-1",
        "us-isof-south-1",
    ];
    assert_eq!(one_of_each.map(of), [4 * Service::ALL.len(); 8]);
}

const DOCUMENT: &str = "#ecs-firstrun
signal:
  stack: web
  resource: Instances
  lifecycle_hook: {name: launch, group: web-Instances}
  timeout: 8s
ecs: {cluster: production}
logs: {agent: none}
";

/// A host behind the proxy double, with a role, on which the endpoints are those of the region.
fn host(document: &str, aws: &str) -> Host {
    let host = Host::in_cloud(&format!("{document}aws: {aws}\n"), |options| {
        options.iam_role = Some("web-instances".into());
    });
    let proxy = host.rehearsal.cloud.proxy_endpoint();
    host.put("/etc/ecs-firstrun/conf.d/70-proxy.yaml", &format!("proxy: {{url: \"{proxy}\"}}\n"));
    host
}

const BY_RULE: [(&str, &str); 2] = [("AWS_ENDPOINT_URL_CLOUDFORMATION", ""), ("AWS_ENDPOINT_URL_AUTO_SCALING", "")];

/// The hosts for which the proxy was asked, each once.
fn asked(host: &Host) -> Vec<String> {
    let requests = host.requests(Server::Proxy).into_iter();
    let mut hosts: Vec<_> = requests.map(|request| request.path_and_query.replace(":443", "")).collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts
}

#[test]
fn a_run_asks_the_variant_of_the_configuration_and_else_that_of_its_environment() {
    let (fips, both) = (("AWS_USE_FIPS_ENDPOINT", "true"), ("AWS_USE_DUALSTACK_ENDPOINT", "true"));
    let region = "eu-central-1";
    let table = [
        ("{fips: true}", &[][..], format!("-fips.{region}.amazonaws.com")),
        ("{dual_stack: true}", &[], format!(".{region}.api.aws")),
        ("{fips: true, dual_stack: true}", &[], format!("-fips.{region}.api.aws")),
        ("{}", &[fips, both], format!("-fips.{region}.api.aws")),
        ("{fips: false, dual_stack: true}", &[fips], format!(".{region}.api.aws")),
    ];
    at_once(table.iter().map(|(aws, environment, ending)| {
        move || {
            let host = host(DOCUMENT, aws);
            // The double speaks no TLS, so nothing is delivered.
            let ended = host.run_with(&[&BY_RULE[..], environment].concat());
            assert_eq!(ended.code, Some(3), "{aws}: {}", ended.stderr);
            assert_eq!(asked(&host), ["autoscaling", "cloudformation"].map(|name| format!("{name}{ending}")), "{aws}");
        }
    }));
}

#[test]
fn a_signal_with_credentials_goes_to_the_same_endpoint() {
    let document = DOCUMENT.replace("lifecycle_hook: {name: launch, group: web-Instances}", "auth: iam");
    let host = host(&document, "{fips: true}");
    let ended = host.run_with(&BY_RULE);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert_eq!(asked(&host), ["cloudformation-fips.eu-central-1.amazonaws.com"]);
}

#[test]
fn a_name_that_does_not_resolve_is_told_with_the_key_to_leave_out() {
    let host = Host::in_cloud(&DOCUMENT.replace("lifecycle_hook:", "lifecycle_hook: null #"), |_| {});
    let ended = host.run_with(&[("AWS_ENDPOINT_URL_CLOUDFORMATION", "http://cloudformation-fips.invalid")]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let message = host.report().signal.unwrap().message;
    assert!(message.contains("dns error") && message.contains("leave `aws.fips` out"), "{message}");
}

#[test]
fn an_endpoint_that_a_variable_names_wins_over_the_configuration() {
    let host = Host::in_cloud(&format!("{DOCUMENT}aws: {{fips: true, dual_stack: true}}\n"), |options| {
        options.iam_role = Some("web-instances".into());
    });
    let ended = host.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(host.report().lifecycle_hook.unwrap().delivery, DeliveryState::Accepted);
    host.one_signal("SUCCESS");
}

#[test]
fn the_signal_by_hand_asks_the_variant_of_its_environment() {
    let host = Host::in_cloud("", |_| {});
    let proxy = host.rehearsal.cloud.proxy_endpoint();
    let mut command = Command::new(BINARY);
    command.args(["signal", "--stack", "web", "--resource", "Instances", "--region", "us-east-1"]);
    command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", host.rehearsal.cloud.imds_endpoint());
    command.env("HTTPS_PROXY", proxy).env("AWS_USE_FIPS_ENDPOINT", "true").stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    until(|| !asked(&host).is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(asked(&host), ["cloudformation-fips.us-east-1.amazonaws.com"]);
}

#[test]
fn doctor_looks_for_the_endpoints_of_the_variant() {
    let host = host(DOCUMENT, "{fips: true}");
    host.call(&["doctor"], &BY_RULE);
    let region = "eu-central-1.amazonaws.com";
    let names = ["autoscaling-fips", "cloudformation-fips", "ecs-a-1", "ecs-fips", "ecs-t-1", "logs-fips"];
    assert_eq!(asked(&host), names.map(|name| format!("{name}.{region}")));
}

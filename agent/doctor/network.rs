//! Checks whether the services of AWS can be reached as configured, and compares the host's clock with theirs.
//!
//! Each service gets one GET of its root, without credentials. Any answer of AWS, an error included, shows that the way is
//! free.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use tokio::task::JoinSet;
use url::Url;

use super::finding::{Check, Finding};
use super::no_proxy;
use super::reach::{self, Probe};
use super::subject::{Metadata, Subject};
use crate::aws::endpoint::{OF_ALL, Service, Variant};
use crate::config::{Config, LogAgent};
use crate::host::Host;
use crate::http;
use crate::plan::variant_of_ecs_agent;
use crate::secrets::redact;

/// Time allowed for one request, including name resolution, proxy and TLS.
const REQUEST: Duration = Duration::from_secs(3);
/// Seconds by which the host's clock may be off. AWS refuses a request that was signed five minutes ago; one minute is left
/// for the request's way.
const LARGEST_SKEW: u64 = 240;
/// Bytes of an answer that are read: the head of a page tells whose page it is.
const BODY: usize = 4096;

/// A service to be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Endpoint {
    service: &'static str,
    url: Url,
    /// True if the host is the likeliest of several. The ECS agent learns the right host when it registers.
    assumed: bool,
}

/// Checks whether the services answer, and whether the host's clock agrees with theirs.
pub(super) async fn reached(subject: &Subject<'_>) -> Result<Vec<Finding>> {
    let targets = match targets(subject) {
        Ok(targets) => targets,
        Err(why) => return Ok(vec![Finding::unknown(Check::Endpoints, why), clock(&[])]),
    };
    let proxy = proxy(subject);
    let client = match http::outbound(proxy.as_ref()) {
        Ok(client) => client,
        Err(error) => {
            let why = "every request to AWS needs this";
            let remedy = "correct `proxy.url`, or the file that AWS_CA_BUNDLE names";
            return Ok(vec![Finding::problem(Check::Endpoints, format!("{error:#}"), why, remedy)]);
        }
    };
    let mut probes = JoinSet::new();
    for target in targets {
        probes.spawn(probe(client.clone(), target, proxy.clone()));
    }
    let mut probes = probes.join_all().await;
    probes.sort_unstable_by_key(|probe| probe.service);
    let proxy = proxy.as_ref().map(in_words);
    let mut findings = reach::findings(&probes, proxy.as_deref());
    findings.push(clock(&probes));
    Ok(findings)
}

/// Names a proxy, without its credentials.
fn in_words(proxy: &http::ProxyRoute) -> String {
    let port = proxy.url.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
    redact(&format!("{}{port}", proxy.url.host_str().unwrap_or_default()))
}

/// Returns the configuration's proxy; without a configuration, the ECS agent's proxy.
fn proxy(subject: &Subject<'_>) -> Option<http::ProxyRoute> {
    let Some(config) = subject.config else { return no_proxy::proxy_of_agent(subject.host) };
    config.proxy_route()
}

/// Lists the endpoints to try. They are the region's, unless the variables of the SDKs or the settings of the ECS agent name
/// others.
fn targets(subject: &Subject<'_>) -> Result<Vec<Endpoint>, String> {
    let config = subject.config.cloned().unwrap_or_default();
    let ecs_config = config.ecs.as_ref().map(|ecs| ecs.config.0.clone()).unwrap_or_default();
    let domain = subject.identity.partition_domain.as_str();
    let region = match subject.identity.region.as_str() {
        "" => ecs_config.get("AWS_DEFAULT_REGION").cloned().unwrap_or_default(),
        region => region.to_owned(),
    };
    let everywhere = set(OF_ALL);
    if region.is_empty() && everywhere.is_none() {
        let asked = if subject.metadata == Metadata::NotAsked { "; this is not an EC2 instance" } else { "" };
        return Err(format!("the region is not known, so neither are its endpoints{asked}"));
    }
    let backend = ecs_config.get("ECS_BACKEND_HOST").map(|host| match host.contains("://") {
        true => host.clone(),
        false => format!("https://{host}"),
    });
    let cloudformation = subject.cloudformation_endpoint.map(str::to_owned);
    let by_rule = |service: Service, variant| service.by_rule(&region, domain, variant);
    let of_this_agent = |service: Service| service.endpoint(&region, domain, config.aws);
    // ECS names these hosts at the registration, of whatever variant they are.
    let plain = by_rule(Service::Ecs, Variant::default());
    let numbered = |name: &str| plain.replacen("://ecs.", &format!("://{name}."), 1);
    let (ecs, logs) = (variant_of_ecs_agent(&config), variant_of_log_agent(&config, subject.host));
    let all = [
        ("ecs", set("AWS_ENDPOINT_URL_ECS").or(backend), by_rule(Service::Ecs, ecs), false),
        ("ecs-a", None, numbered("ecs-a-1"), true),
        ("ecs-t", None, numbered("ecs-t-1"), true),
        ("logs", set("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"), by_rule(Service::Logs, logs), false),
        ("cloudformation", cloudformation, of_this_agent(Service::CloudFormation), false),
        ("autoscaling", set("AWS_ENDPOINT_URL_AUTO_SCALING"), of_this_agent(Service::AutoScaling), false),
    ];
    let signal = config.signal.clone().unwrap_or_default();
    let wanted = all.into_iter().filter(|(service, ..)| match *service {
        "cloudformation" => signal.stack.is_some() || signal.resource.is_some(),
        "autoscaling" => signal.lifecycle_hook.is_some() || config.on_failure.health.is_some(),
        _ => true,
    });
    let mut targets = Vec::new();
    for (service, own, by_rule, assumed) in wanted {
        let assumed = assumed && everywhere.is_none();
        let text = own.or_else(|| everywhere.clone()).unwrap_or(by_rule);
        let url = text.parse().map_err(|error| format!("the endpoint {:?} is not a URL: {error}", redact(&text)))?;
        targets.push(Endpoint { service, url, assumed });
    }
    // The query of a wait handle is a secret, and its signature is for another method.
    if let Some(handle) = config.signal.as_ref().and_then(|signal| signal.wait_handle.as_ref()) {
        let mut url = handle.0.reveal().clone();
        url.set_query(None);
        url.set_path("/");
        targets.push(Endpoint { service: "wait handle", url, assumed: false });
    }
    Ok(targets)
}

/// Returns the variant that the log agent asks: the awslogs agent knows the plain endpoints only.
fn variant_of_log_agent(config: &Config, host: &Host) -> Variant {
    let (cloudwatch_agent, awslogs) = host.log_agents().unwrap_or_default();
    match config.logs.agent.used(cloudwatch_agent.is_some(), awslogs) {
        LogAgent::Awslogs => Variant::default(),
        LogAgent::Cloudwatch | LogAgent::Auto | LogAgent::None => config.aws.into(),
    }
}

fn set(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

async fn probe(client: reqwest::Client, target: Endpoint, proxy: Option<http::ProxyRoute>) -> Probe {
    let host = target.url.host_str().unwrap_or_default().to_owned();
    let direct = |proxy: &http::ProxyRoute| proxy.no_proxy.iter().any(|entry| http::covers(entry, &host, None));
    let proxied = proxy.is_some_and(|proxy| !direct(&proxy));
    let is_plain = target.url.scheme() == "http";
    let answer = client.get(target.url).timeout(REQUEST).send().await;
    let (outcome, ahead) = match answer {
        Ok(response) => {
            let ahead = seconds_ahead(response.headers());
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let body = http::read_body(response, BODY).await.unwrap_or_default();
            let outcome = reach::judge(status, &headers, &body, proxied || is_plain);
            (outcome, ahead)
        }
        Err(error) => (reach::failure(&http::explain(error), proxied), None),
    };
    let ahead = ahead.filter(|_| outcome == reach::Reachability::Answered);
    Probe { service: target.service, host, assumed: target.assumed, outcome, ahead }
}

fn seconds_ahead(headers: &reqwest::header::HeaderMap) -> Option<i64> {
    let date = headers.get(reqwest::header::DATE)?.to_str().ok()?;
    let theirs = aws_smithy_types::DateTime::from_str(date, aws_smithy_types::date_time::Format::HttpDate).ok()?;
    let ours = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    Some(theirs.secs() - i64::try_from(ours).ok()?)
}

/// Compares the host's clock with those of the services. The smallest difference counts, since caches return old dates.
fn clock(probes: &[Probe]) -> Finding {
    let Some(ahead) = probes.iter().filter_map(|probe| probe.ahead).min_by_key(|ahead| ahead.unsigned_abs()) else {
        return Finding::unknown(Check::Clock, "no endpoint answered with a time to compare the host's clock with");
    };
    let off = ahead.unsigned_abs();
    if off <= LARGEST_SKEW {
        return Finding::ok(Check::Clock, format!("within {} s of AWS's clock", off.max(1)));
    }
    let direction = if ahead > 0 { "behind" } else { "ahead of" };
    let amount = humantime::format_duration(Duration::from_secs(off));
    Finding::problem(
        Check::Clock,
        format!("the host's clock is {amount} {direction} AWS's clock"),
        "AWS refuses requests whose signature is more than five minutes off, and certificates seem not to be valid",
        "start chronyd with 169.254.169.123 as its server, then `chronyc makestep`",
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    fn answered(ahead: Option<i64>) -> Probe {
        let outcome = reach::Reachability::Answered;
        Probe { service: "ecs", host: "ecs.test".to_owned(), assumed: false, outcome, ahead }
    }

    #[test]
    fn a_clock_that_is_off_by_minutes_is_a_problem() {
        for (ahead, verdict, words) in [
            (vec![], Verdict::Unknown, "no endpoint"),
            (vec![None, Some(-3)], Verdict::Ok, "within 3 s"),
            (vec![Some(-240), Some(-241)], Verdict::Ok, "within 240 s"),
            (vec![Some(3600)], Verdict::Problem, "1h behind"),
            (vec![Some(-600)], Verdict::Problem, "10m ahead of"),
        ] {
            let finding = clock(&ahead.into_iter().map(answered).collect::<Vec<_>>());
            assert_eq!(finding.verdict, verdict, "{}", finding.found);
            assert!(finding.found.contains(words), "{}", finding.found);
        }
    }
}

//! Judges from a service's answer, or the lack of one, whether the way to the service is free.

use reqwest::header::{CONTENT_TYPE, HeaderMap};

use super::finding::{Check, Finding};
use crate::aws::delivery::answer::is_web_page;
use crate::aws::endpoint::remedy_of_name;

/// The result of one request to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reachability {
    /// The service answered, with an error or without.
    Answered,
    /// The proxy wants other credentials.
    ProxyCredentials,
    /// The proxy opens no way to this host.
    ProxyRefuses,
    /// The proxy itself can't be reached.
    NoProxy,
    /// The proxy's name does not resolve.
    NoProxyName,
    /// A web page came back, from something in between.
    Page,
    /// The name does not resolve.
    NoName,
    /// The certificate is not trusted.
    Untrusted,
    /// The certificate is not valid at the host's time.
    OutOfTime,
    /// Nothing listens there.
    Refused,
    /// There is no way there, or no answer.
    Silent,
    /// The connection broke in another way.
    Broken,
}

/// The result of a request.
pub(super) struct Probe {
    pub(super) service: &'static str,
    pub(super) host: String,
    pub(super) assumed: bool,
    pub(super) outcome: Reachability,
    /// Seconds by which the service's clock is ahead of the host's; none if the answer has no time.
    pub(super) ahead: Option<i64>,
}

/// Judges an answer. An API answers with JSON or XML, and says so; a web page comes from somebody else.
pub(super) fn judge(status: u16, headers: &HeaderMap, body: &[u8], may_be_between: bool) -> Reachability {
    if status == 407 {
        return Reachability::ProxyCredentials;
    }
    let of_aws = headers.keys().any(|name| name.as_str().starts_with("x-amz"));
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_page = kind.starts_with("text/html") || is_web_page(body);
    match is_page && !of_aws && may_be_between {
        true => Reachability::Page,
        false => Reachability::Answered,
    }
}

/// Judges an error, by the words of the HTTP client and of the layers below it.
pub(super) fn failure(error: &str, proxied: bool) -> Reachability {
    let error = error.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|words| error.contains(words));
    match () {
        () if has(&["proxy authorization required"]) => Reachability::ProxyCredentials,
        () if has(&["tunnel error: unsuccessful"]) => Reachability::ProxyRefuses,
        () if has(&["dns error", "failed to lookup"]) && proxied => Reachability::NoProxyName,
        () if has(&["dns error", "failed to lookup"]) => Reachability::NoName,
        () if has(&["certificate expired", "certificate not valid yet", "expired", "notvalidyet"]) => {
            Reachability::OutOfTime
        }
        () if has(&["certificate", "unknownissuer"]) => Reachability::Untrusted,
        () if has(&["tcp connect error", "error trying to connect", "tunnel error"]) && proxied => {
            Reachability::NoProxy
        }
        () if has(&["connection refused"]) => Reachability::Refused,
        () if has(&["timed out", "unreachable", "no route"]) => Reachability::Silent,
        () => Reachability::Broken,
    }
}

/// Returns the findings for the services; services with the same outcome share one finding.
pub(super) fn findings(probes: &[Probe], proxy: Option<&str>) -> Vec<Finding> {
    let mut groups: Vec<(Reachability, bool, Vec<&Probe>)> = Vec::new();
    for probe in probes {
        let unsure = probe.assumed && probe.outcome == Reachability::NoName;
        match groups.iter_mut().find(|(outcome, known, _)| (*outcome, *known) == (probe.outcome, unsure)) {
            Some((.., group)) => group.push(probe),
            None => groups.push((probe.outcome, unsure, vec![probe])),
        }
    }
    groups.into_iter().map(|(outcome, unsure, group)| of_group(outcome, unsure, &group, proxy)).collect()
}

fn of_group(outcome: Reachability, unsure: bool, group: &[&Probe], proxy: Option<&str>) -> Finding {
    let mut hosts: Vec<_> = group.iter().map(|probe| probe.host.as_str()).collect();
    hosts.dedup();
    let services: Vec<_> = group.iter().map(|probe| probe.service).collect();
    let (hosts, services) = (hosts.join(", "), services.join(", "));
    let via = proxy.map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default();
    if unsure {
        let words = "; harmless if ECS gives the ECS agent hosts with other numbers at its registration";
        return Finding::unknown(Check::Endpoints, format!("{hosts} do not resolve{words}"));
    }
    let Some((what, remedy)) = words(outcome, &via) else {
        return Finding::ok(Check::Endpoints, format!("{services} can be reached{via} ({hosts})"));
    };
    let may_be_missing = group.iter().find_map(|probe| remedy_of_name(&probe.host));
    let remedy = match may_be_missing.filter(|_| outcome == Reachability::NoName) {
        Some(of_name) => format!("{remedy}; {of_name}"),
        None => remedy.to_owned(),
    };
    let why = match services.as_str() {
        "logs" => "without it no log reaches CloudWatch Logs",
        "cloudformation" | "wait handle" => "without it the stack is not signalled",
        _ => "the ECS agent registers with ecs, and receives its tasks from ecs-a",
    };
    Finding::problem(Check::Endpoints, format!("{hosts} can't be reached{via}: {what}"), why, remedy)
}

fn words(outcome: Reachability, via: &str) -> Option<(&'static str, &'static str)> {
    let network = "give the subnet a route there: a NAT gateway, a VPC endpoint for the service, or a `proxy`; and let \
                   the security group allow outbound TCP 443";
    Some(match outcome {
        Reachability::Answered => return None,
        Reachability::ProxyCredentials => {
            ("the proxy wants credentials (407)", "put user and password into `proxy.url`, or correct them")
        }
        Reachability::ProxyRefuses => ("the proxy refuses to connect", "allow these hosts in the proxy"),
        Reachability::NoProxy => {
            ("the proxy does not answer", "correct host and port in `proxy.url`; see that it runs and may be reached")
        }
        Reachability::NoProxyName => {
            ("the proxy's name does not resolve", "correct the host in `proxy.url`, or the VPC's DNS")
        }
        Reachability::Page => (
            "a web page came back, which is not from AWS",
            "let a filtering proxy or captive portal in between pass requests to these hosts",
        ),
        Reachability::NoName => (
            "the name does not resolve",
            "see that the VPC resolves names (enableDnsSupport, its DHCP options), and that the region is right",
        ),
        Reachability::Untrusted => (
            "its certificate is not trusted",
            "put the CA of an inspecting proxy into the host's trust store or AWS_CA_BUNDLE, or let it pass AWS through",
        ),
        Reachability::OutOfTime => ("its certificate is not valid at the host's time", "correct the host's clock"),
        Reachability::Refused if via.is_empty() => ("the connection is refused", network),
        Reachability::Refused => ("the connection is refused", "correct host and port in `proxy.url`"),
        Reachability::Silent => ("there is no answer, from there or from the name server", network),
        Reachability::Broken => ("the connection breaks", network),
    })
}

#[cfg(test)]
#[path = "reach/tests.rs"]
mod tests;

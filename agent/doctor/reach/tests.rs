use reqwest::header::{HeaderName, HeaderValue};

use super::super::Verdict;
use super::*;

#[test]
fn an_error_tells_which_part_of_the_way_is_closed() {
    let layers = "error sending request: client error (Connect): ";
    for (error, proxied, outcome) in [
        ("tunnel error: proxy authorization required", true, Reachability::ProxyCredentials),
        ("tunnel error: unsuccessful", true, Reachability::ProxyRefuses),
        ("tunnel error: failed to create underlying connection: tcp connect error", true, Reachability::NoProxy),
        ("tcp connect error: Connection refused (os error 111)", true, Reachability::NoProxy),
        ("tcp connect error: Connection refused (os error 111)", false, Reachability::Refused),
        ("dns error: no records found", true, Reachability::NoProxyName),
        ("dns error: no records found", false, Reachability::NoName),
        ("invalid peer certificate: UnknownIssuer", false, Reachability::Untrusted),
        ("invalid peer certificate: certificate not valid for name \"x\"", false, Reachability::Untrusted),
        ("invalid peer certificate: certificate expired: verification time 1 (UNIX)", false, Reachability::OutOfTime),
        ("invalid peer certificate: certificate not valid yet", true, Reachability::OutOfTime),
        ("operation timed out", false, Reachability::Silent),
        ("tcp connect error: Network is unreachable (os error 101)", false, Reachability::Silent),
        ("connection closed before message completed", false, Reachability::Broken),
    ] {
        assert_eq!(failure(&format!("{layers}{error}"), proxied), outcome, "{error} {proxied}");
    }
}

#[test]
fn a_page_is_from_aws_only_if_it_says_so_or_nobody_can_be_between() {
    let html = ("content-type", "text/html; charset=utf-8");
    for (status, header, body, between, outcome) in [
        (404, ("content-type", "text/xml"), "<UnknownOperationException/>", true, Reachability::Answered),
        (403, html, "<p>no</p>", true, Reachability::Page),
        (200, ("server", "x"), "  <!DOCTYPE html><html>", true, Reachability::Page),
        (403, html, "<p>no</p>", false, Reachability::Answered),
        (407, html, "", true, Reachability::ProxyCredentials),
        (500, ("x-amzn-requestid", "1"), "<html>", true, Reachability::Answered),
    ] {
        let (name, value) = (HeaderName::from_static(header.0), HeaderValue::from_static(header.1));
        let headers = HeaderMap::from_iter([(name, value)]);
        assert_eq!(judge(status, &headers, body.as_bytes(), between), outcome, "{status} {header:?} {body}");
    }
}

#[test]
fn services_that_fare_alike_are_told_of_once_and_an_assumed_name_is_not_held_against_the_host() {
    let probe = |service: &'static str, host: &str, assumed: bool, outcome| Probe {
        service,
        host: host.to_owned(),
        assumed,
        outcome,
        ahead: None,
    };
    let probes = [
        probe("ecs", "ecs.test", false, Reachability::Silent),
        probe("ecs-a", "ecs-a-1.test", true, Reachability::NoName),
        probe("logs", "logs.test", false, Reachability::Silent),
    ];
    let found = findings(&probes, None);
    let verdicts: Vec<_> = found.iter().map(|finding| finding.verdict).collect();
    assert_eq!(verdicts, [Verdict::Problem, Verdict::Unknown]);
    assert!(found[0].found.starts_with("ecs.test, logs.test can't be reached: there is no answer"), "{found:?}");
}

#[test]
fn a_name_that_aws_may_not_have_is_told_with_the_key_to_leave_out() {
    for (host, key) in [
        ("logs-fips.eu-central-1.amazonaws.com", Some("`aws.fips`")),
        ("logs.eu-central-1.api.aws", Some("`aws.dual_stack`")),
        ("logs.eu-central-1.amazonaws.com", None),
    ] {
        for outcome in [Reachability::NoName, Reachability::Silent] {
            let probe = Probe { service: "logs", host: host.to_owned(), assumed: false, outcome, ahead: None };
            let remedy = findings(&[probe], None).remove(0).remedy;
            let named = key.filter(|_| outcome == Reachability::NoName);
            assert_eq!(remedy.contains("`aws."), named.is_some(), "{remedy}");
            assert!(named.is_none_or(|key| remedy.contains(key)), "{remedy}");
        }
    }
}

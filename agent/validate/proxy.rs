//! Proxy settings that some programs do not understand. Examples are Docker and the agents, which are written in Go, and
//! dnf and yum, which use libcurl.

use std::net::IpAddr;

use ipnet::IpNet;

use super::warning::warning;
use super::without_effect::variable;
use crate::config::Config;
use crate::document::decode::Document;
use crate::document::problem::{self, Problem};

/// Finds proxy settings that cause trouble or have no effect.
pub(super) fn warnings(config: &Config, documents: &[Document]) -> Vec<Problem> {
    let mut found = Vec::new();
    let Some(proxy) = &config.proxy else { return found };
    let mut warn = |path: &[&str], message: String, remedy: &str| {
        found.push(warning(documents, path, message).remedy(remedy));
    };
    let url = proxy.url.0.reveal();
    if url.host_str().unwrap_or_default().contains('$') {
        let message = "the proxy's host is a variable of the shell, which nothing fills in here".to_owned();
        warn(&["proxy", "url"], message, "write the host itself; in a template `Fn::Sub` fills in parameters");
    }
    if url.scheme() == "https" {
        let message = "the ECS agent gets no tasks through an https:// proxy: it registers, but its WebSocket supports only http:// proxies";
        let remedy = "write http://: most proxies are reached by HTTP, also for HTTPS requests";
        warn(&["proxy", "url"], message.to_owned(), remedy);
    }
    if let Some(port) = port_left_out(documents) {
        let message = format!("the proxy's URL has no port, so {port} is used");
        warn(&["proxy", "url"], message, "write the port, as http://proxy.internal:3128");
    }
    for (index, entry) in proxy.no_proxy.iter().enumerate().take(problem::MOST) {
        // A variable that `Fn::Sub` should have filled in has its own warning.
        let effect = matches_nothing(entry.as_str()).filter(|_| variable(entry.as_str()).is_none());
        if let Some((what, remedy)) = effect {
            warn(&["proxy", "no_proxy", &index.to_string()], what, remedy);
        }
    }
    found
}

/// Returns the note that dnf and yum know no exceptions, if `no_proxy` has hosts or domains. Repositories may be among
/// these hosts.
pub(super) fn note(config: &Config) -> Option<String> {
    let is_name = |entry: &str| entry != "*" && !entry.contains('/') && entry.parse::<IpAddr>().is_err();
    let names = config.proxy.iter().flat_map(|proxy| &proxy.no_proxy).map(|entry| entry.as_str());
    names.into_iter().any(is_name).then(|| {
        "dnf and yum don't read `proxy.no_proxy`: if a host in it has a repository, put `proxy=_none_` into that \
         repository's file"
            .to_owned()
    })
}

/// Returns the default port of the scheme if the proxy's URL has no port.
fn port_left_out(documents: &[Document]) -> Option<u16> {
    let of = |document: &Document| document.config.as_ref()?.at(&["proxy", "url"])?.text().map(str::to_owned);
    let text = documents.iter().rev().find_map(of)?;
    let (scheme, rest) = text.split_once("://")?;
    let host = rest.rsplit('@').next()?.trim_end_matches('/');
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    (!has_port).then_some(if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 })
}

/// Tells why an entry of `NO_PROXY` matches nothing in Go programs, such as Docker and the ECS agent. The second text is
/// the remedy.
/// <https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config>
fn matches_nothing(entry: &str) -> Option<(String, &'static str)> {
    let nothing = |why: &str| format!("`{entry}` matches nothing in Docker and the ECS agent: {why}");
    if entry == "*" {
        let message = "with `*` the proxy is used for nothing at all".to_owned();
        return Some((message, "leave `proxy` out, or name the hosts that are reached directly"));
    }
    // Docker's socket is in the list anyway, since Docker's client takes its path for a host.
    if entry.starts_with('/') {
        return None;
    }
    if entry.contains("://") {
        return Some((nothing("it is a URL"), "write the host alone, without scheme and path"));
    }
    if entry.contains(['$', '<', '>', ';', '@', '(', ')', '|']) {
        return Some((nothing("it has a character that no host name has"), "write the hosts themselves"));
    }
    if entry.ends_with('.') {
        return Some((
            nothing("it ends with a dot, which no program writes behind a host"),
            "leave the dot at the end out",
        ));
    }
    if entry.contains('/') {
        let remedy = "write a host, or a network as 10.0.0.0/16";
        return entry.parse::<IpNet>().is_err().then(|| (nothing("it is not a network"), remedy));
    }
    if entry.strip_prefix("*.").unwrap_or(entry).contains(['*', '?']) {
        return Some((
            nothing("a `*` can only begin a domain, as in `*.internal`"),
            "write a network as 10.0.0.0/16, a domain as .internal",
        ));
    }
    if entry.starts_with('[') && entry.ends_with(']') {
        return Some((nothing("an IPv6 address stands in brackets only before a port"), "leave the brackets out"));
    }
    let host = entry.rsplit_once(':').filter(|(host, _)| !host.contains(':')).map_or(entry, |(host, _)| host);
    let is_numeric = host.starts_with(|c: char| c.is_ascii_digit())
        && host.chars().all(|c| c.is_ascii_digit() || ".-".contains(c))
        && host.contains('.');
    if is_numeric && host.parse::<IpAddr>().is_err() {
        return Some((nothing("it is not an address"), "write an address, as 10.0.0.1, or a network, as 10.0.0.0/16"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_no_proxy_that_go_programs_never_match_are_told() {
        for entry in [
            "10.0.*",
            "http://internal.corp",
            "10.0.0.0/33",
            "<local>",
            "*",
            "169.254.*.*",
            "10.0.0",
            "10.0.0.1-10.0.0.9",
            "[::1]",
            "::1/129",
            "internal/8",
            "$HOST",
            "${VpcCidr}",
            "*.corp.*",
            "host?",
            "https://[::1]:443/",
            "me@host",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.300:443",
            "corp.example.",
        ] {
            assert!(matches_nothing(entry).is_some(), "{entry}");
        }
        for entry in [
            "10.0.0.1",
            "10.0.0.0/8",
            "fd00::/8",
            "::1",
            ".internal",
            "*.internal",
            "internal",
            "host:8080",
            "[::1]:80",
            "10.0.0.1:443",
            "s3.eu-central-1.amazonaws.com",
            "3com.example",
        ] {
            assert!(matches_nothing(entry).is_none(), "{entry}");
        }
    }

    #[test]
    fn a_port_that_is_left_out_is_told() {
        for (url, port) in [
            ("http://proxy", Some(80)),
            ("https://me:pa:1@proxy/", Some(443)),
            ("http://[fd00::1]", Some(80)),
            ("http://proxy:80", None),
            ("http://[fd00::1]:3128/", None),
        ] {
            let document = Document::read("user data", format!("proxy: {{url: '{url}'}}"), false);
            assert_eq!(port_left_out(&[document]), port, "{url}");
        }
    }
}

//! The list of hosts that are reached without the proxy, by the rules of Go's programs.
//!
//! Docker and the agents for ECS, CloudWatch and Systems Manager read the list so. This agent reaches the same hosts
//! directly as they do. <https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config>

use std::net::IpAddr;

use ipnet::IpNet;
use url::Url;

/// Tells whether this URL is reached without the proxy: by an entry, or because its host is loopback.
pub(super) fn is_direct(no_proxy: &[String], url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    is_loopback || no_proxy.iter().any(|entry| covers(entry, host, url.port_or_known_default()))
}

/// Tells whether an entry exempts a host from the proxy: at this port, or without one, at some.
pub fn covers(entry: &str, host: &str, port: Option<u16>) -> bool {
    let (entry, host) = (entry.trim().to_ascii_lowercase(), host.to_ascii_lowercase());
    let address = host.parse::<IpAddr>().ok();
    if entry == "*" {
        return true;
    }
    if let Ok(network) = entry.parse::<IpNet>() {
        return address.is_some_and(|address| network.contains(&address));
    }
    let (name, only) = split_port(&entry);
    if only.is_some_and(|only| port.is_some_and(|port| only != port.to_string())) {
        return false;
    }
    if let Ok(of_entry) = name.parse::<IpAddr>() {
        return address == Some(of_entry);
    }
    let domain = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
    match domain.strip_prefix('.') {
        _ if domain.is_empty() => false,
        Some(_) => address.is_none() && host.ends_with(domain),
        None => {
            host == domain || address.is_none() && host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
        }
    }
}

/// Splits an entry into host and port, as Go's `net.SplitHostPort` does. Without a port, the whole entry is the host.
fn split_port(entry: &str) -> (&str, Option<&str>) {
    match entry.rsplit_once(':') {
        Some((host, port)) if host.starts_with('[') && host.ends_with(']') => (&host[1..host.len() - 1], Some(port)),
        Some((host, port)) if !host.contains(':') => (host, Some(port).filter(|port| !port.is_empty())),
        _ => (entry, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_covers_what_it_covers_for_programs_in_go() {
        // Each row as golang.org/x/net/http/httpproxy judges it.
        for (entry, direct, proxied) in [
            ("*", &["https://anything.example"][..], &[][..]),
            ("corp.example", &["https://corp.example", "http://a.corp.example:81"], &["https://mycorp.example"]),
            (".corp.example", &["https://a.b.corp.example"], &["https://corp.example"]),
            ("*.corp.example", &["https://a.corp.example"], &["https://corp.example"]),
            ("Corp.Example", &["https://CORP.example"], &[]),
            ("corp.example:443", &["https://a.corp.example"], &["http://a.corp.example", "https://corp.example:8443"]),
            ("corp.example.", &[], &["https://corp.example"]),
            ("10.0.0.0/8", &["http://10.1.2.3"], &["http://11.0.0.1", "http://10.example"]),
            ("10.0.0.1", &["http://10.0.0.1:8080"], &["http://10.0.0.10", "http://a.10.0.0.1.example"]),
            ("10.0.0.1:80", &["http://10.0.0.1"], &["http://10.0.0.1:8080"]),
            ("fd00::/8", &["http://[fd00::1]"], &["http://[fe80::1]"]),
            ("[fd00::1]:80", &["http://[fd00::1]"], &["https://[fd00::1]"]),
            ("fd00::1", &["http://[fd00::1]:9"], &["http://[fd00::2]"]),
            ("10.0.0.1/33", &[], &["http://10.0.0.1"]),
            ("corp.example:", &["https://corp.example:8443"], &[]),
            ("", &["http://localhost:1", "http://127.0.0.2", "http://[::1]"], &["https://corp.example"]),
        ] {
            let is_direct = |url: &str| is_direct(&[entry.to_owned()], &url.parse().unwrap());
            direct.iter().for_each(|url| assert!(is_direct(url), "{entry} {url}"));
            proxied.iter().for_each(|url| assert!(!is_direct(url), "{entry} {url}"));
        }
        assert!(covers("/var/run/docker.sock", "/var/run/docker.sock", None));
    }
}

//! Values of user data that look right but have no effect, or another effect.

use std::net::IpAddr;

use super::warnings::warning;
use crate::config::decode::Document;
use crate::config::problem::{self, Problem, Span};
use crate::config::types::Device;
use crate::config::yaml::{Node, Value};
use crate::config::{Config, daemon_json};

/// The keys whose values have variables of their own.
const NAMES: [&str; 2] = ["group", "stream"];
const DYNAMIC_REFERENCE: &str = "{{resolve:";

/// Values that look right and do nothing.
pub(super) fn find(config: &Config, documents: &[Document]) -> Vec<Problem> {
    let mut found = Vec::new();
    for document in documents.iter().filter_map(|document| document.config.as_ref()) {
        never_filled(document, &mut Vec::new(), &mut found);
        found.extend(daemon_json::warnings(document));
    }
    let mut warn = |path: &[&str], message: String, remedy: &str| {
        found.push(warning(documents, path, message).remedy(remedy));
    };
    if let Some(proxy) = &config.proxy {
        let host = proxy.url.0.reveal().host_str().unwrap_or_default();
        if host.contains('$') {
            let message = "the proxy's host is a variable of the shell, which nothing fills in here".to_owned();
            warn(&["proxy", "url"], message, "write the host itself; in a template `Fn::Sub` fills in parameters");
        }
        for (index, entry) in proxy.no_proxy.iter().enumerate().take(problem::MOST) {
            // What is left of `Fn::Sub` is told as such.
            let effect = matches_nothing(entry.as_str()).filter(|_| variable(entry.as_str()).is_none());
            if let Some((what, remedy)) = effect {
                warn(&["proxy", "no_proxy", &index.to_string()], what, remedy);
            }
        }
    }
    for (index, volume) in config.storage.iter().enumerate() {
        if let Device::Named(path) = &volume.device
            && is_root_disk(path.as_str())
        {
            let message = format!("{path} is the root disk of an image, which holds a filesystem already");
            let remedy = "name the volume that the block device mapping adds, as /dev/xvdcy";
            warn(&["storage", &index.to_string(), "device"], message, remedy);
        }
    }
    for (index, file) in config.logs.files.iter().enumerate() {
        let format = file.timestamp_format.as_ref().map(|format| format.as_str());
        if let Some(format) = format.filter(|format| !format.replace("%%", "").contains('%')) {
            warn(
                &["logs", "files", &index.to_string(), "timestamp_format"],
                format!("`{format}` has no directive of strftime(3), so no line has a time by it"),
                "write it as \"%Y-%m-%d %H:%M:%S\"",
            );
        }
    }
    found
}

/// Values in which something stands that was to be filled in.
fn never_filled<'n>(node: &'n Node, keys: &mut Vec<&'n str>, found: &mut Vec<Problem>) {
    match &node.value {
        Value::Mapping(entries) => {
            for entry in entries {
                keys.push(&entry.key);
                never_filled(&entry.value, keys, found);
                keys.pop();
            }
        }
        Value::Sequence(items) => items.iter().for_each(|item| never_filled(item, keys, found)),
        _ if found.len() >= problem::MOST => {}
        Value::String(text) if !text.as_bytes().contains(&b'{') => {}
        Value::String(text) if text.contains(DYNAMIC_REFERENCE) => {
            let message =
                "CloudFormation does not resolve `{{resolve:...}}` in user data, which it encodes as it stands";
            let remedy = "use a parameter of the type AWS::SSM::Parameter::Value<String>";
            found.push(Problem::at(&node.span, message).remedy(remedy));
        }
        Value::String(text) if !is_name(keys) => {
            if let Some(name) = variable(text) {
                let message = format!("nothing fills in `{}`", node.span.shown(name));
                let remedy =
                    "in a template, put `Fn::Sub` around the whole user data, and name a parameter or a resource";
                found.push(Problem::at(&node.span, message).remedy(remedy));
            }
        }
        _ => {}
    }
}

/// Tells whether a value is the name of a log group or stream, which has variables of its own.
fn is_name(keys: &[&str]) -> bool {
    keys.first() == Some(&"logs") && keys.last().is_some_and(|last| NAMES.contains(last))
}

/// The first `${Name}` of a text.
fn variable(text: &str) -> Option<&str> {
    let begins = text.find("${")?;
    let ends = begins + text[begins..].find('}')?;
    let name = &text[begins + 2..ends];
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || ":._".contains(c));
    is_name.then_some(&text[begins..=ends])
}

/// `/dev/xvda`, `/dev/sda1` and so on.
fn is_root_disk(path: &str) -> bool {
    let disk = path.trim_end_matches(|c: char| c.is_ascii_digit());
    ["/dev/xvda", "/dev/sda"].contains(&disk)
}

/// Why an entry of NO_PROXY matches nothing in Go programs, as Docker and the ECS agent are, and what to write.
/// <https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config>
fn matches_nothing(entry: &str) -> Option<(String, &'static str)> {
    let nothing = |why: &str| format!("`{entry}` matches nothing in Docker and the ECS agent: {why}");
    if entry == "*" {
        let message = "with `*` the proxy is used for nothing at all".to_owned();
        return Some((message, "leave `proxy` out, or name the hosts that are reached directly"));
    }
    // The socket of Docker is in the list anyway: its client takes the path for a host.
    if entry.starts_with('/') {
        return None;
    }
    if entry.contains("://") {
        return Some((nothing("it is a URL"), "write the host alone, without scheme and path"));
    }
    if entry.contains(['$', '<', '>', ';', '@', '(', ')', '|']) {
        return Some((nothing("it has a character that no host name has"), "write the hosts themselves"));
    }
    if let Some((address, length)) = entry.split_once('/') {
        return network_matches_nothing(entry, address, length);
    }
    if entry.strip_prefix("*.").unwrap_or(entry).contains(['*', '?']) {
        return Some((
            nothing("a `*` stands for nothing but the beginning of a domain, as in `*.internal`"),
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
        return Some((nothing("it is no address"), "write an address, as 10.0.0.1, or a network, as 10.0.0.0/16"));
    }
    None
}

fn network_matches_nothing(entry: &str, address: &str, length: &str) -> Option<(String, &'static str)> {
    let nothing = |why: &str| format!("`{entry}` matches nothing in Docker and the ECS agent: {why}");
    let bits = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => {
            return Some((nothing("before the `/` there is no address"), "write a host, or a network as 10.0.0.0/16"));
        }
    };
    let is_prefix =
        length.bytes().all(|byte| byte.is_ascii_digit()) && length.parse().is_ok_and(|length: u32| length <= bits);
    (!is_prefix).then(|| {
        (nothing(&format!("behind the `/` there is no number up to {bits}")), "write a network as 10.0.0.0/16")
    })
}

/// Lists of a document that those of a later one replace.
pub(super) fn replaced_lists(documents: &[Document]) -> Vec<String> {
    let mut notes = Vec::new();
    let earlier = documents.len().saturating_sub(1);
    for (number, document) in documents[..earlier].iter().enumerate() {
        for (path, _) in document.config.as_ref().map(lists).unwrap_or_default() {
            let keys: Vec<&str> = path.iter().map(String::as_str).collect();
            let is_list = |later: &&Document| {
                let node = later.config.as_ref().and_then(|config| config.at(&keys));
                node.is_some_and(|node| matches!(node.value, Value::Sequence(_)))
            };
            if let Some(later) = documents[number + 1..].iter().rev().find(is_list) {
                notes.push(format!(
                    "`{}` of {} is replaced by that of {}: lists are not merged",
                    path.join("."),
                    document.source.name,
                    later.source.name
                ));
            }
        }
    }
    notes
}

/// The lists of a configuration that are not in another list, by their paths.
fn lists(node: &Node) -> Vec<(Vec<String>, Span)> {
    match &node.value {
        Value::Sequence(_) => vec![(Vec::new(), node.span.clone())],
        Value::Mapping(entries) => {
            let below = entries.iter().flat_map(|entry| {
                lists(&entry.value)
                    .into_iter()
                    .map(|(path, span)| ([entry.key.clone()].into_iter().chain(path).collect::<Vec<_>>(), span))
            });
            below.collect()
        }
        _ => Vec::new(),
    }
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
    fn the_root_disk_is_known_by_its_names() {
        assert!(["/dev/xvda", "/dev/sda", "/dev/sda1", "/dev/xvda1"].into_iter().all(is_root_disk));
        assert!(!["/dev/xvdb", "/dev/sdaa", "/dev/xvdcy", "/dev/sdf"].into_iter().any(is_root_disk));
    }
}

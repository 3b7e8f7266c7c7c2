//! Checks that the ECS agent and Docker, as configured, bypass the proxy for the addresses that need it.

use std::collections::BTreeMap;

use super::{Check, Finding};
use crate::host::Host;
use crate::http;
use crate::well_known::{
    DOCKER_SOCKET_OF_CLIENTS, DOCKER_UNIT, ECS_CONFIG, ECS_CREDENTIALS_ADDRESS, ECS_UNIT, IMDS_ADDRESS, UNITS,
    VENDOR_UNITS,
};

/// The address of the instance metadata service, and the data that a program gets from there.
const IMDS: (&str, &str) = (IMDS_ADDRESS, "the instance metadata, and so for the region and the credentials");
const TASKS: (&str, &str) = (ECS_CREDENTIALS_ADDRESS, "the credentials of tasks");
const DOCKER: (&str, &str) =
    (DOCKER_SOCKET_OF_CLIENTS, "Docker (its client treats the path of the socket as a host name)");

/// Returns a finding for each place whose settings send requests to these addresses through the proxy.
pub(super) fn findings(host: &Host) -> Vec<Finding> {
    let places = [
        (ECS_CONFIG.to_owned(), of_ecs_config(host), &[IMDS, TASKS, DOCKER][..]),
        (format!("the drop-ins of {ECS_UNIT}"), of_drop_ins(host, ECS_UNIT), &[IMDS, DOCKER]),
        (format!("the drop-ins of {DOCKER_UNIT}"), of_drop_ins(host, DOCKER_UNIT), &[IMDS, TASKS]),
    ];
    let mut findings = Vec::new();
    let mut is_proxied = false;
    for (place, variables, needed) in places {
        match variables {
            Ok(variables) => {
                is_proxied |= has_proxy(&variables);
                findings.extend(judge(&place, &variables, needed));
            }
            Err(not_read) => findings.push(not_read),
        }
    }
    if findings.is_empty() {
        let words =
            if is_proxied { "it has every address that must bypass the proxy" } else { "no proxy is configured" };
        findings.push(Finding::ok(Check::NoProxy, words));
    }
    findings
}

type Variables = BTreeMap<String, String>;

fn not_made(error: anyhow::Error) -> Finding {
    Finding::not_made(Check::NoProxy, &error)
}

fn has_proxy(variables: &Variables) -> bool {
    ["HTTP_PROXY", "HTTPS_PROXY"].iter().any(|name| variables.get(*name).is_some_and(|value| !value.is_empty()))
}

fn judge(place: &str, variables: &Variables, needed: &[(&str, &str)]) -> Option<Finding> {
    if !has_proxy(variables) {
        return None;
    }
    let list = variables.get("NO_PROXY").map(String::as_str).unwrap_or_default();
    let missing: Vec<_> =
        needed.iter().filter(|(host, _)| !list.split(',').any(|entry| http::covers(entry, host, None))).collect();
    if missing.is_empty() {
        return None;
    }
    let hosts: Vec<_> = missing.iter().map(|(host, _)| *host).collect();
    let lost: Vec<_> = missing.iter().map(|(_, lost)| *lost).collect();
    Some(Finding::problem(
        Check::NoProxy,
        format!("NO_PROXY lacks {} in {place}", hosts.join(", ")),
        format!("the proxy gets the requests for {}", lost.join("; for ")),
        "let ecs-firstrun write it (`proxy.url`, with your own entries in `proxy.no_proxy`), or add it there",
    ))
}

fn of_ecs_config(host: &Host) -> Result<Variables, Finding> {
    let text = host.read(ECS_CONFIG).map_err(not_made)?.unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.trim().split_once('='));
    let mut variables = Variables::new();
    variables.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    Ok(variables)
}

/// Returns the proxy in the ECS agent's own configuration, where its URL may lack a scheme.
pub(super) fn proxy_of_agent(host: &Host) -> Option<http::ProxyRoute> {
    let variables = of_ecs_config(host).ok()?;
    let text =
        ["HTTPS_PROXY", "HTTP_PROXY"].iter().find_map(|name| variables.get(*name).filter(|url| !url.is_empty()))?;
    http::ProxyRoute::of_variables(text, variables.get("NO_PROXY").map_or("", String::as_str)).ok()
}

/// Reads the environment that a unit gets from its drop-ins, the image's drop-ins before those of `/etc`. A later setting
/// wins, and a setting in an `EnvironmentFile=` wins over `Environment=` (systemd.exec(5)).
fn of_drop_ins(host: &Host, unit: &str) -> Result<Variables, Finding> {
    let (mut variables, mut of_files) = (Variables::new(), Variables::new());
    for folder in [VENDOR_UNITS, UNITS] {
        for (_, text) in host.read_folder(&format!("{folder}/{unit}.d"), ".conf").map_err(not_made)? {
            for (setting, value) in text.lines().filter_map(|line| line.trim().split_once('=')) {
                match setting.trim_end() {
                    "Environment" => {
                        let words = words(value);
                        let pairs = words.iter().filter_map(|word| word.split_once('='));
                        variables.extend(pairs.map(|(name, value)| (name.to_uppercase(), value.to_owned())));
                    }
                    "EnvironmentFile" if value.trim().is_empty() => of_files.clear(),
                    "EnvironmentFile" => of_files.extend(of_file(host, unit, value.trim())?),
                    _ => {}
                }
            }
        }
    }
    variables.extend(of_files);
    Ok(variables)
}

/// Reads the variables of a file that an `EnvironmentFile=` names.
fn of_file(host: &Host, unit: &str, named: &str) -> Result<Variables, Finding> {
    let path = named.trim_start_matches('-');
    let text = host.read(path).map_err(not_made)?;
    if text.is_none() && path == named {
        return Err(Finding::problem(
            Check::NoProxy,
            format!("{path} is missing, which a drop-in of {unit} names"),
            format!("systemd does not start {unit} without it"),
            "`systemctl restart ecs-firstrun.service`, which writes it where a proxy is configured",
        ));
    }
    let text = text.unwrap_or_default();
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    let pairs = lines.filter_map(|line| line.split_once('='));
    let mut variables = Variables::new();
    variables.extend(pairs.map(|(name, value)| (name.trim().to_uppercase(), unquoted(value.trim()))));
    Ok(variables)
}

/// Removes the quotes from a value of an `EnvironmentFile=`, which may be quoted as in a shell.
fn unquoted(value: &str) -> String {
    let inner = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    inner.unwrap_or(value).replace('\\', "")
}

/// Splits a systemd setting into words: they are separated by blanks, unless quotes hold them together.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for next in line.chars() {
        match (next, quote) {
            ('"' | '\'', None) => quote = Some(next),
            (_, Some(open)) if next == open => quote = None,
            (' ' | '\t', None) => words.push(String::new()),
            (_, _) => words.last_mut().into_iter().for_each(|word| word.push(next)),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_matters_only_with_a_proxy() {
        let needed = &[IMDS, TASKS];
        let mut variables = Variables::from([("NO_PROXY".to_owned(), "localhost,169.254.169.254".to_owned())]);
        assert_eq!(judge("x", &variables, needed), None);
        variables.insert("HTTP_PROXY".to_owned(), "http://proxy:3128".to_owned());
        let finding = judge("x", &variables, needed).unwrap();
        assert_eq!(finding.found, "NO_PROXY lacks 169.254.170.2 in x");
        variables.insert("NO_PROXY".to_owned(), "*".to_owned());
        assert_eq!(judge("x", &variables, needed), None);
    }

    #[test]
    fn settings_of_systemd_are_taken_apart() {
        assert_eq!(words(r#""A=b c" 'D=e'  F=g"#), ["A=b c", "D=e", "F=g"]);
    }
}

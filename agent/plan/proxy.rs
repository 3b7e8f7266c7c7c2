//! The proxy's renderings: drop-ins of the units that go through it, and the package manager.

use super::systemd::quoted;
use super::{Action, Contents, Edit, File, Planned, Start, planned, wanted_or_removed};
use crate::config::types::Mode;
use crate::config::{Config, Proxy};
use crate::instance::Instance;
use crate::well_known::{DOCKER_UNIT, ECS_UNIT, SSM_AGENT_UNIT, UNITS};

pub fn actions(config: &Config, instance: &Instance) -> Vec<Planned> {
    let mut actions: Vec<_> = drop_in(DOCKER_UNIT, config, instance).into_iter().collect();
    // A unit that is not started needs no proxy; what an earlier run left is taken away all the same.
    let wants_ecs = config.ecs.is_some() || config.proxy.is_none();
    actions.extend(drop_in(ECS_UNIT, config, instance).filter(|_| wants_ecs));
    let ssm_agent = drop_in(SSM_AGENT_UNIT, config, instance).filter(|_| instance.image.ssm_agent);
    if let Some(ssm_agent) = ssm_agent {
        actions.push(ssm_agent);
        actions.push(planned(Action::ReloadUnits, "a drop-in changed"));
        let start = Action::StartUnit { unit: SSM_AGENT_UNIT.to_owned(), start: Start::Queue };
        actions.push(planned(start, "it reads its environment when it starts"));
    }
    actions.extend(package_manager(config, instance));
    actions
}

/// The variables that programs read a proxy from, in both spellings: Go programs read either, others one of them.
pub fn variables(proxy: &Proxy) -> Vec<(&'static str, String)> {
    let url = proxy.url.for_programs();
    vec![("HTTP_PROXY", url.clone()), ("HTTPS_PROXY", url), ("NO_PROXY", proxy.no_proxy().join(","))]
}

/// Contents that name the proxy: secret where its URL has a password.
pub fn contents(proxy: &Proxy, text: String) -> Contents {
    if proxy.url.0.has_secret() { Contents::Secret(text) } else { Contents::Open(text) }
}

/// The mode of a file with such contents.
pub fn mode(contents: &Contents) -> Mode {
    Mode(if matches!(contents, Contents::Secret(_)) { 0o600 } else { 0o644 })
}

/// The drop-in that gives a unit the proxy, or the removal of an earlier one.
fn drop_in(unit: &str, config: &Config, instance: &Instance) -> Option<Planned> {
    let path = drop_in_path(unit);
    let write = |proxy: &Proxy| {
        let lower = unit == SSM_AGENT_UNIT;
        let line = |(name, value): (&str, String)| {
            let name = if lower { name.to_ascii_lowercase() } else { name.to_owned() };
            format!("Environment={}\n", quoted(&format!("{name}={value}")))
        };
        let lines: String = variables(proxy).into_iter().map(line).collect();
        let contents = contents(proxy, format!("# Written by ecs-firstrun.\n[Service]\n{lines}"));
        let mode = mode(&contents);
        let file = File { path: path.clone(), contents, mode, read_by: Some(unit.to_owned()) };
        planned(Action::WriteFile(file), format!("{unit} goes through the proxy {}", proxy.url.0))
    };
    wanted_or_removed(config.proxy.as_ref().map(write), &path, Some(unit), instance)
}

/// Where the proxy's drop-in for a unit lies.
pub fn drop_in_path(unit: &str) -> String {
    format!("{UNITS}/{unit}.d/ecs-firstrun-proxy.conf")
}

fn package_manager(config: &Config, instance: &Instance) -> Option<Planned> {
    let path = instance.image.package_manager.clone()?;
    let lines = config.proxy.as_ref().map(package_manager_lines).unwrap_or_default();
    let set_aside = &["proxy_username", "proxy_password"];
    let edit = Edit { path, section: Some("main"), lines, set_aside, separator: "=", read_by: None };
    edited_or_restored(edit, "the package manager goes through the proxy", instance)
}

/// One line for dnf.conf(5) and yum.conf(5), credentials included. In options of their own dnf takes quotes away, and yum fills
/// in what looks like a variable; in a URL they are percent-encoded.
fn package_manager_lines(proxy: &Proxy) -> Vec<(&'static str, Contents)> {
    vec![("proxy", contents(proxy, proxy.url.for_programs()))]
}

/// The edit, if it has lines or an earlier run left some.
pub fn edited_or_restored(edit: Edit, why: &str, instance: &Instance) -> Option<Planned> {
    match (edit.lines.is_empty(), instance.ours.contains(&edit.path)) {
        (false, _) => Some(planned(Action::EditFile(edit), why)),
        (true, true) => Some(planned(Action::EditFile(edit), "no proxy is configured any more")),
        (true, false) => None,
    }
}

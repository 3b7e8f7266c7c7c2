//! The proxy's renderings: the environment of the units that go through it, and the package manager.

use std::borrow::Cow;

use super::action::{Action, File, Start};
use super::contents::Contents;
use super::edit::Edit;
use super::planned::{Planned, edited_or_restored, open_file, planned, wanted_or_removed};
use super::systemd::assignment;
use crate::config::types::Mode;
use crate::config::{Config, Proxy};
use crate::instance::Instance;
use crate::well_known::{DOCKER_UNIT, ECS_UNIT, SSM_AGENT_UNIT, UNITS, WRITTEN_BY_US};

/// The file of the variables for the units that go through the proxy; their drop-ins name it.
///
/// Every user of the host may ask systemd for the `Environment=` of a unit, but only for the path of its
/// `EnvironmentFile=` (systemd.exec(5)).
pub const ENVIRONMENT: &str = "/etc/ecs-firstrun/proxy.env";

/// The reason to take a proxy out of a file.
pub const NO_PROXY: &str = "the configuration no longer has a proxy";

pub fn actions(config: &Config, instance: &Instance) -> Vec<Planned> {
    // A unit that is not started needs no proxy; the drop-in of an earlier run is removed all the same.
    let units = [(DOCKER_UNIT, true), (ECS_UNIT, config.ecs.is_some()), (SSM_AGENT_UNIT, instance.image.ssm_agent)];
    let readers: Vec<_> = units.iter().filter(|(_, is_used)| *is_used).map(|(unit, _)| *unit).collect();
    let drop_in = |(unit, is_used)| drop_in(unit, config.proxy.as_ref().filter(|_| is_used), instance);
    let drop_ins = units.map(drop_in);
    let starts_ssm_agent = instance.image.ssm_agent && drop_ins[2].is_some();
    let mut actions: Vec<_> = drop_ins.into_iter().flatten().collect();
    if !actions.is_empty() {
        actions.push(planned(Action::ReloadUnits, "a drop-in changed"));
    }
    if starts_ssm_agent {
        let start = Action::StartUnit { unit: SSM_AGENT_UNIT.to_owned(), start: Start::Queue };
        actions.push(planned(start, "a unit reads its environment only when it starts"));
    }
    // A unit does not start without the file that its drop-in names. So the file is written before the drop-in, and removed
    // after it.
    let environment =
        wanted_or_removed(config.proxy.as_ref().map(|proxy| environment(proxy, &readers)), ENVIRONMENT, [], instance);
    let at = if config.proxy.is_some() { 0 } else { actions.len() };
    actions.splice(at..at, environment);
    actions.extend(package_manager(config, instance));
    actions
}

/// Returns the variables from which programs read a proxy, named in upper case.
pub fn variables(proxy: &Proxy) -> Vec<(&'static str, String)> {
    let url = proxy.url.for_programs();
    vec![("HTTP_PROXY", url.clone()), ("HTTPS_PROXY", url), ("NO_PROXY", proxy.no_proxy().join(","))]
}

/// Makes contents that name the proxy. The contents are secret if the proxy's URL has a password.
pub fn contents(proxy: &Proxy, text: String) -> Contents {
    Contents::of(text, proxy.url.0.has_secret())
}

/// Plans the file of the variables, in upper and lower case: the SSM agent reads the names in lower case.
fn environment(proxy: &Proxy, readers: &[&str]) -> Planned {
    let variables = variables(proxy);
    let lower = variables.iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
    let both = variables.iter().map(|(name, value)| ((*name).to_owned(), value)).chain(lower);
    let lines: String = both.map(|(name, value)| assignment(&name, value)).collect();
    let file = File {
        path: ENVIRONMENT.to_owned(),
        contents: contents(proxy, format!("{WRITTEN_BY_US}\n{lines}")),
        mode: Mode(0o600),
        read_by: readers.iter().map(|unit| (*unit).to_owned()).collect(),
    };
    planned(Action::WriteFile(file), format!("{} go through the proxy {}", readers.join(", "), proxy.url.0))
}

/// Plans the drop-in that gives a unit the proxy, or the removal of an earlier drop-in.
fn drop_in(unit: &str, proxy: Option<&Proxy>, instance: &Instance) -> Option<Planned> {
    let path = drop_in_path(unit);
    let write = |_| {
        // No `-` before the path: a unit that must go through the proxy does not start without it.
        let text = format!("{WRITTEN_BY_US}\n[Service]\nEnvironmentFile={ENVIRONMENT}\n");
        planned(open_file(&path, text, vec![unit.to_owned()]), format!("{unit} reads the proxy's variables from there"))
    };
    wanted_or_removed(proxy.map(write), &path, [unit], instance)
}

/// Returns the path of the proxy's drop-in for a unit.
pub fn drop_in_path(unit: &str) -> String {
    format!("{UNITS}/{unit}.d/ecs-firstrun-proxy.conf")
}

fn package_manager(config: &Config, instance: &Instance) -> Option<Planned> {
    let path = instance.image.package_manager.clone()?;
    // One line for dnf.conf(5) and yum.conf(5), credentials included. As separate options, dnf would take quotes away from
    // credentials, and yum would fill in variables; in a URL, credentials are percent-encoded.
    let line = |proxy: &Proxy| (Cow::Borrowed("proxy"), contents(proxy, proxy.url.for_programs()));
    let lines = config.proxy.iter().map(line).collect();
    let set_aside = &["proxy_username", "proxy_password"];
    let edit = Edit { path, section: Some("main"), lines, set_aside, separator: "=", ..Edit::default() };
    edited_or_restored(edit, "the package manager goes through the proxy", NO_PROXY, instance)
}

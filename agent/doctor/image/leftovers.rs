//! Finds what a host must not leave in its image. Each instance would take such a file for its own.

use super::super::finding::{Check, Finding};
use crate::host::Host;
use crate::well_known::{ECS_CONFIG, ECS_DATA, LOG_FILE, RUNS_FILE, STATE_DIRECTORY};

const CLEANUP: &str = "builder-scripts/cleanup.sh removes it; run that script last, just before this check";
/// The state that cloud-init keeps about the instance that it ran on, and about its runs.
const CLOUD_INIT_STATE: [&str; 4] =
    ["/var/lib/cloud/instance", "/var/lib/cloud/instances", "/var/lib/cloud/data", "/var/lib/cloud/sem"];
/// The text that systemd takes for a missing machine id as well (machine-id(5)).
const UNINITIALIZED: &str = "uninitialized";

/// Returns a finding for each kind of leftover.
pub fn findings(host: &Host) -> Vec<Finding> {
    let looks = [
        (Check::State, ecs_agent(host), "the ECS agent has saved nothing"),
        (Check::LastRun, own_state(host), "ecs-firstrun has not run here"),
        (Check::EcsConfig, ecs_config(host), "it sets nothing"),
        (Check::Identity, machine_id(host), "there is no machine ID"),
        (Check::Identity, host_keys(host), "there are no SSH host keys"),
        (Check::CloudInit, cloud_init(host), "it has left no state"),
        (Check::SshKeys, authorized_keys(host), "no authorized_keys are left"),
    ];
    let finding = |(check, look, right): (Check, Look, &str)| match look {
        Ok(Some(finding)) => finding,
        Ok(None) => Finding::ok(check, right),
        Err(error) => Finding::not_made(check, &error),
    };
    looks.map(finding).into()
}

type Look = anyhow::Result<Option<Finding>>;

fn left(check: Check, what: impl AsRef<str>, why: &str) -> Look {
    Ok(Some(Finding::problem(check, format!("{} is left", what.as_ref()), why, CLEANUP)))
}

fn ecs_agent(host: &Host) -> Look {
    let Some(name) = host.names(ECS_DATA)?.into_iter().next() else { return Ok(None) };
    let why = "it is the ECS agent's state from another instance: with it an ECS agent can't register, or registers as \
        that instance";
    left(Check::State, format!("{ECS_DATA}/{name}"), why)
}

/// Finds what a run of this agent has left, in its own folder and in files for other programs.
fn own_state(host: &Host) -> Look {
    let state = host.names(STATE_DIRECTORY)?.into_iter().next().map(|name| format!("{STATE_DIRECTORY}/{name}"));
    let log = [LOG_FILE, RUNS_FILE].into_iter().find(|path| host.has(path)).map(str::to_owned);
    let Some(path) = state.or(log).or(host.ours()?.into_iter().next()) else { return Ok(None) };
    let why = "ecs-firstrun has run on this host, and every instance of the image would find the files that it wrote";
    let remedy = "bake from a host on which it has not run, or remove what it wrote: builder-scripts/cleanup.sh does, \
                  except lines in other programs' files";
    Ok(Some(Finding::problem(Check::LastRun, format!("{path} is left"), why, remedy)))
}

/// Names the ECS agent's settings in the image, which stay and win over the configuration.
fn ecs_config(host: &Host) -> Look {
    let text = host.read(ECS_CONFIG)?.unwrap_or_default();
    let names: Vec<_> = text.lines().filter_map(|line| Some(line.trim().split_once('=')?.0.trim())).collect();
    let names: Vec<_> = names.into_iter().filter(|name| !name.starts_with('#')).collect();
    if names.is_empty() {
        return Ok(None);
    }
    let found = format!(
        "{ECS_CONFIG} sets {}: that setting stays on each instance, and overrides the configuration",
        names.join(", ")
    );
    Ok(Some(Finding::ok(Check::EcsConfig, found)))
}

fn machine_id(host: &Host) -> Look {
    let check = Check::Identity;
    let id = host.read("/etc/machine-id")?.unwrap_or_default();
    if !id.trim().is_empty() && id.trim() != UNINITIALIZED {
        let why = "all instances would have one identity: in journals, DHCP and D-Bus";
        let remedy = "empty the file, and systemd makes a new one at boot; builder-scripts/cleanup.sh does";
        return Ok(Some(Finding::problem(check, "/etc/machine-id is not empty", why, remedy)));
    }
    let dbus = "/var/lib/dbus/machine-id";
    if host.has(dbus) && host.link(dbus).is_none() {
        return left(check, dbus, "all instances would have one identity for D-Bus");
    }
    Ok(None)
}

fn host_keys(host: &Host) -> Look {
    let check = Check::Identity;
    let keys = host.names("/etc/ssh")?.into_iter().find(|name| name.starts_with("ssh_host_") && name.contains("_key"));
    if let Some(name) = keys {
        let why = "anybody with the image could pose as any of its instances";
        return left(check, format!("/etc/ssh/{name}"), why);
    }
    Ok(None)
}

fn cloud_init(host: &Host) -> Look {
    match CLOUD_INIT_STATE.into_iter().find(|path| host.has(path)) {
        Some(path) => left(Check::CloudInit, path, "cloud-init may mistake the instance for the one that was baked"),
        None => Ok(None),
    }
}

/// Finds the SSH keys of those who baked the image.
fn authorized_keys(host: &Host) -> Look {
    let homes = host.names("/home")?.into_iter().map(|name| format!("/home/{name}"));
    for home in ["/root".to_owned()].into_iter().chain(homes) {
        let keys = format!("{home}/.ssh/authorized_keys");
        if host.has(&keys) {
            return left(Check::SshKeys, keys, "somebody who baked the image could log in to each of its instances");
        }
    }
    Ok(None)
}

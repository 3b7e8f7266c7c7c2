//! The ECS agent: its configuration, its start, and the wait for its registration.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::json;

use super::action::{Action, Condition, Start, Wait};
use super::contents::Contents;
use super::edit::Edit;
use super::endpoints;
use super::planned::{Planned, planned};
use super::proxy;
use crate::config::{Config, Ecs};
use crate::ecs_variables;
use crate::instance::Instance;
use crate::well_known::{DOCKER_UNIT, ECS_CONFIG, ECS_UNIT};

/// The setting of the ECS agent that keeps memory from tasks, in MiB.
pub const RESERVED_MEMORY: &str = "ECS_RESERVED_MEMORY";
/// Says what a run does where nobody asked for this agent.
pub const WITHOUT_CONFIGURATION: &str = "there is no ecs-firstrun configuration: Docker and the ECS agent are started as \
    on an image without ecs-firstrun; ecs-firstrun waits for nothing and sends no signal";
/// The reason for not waiting until the ECS agent's unit has started.
const BESIDE_CLOUD_INIT: &str = "queued with --no-block: the unit may be ordered after cloud-final.service";
/// Time allowed for Docker to become active where the ECS agent's registration is not what is waited for.
const DOCKER_START: Duration = Duration::from_secs(120);

pub fn actions(config: &Config, instance: &Instance) -> Vec<Planned> {
    let edit = |ecs: &Ecs| {
        let lines = lines(ecs, config);
        let why = match (&ecs.cluster, lines.is_empty()) {
            (Some(cluster), _) => format!("the ECS agent joins the cluster `{cluster}`"),
            (None, false) => "the ECS agent has these settings".to_owned(),
            (None, true) if instance.ours.contains(ECS_CONFIG) => {
                "the configuration no longer sets anything here".to_owned()
            }
            (None, true) => return None,
        };
        let edit = Edit {
            path: ECS_CONFIG.to_owned(),
            lines,
            // The last line of a name counts: a line of a script, of AWS Batch or of the image wins, as without this agent.
            at_top: true,
            private: true,
            separator: "=",
            read_by: Some(ECS_UNIT.to_owned()),
            ..Edit::default()
        };
        Some(planned(Action::EditFile(edit), why))
    };
    config.ecs.as_ref().and_then(edit).into_iter().collect()
}

/// Returns our lines of `ecs.config`.
fn lines(ecs: &Ecs, config: &Config) -> Vec<(Cow<'static, str>, Contents)> {
    let mut lines: Vec<_> = ecs.cluster().map(|cluster| ("ECS_CLUSTER".to_owned(), cluster)).into_iter().collect();
    if !ecs.attributes.is_empty() {
        lines.push(("ECS_INSTANCE_ATTRIBUTES".to_owned(), json!(ecs.attributes).to_string()));
    }
    if !ecs.tags.is_empty() {
        lines.push(("ECS_CONTAINER_INSTANCE_TAGS".to_owned(), json!(ecs.tags).to_string()));
    }
    lines.extend(ecs.config.0.iter().map(|(name, value)| (name.clone(), value.clone())));
    let own = lines.into_iter().map(|(name, value)| {
        let text = ecs_variables::written(&name, &value);
        let is_secret = ecs_variables::is_secret(&name, &value) || config.has_reference(&["ecs", "config", &name]);
        (Cow::Owned(name), Contents::of(text, is_secret))
    });
    let proxy = config.proxy.iter().flat_map(|proxy| {
        proxy::variables(proxy).into_iter().map(|(name, value)| (name.into(), proxy::contents(proxy, value)))
    });
    let switches = endpoints::switches_of_ecs_agent(config).into_iter();
    own.chain(switches.map(|name| (name.into(), Contents::of("true".to_owned(), false)))).chain(proxy).collect()
}

/// Plans the start of Docker.
pub fn start(config: &Config) -> Vec<Planned> {
    let mut actions = vec![planned(Action::ReloadUnits, "drop-ins may have changed"), ready()];
    if starts_docker(config) {
        actions.push(queue(DOCKER_UNIT, "everything that Docker reads is in place"));
    }
    actions
}

/// Plans the start of the ECS agent, where it starts at this stage.
pub fn start_ecs(config: &Config, instance: &Instance) -> Vec<Planned> {
    let starts = config.ecs.as_ref().is_some_and(|ecs| !instance.is_warming() || waits_by_itself(ecs));
    starts.then(|| queue(ECS_UNIT, BESIDE_CLOUD_INIT)).into_iter().collect()
}

fn starts_docker(config: &Config) -> bool {
    config.ecs.is_some() || config.docker.is_some()
}

/// Plans the wait for Docker, for what comes before the ECS agent starts.
pub fn wait_for_docker(config: &Config, why: &str) -> Option<Planned> {
    let wait = Wait { condition: Condition::UnitActive { unit: DOCKER_UNIT.to_owned() }, timeout: DOCKER_START };
    starts_docker(config).then(|| planned(Action::WaitFor(wait), why))
}

/// Plans the start of the units that an image without this agent has enabled.
pub fn start_unconfigured() -> Vec<Planned> {
    vec![
        ready(),
        queue(DOCKER_UNIT, "an image without ecs-firstrun starts it, too"),
        queue(ECS_UNIT, BESIDE_CLOUD_INIT),
    ]
}

fn ready() -> Planned {
    planned(Action::NotifyReady, "units with After=ecs-firstrun.service may start now")
}

fn queue(unit: &str, why: &str) -> Planned {
    planned(Action::StartUnit { unit: unit.to_owned(), start: Start::Queue }, why)
}

pub fn wait(config: &Config, instance: &Instance) -> Vec<Planned> {
    let timeout = config.wait.timeout.0;
    let (condition, timeout) = match &config.ecs {
        Some(_) if instance.is_warming() => return Vec::new(),
        Some(ecs) => (Condition::Registered { cluster: ecs.cluster() }, timeout),
        None if config.docker.is_some() => {
            (Condition::UnitActive { unit: DOCKER_UNIT.to_owned() }, timeout.min(DOCKER_START))
        }
        None => return Vec::new(),
    };
    vec![planned(Action::WaitFor(Wait { condition, timeout }), "the run fails if this does not happen in time")]
}

/// Says why no ECS agent starts with this configuration on this instance: it reserves more memory than there is.
pub fn obstacle(config: &Config, instance: &Instance) -> Option<String> {
    let reserved = config.ecs.as_ref()?.config.0.get(RESERVED_MEMORY)?;
    let words = more_than_memory(reserved, instance.memory_mib?)?;
    Some(format!("ecs.config.{RESERVED_MEMORY}: {words}"))
}

/// Says why a value of [`RESERVED_MEMORY`] is too large for a host with this memory; nothing if the value fits.
pub fn more_than_memory(reserved: &str, memory_mib: u64) -> Option<String> {
    // The ECS agent reads a number of 16 bits, and ignores a larger one.
    let reserved = reserved.trim().parse::<u16>().ok().filter(|reserved| u64::from(*reserved) > memory_mib)?;
    Some(format!(
        "{reserved} MiB are reserved, and the host has {memory_mib} MiB of memory, so the ECS agent does not start; reserve \
        less, or take an instance type with more memory"
    ))
}

/// Tells whether the ECS agent itself checks for a warm pool. Such an agent registers only when the instance goes into
/// service; any other would register at once.
fn waits_by_itself(ecs: &Ecs) -> bool {
    ecs.config.0.get("ECS_WARM_POOLS_CHECK").is_some_and(|value| value == "true")
}

pub fn note(config: &Config, instance: &Instance) -> Option<String> {
    match &config.ecs {
        Some(ecs) if instance.is_warming() => Some(format!(
            "the instance is in a warm pool: the ECS agent {} when the instance goes into service; this run does not wait for that",
            if waits_by_itself(ecs) { "registers" } else { "is started" }
        )),
        Some(Ecs { cluster: None, .. }) => Some(format!(
            "no `ecs.cluster` is configured: the ECS agent joins the cluster that {ECS_CONFIG} names when it starts, else `default`"
        )),
        Some(_) => None,
        None => Some("no `ecs` is configured: the ECS agent is not started".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::configured;

    #[test]
    fn what_holds_a_secret_is_one() {
        let is_secret = |rest: &str| {
            let config = configured(&format!("ecs: {{ cluster: c{rest}"));
            let lines = lines(config.ecs.as_ref().unwrap(), &config);
            lines.iter().any(|(_, value)| matches!(value, Contents::Secret(_)))
        };
        assert!(!is_secret(", config: { ECS_LOGLEVEL: debug } }\nproxy: { url: 'http://proxy:3128' }"));
        assert!(is_secret(" }\nproxy: { url: 'http://me:shh@proxy:3128' }"));
        assert!(is_secret(", config: { AWS_SECRET_ACCESS_KEY: shh } }"));
    }

    #[test]
    fn memory_that_is_reserved_must_be_there() {
        for (reserved, memory_mib, is_too_much) in [
            ("7764", 7764, false),
            ("7765", 7764, true),
            ("65535", 7764, true),
            ("65536", 7764, false),
            ("x", 1, false),
        ] {
            assert_eq!(more_than_memory(reserved, memory_mib).is_some(), is_too_much, "{reserved} of {memory_mib}");
        }
    }
}

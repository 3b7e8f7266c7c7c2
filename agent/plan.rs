//! The plan: what a run does to the host, as a value.
//!
//! [`plan`] is pure and can't fail. The parser has refused every mistake, and a fact that only the machine knows is phrased
//! as an end state, which is looked up while acting. Each action can be done twice: the second time there is nothing to do.

mod action;
mod after_failure;
mod containerd;
mod contents;
mod daemon_json;
mod docker;
mod ecs;
mod edit;
mod endpoints;
mod hooks;
mod logs;
mod planned;
mod private;
mod proxy;
mod pulls;
mod selinux;
mod storage;
mod systemd;

use serde::Serialize;

pub use self::action::{Action, Condition, File, HookRun, Pull, Start, VolumeUser, Wait};
pub use self::containerd::{asks_for_version as asks_for_docker_version, mount_path as containerd_mount};
pub use self::contents::Contents;
pub use self::daemon_json::data_root as docker_data_root;
pub use self::ecs::{RESERVED_MEMORY, WITHOUT_CONFIGURATION, more_than_memory};
pub use self::edit::{Edit, toml_error, toml_text};
pub use self::endpoints::{Exception, exceptions, variant_of_ecs_agent};
pub use self::planned::Planned;
pub use self::proxy::ENVIRONMENT as PROXY_ENVIRONMENT;
pub use self::selinux::NO_CONTAINERS;
use crate::config::{Config, HookPoint};
use crate::instance::Instance;

/// The steps of a run, in order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Notes for a person: about things that are not done, and about what a failure leads to.
    pub notes: Vec<String>,
}

/// A group of actions that a person would name as one thing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// `logs`, `proxy`, `ecs`, `storage`, `docker`, `start`, `pull`, `pull_beside` or `wait`; of hooks, the key of their point.
    /// `start_ecs` is apart from `start` where something runs between the two.
    pub name: &'static str,
    /// The actions, in order.
    pub actions: Vec<Planned>,
}

/// Plans what a run with this configuration does on this instance.
pub fn plan(config: &Config, instance: &Instance) -> Plan {
    let hooks_at = |point: HookPoint| (point.key(), hooks::actions(point, config, instance));
    let before_ecs = hooks_at(HookPoint::BeforeEcs);
    let (mut start, mut start_ecs) = (ecs::start(config), ecs::start_ecs(config, instance));
    let pulls = pulls::before_ecs(config, instance);
    match (pulls.is_empty(), before_ecs.1.is_empty()) {
        (true, true) => start.append(&mut start_ecs),
        (true, false) => start.extend(ecs::wait_for_docker(config, "the hooks before the ECS agent may use Docker")),
        (false, _) => start.extend(ecs::wait_for_docker(config, "Docker pulls images before the ECS agent starts")),
    }
    let steps = [
        ("logs", logs::actions(config, instance)),
        ("proxy", proxy::actions(config, instance)),
        // ecs.config is written before a device is waited for: meanwhile, scripts of the user data may append to it.
        ("ecs", ecs::actions(config, instance)),
        ("storage", storage::actions(config, instance)),
        ("docker", docker::actions(config, instance)),
        hooks_at(HookPoint::BeforeDocker),
        ("start", start),
        // The hooks may use the images.
        ("pull", pulls),
        before_ecs,
        ("start_ecs", start_ecs),
        ("pull_beside", pulls::beside(config, instance)),
        ("wait", ecs::wait(config, instance)),
        hooks_at(HookPoint::AfterRegistration),
    ];
    let steps = steps.into_iter().filter(|(_, actions)| !actions.is_empty());
    let steps = steps.map(|(name, actions)| Step { name, actions }).collect();
    let notes = [
        docker::note(config, instance),
        containerd::note(config, instance),
        selinux::note(config, instance),
        ecs::note(config, instance),
        after_failure::note(config),
    ];
    let obstacle = obstacle(config, instance).map(|why| format!("a run fails before it starts anything: {why}"));
    let references = config
        .references
        .iter()
        .map(|placed| format!("a run reads `{}` from {} before it changes anything", placed.key(), placed.reference));
    let of_several = logs::notes(config, instance).into_iter().chain(endpoints::notes(config, instance));
    let notes = references.chain(of_several).chain(notes.into_iter().chain([obstacle]).flatten()).collect();
    Plan { steps, notes }
}

/// Plans a run without a configuration, which does the same as an image without this agent.
pub fn plan_without_configuration() -> Plan {
    let start = Step { name: "start", actions: ecs::start_unconfigured() };
    Plan { steps: vec![start], notes: vec![ecs::WITHOUT_CONFIGURATION.to_owned()] }
}

/// Says why a run with this configuration fails on this instance before it starts anything.
pub fn obstacle(config: &Config, instance: &Instance) -> Option<String> {
    let no_logs = || {
        logs::missing(config, instance).filter(|_| config.logs.required).map(|note| {
            format!("logs.required: {note}; bake an image with amazon-cloudwatch-agent, or leave `logs.required` out")
        })
    };
    ecs::obstacle(config, instance).or_else(no_logs)
}

impl Plan {
    /// Leaves out the wait for the registration, which belongs to the first run of an instance. Later runs only start what
    /// has to run, unless hooks come after the registration.
    pub fn leave_out_the_wait(&mut self) {
        let is_needed = self.steps.iter().any(|step| step.name == HookPoint::AfterRegistration.key());
        self.steps.retain(|step| is_needed || step.name != "wait");
    }

    /// Lists every file that the plan writes, with the step that writes the file.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &File)> {
        let actions = self.steps.iter().flat_map(|step| step.actions.iter().map(move |planned| (step.name, planned)));
        actions.filter_map(|(step, planned)| match &planned.action {
            Action::WriteFile(file) => Some((step, file)),
            _ => None,
        })
    }
}

/// The files that a run can leave behind, for the facts of the next one.
pub mod leftovers {
    use std::collections::BTreeSet;

    pub use super::daemon_json::image_daemon_json;
    pub use super::proxy::drop_in_path;
    use super::systemd::mounts_path;
    use super::{containerd, logs, private, proxy};
    use crate::well_known::{
        CLOUDWATCH_COMMON, CONTAINERD_UNIT, DAEMON_JSON, DNF_CONF, DOCKER_UNIT, ECS_CONFIG, ECS_UNIT, SSM_AGENT_UNIT,
        UNITS, YUM_CONF,
    };

    /// Lists the files whose names say that they are ours.
    pub fn own_paths() -> Vec<String> {
        let drop_ins = [DOCKER_UNIT, ECS_UNIT, SSM_AGENT_UNIT].map(proxy::drop_in_path);
        let others = [
            image_daemon_json(),
            mounts_path(DOCKER_UNIT),
            mounts_path(CONTAINERD_UNIT),
            proxy::ENVIRONMENT.to_owned(),
            crate::well_known::CLOUDWATCH_JSON.to_owned(),
            logs::CLOUDWATCH_YAML.to_owned(),
        ];
        drop_ins.into_iter().chain(others).collect()
    }

    /// Lists the folders of all files that a plan can write.
    pub fn folders() -> BTreeSet<String> {
        let shared = shared_paths();
        let always = [DAEMON_JSON.to_owned(), format!("{UNITS}/x.mount")];
        let private = private::FILES.map(|(path, _)| path.to_owned());
        let all = own_paths().into_iter().chain(shared).chain(always).chain(private);
        all.filter_map(|path| Some(path.rsplit_once('/')?.0.to_owned())).collect()
    }

    /// Lists files of other programs. Each file shows by its contents whether the file, or some of its lines, are ours.
    pub fn shared_paths() -> impl Iterator<Item = String> {
        let edited = [
            CLOUDWATCH_COMMON,
            logs::AWSLOGS_CONF,
            logs::AWSLOGS_CLI_CONF,
            logs::AWSLOGS_PROXY_CONF,
            DNF_CONF,
            YUM_CONF,
            ECS_CONFIG,
        ];
        // An image may have a unit of its own that mounts containerd's directory.
        edited.into_iter().map(str::to_owned).chain([containerd::mount_path()])
    }
}

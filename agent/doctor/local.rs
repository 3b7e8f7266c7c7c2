//! Checks the machine itself: the ECS agent's log and registration, Docker, memory, disks.

use std::time::Duration;

use anyhow::Result;

use super::agent_log;
use super::causes::CauseKind;
use super::finding::{Check, Finding, is_denied};
use super::subject::{Subject, cluster_in_words};
use crate::config::Config;
use crate::ecs_agent::{EcsAgent, Seen};
use crate::host::{Host, START_ANEW, Space};
use crate::plan::{RESERVED_MEMORY, docker_data_root, more_than_memory};
use crate::well_known::{CONTAINERD_DATA, ECS_AGENT_LOG, ECS_INIT_LOG, ECS_LOGS};

/// The longest that the checks without the network may take when a run has failed.
pub(super) const LOCAL: Duration = Duration::from_secs(2);
/// Bytes that are read from a log's end. An attempt to register takes some ten kilobytes.
const LOG_TAIL: u64 = 128 << 10;
/// Number of files of a log that are read: one may just have been rotated.
const LOG_FILES: usize = 2;

/// Free bytes below which a filesystem counts as full. Docker and the ECS agent write more at their start.
const LEAST_SPACE: u64 = 100 << 20;

/// Finds the cause that the logs of the ECS agent name.
pub(super) async fn agent_log(host: &Host, ecs_agent: &EcsAgent, config: Option<&Config>) -> Result<Vec<Finding>> {
    let (agent, init) = (log_tail(host, ECS_AGENT_LOG)?, log_tail(host, ECS_INIT_LOG)?);
    let since = since(host);
    let cluster = cluster_in_words(config);
    // An obstacle that kept ecs-init from starting the ECS agent is gone once the agent starts.
    let started = agent_log::started(&agent).filter(|started| *started > since.as_str()).unwrap_or(&since);
    let of_init = agent_log::cause(&init, started, &cluster).map(|cause| (ECS_INIT_LOG, cause));
    let of_agent = match ecs_agent.look("").await {
        Seen::Registered { .. } | Seen::WrongCluster { .. } => agent_log::cause_if_registered(&agent, &since, &cluster),
        _ => agent_log::cause(&agent, &since, &cluster),
    };
    let of_agent = of_agent.map(|cause| (ECS_AGENT_LOG, cause));
    let is_named = |cause: &(&str, agent_log::Cause)| cause.1.kind != agent_log::CauseKind::Other;
    let found = of_init.clone().filter(is_named).or(of_agent).or(of_init);
    Ok(vec![match found {
        Some((log, cause)) => of_cause(log, &cause),
        None if agent.is_empty() && init.is_empty() => {
            Finding::unknown(Check::AgentLog, format!("the ECS agent has written no log in {ECS_LOGS}"))
        }
        None => Finding::ok(Check::AgentLog, format!("nothing in {ECS_LOGS} names a cause")),
    }])
}

/// Returns the start of this boot, in the format of the logs.
pub(super) fn since(host: &Host) -> String {
    host.started().map(|time| humantime::format_rfc3339_seconds(time).to_string()).unwrap_or_default()
}

/// Reads the end of a log.
pub(super) fn log_tail(host: &Host, log: &str) -> Result<String> {
    let files = host.by_age(ECS_LOGS, file_name(log))?;
    let latest = &files[files.len().saturating_sub(LOG_FILES)..];
    let mut text = String::new();
    for path in latest {
        text.push_str(&host.tail(path, LOG_TAIL)?.unwrap_or_default());
    }
    Ok(text)
}

fn file_name(log: &str) -> &str {
    log.rsplit('/').next().unwrap_or(log)
}

fn of_cause(log: &str, cause: &agent_log::Cause) -> Finding {
    let at = cause.at.as_ref().map(|at| format!(" at {at}")).unwrap_or_default();
    let found = format!("{}: {} says `{}`", cause.what, file_name(log), cause.quoted);
    let why = format!("the ECS agent itself gives this reason, in {log}{at}");
    let finding = Finding::problem(Check::AgentLog, found, why, cause.remedy.as_str());
    // If the log names a symptom, the check of its cause comes first.
    if cause.kind.is_symptom() { finding.ranked(Check::Docker) } else { finding }
}

/// Checks whether the ECS agent is registered, and with which cluster.
pub(super) async fn cluster(subject: &Subject<'_>) -> Result<Vec<Finding>> {
    let check = Check::Cluster;
    let Some(ecs) = subject.config.and_then(|config| config.ecs.as_ref()) else {
        let set_by = subject.host.cluster_set_by();
        let words = match subject.ecs_agent.look("").await {
            Seen::Registered { cluster, .. } | Seen::WrongCluster { found: cluster, .. } => {
                format!("the ECS agent is registered with `{cluster}`; the wanted cluster is not known ({set_by})")
            }
            _ => format!("no cluster is configured ({set_by}), and the ECS agent is not registered"),
        };
        return Ok(vec![Finding::unknown(check, words)]);
    };
    let cluster = subject.host.cluster(ecs.cluster().as_deref())?;
    let not_registered = |what: String| {
        if subject.identity.is_warming() {
            let words = "the instance is in a warm pool: it registers when it goes into service";
            return Finding::ok(check, words);
        }
        let why = "ECS places no task on an instance that is not registered";
        let remedy = format!("remove the other causes; {ECS_AGENT_LOG} says more");
        // This problem follows from the others.
        Finding::problem(check, format!("the ECS agent is not registered with `{cluster}`: {what}"), why, remedy)
            .ranked(Check::State)
    };
    Ok(vec![match subject.ecs_agent.look(&cluster).await {
        Seen::Registered { container_instance_arn, .. } => {
            let id = container_instance_arn.rsplit('/').next().unwrap_or_default();
            let set_by = subject.host.cluster_set_by();
            match is_deregistered(subject.host) {
                true => deregistered(&cluster, id),
                false => Finding::ok(check, format!("registered with `{cluster}`, container instance {id} ({set_by})")),
            }
        }
        Seen::WrongCluster { wanted, found } => Finding::problem(
            check,
            format!("the ECS agent is registered with `{found}`, not with `{wanted}`"),
            "the ECS agent was started before it was configured, or with another configuration, and keeps to its saved state",
            subject.host.remedy_for_another_cluster(&wanted),
        ),
        Seen::Refused => not_registered(
            "its introspection endpoint refuses connections, as it does until the agent has registered".to_owned(),
        ),
        Seen::Unreachable(what) | Seen::NotReady(what) => not_registered(what),
    }])
}

/// Tells whether the ECS agent's log says, after the last registration, that the instance was deregistered.
fn is_deregistered(host: &Host) -> bool {
    let log = log_tail(host, ECS_AGENT_LOG).unwrap_or_default();
    agent_log::cause_if_registered(&log, &since(host), "").is_some_and(|cause| cause.kind == CauseKind::Deregistered)
}

fn deregistered(cluster: &str, id: &str) -> Finding {
    let found = format!(
        "the ECS agent answers as container instance {id} of `{cluster}`, which was deregistered since, as its log says"
    );
    let why = "ECS places no task on it, and the ECS agent can't register again as long as it has that state";
    Finding::problem(Check::Cluster, found, why, START_ANEW).ranked(Check::AgentLog)
}

/// Checks whether Docker answers at its socket.
pub(super) async fn docker(host: &Host, config: Option<&Config>) -> Result<Vec<Finding>> {
    let wanted = config.is_none_or(|config| config.ecs.is_some() || config.docker.is_some());
    Ok(vec![match host.ping_docker().await {
        Ok(()) => Finding::ok(Check::Docker, "it answers at its socket"),
        Err(_) if !wanted => Finding::ok(Check::Docker, "the configuration doesn't need it"),
        Err(error) if is_denied(&error) => return Err(error),
        Err(error) => Finding::problem(
            Check::Docker,
            format!("Docker does not answer: {error:#}"),
            "the ECS agent is a container of Docker, and starts tasks through its socket",
            "`systemctl status docker.service` and `journalctl -u docker.service` say why",
        ),
    }])
}

/// Finds memory that the ECS agent is set to reserve but the host does not have.
pub(super) fn memory(host: &Host, config: Option<&Config>) -> Option<Finding> {
    let setting = host.ecs_setting(RESERVED_MEMORY).ok().flatten().map(|line| (line.value.clone(), line.to_string()));
    // A run that fails because of this setting does not write it, so the configuration is read, too.
    let given = config.and_then(|config| config.ecs.as_ref()?.config.0.get(RESERVED_MEMORY));
    let given = given.map(|reserved| (reserved.clone(), format!("ecs.config.{RESERVED_MEMORY}")));
    let memory_mib = host.memory_mib()?;
    let (place, words) = [setting, given]
        .into_iter()
        .flatten()
        .find_map(|(reserved, place)| Some((place, more_than_memory(&reserved, memory_mib)?)))?;
    let (found, remedy) = words.rsplit_once("; ")?;
    let why = "the ECS agent ends with exit code 1 and is restarted again and again";
    Some(Finding::problem(Check::EcsConfig, format!("{place}: {found}"), why, remedy).ranked(Check::Cluster))
}

/// Finds filesystems that are full.
pub(super) fn disks(host: &Host, config: Option<&Config>) -> Vec<Finding> {
    let (of_image, nothing) = (host.daemon_json().unwrap_or_default(), Config::default());
    let docker = docker_data_root(config.unwrap_or(&nothing), &of_image);
    let containerd = host.containerd_root().unwrap_or_else(|| CONTAINERD_DATA.to_owned());
    let mut seen: Vec<(String, Space)> = Vec::new();
    let mut findings = Vec::new();
    for path in ["/", "/var", docker.as_str(), containerd.as_str()] {
        match host.space(path) {
            Ok(space) if seen.iter().any(|(_, known)| known.filesystem == space.filesystem) => {}
            Ok(space) => seen.push((path.to_owned(), space)),
            Err(error) => findings.push(Finding::not_made(Check::Disk, &error)),
        }
    }
    findings.extend(seen.iter().filter_map(|(path, space)| full(path, space)));
    if findings.is_empty() {
        let free = seen.iter().map(|(path, space)| format!("{path} has {} free", size(space.available)));
        findings.push(Finding::ok(Check::Disk, free.collect::<Vec<_>>().join(", ")));
    }
    findings
}

fn full(path: &str, space: &Space) -> Option<Finding> {
    let found = match space {
        Space { out_of_inodes: true, .. } => {
            format!("the filesystem of {path} can't hold another file (no inode is free)")
        }
        Space { available, size: all, .. } if *available < LEAST_SPACE => {
            format!("the filesystem of {path} is full: {} of {} are free", size(*available), size(*all))
        }
        _ => return None,
    };
    let why = "Docker and the ECS agent can neither start nor keep their state on a full disk";
    let remedy = format!("make room (`du -xh {path} | sort -h | tail`), or give it a larger volume");
    Some(Finding::problem(Check::Disk, found, why, remedy))
}

fn size(bytes: u64) -> String {
    if bytes >= 10 << 30 { format!("{} GiB", bytes >> 30) } else { format!("{} MiB", bytes >> 20) }
}

//! Diagnoses why this instance isn't a working member of its cluster, with a fixed set of checks.
//!
//! `doctor` makes all the checks. A run whose wait fails makes only the checks that need no network, to find the reason. The
//! checks run in parallel, each with a time limit; a check that can't be made says so. The most likely cause comes first in
//! the findings: a problem stands before the problems that follow from it. An image that is to be baked gets other checks;
//! see `image`.

mod agent_exit;
mod agent_log;
mod agent_state;
mod causes;
mod docker_log;
mod finding;
mod image;
mod last_run;
mod local;
mod log_agent;
mod metadata;
mod network;
mod no_proxy;
mod reach;
mod selinux;
mod show;
mod subject;
mod units;

use std::future::Future;
use std::time::Duration;

use anyhow::Result;
use tokio::time::timeout;

pub use self::agent_log::{Cause, cause};
pub use self::causes::CauseKind;
pub use self::finding::{Check, Diagnosis, Finding, Verdict};
pub use self::image::{INSTALLED, examine_image};
pub use self::log_agent::trouble as log_agent_trouble;
pub use self::subject::{Configured, Metadata, Subject};
use crate::aws::imds::Identity;
use crate::config::Config;
use crate::ecs_agent::{EcsAgent, Seen, same_cluster};
use crate::host::Host;

/// Time allowed for a check.
const CHECK: Duration = Duration::from_secs(4);

/// Makes all the checks.
pub async fn examine(subject: &Subject<'_>) -> Diagnosis {
    let (host, config) = (subject.host, subject.config);
    let mut findings = vec![last_run::configuration(&subject.configured), last_run::last_run(host)];
    let (local, cluster, credentials, network) = tokio::join!(
        local(host, subject.ecs_agent, config, subject.identity, CHECK),
        bounded(Check::Cluster, CHECK, local::cluster(subject)),
        bounded(Check::Credentials, CHECK, metadata::credentials(subject)),
        bounded(Check::Endpoints, CHECK, network::reached(subject)),
    );
    findings.extend([local, credentials, network].concat());
    findings.push(metadata::service(&subject.metadata));
    last_run::weigh(&mut findings, &cluster, subject.identity.is_warming());
    findings.extend(cluster);
    Diagnosis::new(findings)
}

/// Finds the most likely cause that can be seen without the network, within two seconds.
pub async fn local_cause(host: &Host, ecs_agent: &EcsAgent, config: &Config, identity: &Identity) -> Option<Finding> {
    let diagnosis = Diagnosis::new(local(host, ecs_agent, Some(config), identity, local::LOCAL).await);
    diagnosis.cause().filter(|finding| finding.may_be_a_cause()).cloned()
}

/// Returns the reason why the ECS agent is not, or will not be, in the cluster of the configuration. The reason is another
/// cluster: in a line of the agent's settings, in its saved state, or, once the agent's start `is_settled`, in its
/// registration.
pub async fn another_cluster(
    host: &Host,
    ecs_agent: &EcsAgent,
    config: &Config,
    identity: &Identity,
    is_settled: bool,
) -> Option<String> {
    let wanted = host.cluster(config.ecs.as_ref()?.cluster().as_deref()).ok()?;
    let remedy = || host.remedy_for_another_cluster(&wanted);
    if let Some(line) = host.configured_cluster().ok()?.filter(|line| !same_cluster(&line.value, &wanted)) {
        return Some(format!("the ECS agent joins `{}`, not `{wanted}`; {}", line.value, remedy()));
    }
    let state = agent_state::finding(host, Some(config), identity);
    if state.verdict == Verdict::Problem && state.may_be_a_cause() {
        return Some(state.line());
    }
    if !is_settled {
        return None;
    }
    match ecs_agent.look(&wanted).await {
        Seen::WrongCluster { found, .. } => {
            Some(format!("the ECS agent is registered with `{found}`, not with `{wanted}`; {}", remedy()))
        }
        _ => None,
    }
}

/// Makes the checks that need no network, each within the limit. A late check costs the other checks nothing.
async fn local(
    host: &Host,
    ecs_agent: &EcsAgent,
    config: Option<&Config>,
    identity: &Identity,
    limit: Duration,
) -> Vec<Finding> {
    let (units, docker, log, log_agent, labels) = tokio::join!(
        bounded(Check::Units, limit, units::findings(host, ecs_agent, config, identity)),
        bounded(Check::Docker, limit, local::docker(host, config)),
        bounded(Check::AgentLog, limit, local::agent_log(host, ecs_agent, config)),
        bounded(Check::LogAgent, limit, log_agent::findings(host, config, identity)),
        bounded(Check::Selinux, limit, selinux::findings(host, config)),
    );
    let mut findings = [units, docker, local::disks(host, config), log, labels].concat();
    findings.extend(local::memory(host, config));
    findings.push(agent_state::finding(host, config, identity));
    findings.extend(no_proxy::findings(host));
    findings.extend(log_agent);
    findings
}

async fn bounded(check: Check, limit: Duration, findings: impl Future<Output = Result<Vec<Finding>>>) -> Vec<Finding> {
    match timeout(limit, findings).await {
        Ok(Ok(findings)) => findings,
        Ok(Err(error)) => vec![Finding::not_made(check, &error)],
        Err(_) => vec![Finding::unknown(check, format!("there was no answer within {} s", limit.as_secs()))],
    }
}

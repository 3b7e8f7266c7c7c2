//! Why this instance isn't a working member of its cluster: a closed set of checks.
//!
//! `doctor` makes all of them; a run whose wait fails makes those of them that need no network, for its reason. They are
//! made in parallel and each is bounded; one that can't be made says so. Findings come with the most likely cause first:
//! what makes others fail stands before them. Of an image that is to be baked, other things are checked; see `image`.

mod agent_exit;
mod agent_log;
mod agent_state;
mod causes;
mod docker_log;
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
mod units;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;

pub use self::agent_log::{Cause, cause};
pub use self::causes::CauseKind;
pub use self::image::{INSTALLED, examine_image};
pub use self::last_run::Configured;
pub use self::log_agent::trouble as log_agent_trouble;
pub use self::metadata::Metadata;
use crate::aws::imds::Identity;
use crate::config::Config;
use crate::ecs_agent::{Seen, same_cluster};
use crate::host::Host;

/// The longest that a check may take.
const CHECK: Duration = Duration::from_secs(4);
/// The longest that those without the network may take when a run has failed.
const LOCAL: Duration = Duration::from_secs(2);

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Whether an image's binary runs on its instances.
    Binary,
    /// Whether an image has what belongs to that binary.
    Installed,
    /// Whether there is a configuration without mistakes.
    Configuration,
    /// How the last run went.
    LastRun,
    /// Whether cloud-init holds the ECS agent up.
    CloudInit,
    /// Whether a disk is full.
    Disk,
    /// Whether the clock is right.
    Clock,
    /// Which cluster the ECS agent is registered with.
    Cluster,
    /// What the ECS agent's own log says.
    AgentLog,
    /// What is reached without the proxy.
    NoProxy,
    /// The instance metadata service.
    Metadata,
    /// The role and its credentials.
    Credentials,
    /// The labels of SELinux.
    Selinux,
    /// The units of Docker, the ECS agent and this agent.
    Units,
    /// Docker's socket.
    Docker,
    /// The services of AWS.
    Endpoints,
    /// What the ECS agent has saved.
    State,
    /// The agent for the logs: that an image has one, that it stays up, and what is in its way.
    LogAgent,
    /// Settings of the ECS agent that an image has, which stay.
    EcsConfig,
    /// Whether an image would give its instances one identity.
    Identity,
    /// Who could log in to the instances of an image.
    SshKeys,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Check::Binary => "binary",
            Check::Installed => "files",
            Check::Configuration => "configuration",
            Check::LastRun => "last run",
            Check::CloudInit => "cloud-init",
            Check::Disk => "disk",
            Check::Clock => "clock",
            Check::Cluster => "cluster",
            Check::AgentLog => "ECS agent log",
            Check::NoProxy => "NO_PROXY",
            Check::Metadata => "metadata",
            Check::Credentials => "credentials",
            Check::Selinux => "SELinux",
            Check::Units => "unit",
            Check::Docker => "Docker",
            Check::Endpoints => "endpoints",
            Check::State => "ECS state",
            Check::LogAgent => "log agent",
            Check::EcsConfig => "ecs.config",
            Check::Identity => "identity",
            Check::SshKeys => "SSH keys",
        })
    }
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Something is wrong.
    Problem,
    /// All is right.
    Ok,
    /// The check couldn't be made.
    Unknown,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// What it came to.
    pub verdict: Verdict,
    /// What was found, or why the check couldn't be made.
    pub found: String,
    /// Why it matters; empty where nothing is wrong.
    pub why: String,
    /// What to do; empty where nothing is wrong.
    pub remedy: String,
    /// The lower, the likelier it is the cause of the others.
    #[serde(skip)]
    rank: u8,
    /// True where it tells of a time before, and not of now.
    #[serde(skip)]
    is_past: bool,
}

/// The rank of a problem that keeps no ECS agent from its cluster.
const CAUSES_NOTHING: u8 = u8::MAX;

impl Finding {
    fn new(check: Check, verdict: Verdict, found: impl AsRef<str>) -> Self {
        let (why, remedy) = (String::new(), String::new());
        Finding { check, verdict, found: found.as_ref().to_owned(), why, remedy, rank: check as u8 * 2, is_past: false }
    }

    fn ok(check: Check, found: impl AsRef<str>) -> Self {
        Self::new(check, Verdict::Ok, found)
    }

    fn unknown(check: Check, found: impl AsRef<str>) -> Self {
        Self::new(check, Verdict::Unknown, found)
    }

    /// A check that an error has prevented.
    fn not_made(check: Check, error: &anyhow::Error) -> Self {
        let remedy = if is_denied(error) { "; run this as root" } else { "" };
        Self::unknown(check, format!("{error:#}{remedy}"))
    }

    fn problem(check: Check, found: impl AsRef<str>, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (why, remedy) = (why.into(), remedy.into());
        Finding { why, remedy, ..Self::new(check, Verdict::Problem, found) }
    }

    /// The finding in the place of another check's.
    fn ranked(self, as_check: Check) -> Self {
        Finding { rank: as_check as u8 * 2 + 1, ..self }
    }

    /// The finding after all the others: nothing follows from it.
    fn that_causes_nothing(self) -> Self {
        Finding { rank: CAUSES_NOTHING, ..self }
    }

    /// The finding as one that tells how an earlier run went.
    fn of_the_past(self) -> Self {
        Finding { is_past: true, ..self }
    }

    /// What was found and what to do, in one line.
    #[must_use]
    pub fn line(&self) -> String {
        let line = if self.remedy.is_empty() { self.found.clone() } else { format!("{}; {}", self.found, self.remedy) };
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// All findings, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Problems first, the most likely cause at the head; then what is right, then what is not known.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    fn new(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| (finding.verdict, finding.rank));
        Diagnosis { findings }
    }

    /// The most likely cause, if something is wrong.
    #[must_use]
    pub fn cause(&self) -> Option<&Finding> {
        self.findings.first().filter(|finding| finding.verdict == Verdict::Problem)
    }
}

/// What is examined.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The machine.
    pub host: &'a Host,
    /// Its configuration, if there is one.
    pub config: Option<&'a Config>,
    /// What became of the configuration.
    pub configured: Configured,
    /// Who the instance is, as far as that is known.
    pub identity: &'a Identity,
    /// What became of the instance metadata.
    pub metadata: Metadata,
    /// Where they are, unless at their own addresses.
    pub imds_endpoint: Option<&'a str>,
    /// Where CloudFormation is, unless by region and partition.
    pub cloudformation_endpoint: Option<&'a str>,
}

/// Makes all the checks.
pub async fn examine(subject: &Subject<'_>) -> Diagnosis {
    let (host, config) = (subject.host, subject.config);
    let mut findings = vec![last_run::configuration(&subject.configured), last_run::last_run(host)];
    let (local, cluster, metadata, credentials, network) = tokio::join!(
        local(host, config, subject.identity, CHECK),
        bounded(Check::Cluster, CHECK, local::cluster(subject)),
        bounded(Check::Metadata, CHECK, async { metadata::service(&subject.metadata) }),
        bounded(Check::Credentials, CHECK, metadata::credentials(subject)),
        bounded(Check::Endpoints, CHECK, network::reached(subject)),
    );
    for more in [local, metadata, credentials, network] {
        findings.extend(more);
    }
    last_run::weigh(&mut findings, &cluster, subject.identity.is_warming());
    findings.extend(cluster);
    Diagnosis::new(findings)
}

/// The most likely cause among what can be seen without the network, within two seconds.
pub async fn local_cause(host: &Host, config: &Config, identity: &Identity) -> Option<Finding> {
    let diagnosis = Diagnosis::new(local(host, Some(config), identity, LOCAL).await);
    diagnosis.cause().filter(|finding| finding.rank != CAUSES_NOTHING).cloned()
}

/// The reason why the ECS agent is not, or will not be, in the cluster of the configuration: a line of its settings names another
/// one, it has saved another one, or, once its start `is_settled`, it is registered with another one.
pub async fn another_cluster(host: &Host, config: &Config, identity: &Identity, is_settled: bool) -> Option<String> {
    let wanted = host.cluster(config.ecs.as_ref()?.cluster().as_deref()).ok()?;
    let remedy = || host.remedy_for_another_cluster(&wanted);
    if let Some(line) = host.configured_cluster().ok()?.filter(|line| !same_cluster(&line.value, &wanted)) {
        return Some(format!("the ECS agent joins `{}`, not `{wanted}`; {}", line.value, remedy()));
    }
    let state = agent_state::finding(host, Some(config), identity);
    if state.verdict == Verdict::Problem && state.rank != CAUSES_NOTHING {
        return Some(state.line());
    }
    if !is_settled {
        return None;
    }
    match host.look_at_ecs_agent(&wanted).await {
        Seen::WrongCluster { found, .. } => {
            Some(format!("the ECS agent is registered with `{found}`, not with `{wanted}`; {}", remedy()))
        }
        _ => None,
    }
}

/// The checks that need no network, each within the limit: one that is late costs the others nothing.
async fn local(host: &Host, config: Option<&Config>, identity: &Identity, limit: Duration) -> Vec<Finding> {
    let (units, docker, log, log_agent, labels) = tokio::join!(
        bounded(Check::Units, limit, units::findings(host, config, identity)),
        bounded(Check::Docker, limit, local::docker(host, config)),
        bounded(Check::AgentLog, limit, local::agent_log(host, config)),
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

async fn bounded(check: Check, limit: Duration, findings: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
    let late = |_| vec![Finding::unknown(check, format!("there was no answer within {} s", limit.as_secs()))];
    timeout(limit, findings).await.unwrap_or_else(late)
}

/// Whether only another user may know.
fn is_denied(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    causes.any(|cause| cause.kind() == std::io::ErrorKind::PermissionDenied)
}

/// A cluster in words.
fn cluster_in_words(config: Option<&Config>) -> String {
    let cluster = config.and_then(|config| config.ecs.as_ref()?.cluster.as_ref());
    cluster.map_or_else(|| "the cluster".to_owned(), |cluster| format!("the cluster `{cluster}`"))
}

//! Findings of the checks, each with a verdict, and the diagnosis that they make together.

use std::fmt;

use serde::Serialize;

/// The subject of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// An image's binary, which must run on the image's instances.
    Binary,
    /// The files that an image must have beside this agent's binary.
    Installed,
    /// The configuration, which must have no mistakes.
    Configuration,
    /// The result of the last run.
    LastRun,
    /// cloud-init, which may hold the ECS agent up.
    CloudInit,
    /// The disks, which may be full.
    Disk,
    /// The host's clock.
    Clock,
    /// The cluster that the ECS agent is registered with.
    Cluster,
    /// The ECS agent's own log.
    AgentLog,
    /// The addresses that must be reached without the proxy.
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
    /// The state that the ECS agent has saved.
    State,
    /// The log agent: an image must have one, it must stay up, and nothing may be in its way.
    LogAgent,
    /// Settings of the ECS agent; the settings that an image has stay.
    EcsConfig,
    /// The identity of an image's instances, which must differ from one to the next.
    Identity,
    /// The SSH keys with which somebody could log in to the instances of an image.
    SshKeys,
}

impl Check {
    /// Ranks a check among the others: the lower, the likelier its problem is the cause of theirs.
    fn rank(self) -> u8 {
        match self {
            Check::Binary => 0,
            Check::Installed => 2,
            Check::Configuration => 4,
            Check::LastRun => 6,
            Check::CloudInit => 8,
            Check::Disk => 10,
            Check::Clock => 12,
            Check::Cluster => 14,
            Check::AgentLog => 16,
            Check::NoProxy => 18,
            Check::Metadata => 20,
            Check::Credentials => 22,
            Check::Selinux => 24,
            Check::Units => 26,
            Check::Docker => 28,
            Check::Endpoints => 30,
            Check::State => 32,
            Check::LogAgent => 34,
            Check::EcsConfig => 36,
            Check::Identity => 38,
            Check::SshKeys => 40,
        }
    }
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

/// The result of a check, in the order in which results are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Something is wrong.
    Problem,
    /// All is right.
    Ok,
    /// The check couldn't be made.
    Unknown,
}

impl Verdict {
    /// Ranks the verdicts in the order in which they are told.
    fn rank(self) -> u8 {
        match self {
            Verdict::Problem => 0,
            Verdict::Ok => 1,
            Verdict::Unknown => 2,
        }
    }
}

/// The finding of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// The result of the check.
    pub verdict: Verdict,
    /// The facts that were found, or the reason why the check couldn't be made.
    pub found: String,
    /// The reason why the finding matters; empty if nothing is wrong.
    pub why: String,
    /// The remedy; empty if nothing is wrong.
    pub remedy: String,
    /// The rank of a finding: the lower, the likelier it is the cause of the other findings.
    #[serde(skip)]
    pub(super) rank: u8,
    /// True if the finding is about an earlier run, and not about the present.
    #[serde(skip)]
    pub(super) is_past: bool,
}

/// The rank of a problem that keeps no ECS agent from its cluster.
const CAUSES_NOTHING: u8 = u8::MAX;

impl Finding {
    pub(super) fn new(check: Check, verdict: Verdict, found: impl AsRef<str>) -> Self {
        let (why, remedy) = (String::new(), String::new());
        Finding { check, verdict, found: found.as_ref().to_owned(), why, remedy, rank: check.rank(), is_past: false }
    }

    pub(super) fn ok(check: Check, found: impl AsRef<str>) -> Self {
        Self::new(check, Verdict::Ok, found)
    }

    pub(super) fn unknown(check: Check, found: impl AsRef<str>) -> Self {
        Self::new(check, Verdict::Unknown, found)
    }

    /// Returns the finding of a check that an error has prevented.
    pub(super) fn not_made(check: Check, error: &anyhow::Error) -> Self {
        let remedy = if is_denied(error) { "; run this as root" } else { "" };
        Self::unknown(check, format!("{error:#}{remedy}"))
    }

    pub(super) fn problem(
        check: Check,
        found: impl AsRef<str>,
        why: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let (why, remedy) = (why.into(), remedy.into());
        Finding { why, remedy, ..Self::new(check, Verdict::Problem, found) }
    }

    /// Ranks the finding right after those of another check.
    pub(super) fn ranked(self, as_check: Check) -> Self {
        Finding { rank: as_check.rank() + 1, ..self }
    }

    /// Ranks the finding after all others, since no other problem follows from this one.
    pub(super) fn that_causes_nothing(self) -> Self {
        Finding { rank: CAUSES_NOTHING, ..self }
    }

    /// Marks the finding as one about an earlier run.
    pub(super) fn of_the_past(self) -> Self {
        Finding { is_past: true, ..self }
    }

    /// Tells whether something may follow from the finding.
    pub(super) fn may_be_a_cause(&self) -> bool {
        self.rank != CAUSES_NOTHING
    }

    /// Says in one line what was found and what to do.
    #[must_use]
    pub fn line(&self) -> String {
        let line = if self.remedy.is_empty() { self.found.clone() } else { format!("{}; {}", self.found, self.remedy) };
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// The findings of all checks, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Problems first, the most likely cause at the head; then what is right, then what is not known.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    pub(super) fn new(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| (finding.verdict.rank(), finding.rank));
        Diagnosis { findings }
    }

    /// Returns the most likely cause, if something is wrong.
    #[must_use]
    pub fn cause(&self) -> Option<&Finding> {
        self.findings.first().filter(|finding| finding.verdict == Verdict::Problem)
    }
}

/// Tells whether an error means that this user lacks a permission, which another user may have.
pub(super) fn is_denied(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    causes.any(|cause| cause.kind() == std::io::ErrorKind::PermissionDenied)
}

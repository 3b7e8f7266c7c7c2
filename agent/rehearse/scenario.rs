//! What can happen in a rehearsal, and what it takes of the cloud and the host.

use std::time::Duration;

use clap::ValueEnum;

use super::cloud::{CfnAnswer, CloudOptions, ImdsFaults, RegisteredAs, Registration};

/// How long the ECS agent takes from its start to its registration.
const REGISTRATION: Duration = Duration::from_millis(1200);
/// How long each answer of a slow metadata service takes.
const SLOW: Duration = Duration::from_millis(700);
/// After how long a late device is attached.
pub(super) const LATE: Duration = Duration::from_millis(2500);

/// Configurations for the CloudWatch agent that an image may bring, of which each reads the journal in its own way.
pub(super) const FILES_OF_IMAGE: [(&str, &str); 2] = [
    (
        "audit.json",
        "{\"logs\": {\"logs_collected\": {\"journald\": {\"collect_list\": [{\"log_group_name\": \"audit\", \"units\": [\"auditd.service\"]}]}}}}\n",
    ),
    (
        "image.json",
        "{\"logs\": {\"logs_collected\": {\"journald\": {\"collect_list\": [{\"log_group_name\": \"image\", \"units\": [\"sshd.service\"]}]}}}}\n",
    ),
];
/// The words with which the CloudWatch agent ends for them.
pub(super) const LAST_WORDS: &str = "Under path : /logs/logs_collected/journald | Error : Different values are specified for journald\n\
    E! config-translator process exited with non-zero status: 1\n";

/// What can happen in a rehearsal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Everything goes well
    Success,
    /// Everything goes well, then the host is rebooted
    Reboot,
    /// There is no user data
    NoUserData,
    /// The user data has mistakes
    BadUserData,
    /// The instance metadata service takes 0.7 s for each answer
    SlowImds,
    /// The volumes are attached 2.5 s after the run waits for them
    LateDevice,
    /// The Docker volume already holds another filesystem
    ForeignDisk,
    /// The ECS agent never registers; the run waits 3 s
    Never,
    /// The ECS agent registers with another cluster
    WrongCluster,
    /// The cluster does not exist: the ECS agent ends with exit code 5
    AgentExits5,
    /// The role can't register the instance; the run waits 3 s
    Denied,
    /// ECS can't be reached; the run waits 3 s
    Unreachable,
    /// The instance is prepared for a warm pool, then goes into service
    WarmPool,
    /// CloudFormation throttles the first three signals
    Throttled,
    /// The stack waits for no signal, as when its group scales out
    NotWaitedFor,
    /// Files of the image contradict each other, and the log agent ends
    LogAgentEnds,
    /// A proxy is configured, and CloudFormation is reached through it
    Proxy,
}

impl Scenario {
    /// The name on the command line, and what happens.
    pub(super) fn words(self) -> (String, String) {
        let value = self.to_possible_value();
        let words = value
            .as_ref()
            .map(|value| (value.get_name().to_owned(), value.get_help().map(ToString::to_string).unwrap_or_default()));
        words.unwrap_or_default()
    }

    /// Whether the run ends only when it has waited as long as it may.
    pub(super) fn waits_to_the_end(self) -> bool {
        matches!(self, Scenario::Never | Scenario::Denied | Scenario::Unreachable)
    }

    /// How the ECS agent registers that is to join this cluster.
    pub(super) fn registration(self, cluster: String) -> Registration {
        match self {
            Scenario::AgentExits5 => Registration::Never,
            _ if self.waits_to_the_end() => Registration::Never,
            Scenario::WrongCluster => Registration::After(REGISTRATION, RegisteredAs { cluster: "default".to_owned() }),
            _ => Registration::After(REGISTRATION, RegisteredAs { cluster }),
        }
    }

    /// Makes the cloud what it is in this scenario.
    pub(super) fn change(self, cloud: &mut CloudOptions) {
        match self {
            Scenario::NoUserData => cloud.user_data = None,
            Scenario::SlowImds => cloud.imds_faults = ImdsFaults { delay: SLOW, ..ImdsFaults::default() },
            Scenario::WarmPool => cloud.target_lifecycle_state = Some("Warmed:Running".to_owned()),
            Scenario::Throttled => cloud.cloudformation = vec![CfnAnswer::Throttle; 3].into(),
            Scenario::NotWaitedFor => cloud.cloudformation = vec![CfnAnswer::CannotBeSignaled].into(),
            _ => {}
        }
    }

    /// What the ECS agent writes into its log.
    pub(super) fn agent_log(self) -> Option<&'static str> {
        match self {
            Scenario::AgentExits5 => Some(include_str!("../../tests/doctor/cluster-not-found/ecs-agent.log")),
            Scenario::Denied => Some(include_str!("../../tests/doctor/denied/ecs-agent.log")),
            Scenario::Unreachable => Some(include_str!("../../tests/doctor/unreachable/ecs-agent.log")),
            _ => None,
        }
    }
}

//! The scenarios of a rehearsal, and the settings of the cloud and the host for each.

use std::time::Duration;

use clap::ValueEnum;

use super::cloud::{CfnAnswer, CloudOptions, ImdsFaults, RegisteredAs, Registration, ValueAnswer};

/// Time from the ECS agent's start to its registration.
const REGISTRATION: Duration = Duration::from_millis(1200);
/// Time for each answer of a slow metadata service.
const SLOW: Duration = Duration::from_millis(700);
/// Time from the beginning of the run's wait until a late device is attached.
pub(super) const LATE: Duration = Duration::from_millis(2500);

/// Two files of an image for the CloudWatch agent. The files contradict each other: each configures the journal in its own
/// way.
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
/// The last messages of the CloudWatch agent, which ends because of such files.
pub(super) const LAST_WORDS: &str = "Under path : /logs/logs_collected/journald | Error : Different values are specified for journald\n\
    E! config-translator process exited with non-zero status: 1\n";

/// The scenarios of a rehearsal.
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
    /// The role may not read the values of the references
    ReferenceDenied,
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
    /// Returns the scenario's name on the command line, and its description.
    pub(super) fn words(self) -> (String, String) {
        let value = self.to_possible_value();
        let words = value
            .as_ref()
            .map(|value| (value.get_name().to_owned(), value.get_help().map(ToString::to_string).unwrap_or_default()));
        words.unwrap_or_default()
    }

    /// Tells whether the run waits for the registration until its timeout.
    pub(super) fn waits_to_the_end(self) -> bool {
        matches!(self, Scenario::Never | Scenario::Denied | Scenario::Unreachable)
    }

    /// Returns the registration of an ECS agent that is configured for this cluster.
    pub(super) fn registration(self, cluster: String) -> Registration {
        match self {
            Scenario::AgentExits5 => Registration::Never,
            _ if self.waits_to_the_end() => Registration::Never,
            Scenario::WrongCluster => Registration::After(REGISTRATION, RegisteredAs { cluster: "default".to_owned() }),
            _ => Registration::After(REGISTRATION, RegisteredAs { cluster }),
        }
    }

    /// Changes the options of the cloud for this scenario.
    pub(super) fn change(self, cloud: &mut CloudOptions) {
        match self {
            Scenario::NoUserData => cloud.user_data = None,
            Scenario::SlowImds => cloud.imds_faults = ImdsFaults { delay: SLOW, ..ImdsFaults::default() },
            Scenario::WarmPool => cloud.target_lifecycle_state = Some("Warmed:Running".to_owned()),
            Scenario::ReferenceDenied => {
                let denied = || vec![ValueAnswer::AccessDenied; 50].into();
                (cloud.parameters.answers, cloud.secrets.answers) = (denied(), denied());
            }
            Scenario::Throttled => cloud.cloudformation = vec![CfnAnswer::Throttle; 3].into(),
            Scenario::NotWaitedFor => cloud.cloudformation = vec![CfnAnswer::CannotBeSignaled].into(),
            _ => {}
        }
    }

    /// Returns the text of the ECS agent's log, if the scenario has one.
    pub(super) fn agent_log(self) -> Option<&'static str> {
        match self {
            Scenario::AgentExits5 => Some(include_str!("../../tests/doctor/cluster-not-found/ecs-agent.log")),
            Scenario::Denied => Some(include_str!("../../tests/doctor/denied/ecs-agent.log")),
            Scenario::Unreachable => Some(include_str!("../../tests/doctor/unreachable/ecs-agent.log")),
            _ => None,
        }
    }
}

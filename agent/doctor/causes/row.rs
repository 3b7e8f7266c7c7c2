//! The rows of the tables of causes, and the kinds of causes.

/// The known causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CauseKind {
    /// The cluster does not exist.
    ClusterNotFound,
    /// The saved state is that of another cluster.
    ClusterChanged,
    /// The saved state is that of another instance type.
    InstanceTypeChanged,
    /// The container instance is deregistered.
    Deregistered,
    /// The saved state is that of another instance, or can't be used.
    SavedState,
    /// A policy does not allow a request.
    Denied,
    /// AWS does not take the credentials.
    BadCredentials,
    /// There are no credentials.
    NoCredentials,
    /// AWS refuses signatures, or the agent certificates, because the clock is wrong.
    WrongClock,
    /// AWS throttles requests.
    Throttled,
    /// A quota is used up.
    Quota,
    /// ECS fails.
    ServiceFails,
    /// A tag is refused, or can't be read.
    BadTag,
    /// An attribute is refused.
    BadAttribute,
    /// The cluster's name is refused.
    BadCluster,
    /// ECS refuses another parameter.
    Refused,
    /// The proxy's scheme does not fit.
    ProxyScheme,
    /// The proxy's name does not resolve.
    ProxyUnknown,
    /// The proxy can't be reached.
    ProxyUnreachable,
    /// The proxy wants credentials.
    ProxyCredentials,
    /// The proxy does not let the request through.
    ProxyRefused,
    /// A name does not resolve.
    NameUnknown,
    /// A certificate is not trusted.
    Untrusted,
    /// No connection to AWS.
    Unreachable,
    /// Registered, but not connected.
    Disconnected,
    /// cloud-init did not find the user data.
    CloudInit,
    /// The instance metadata can't be reached.
    NoMetadata,
    /// Docker can't be reached.
    NoDocker,
    /// Docker has another API version.
    DockerVersion,
    /// The agent can't read a setting.
    BadSetting,
    /// More memory is reserved than there is.
    Memory,
    /// The cgroup of the tasks can't be made.
    Cgroup,
    /// No GPU, or no driver for it.
    Gpu,
    /// The agent waits for the Auto Scaling group in vain.
    WarmPool,
    /// The network interfaces of tasks can't be prepared.
    TaskEni,
    /// The pause container's image can't be loaded.
    PauseContainer,
    /// No space is left.
    DiskFull,
    /// The agent's image can't be loaded.
    NoImage,
    /// The agent's container can't be started.
    NotStarted,
    /// The routes for tasks can't be made.
    NoRoutes,
    /// No row of the tables fits.
    Other,
}

impl CauseKind {
    /// Tells whether another problem, which a check can find, may be behind this cause.
    pub fn is_symptom(self) -> bool {
        use CauseKind::{BadCredentials, NoCredentials, NoDocker, NoMetadata, Other, WrongClock};
        matches!(self, NoDocker | NoCredentials | NoMetadata | WrongClock | BadCredentials | Other)
    }
}

/// A row of a table.
pub struct Row {
    pub kind: CauseKind,
    /// Alternatives, separated by `|`. Of each text, a line of the log contains one.
    pub(super) words: &'static [&'static str],
    pub what: &'static str,
    pub remedy: &'static str,
}

impl Row {
    pub(super) fn is_of(&self, line: &str) -> bool {
        self.words.iter().all(|any| any.split('|').any(|words| line.contains(words)))
    }

    /// Returns a line of a log for each of the alternatives.
    #[cfg(test)]
    pub fn examples(&self) -> Vec<String> {
        let all = self.words.iter().fold(vec![String::new()], |before, any| {
            before.iter().flat_map(|before| any.split('|').map(move |words| format!("{before} {words}"))).collect()
        });
        all.iter().map(|words| format!("level=error msg=\"x\" error=\"{words}\"")).collect()
    }
}

//! Known causes that keep an ECS agent out of its cluster, and the tables that name them. A line of a log is looked up in
//! these tables.

mod answers;
mod starts;

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
pub(super) struct Row {
    pub(super) kind: CauseKind,
    /// Alternatives, separated by `|`, of which a line of the log contains one.
    any: &'static str,
    /// Further alternatives, of which the line contains one as well; may be empty.
    with: &'static str,
    pub(super) what: &'static str,
    pub(super) remedy: &'static str,
}

impl Row {
    fn is_of(&self, line: &str) -> bool {
        let has_one = |words: &str| words.split('|').any(|words| line.contains(words));
        has_one(self.any) && has_one(self.with)
    }

    /// Returns a line of a log for each of the alternatives.
    #[cfg(test)]
    pub(super) fn examples(&self) -> Vec<String> {
        let line = |with: &str, words: &str| format!("level=error msg=\"x\" error=\"{with} {words}\"");
        let each = self.with.split('|').flat_map(|with| self.any.split('|').map(move |words| line(with, words)));
        each.collect()
    }
}

/// The placeholder for the cluster in a text, which the cluster's name replaces.
pub(super) const CLUSTER: &str = "the cluster";

/// The remedy that makes the ECS agent register anew, and keeps the agent's state out of the image.
const AS_NEW_AND_BAKE: &str =
    "stop ecs.service, delete /var/lib/ecs/data, start it again; an image must be baked without that directory";

/// The row for a line that says only that there is an error.
pub(super) const OTHER: Row = Row {
    kind: CauseKind::Other,
    any: "",
    with: "",
    what: "the ECS agent does not come up",
    remedy: "correct what this line names; the lines before it, in /var/log/ecs, say more",
};

/// Finds the cause that a line names. Particular causes are tried before general ones.
pub(super) fn named(line: &str) -> Option<&'static Row> {
    [answers::ALL, starts::ALL].into_iter().flatten().find(|row| row.is_of(line))
}

/// Finds the row of a line whose error may follow from another cause, which an earlier line names.
pub(super) fn consequence(line: &str) -> Option<&'static Row> {
    starts::CONSEQUENCES.iter().find(|row| row.is_of(line))
}

/// Returns the rows of all tables.
#[cfg(test)]
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    [answers::ALL, starts::ALL, starts::CONSEQUENCES].into_iter().flatten()
}

#[cfg(test)]
mod tests;

//! The names of the log groups and streams on an instance.

use super::logs::{LogFile, constant};
use super::sections::Config;
use super::types::*;

impl Config {
    /// Returns the prefix of the log groups: as given, else named after the stack's resource, the cluster or the account.
    pub fn log_group(&self) -> LogGroupName {
        let signal = self.signal.as_ref();
        let names_stack = signal.is_some_and(|signal| signal.stack.is_some() && signal.resource.is_some());
        let names_cluster = self.ecs.as_ref().is_some_and(|ecs| ecs.cluster.is_some());
        self.logs.group.clone().unwrap_or_else(|| match (names_stack, names_cluster) {
            (true, _) => constant("${stack}/ec2/${resource}"),
            (false, true) => constant("${cluster}/ec2"),
            (false, false) => constant("ecs-firstrun/${account}"),
        })
    }
}

/// A placeholder for the id of an AWS account that is not known; each id has 12 digits.
pub(crate) const ACCOUNT: &str = "000000000000";

/// The names of the log groups and streams on an instance.
pub(crate) struct LogNames<'a> {
    config: &'a Config,
    /// The region of the instance and the id of its AWS account.
    place: (&'a str, &'a str),
    /// Fills in a placeholder.
    placeholder: &'a dyn Fn(Placeholder) -> String,
    /// The prefix of the groups, filled in.
    prefix: String,
}

impl<'a> LogNames<'a> {
    /// Makes the names for this region and AWS account.
    pub(crate) fn new(
        config: &'a Config,
        place: (&'a str, &'a str),
        placeholder: &'a dyn Fn(Placeholder) -> String,
    ) -> Self {
        let mut names = LogNames { config, place, placeholder, prefix: String::new() };
        names.prefix = names.expand(&config.log_group().0);
        names
    }

    /// Fills in a placeholder so that names which will be the same are the same here. `{aws_region}` gets the value of
    /// `${region}`.
    pub(crate) fn alike(placeholder: Placeholder) -> String {
        match placeholder {
            Placeholder::AwsRegion => LONGEST_REGION.to_owned(),
            Placeholder::AccountId => ACCOUNT.to_owned(),
            Placeholder::LocalHostname => Placeholder::Hostname.text(),
            other => other.text(),
        }
    }

    /// Returns the name of the log group below the prefix.
    pub(crate) fn group(&self, suffix: &str) -> String {
        format!("{}/{}", self.prefix.trim_end_matches('/'), suffix.trim_start_matches('/'))
    }

    /// Returns the name of the log group of a file.
    pub(crate) fn group_of(&self, file: &LogFile) -> String {
        file.group.as_ref().map_or_else(|| self.group(&file.group_suffix()), |group| self.expand(&group.0))
    }

    /// Returns the name of the log stream, of a file that may have its own.
    pub(crate) fn stream(&self, file: Option<&LogFile>) -> String {
        let own = file.and_then(|file| file.stream.as_ref());
        self.expand(&own.unwrap_or(&self.config.logs.stream).0)
    }

    fn expand(&self, name: &NameTemplate) -> String {
        name.expand(|variable| self.variable(variable), |placeholder| (self.placeholder)(placeholder))
    }

    fn variable(&self, variable: Variable) -> String {
        let signal = self.config.signal.as_ref();
        match variable {
            Variable::Stack => signal.and_then(|signal| signal.stack.as_ref()).map(|stack| stack.name().to_owned()),
            Variable::Resource => signal.and_then(|signal| signal.resource.as_ref()).map(ToString::to_string),
            Variable::Cluster => {
                self.config.ecs.as_ref().and_then(|ecs| ecs.cluster.as_ref()).map(|cluster| cluster.name().to_owned())
            }
            Variable::Region => Some(self.place.0.to_owned()),
            Variable::Account => Some(self.place.1.to_owned()),
        }
        .unwrap_or_default()
    }
}

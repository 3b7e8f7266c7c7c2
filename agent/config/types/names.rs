//! Names of log groups and streams, with variables and placeholders.

use serde::Deserialize;

use super::checked_text::is_word;

/// The longest name that CloudWatch Logs takes for a group or a stream, in characters.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html>
pub const LONGEST_LOG_NAME: usize = 512;

/// A name with variables and placeholders. The plan fills in variables such as `${stack}`; the log agent fills in
/// placeholders such as `{instance_id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameTemplate(Vec<Segment>);

/// The name of a log group, or its prefix: letters, digits and `-_/.#`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct LogGroupName(pub NameTemplate);

/// The name of a log stream: anything but `:`, `*` and line breaks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct LogStreamName(pub NameTemplate);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Variable(Variable),
    Placeholder(Placeholder),
}

/// A part of a name that comes from the configuration or the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// `${stack}`: the name of the stack of `signal.stack`.
    Stack,
    /// `${resource}`: `signal.resource`.
    Resource,
    /// `${region}`: the region of the instance.
    Region,
    /// `${account}`: the id of the AWS account.
    Account,
    /// `${cluster}`: the name of the cluster of `ecs.cluster`.
    Cluster,
}

impl Variable {
    const ALL: [(&str, Variable); 5] = [
        ("stack", Variable::Stack),
        ("resource", Variable::Resource),
        ("region", Variable::Region),
        ("account", Variable::Account),
        ("cluster", Variable::Cluster),
    ];

    /// Returns the variable's name, as it stands between `${` and `}`.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, variable)| *variable == self).map_or("", |(name, _)| name)
    }
}

/// A part of a name that the CloudWatch agent fills in: these seven and no others. The agent leaves any other text as it is,
/// braces and all, and CloudWatch Logs then refuses the name.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Agent-Configuration-File-Details.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// The id of the instance.
    InstanceId,
    /// The host name that the instance metadata gives.
    Hostname,
    /// The host name that the kernel gives.
    LocalHostname,
    /// The private IPv4 address.
    IpAddress,
    /// The region.
    AwsRegion,
    /// The id of the AWS account.
    AccountId,
    /// The day on which the agent started, as 2026-11-30.
    Date,
}

impl Placeholder {
    /// The placeholders, each with its name and the most characters of its value. Host names are at most those of
    /// hostname(7).
    const ALL: [(&str, Placeholder, usize); 7] = [
        ("instance_id", Placeholder::InstanceId, 19),
        ("hostname", Placeholder::Hostname, 64),
        ("local_hostname", Placeholder::LocalHostname, 64),
        ("ip_address", Placeholder::IpAddress, 15),
        ("aws_region", Placeholder::AwsRegion, LONGEST_REGION.len()),
        ("account_id", Placeholder::AccountId, 12),
        ("date", Placeholder::Date, 10),
    ];

    /// Returns the placeholder as it stands in a name, braces included.
    pub fn text(self) -> String {
        format!("{{{}}}", Self::ALL.iter().find(|(_, known, _)| *known == self).map_or("", |(name, ..)| name))
    }

    /// Returns a text as long as the longest value of the placeholder.
    pub fn longest(self) -> String {
        "x".repeat(Self::ALL.iter().find(|(_, known, _)| *known == self).map_or(0, |(.., longest)| *longest))
    }
}

/// One of the longest names of regions.
pub const LONGEST_REGION: &str = "us-isof-south-1";

const PLACEHOLDERS: &str =
    "{instance_id}, {hostname}, {local_hostname}, {ip_address}, {aws_region}, {account_id} and {date}";
const VARIABLES: &str = "${stack}, ${resource}, ${region}, ${account} and ${cluster}";

impl TryFrom<String> for LogGroupName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with("aws/") {
            return Err(format!(
                "`{text}` begins with aws/, which CloudWatch Logs reserves for AWS\nbegin it with something else, such as /"
            ));
        }
        let rule = "letters, digits and - _ / . #";
        NameTemplate::parse(&text, |literal| is_word(literal, "-_/.#"), rule).map(LogGroupName)
    }
}

impl TryFrom<String> for LogStreamName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_right = |c: char| !c.is_control() && !":*\u{2028}\u{2029}".contains(c);
        // `$NAME` is a variable of the environment for the CloudWatch agent.
        let names_variable = |literal: &str| {
            let mut after = literal.split('$').skip(1);
            after.any(|after| after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
        };
        let literal_is_right = |literal: &str| literal.chars().all(is_right) && !names_variable(literal);
        let rule = "anything but : * and line breaks, and no $ before a letter or a digit";
        NameTemplate::parse(&text, literal_is_right, rule).map(LogStreamName)
    }
}

impl NameTemplate {
    fn parse(text: &str, literal_is_right: impl Fn(&str) -> bool, rule: &str) -> Result<Self, String> {
        let mut segments = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, braces) = rest.split_at(at);
            let (name, tail) = braces
                .strip_prefix('{')
                .and_then(|braces| braces.split_once('}'))
                .ok_or_else(|| format!("`{text}` has an unmatched brace\nplaceholders are {PLACEHOLDERS}"))?;
            rest = tail;
            let (literal, segment) = match before.strip_suffix('$') {
                Some(literal) => (literal, Segment::Variable(variable(name)?)),
                None => (before, Segment::Placeholder(placeholder(name)?)),
            };
            // A dollar sign before a filled-in value would make an environment variable of the value.
            if literal.ends_with('$') {
                return Err(format!("`{text}` has a $ before a variable\nleave it out"));
            }
            segments.extend([Segment::Literal(literal.to_owned()), segment]);
        }
        segments.push(Segment::Literal(rest.to_owned()));
        segments.retain(|segment| *segment != Segment::Literal(String::new()));
        let is_wrong = |segment: &Segment| matches!(segment, Segment::Literal(literal) if !literal_is_right(literal));
        match segments.is_empty() || segments.iter().any(is_wrong) {
            false => Ok(NameTemplate(segments)),
            true => Err(format!(
                "`{text}` is not a name that CloudWatch Logs allows\n1 to {LONGEST_LOG_NAME} characters: {rule}; variables are {VARIABLES}, placeholders {PLACEHOLDERS}"
            )),
        }
    }

    /// Lists the variables in the name.
    pub fn variables(&self) -> impl Iterator<Item = Variable> {
        self.0.iter().filter_map(|segment| match segment {
            Segment::Variable(variable) => Some(*variable),
            Segment::Literal(_) | Segment::Placeholder(_) => None,
        })
    }

    /// Returns the name with its variables and its placeholders filled in.
    pub fn expand(&self, value: impl Fn(Variable) -> String, held: impl Fn(Placeholder) -> String) -> String {
        self.0
            .iter()
            .map(|segment| match segment {
                Segment::Literal(literal) => literal.clone(),
                Segment::Variable(variable) => value(*variable),
                Segment::Placeholder(placeholder) => held(*placeholder),
            })
            .collect()
    }

    /// Lists the placeholders in the name.
    pub fn placeholders(&self) -> impl Iterator<Item = Placeholder> {
        self.0.iter().filter_map(|segment| match segment {
            Segment::Placeholder(placeholder) => Some(*placeholder),
            Segment::Literal(_) | Segment::Variable(_) => None,
        })
    }
}

fn variable(name: &str) -> Result<Variable, String> {
    let known = Variable::ALL.iter().find(|(known, _)| *known == name);
    known.map(|(_, variable)| *variable).ok_or_else(|| {
        format!("there is no variable `${{{name}}}`\nthere are {VARIABLES}; in a template's Fn::Sub write them as ${{!stack}}")
    })
}

fn placeholder(name: &str) -> Result<Placeholder, String> {
    let known = Placeholder::ALL.iter().find(|(known, ..)| *known == name);
    known.map(|(_, placeholder, _)| *placeholder).ok_or_else(|| {
        format!("there is no placeholder `{{{name}}}`\nthere are {PLACEHOLDERS}; variables are {VARIABLES}")
    })
}

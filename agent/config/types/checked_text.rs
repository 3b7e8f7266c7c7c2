//! Texts that are made only if they are right: names, paths and ids.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Text that is made only through a check of its grammar: a condition with the words for a text that does not meet it, or a
/// function that gives the words.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, |$text:ident| $is_right:expr, $words:literal) => {
        checked_text! { $(#[$doc])* $name, |$text| if $is_right { Ok(()) } else { Err(format!($words)) } }
    };
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Returns the text as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let check: fn(&str) -> Result<(), String> = $check;
                check(&text)?;
                Ok($name(text))
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

pub(super) use checked_text;

/// Tells whether a text has only letters and digits of ASCII, and these others.
pub(super) fn is_word(text: &str, others: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

checked_text! {
    /// The name or the ARN of an ECS cluster: a name has up to 255 letters, digits, `_` and `-`.
    ClusterName, |text| {
        let name = match text.strip_prefix("arn:") {
            Some(rest) => match rest.split_once(":cluster/") {
                Some((head, name)) if head.split(':').count() == 4 && head.split(':').nth(1) == Some("ecs") => name,
                _ => return Err(format!("`{text}` is not the ARN of an ECS cluster\nwrite the cluster's name, or arn:PARTITION:ecs:REGION:ACCOUNT:cluster/NAME")),
            },
            None => text,
        };
        if name.is_empty() {
            return Err("the name of the cluster is empty\nwrite the cluster's name or ARN, or leave `cluster` out where another writer of /etc/ecs/ecs.config names it".to_owned());
        }
        if name.len() > 255 || !is_word(name, "-_") {
            return Err(format!("`{name}` is not a name that ECS allows for a cluster\nup to 255 letters, digits, - and _"));
        }
        Ok(())
    }
}

impl ClusterName {
    /// Returns the name alone, also when the cluster was given as an ARN.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

checked_text! {
    /// A CloudFormation stack: its name, or its ARN (what `${AWS::StackId}` gives).
    StackName, |text| {
        let name = match text.strip_prefix("arn:") {
            Some(rest) => match rest.split_once(":stack/") {
                Some((head, tail)) if head.split(':').count() == 4 => tail.split('/').next().unwrap_or_default(),
                _ => return Err(format!("`{text}` is not the ARN of a stack\nwrite the stack's name, or the value of ${{AWS::StackId}}")),
            },
            None => text,
        };
        let starts_with_letter = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !starts_with_letter || name.len() > 128 || !is_word(name, "-") {
            return Err(format!("`{name}` is not a name that CloudFormation allows for a stack\na letter, then up to 127 letters, digits and -"));
        }
        Ok(())
    }
}

impl StackName {
    /// Returns the name alone, also when the stack was given as an ARN.
    pub fn name(&self) -> &str {
        match self.0.split_once(":stack/") {
            Some((_, tail)) => tail.split('/').next().unwrap_or(tail),
            None => &self.0,
        }
    }

    /// Returns the region, if the stack was given as an ARN.
    pub fn region(&self) -> Option<&str> {
        self.0.strip_prefix("arn:")?.split(':').nth(2).filter(|region| !region.is_empty())
    }
}

checked_text! {
    /// A logical id in a template: letters and digits.
    LogicalId, |text| (1..=255).contains(&text.len()) && is_word(text, ""),
    "`{text}` is not a logical ID\nwrite the name that the resource has in the template (letters and digits only), not the id of the resource itself"
}

checked_text! {
    /// The name of a lifecycle hook: 1 to 255 characters of what Auto Scaling allows.
    /// <https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutLifecycleHook.html>
    LifecycleHookName, |text| (1..=255).contains(&text.len()) && is_word(text, "-_/"),
    "`{text}` is not a name that Auto Scaling allows for a lifecycle hook\n1 to 255 letters, digits and - _ /"
}

checked_text! {
    /// The name of a user's own command: 1 to 64 letters, digits and `-_.`, which a systemd unit's name takes as they are.
    HookName, |text| (1..=64).contains(&text.len()) && is_word(text, "-_."),
    "`{text}` is not a name for a hook\n1 to 64 letters, digits and - _ ."
}

checked_text! {
    /// The name of an Auto Scaling group: 1 to 255 characters, without a colon.
    GroupName, |text| (1..=255).contains(&text.chars().count()) && !text.contains(|c: char| c == ':' || c.is_control()),
    "`{text}` is not the name of an Auto Scaling group\nwrite the group's name, not its ARN, or leave `group` out: then the instance's tag aws:autoscaling:groupName has it"
}

checked_text! {
    /// An AWS region, such as `eu-central-1`.
    Region, |text| text.split('-').count() >= 3 && is_word(text, "-") && text.len() <= 32 && text == text.to_ascii_lowercase(),
    "`{text}` is not an AWS region\nwrite its name, such as eu-central-1"
}

checked_text! {
    /// The label of a filesystem; its greatest length depends on the filesystem.
    FilesystemLabel, |text| !text.is_empty() && is_word(text, "-_."),
    "`{text}` can't be the label of a filesystem here\nletters, digits, - _ and . only"
}

checked_text! {
    /// An absolute path without `.`, `..`, blanks at an end or control characters.
    AbsolutePath, |text| {
        if !text.starts_with('/') || text.len() > 4096 {
            return Err(format!("`{text}` is not an absolute path\nbegin it with /"));
        }
        if text.len() > 1 && !is_plain_path(&text[1..]) {
            return Err(format!("`{text}` is not a plain path\nleave out `.`, `..`, a doubled / and a / at the end"));
        }
        match text.chars().any(char::is_control) || text.trim() != text {
            true => Err("the path has a control character, or ends with a space".to_owned()),
            false => Ok(()),
        }
    }
}

checked_text! {
    /// A path below another one, such as `public/html`.
    RelativePath, |text| is_plain_path(text) && !text.contains(char::is_control),
    "`{text}` is not a path below the mount\nwrite it without / at the beginning or end, and without `..`"
}

/// Tells whether each part of a path has a name of its own: no part is empty, `.` or `..`.
fn is_plain_path(text: &str) -> bool {
    text.split('/').all(|part| !["", ".", ".."].contains(&part))
}

checked_text! {
    /// One option of mount(8), such as `noatime`.
    MountOption, |text| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || ",%\"\\".contains(c)),
    "`{text}` is not one mount option\nwrite a list with one option per entry"
}

checked_text! {
    /// An entry of a NO_PROXY list: a host, a domain, an address or a network.
    NoProxyEntry, |text| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || ",\"'\\%".contains(c)),
    "`{text}` can't stand in a NO_PROXY list\nwrite a list with one host, .domain, address or network per entry"
}

checked_text! {
    /// A name or value of an attribute of a container instance: 1 to 128 characters of what ECS allows.
    /// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-placement-constraints.html>
    AttributeName, |text| (1..=128).contains(&text.len()) && is_word(text, "-_/\\."),
    "`{text}` is not a name that ECS allows for an attribute\n1 to 128 letters, digits and - _ / \\ ."
}

checked_text! {
    /// The value of an attribute of a container instance.
    AttributeValue, |text| (1..=128).contains(&text.len()) && text.trim() == text && is_word(text, "-_.@/\\: "),
    "`{text}` is not a value that ECS allows for an attribute\n1 to 128 letters, digits, spaces (not at an end) and - _ . @ / \\ :"
}

checked_text! {
    /// The key of a tag: 1 to 128 characters, not beginning with `aws:`.
    TagKey, |text| (1..=128).contains(&text.chars().count()) && !text.to_ascii_lowercase().starts_with("aws:") && is_tag_text(text),
    "`{text}` is not a key that AWS allows for a tag\n1 to 128 letters, digits, spaces and + - = . _ : / @, not beginning with aws:"
}

checked_text! {
    /// The value of a tag: at most 256 characters.
    TagValue, |text| text.chars().count() <= 256 && is_tag_text(text),
    "`{text}` is not a value that AWS allows for a tag\nup to 256 letters, digits, spaces and + - = . _ : / @"
}

fn is_tag_text(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || " +-=._:/@".contains(c))
}

checked_text! {
    /// The ARN of an IAM role.
    RoleArn, |text| {
        let parts: Vec<_> = text.splitn(6, ':').collect();
        let is_role = matches!(&parts[..], ["arn", partition, "iam", "", account, role]
            if !partition.is_empty() && account.len() == 12 && is_word(partition, "-")
                && account.chars().all(|c| c.is_ascii_digit()) && role.len() > 5 && role.starts_with("role/"));
        is_role && text.len() <= 2048 && is_word(text, "-_+=,.@:/")
    },
    "`{text}` is not the ARN of an IAM role\nwrite arn:aws:iam::ACCOUNT:role/NAME"
}

checked_text! {
    /// Text of one line, not empty.
    OneLine, |text| !text.is_empty() && !text.contains(char::is_control), "the text is empty, or has a line break in it"
}

checked_text! {
    /// The numeric owner of a directory, `UID:GID`; names would depend on the image.
    Owner, |text| text.split_once(':').is_some_and(|(user, group)| is_id(user) && is_id(group)),
    "`{text}` is not an owner\nwrite numbers, as \"1000:1000\", in quotes"
}

/// Tells whether a text is the number of a user or a group. Rust alone would take `+5` too.
fn is_id(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit()) && text.parse::<u32>().is_ok()
}

impl Owner {
    /// Returns the user ID and the group ID.
    pub fn ids(&self) -> (u32, u32) {
        let (user, group) = self.0.split_once(':').unwrap_or(("0", "0"));
        (user.parse().unwrap_or(0), group.parse().unwrap_or(0))
    }
}

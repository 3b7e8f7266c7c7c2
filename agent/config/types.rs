//! The values of the configuration that have a grammar of their own.
//!
//! Each type is made from text only if the text is right, so that nothing past the parser has to check it again. An
//! error's first line says what is wrong, a second line says what to do.

mod checked_text;
mod device;
mod image_name;
mod log_formats;
mod names;
mod numbers;
mod regular_expression;
mod urls;

pub use self::checked_text::{
    AbsolutePath, AttributeName, AttributeValue, ClusterName, FilesystemLabel, GroupName, HookName, LifecycleHookName,
    LogicalId, MountOption, NoProxyEntry, OneLine, Owner, Region, RelativePath, RoleArn, StackName, TagKey, TagValue,
};
pub use self::device::{Device, spellings};
pub use self::image_name::ImageName;
pub use self::log_formats::{Encoding, LogPath, TimestampFormat, is_pattern, timestamp_pitfall};
pub use self::names::{
    LONGEST_LOG_NAME, LONGEST_REGION, LogGroupName, LogStreamName, NameTemplate, Placeholder, Variable,
};
pub use self::numbers::{Mode, RetentionDays, TimeSpan};
pub use self::regular_expression::{RegularExpression, StartPattern};
pub use self::urls::{ProxyUrl, SecretUrl, WaitHandle};

#[cfg(test)]
mod tests;

//! The configuration: its types, and the way from bytes to a checked [`Config`].
//!
//! The documents of the user data ([`crate::document`]) are merged and deserialised so that every error is found at once.
//! The valid part is kept even when something else is wrong: the signal target and the proxy of a refused configuration
//! still serve to report the refusal.

mod check;
pub(crate) mod daemon_json;
mod hooks;
mod log_names;
mod logs;
pub mod mount_options;
mod mount_points;
mod on_failure;
mod parse;
mod pulls;
mod references;
#[cfg(feature = "schema")]
pub mod schema;
mod sections;
pub mod types;

pub use self::hooks::{Command, Hook, HookPoint, Hooks, OnFailure, SHELL};
pub(crate) use self::log_names::LogNames;
pub use self::logs::{LogAgent, LogFile, LogFilter, LogFilterType, LogGroupClass, LogTimeZone, Logs};
pub use self::on_failure::{AfterFailure, Health, Power};
pub use self::parse::{
    NEEDED_TO_TELL, Parsed, SHELL_VARIABLES, completing, parse, parse_of_image, parse_user_data, parse_with,
    shell_variables, summary, with_decoded,
};
pub use self::pulls::ImagePull;
pub use self::references::{Parameter, Place, PlacedReference, Reference, Secret, Values, keys};
pub use self::sections::{
    Auth, Aws, Config, Directory, Docker, Ecs, Filesystem, LifecycleHook, Proxy, Signal, SignalTimeout, Volume, Wait,
};

#[cfg(test)]
pub(crate) mod tests;

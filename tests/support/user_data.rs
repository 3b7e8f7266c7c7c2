//! The user data of most tests: two of the examples, and variations.

/// The cluster `production`, and a signal for the resource `Instances` of the stack `web`.
pub const SMALLEST: &str = include_str!("../../examples/user-data/smallest.yaml");

/// A volume, Docker, logs and tags beside that.
pub const COMPLETE: &str = include_str!("../../examples/user-data/complete.yaml");

/// The cluster alone: no signal is sent.
pub const UNSIGNALLED: &str = "#ecs-firstrun\necs: {cluster: production}\n";

/// The smallest user data with one more setting of `signal`, such as `timeout: 8s`.
pub fn with_signal(setting: &str) -> String {
    SMALLEST.replace("signal:", &format!("signal:\n  {setting}"))
}

/// The user data with an unknown key, for which it is refused.
pub fn misspelt(user_data: &str) -> String {
    user_data.replace("cluster:", "clusterr:")
}

//! The files that the CloudWatch agent merges, and what can be wrong with one.

use serde_json::{Map, Value};

/// The folder whose files the CloudWatch agent merges.
pub const FOLDER: &str = "/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.d";
/// The file that the CloudWatch agent reads before the folder.
pub const MAIN_FILE: &str = "/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.json";

/// A file of the image that keeps the CloudWatch agent from doing what our files say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The fault, with the names of the files.
    pub found: String,
    /// The consequence of the fault.
    pub why: &'static str,
    /// The remedy for the fault.
    pub remedy: String,
    /// True if our logs are sent all the same.
    pub is_harmless: bool,
}

impl Conflict {
    /// Makes a conflict because of which our logs are not sent.
    pub(super) fn of(found: String, why: &'static str, remedy: impl Into<String>) -> Self {
        Conflict { found, why, remedy: remedy.into(), is_harmless: false }
    }

    /// Makes a conflict that leaves our logs alone.
    pub(super) fn harmless(found: String, why: &'static str, remedy: impl Into<String>) -> Self {
        Conflict { is_harmless: true, ..Conflict::of(found, why, remedy) }
    }
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, so {}; {}", self.found, self.why, self.remedy)
    }
}

/// Returns the files that the CloudWatch agent reads, in the order in which it reads them.
pub(super) fn in_order(files: &[(String, Vec<u8>)]) -> Vec<&(String, Vec<u8>)> {
    let mut files: Vec<_> = files.iter().filter(|(path, _)| !path.ends_with(".tmp")).collect();
    files.sort_unstable_by_key(|(path, _)| (path != MAIN_FILE, path.split('/').collect::<Vec<_>>()));
    files
}

/// Reads a file as Go does. Bytes that are not UTF-8 become U+FFFD, and `null` becomes an empty object.
pub(super) fn object(text: &[u8]) -> serde_json::Result<Map<String, Value>> {
    serde_json::from_str::<Option<_>>(&String::from_utf8_lossy(text)).map(Option::unwrap_or_default)
}

//! A call of a stub, and its output.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A call of a stub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The program's name.
    pub program: String,
    /// The program's arguments.
    pub args: Vec<String>,
    /// Time of the program's start, in milliseconds since 1970.
    pub start: u64,
    /// The program's exit code.
    pub exit: i32,
}

/// The output and the exit code of a stub.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ProgramOutput {
    pub(super) exit: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl ProgramOutput {
    pub(super) fn printed(text: impl Into<String>) -> Self {
        Self { stdout: text.into(), ..Self::default() }
    }

    pub(super) fn failed(exit: i32, text: impl Into<String>) -> Self {
        Self { exit, stderr: text.into(), ..Self::default() }
    }
}

/// Returns the time in milliseconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

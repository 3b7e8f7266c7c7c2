//! The end of a run, as its exit code.

/// How a run ends, for the shell and for systemd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All is done: 0.
    Done,
    /// Something failed, and that was reported: 1.
    Failed,
    /// The configuration was refused, and that was reported: 2.
    Refused,
    /// The outcome could not be reported: 3.
    Unreported,
}

impl Ending {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Ending::Done => 0,
            Ending::Failed => 1,
            Ending::Refused => 2,
            Ending::Unreported => 3,
        }
    }
}

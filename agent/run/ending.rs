//! The end of a run, as its exit code.

use crate::report::Outcome;

/// The end of a run, for the shell and for systemd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All is done: 0.
    Done = 0,
    /// Something failed, and that was reported: 1.
    Failed = 1,
    /// The configuration was refused, and that was reported: 2.
    Refused = 2,
    /// The outcome could not be reported: 3.
    Unreported = 3,
}

impl Ending {
    /// Makes the ending of an outcome and of whether everybody who waits for it has got it.
    pub(super) fn of(outcome: Outcome, is_told: bool) -> Self {
        match outcome {
            _ if !is_told => Ending::Unreported,
            Outcome::Success => Ending::Done,
            Outcome::Refused => Ending::Refused,
            _ => Ending::Failed,
        }
    }

    /// Returns the exit code.
    pub fn code(self) -> u8 {
        self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_that_was_not_told_is_exit_code_3_whatever_it_is() {
        let outcomes = [Outcome::Success, Outcome::Failure, Outcome::Refused];
        assert_eq!(outcomes.map(|outcome| Ending::of(outcome, true).code()), [0, 1, 2]);
        assert_eq!(outcomes.map(|outcome| Ending::of(outcome, false).code()), [3, 3, 3]);
    }
}

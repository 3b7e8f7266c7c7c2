//! The units that a run has started, as its actions tell them.

use crate::plan::Action;
use crate::report::Change;

/// The units that this run's actions brought to run, in their order.
#[derive(Debug, Default)]
pub(super) struct Started(Vec<(String, Change)>);

impl Started {
    /// Notes the unit of an action that has succeeded, if it starts one.
    pub(super) fn note(&mut self, action: &Action, change: Change) {
        if let Action::StartUnit { unit, .. } = action {
            self.0.push((unit.clone(), change));
        }
    }

    /// Tells whether an action of this run saw to it that the unit runs.
    pub(super) fn has(&self, unit: &str) -> bool {
        self.0.iter().any(|(started, _)| started == unit)
    }

    /// Tells whether this run started or restarted the unit: it did not run already with its present configuration.
    pub(super) fn is_new(&self, unit: &str) -> bool {
        self.0.iter().any(|(started, change)| started == unit && *change == Change::Made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Start;

    #[test]
    fn a_unit_that_ran_already_is_not_new() {
        let mut started = Started::default();
        let start = |unit: &str, start| Action::StartUnit { unit: unit.to_owned(), start };
        started.note(&start("docker.service", Start::Await), Change::AlreadyDone);
        started.note(&start("ecs.service", Start::Queue), Change::Made);
        started.note(&Action::ReloadUnits, Change::Made);
        let seen =
            ["docker.service", "ecs.service", "awslogsd.service"].map(|unit| (started.has(unit), started.is_new(unit)));
        assert_eq!(seen, [(true, false), (true, true), (false, false)]);
    }
}

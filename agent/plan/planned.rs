//! An action with its reason, as the features put it into a step.

use serde::Serialize;

use super::action::Action;
use crate::instance::Instance;

/// An action and the reason for it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Planned {
    /// The end state.
    #[serde(flatten)]
    pub action: Action,
    /// The reason for the action.
    pub why: String,
}

/// Gives an action its reason.
pub fn planned(action: Action, why: impl Into<String>) -> Planned {
    Planned { action, why: why.into() }
}

/// Returns the wanted action for a file of ours, or the removal of the file that an earlier run left.
pub fn wanted_or_removed<'a>(
    wanted: Option<Planned>,
    path: &str,
    read_by: impl IntoIterator<Item = &'a str>,
    instance: &Instance,
) -> Option<Planned> {
    let removed = || {
        let read_by = read_by.into_iter().map(str::to_owned).collect();
        let action = Action::RemoveFile { path: path.to_owned(), read_by };
        instance.ours.contains(path).then(|| Planned {
            action,
            why: "an earlier run wrote this file; the configuration no longer needs it".to_owned(),
        })
    };
    wanted.or_else(removed)
}

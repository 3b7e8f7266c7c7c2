//! An action with its reason, as the features put it into a step.

use serde::Serialize;

use super::action::{Action, File};
use super::contents::Contents;
use super::edit::Edit;
use crate::config::types::Mode;
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

/// Writes a file that every user of the host may read.
pub fn open_file(path: impl Into<String>, text: String, read_by: Vec<String>) -> Action {
    Action::WriteFile(File { path: path.into(), contents: Contents::Open(text), mode: Mode(0o644), read_by })
}

/// Plans the edit if it has lines, or takes out the lines that an earlier run left, for the reason `restored`.
pub fn edited_or_restored(edit: Edit, why: &str, restored: &str, instance: &Instance) -> Option<Planned> {
    let why = if edit.lines.is_empty() { restored } else { why };
    let is_due = !edit.lines.is_empty() || instance.ours.contains(&edit.path);
    is_due.then(|| planned(Action::EditFile(edit), why))
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
        let why = "an earlier run wrote this file; the configuration no longer needs it";
        instance.ours.contains(path).then(|| planned(action, why))
    };
    wanted.or_else(removed)
}

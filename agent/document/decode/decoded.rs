//! The documents and problems that were found in user data.

use std::collections::BTreeSet;

use super::document::Document;
use crate::document::problem::{Problem, one_line};

/// The documents found in user data, and everything that was noticed.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Our documents, in the order in which they were found.
    pub documents: Vec<Document>,
    /// Parts that couldn't be unpacked.
    pub problems: Vec<Problem>,
    /// Problems that are allowed but cause trouble.
    pub warnings: Vec<Problem>,
    /// Facts worth knowing that need no change.
    pub notes: Vec<Note>,
    /// True if a part that isn't ours names us, or seems meant for us. A script that calls this program names us.
    pub names_us: bool,
    /// The launch indices that parts are for, if the instance's own isn't known. `None` is an index that no instance has.
    pub launch_indices: BTreeSet<Option<u32>>,
}

/// A fact about user data that is worth knowing and needs no change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A part that is left to cloud-init.
    Left(String),
    /// A part that was meant for ecs-firstrun and isn't read, or something that has no effect.
    Missed(String),
    /// A part that is for another instance of the launch.
    Elsewhere(String),
}

impl std::fmt::Display for Note {
    /// Writes the note in one line, without characters that a terminal would obey: others chose the names in the note.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Note::Left(text) | Note::Missed(text) | Note::Elsewhere(text)) = self;
        f.write_str(&one_line(text))
    }
}

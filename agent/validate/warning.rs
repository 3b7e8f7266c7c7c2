//! A warning at the place of a value in several documents.

use crate::document::decode::Document;
use crate::document::problem::{Problem, Span};

/// Makes a warning at the place of a value, or of the nearest key above the value.
pub(super) fn warning(documents: &[Document], path: &[&str], message: String) -> Problem {
    match place(documents, path) {
        Some(place) => Problem::at(&place, place.shown_in_backticks(&message)),
        None => Problem::general(message),
    }
}

/// Returns the place of a value, or of the nearest key above it. Of several documents, the last one that comes nearest
/// counts.
fn place(documents: &[Document], path: &[&str]) -> Option<Span> {
    let nearest = |document: &Document| {
        let root = document.config.as_ref()?;
        (1..=path.len()).rev().find_map(|length| root.at(&path[..length]).map(|node| (length, node.span.clone())))
    };
    documents.iter().filter_map(nearest).max_by_key(|(length, _)| *length).map(|(_, span)| span)
}

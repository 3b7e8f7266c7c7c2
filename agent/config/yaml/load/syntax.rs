//! What is said of a document that isn't YAML, or nests too deep.

use saphyr_parser::ScanError;

use super::{Loader, MAX_DEPTH};
use crate::config::problem::{Problem, Span};

impl Loader<'_> {
    pub(super) fn syntax(&mut self, error: &ScanError) {
        if self.readable < self.source.text.len() {
            return; // It broke off where it was cut.
        }
        let at = error.marker().index();
        let span = self.characters(at..at + 1);
        // The parser's own limit lies far above ours, but it reads on to the end of a line.
        if error.info().contains("recursion limit") {
            self.report(too_deep(&span));
            return;
        }
        let problem = Problem::at(&span, format!("this isn't valid YAML: {}", error.info()));
        self.report(problem.remedy(syntax_remedy(&span, error.info())));
    }
}

pub(super) fn too_deep(span: &Span) -> Problem {
    let message = format!("lists and mappings are nested more than {MAX_DEPTH} deep; nothing is read from here on");
    Problem::at(span, message).remedy("take out brackets or levels: no key of the configuration needs so many")
}

/// What usually leads to a syntax error, judged by the line and the parser's words.
fn syntax_remedy(span: &Span, info: &str) -> &'static str {
    let text = &span.source.text;
    let line = text[..text.floor_char_boundary(span.start)].rsplit('\n').next().unwrap_or("");
    if line.starts_with([' ', '\t']) && line.trim_start_matches(' ').starts_with('\t') || info.contains("tab") {
        "indent with spaces; YAML doesn't allow tabs there"
    } else if info.contains("mapping values") {
        "put text that holds `: ` in quotes, or correct the indentation"
    } else if info.contains("quoted scalar") {
        "close the quotes"
    } else if info.contains("flow") || info.contains("':' indicator") || info.contains("bracket") {
        "close the brackets, and separate their items by commas"
    } else {
        "check the indentation and the quotes of this line and the one before"
    }
}

//! Messages about a document that isn't YAML, or nests too deep.

use saphyr_parser::ScanError;

use super::loader::{Loader, MAX_DEPTH};
use crate::document::problem::{Problem, Span, is_odd_space, visible_char};

impl Loader {
    pub(super) fn syntax(&mut self, error: &ScanError) {
        if self.readable < self.source.text.len() {
            return; // It broke off where it was cut.
        }
        let at = error.marker().index();
        let span = self.characters(at..at + 1);
        self.broke_off_at = Some(span.start);
        // The parser's own limit lies far above ours, but it reads on to the end of a line.
        if error.info().contains("recursion limit") {
            self.report(too_deep(&span));
            return;
        }
        let problem = Problem::at(&span, format!("this isn't valid YAML: {}", error.info())).of_document();
        let (remedy, is_about_brackets) = syntax_remedy(&span, error.info());
        if let Some((line, remedy)) = self.leftover_above(&span, error.info()) {
            self.report(Problem { related: Some(line), ..problem.remedy(remedy) });
            return;
        }
        let line = self.source.line_at(span.start);
        let opened = self.open.iter().rev().map(|frame| &frame.span).find(|span| span.start < span.end);
        let opened = opened.filter(|opened| is_about_brackets && opened.start < line.start).cloned();
        let remedy = match opened {
            Some(_) => format!("{remedy}; the innermost open bracket is"),
            None => remedy,
        };
        self.report(Problem { related: opened, ..problem.remedy(remedy) });
    }

    /// Finds the mistake in the line before: the parser notices a missing `: ` only in the next line.
    fn leftover_above(&self, span: &Span, info: &str) -> Option<(Span, String)> {
        let text = &self.source.text;
        let at = text.floor_char_boundary(span.start);
        let is_about_keys = info.contains("simple key") || info.contains("mapping values");
        let this = self.source.line_at(at);
        let above = text[..this.start].trim_end();
        let start = above.rfind('\n').map_or(0, |at| at + 1);
        let line = above[start..].trim().trim_start_matches("- ");
        let is_word =
            |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
        let remedy = match line.split_once([':', '=']) {
            _ if !is_about_keys || line.starts_with('#') => return None,
            Some((key, value)) if is_word(key) && !value.is_empty() && !value.starts_with(' ') => {
                let sign = if line[key.len()..].starts_with('=') {
                    "`: ` in place of the `=`"
                } else {
                    "a space behind the `:`"
                };
                format!("write {sign}")
            }
            None if is_word(line) && line.chars().all(|c| c.is_ascii_uppercase() || c == '_') => {
                "remove the rest of a heredoc".to_owned()
            }
            None if is_word(line) => "write `: ` and a value behind the word".to_owned(),
            _ => return None,
        };
        let place = Span { source: self.source.clone(), start, end: above.len() };
        Some((place, format!("{remedy}; it stands")))
    }
}

pub(super) fn too_deep(span: &Span) -> Problem {
    let message = format!("lists and mappings are nested more than {MAX_DEPTH} deep; nothing is read from here on");
    let problem = Problem::at(span, message).of_document();
    problem.remedy("take out brackets or levels: no key of the configuration needs so many")
}

/// Gives the remedy for a syntax error, by the line and the parser's words. `true` if brackets are the cause.
fn syntax_remedy(span: &Span, info: &str) -> (String, bool) {
    let text = &span.source.text;
    let line = &text[span.source.line_at(span.start)];
    let before = text[..text.floor_char_boundary(span.start)].rsplit('\n').next().unwrap_or("");
    let remedy = if let Some(remedy) = odd_space_remedy(line) {
        return (remedy, false);
    } else if before.starts_with([' ', '\t']) && before.trim_start_matches(' ').starts_with('\t')
        || info.contains("tab")
    {
        "indent with spaces; YAML doesn't allow tabs there"
    } else if info.contains("mapping values") {
        "put text that holds `: ` in quotes, or correct the indentation"
    } else if info.contains("escape") || info.contains("hexadecimal") {
        "write a backslash in double quotes as `\\\\`, or put the text in single quotes"
    } else if info.contains("trailing content") {
        "quote the whole text (write `'` inside single quotes as `''`), or add the missing comma"
    } else if info.contains("quoted scalar") {
        "close the quotes"
    } else if info.contains("unexpected character") {
        "put text that begins with this character in quotes"
    } else if info.contains("unknown anchor") {
        "put text that begins with `*` in quotes: it names an anchor, which must stand before it as `&NAME`"
    } else if info.contains("misplaced bracket") {
        "take out the bracket, which closes nothing"
    } else if info.contains("flow")
        || info.contains("node content")
        || info.contains("':' indicator")
        || info.contains("bracket")
    {
        return ("close the brackets, and separate their items by commas".to_owned(), true);
    } else {
        "check the indentation and the quotes of this line and the one before"
    };
    (remedy.to_owned(), false)
}

/// The remedy for variables of other template languages.
pub(crate) const NOT_FILLED_IN: &str =
    "write the value itself, in quotes: nothing fills in `{{ ... }}` here, as Jinja, Ansible or Terraform would";

/// Gives the remedy for a character in a line that only looks like a space.
pub(crate) fn odd_space_remedy(line: &str) -> Option<String> {
    let odd = line.chars().find(|c| is_odd_space(*c))?;
    let name = if odd == '\u{a0}' { "a no-break space" } else { "a character that looks like a space" };
    Some(format!(
        "replace what is shown as `{}` by a space: it is {name} (U+{:04X})",
        visible_char(odd),
        u32::from(odd)
    ))
}

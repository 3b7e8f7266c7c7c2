//! Lines of ours in a file of another program, put in and taken out again without a trace.
//!
//! The programs are those that read one file only (`dnf.conf`, `ecs.config`, the CloudWatch agent's `common-config.toml`,
//! the substitutes of an SELinux policy). Our lines stand between two markers. In `ecs.config` they stand at the top, so
//! that a line of others wins; elsewhere, an earlier line of the same key is kept as a comment. Both are undone by line,
//! whatever else has been changed in the file since, and however an earlier release had edited it.

mod labels;
mod toml;

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Serialize;

pub use self::toml::text_of as toml_text;
use self::toml::{TomlEntry, is_same_in_go};
use super::contents::Contents;
use crate::well_known::SUBSTITUTES;

const BEGIN: &str = "# BEGIN ecs-firstrun";
const END: &str = "# END ecs-firstrun";
const SET_ASIDE: &str = "#ecs-firstrun# ";
/// Notes among our lines that the file had no line break at its end. An empty file gets this note too, so that it is not
/// taken away with our lines.
const NO_BREAK: &str = "# (without a line break before)";

/// Lines `key = value` that a section of a file must have.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Edit {
    /// The file.
    pub path: String,
    /// The section, as in `[section]`; none in a file without sections.
    pub section: Option<&'static str>,
    /// The lines. Without any, the lines of an earlier run are taken out.
    pub lines: Vec<(Cow<'static, str>, Contents)>,
    /// Puts the lines at the top of the file, and sets no line of others aside.
    #[serde(skip)]
    pub at_top: bool,
    /// Makes the file readable by its owner alone, since lines of others may be secret.
    #[serde(skip)]
    pub private: bool,
    /// Other keys of the section, whose lines are set aside too: they would change the meaning of ours.
    #[serde(skip)]
    pub set_aside: &'static [&'static str],
    /// The text between key and value.
    pub separator: &'static str,
    /// The unit that must be restarted when the file changes.
    pub read_by: Option<String>,
}

impl Edit {
    /// Returns the keys of the lines.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|(key, _)| key.as_ref())
    }

    /// Tells whether the file must be kept from other users of the host.
    pub fn is_private(&self) -> bool {
        self.private || self.lines.iter().any(|(_, value)| matches!(value, Contents::Secret(_)))
    }

    /// Returns the file in which an administrator may label the paths of this file. Only the substitutes of an SELinux
    /// policy have such a file.
    pub fn labels(&self) -> Option<String> {
        Some(format!("{}file_contexts.local", self.path.strip_suffix(SUBSTITUTES)?))
    }

    /// Returns the edit without the lines for paths that others have labelled, in the file itself or in `labels`.
    pub fn without_labelled(&self, file: Option<&str>, labels: Option<&str>) -> Self {
        let others = file.and_then(without_ours).unwrap_or_default() + "\n" + labels.unwrap_or_default();
        let is_free = |path: &str| !others.lines().any(|line| labels::is_about(line, path));
        let lines = self.lines.iter().filter(|(path, _)| is_free(path)).cloned().collect();
        Edit { lines, ..self.clone() }
    }

    /// Tells whether a text holds lines of ours.
    pub fn is_in(text: &str) -> bool {
        text.lines().any(|line| line.trim_end() == BEGIN)
    }

    /// Tells whether a line is one of the two markers around our lines.
    pub fn is_marker(line: &str) -> bool {
        [BEGIN, END].contains(&line)
    }

    /// Returns the file with these lines in place of an earlier run's; none where nothing is left of the file.
    ///
    /// # Errors
    /// A `.toml` file that is not TOML, in words that begin with the line.
    pub fn applied_to(&self, file: Option<&str>) -> Result<Option<String>, String> {
        let original = file.and_then(without_ours);
        if self.lines.is_empty() {
            // A file that others append to stays, though it is empty.
            return Ok(original.or_else(|| self.at_top.then(String::new)));
        }
        let mut block = String::new();
        for (key, value) in &self.lines {
            // Writing to a String can't fail.
            let _ = writeln!(block, "{key}{}{}", self.separator, value.reveal());
        }
        if self.at_top {
            let original = original.unwrap_or_default();
            // A file that begins with these lines is one that a release without markers wrote.
            let others = original.strip_prefix(&block).unwrap_or(&original);
            return Ok(Some(format!("{BEGIN}\n{block}{END}\n{others}")));
        }
        self.table()
            .map_or_else(
                || Ok(self.in_section(original.as_deref(), &block)),
                |table| in_table(original.as_deref(), table, &block),
            )
            .map(Some)
    }

    /// Lists keys that the program would take for ours though they are spelt otherwise, where such keys are set aside.
    ///
    /// # Errors
    /// As [`Edit::applied_to`].
    pub fn other_spellings(&self, file: &str) -> Result<Vec<String>, String> {
        let table = self.table().filter(|_| !self.lines.is_empty());
        let (Some(table), Some(original)) = (table, without_ours(file)) else { return Ok(Vec::new()) };
        let ours = |key: &str| self.keys().chain([table]).any(|ours| ours != key && is_same_in_go(ours, key));
        let entries = toml::entries(&original, table)?.into_iter();
        let mut keys: Vec<_> = entries.map(|entry| entry.key).filter(|key| ours(key)).collect();
        keys.dedup();
        Ok(keys)
    }

    /// Returns the table, if the file is a TOML file.
    fn table(&self) -> Option<&'static str> {
        self.section.filter(|_| self.path.ends_with(".toml"))
    }

    /// Puts the lines at the beginning of the section, or into a section of their own.
    fn in_section(&self, original: Option<&str>, block: &str) -> String {
        let mut out = String::new();
        let mut inside = self.section.is_none();
        let mut placed = false;
        for line in original.unwrap_or_default().split_inclusive('\n') {
            if let (Some(section), Some(header)) = (self.section, header_of(line)) {
                inside = header == section;
                out.push_str(line);
                if inside && !placed {
                    put(&mut out, true, block);
                    placed = true;
                }
                continue;
            }
            let key = line.split('=').next().unwrap_or_default().trim();
            if inside && (self.keys().any(|ours| ours == key) || self.set_aside.contains(&key)) {
                out.push_str(SET_ASIDE);
            }
            out.push_str(line);
        }
        if !placed {
            let header = self.section.map(|section| format!("[{section}]\n")).unwrap_or_default();
            put(&mut out, original.is_some(), &format!("{header}{block}"));
        }
        out
    }
}

/// Says why a text is not TOML, in words that begin with the line; nothing if the text is TOML.
pub fn toml_error(text: &str) -> Option<String> {
    toml::entries(text, "").err()
}

/// Puts the lines into a table of their own at the end of a TOML file. Each other definition of that table is set aside,
/// since TOML takes no second one.
fn in_table(original: Option<&str>, table: &str, block: &str) -> Result<String, String> {
    let text = original.unwrap_or_default();
    let entries = toml::entries(text, table)?;
    let is_set_aside = |number| entries.iter().any(|TomlEntry { lines, .. }| lines.contains(&number));
    let mut out = String::new();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if is_set_aside(number) {
            out.push_str(SET_ASIDE);
        }
        out.push_str(line);
    }
    put(&mut out, original.is_some(), &format!("[{table}]\n{block}"));
    Ok(out)
}

/// Puts our lines behind a text, with the markers, each of which stands alone on its line.
fn put(out: &mut String, is_file: bool, block: &str) {
    let has_break = if out.is_empty() { !is_file } else { out.ends_with('\n') };
    let gap = if out.is_empty() || has_break { "" } else { "\n" };
    let mark = if has_break { String::new() } else { format!("{NO_BREAK}\n") };
    // Writing to a String can't fail.
    let _ = write!(out, "{gap}{BEGIN}\n{mark}{block}{END}\n");
}

fn header_of(line: &str) -> Option<&str> {
    line.trim().strip_prefix('[')?.strip_suffix(']')
}

/// Returns the file as it was before our lines; none where there was no file.
fn without_ours(file: &str) -> Option<String> {
    let mut out = String::new();
    let mut inside = false;
    let mut cut = None;
    let last_end =
        file.split_inclusive('\n').enumerate().filter(|(_, line)| line.trim_end() == END).map(|(at, _)| at).last();
    for (at, line) in file.split_inclusive('\n').enumerate() {
        match line.trim_end() {
            // Somebody may have deleted the other marker.
            BEGIN => inside = true,
            END => inside = false,
            NO_BREAK if inside => cut = Some(out.len()),
            text if inside && (may_be_ours(text) || last_end > Some(at)) => {}
            _ => {
                inside = false;
                out.push_str(line.strip_prefix(SET_ASIDE).unwrap_or(line));
            }
        }
    }
    // Text that somebody has added since stands on lines of its own.
    if cut == Some(out.len()) && out.ends_with('\n') {
        out.pop();
    }
    (!out.is_empty() || cut.is_some() || file.is_empty()).then_some(out)
}

/// Tells whether a line looks like one of those that this agent has ever put into a file.
fn may_be_ours(line: &str) -> bool {
    let key = line.split('=').next().unwrap_or_default().trim();
    matches!(header_of(line), Some("proxy" | "main")) || key.to_ascii_lowercase().ends_with("proxy")
}

#[cfg(test)]
mod tests;

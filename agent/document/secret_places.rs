//! Secrets in a document, found by their place.
//!
//! A mistake is shown with its line, and the very mistake may make a secret look like something else. So the values of some
//! keys are secret in any form. The text around our part of a document is somebody else's, and is secret too.

mod keys;

use std::ops::Range;

use self::keys::{Visibility, canonical, meant, shown};

use super::SECTIONS;
use super::yaml::{Entry, Loaded, Node, Value};
use crate::ecs_variables::{VariableKind, kind};
use crate::secrets::{is_secret_key, secret_ranges, secret_value, url_secrets};

/// The part of a document that is ours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Part<'a> {
    /// The whole document.
    Whole,
    /// The value of this key.
    Under(&'a str),
    /// No part: the document is a template, whose user data is a document of its own.
    Template,
}

/// Finds the byte ranges of a text that are secret, in any order.
pub(crate) fn find(text: &str, loaded: &Loaded, part: Part<'_>) -> Vec<Range<usize>> {
    let mut found = SecretFinder { text, is_ours: part != Part::Template, ranges: Vec::new(), ends: Vec::new() };
    let ours = match (part, &loaded.root) {
        (Part::Under(key), root) => {
            let entry = root.as_ref().and_then(|root| root.entry(key));
            let ours = our_range(text, entry, key);
            found.ranges.extend([0..ours.start, ours.end..text.len()]);
            entry.map(|entry| &entry.value)
        }
        (_, root) => root.as_ref(),
    };
    if let Some(ours) = ours {
        found.entry(ours, &mut Vec::new());
    }
    // Drops our own key from a path; text outside our part is secret already.
    let below = |keys: &[String]| -> Vec<String> {
        let skipped = usize::from(matches!(part, Part::Under(key) if keys.first().is_some_and(|first| first == key)));
        keys[skipped..].to_vec()
    };
    for dropped in &loaded.dropped {
        let keys = below(&dropped.keys);
        match keys.iter().any(|key| is_secret_key(key)) {
            true => found.whole(&dropped.value),
            false => found.entry(&dropped.value, &mut canonical(&keys)),
        }
    }
    for comment in &loaded.comments {
        found.comment(comment.clone());
    }
    if let Some((from, keys)) = &loaded.unread {
        found.unread(*from, &canonical(&below(keys)));
    }
    found.ranges
}

/// The values of a template's parameter that `NoEcho` keeps from everybody.
const HIDDEN_PARAMETER: [&str; 2] = ["Default", "AllowedValues"];

fn is_no_echo(parameter: &Node) -> bool {
    parameter.get("NoEcho").and_then(Node::text).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Tells whether a mapping is a reference, whose names are no secrets.
fn is_reference(node: &Node) -> bool {
    const KEYS: [&str; 5] = ["ssm", "secretsmanager", "key", "version_stage", "version_id"];
    let is_name = |entry: &Entry| {
        let name = entry.value.text().unwrap_or_default();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.:/".contains(c);
        KEYS.contains(&entry.key.as_str()) && name.chars().all(is_plain) && !has_url(name)
    };
    KEYS[..2].iter().any(|key| node.get(key).is_some()) && node.entries().iter().all(is_name)
}

/// Tells whether two texts are the name of an image, without a user, and its digest.
fn is_image(name: &str, digest: &str) -> bool {
    !name.contains('@') && ["sha256:", "sha512:"].iter().any(|kind| digest.starts_with(kind))
}

/// Tells whether a text contains a URL. Most texts have no colon, which is checked first.
fn has_url(text: &str) -> bool {
    text.as_bytes().contains(&b':') && text.contains("://")
}

struct SecretFinder<'a> {
    text: &'a str,
    is_ours: bool,
    ranges: Vec<Range<usize>>,
    /// The ends of secret values, or of their keys if these have no value.
    ends: Vec<usize>,
}

impl SecretFinder<'_> {
    /// Hides the rest of the line behind a key without a value: its anchor or comment may be the secret.
    fn rest_of_line(&mut self, from: usize) {
        let line = self.text[from..].lines().next().unwrap_or_default();
        let signs = line.len() - line.trim_start_matches([':', ' ', '"', '\'']).len();
        if !line[signs..].starts_with([',', '}']) {
            self.ranges.push(from + signs..from + line.len());
        }
        self.ends.push(from);
    }

    fn whole(&mut self, node: &Node) {
        self.ranges.push(node.span.start..node.span.end);
        self.ends.push(node.span.end);
    }

    /// Finds the secrets in a value. `keys` are the keys above the value, with its own at the end.
    fn entry<'n>(&mut self, node: &'n Node, keys: &mut Vec<&'n str>) {
        let is_mapping = matches!(node.value, Value::Mapping(_));
        let shown = match self.is_ours {
            true => shown(keys, is_mapping, matches!(node.value, Value::String(_))),
            false if keys.last().is_some_and(|key| is_secret_key(key)) => Visibility::Nothing,
            false => Visibility::All,
        };
        let is_plain = || {
            let is_secret = keys.last().is_some_and(|key| is_secret_key(key));
            matches!(node.value, Value::Bool(_) | Value::Int(_)) && !is_secret
        };
        match (shown, &node.value) {
            (Visibility::Nothing, Value::String(text))
                if keys == &["signal", "wait_handle"] && text.contains("://") =>
            {
                self.value(node, keys);
            }
            _ if self.is_ours && is_reference(node) => {}
            (Visibility::Nothing, _) if !is_plain() => self.whole(node),
            (Visibility::Proxy, Value::String(text)) => {
                // Outside of a proxy's settings, a lone `@` may be that of an e-mail address.
                let is_proxy = keys.iter().any(|key| key.contains("proxy"));
                let behind = || self.text[node.span.end..].lines().next().unwrap_or_default();
                if is_proxy && behind().contains('@') {
                    // The comment behind the value may be the rest of the value.
                    self.ends.push(node.span.end);
                }
                match text.rsplit_once('@').filter(|_| !has_url(text)) {
                    // What stands before the digest of an image is its name.
                    Some((name, digest)) if keys.contains(&"pull") && is_image(name, digest) => self.value(node, keys),
                    Some((before, _)) if is_proxy || before.contains(':') => self.user_info(node),
                    _ => self.value(node, keys),
                }
            }
            _ => self.value(node, keys),
        }
    }

    /// Finds the secrets within a value that may be shown.
    fn value<'n>(&mut self, node: &'n Node, keys: &mut Vec<&'n str>) {
        match &node.value {
            Value::Sequence(items) => items.iter().for_each(|item| self.entry(item, keys)),
            Value::Mapping(entries) => {
                let may_be_rest = |entry: &Entry| entry.value.value == Value::Null;
                let holds_secret =
                    entries.iter().any(may_be_rest) && entries.iter().any(|entry| is_secret_key(&entry.key));
                let is_hidden = |key: &str| !self.is_ours && HIDDEN_PARAMETER.contains(&key) && is_no_echo(node);
                let hidden: Vec<_> = entries.iter().filter(|entry| is_hidden(&entry.key)).collect();
                hidden.into_iter().for_each(|entry| self.whole(&entry.value));
                for entry in entries {
                    self.key(entry, keys, holds_secret);
                    // A missing value has the place of its key. The key of a tag's function has the place of its argument.
                    let is_made = entry.value.span.start == entry.key_span.start;
                    if is_made && (entry.value.value == Value::Null || !self.is_ours) {
                        if is_secret_key(&entry.key) {
                            self.rest_of_line(entry.key_span.end);
                        }
                        continue;
                    }
                    keys.push(meant(keys, &entry.key));
                    self.entry(&entry.value, keys);
                    keys.pop();
                }
            }
            // A template describes others' things: its texts are foreign.
            Value::String(value) if !self.is_ours || value.contains("://") => {
                self.url(node.span.start..node.span.end, value)
            }
            _ => {}
        }
    }

    /// Finds the secrets in a key. In braces, the rest of a secret with a comma becomes a key without a value.
    fn key(&mut self, entry: &Entry, above: &[&str], holds_secret: bool) {
        let place = entry.key_span.start..entry.key_span.end;
        let key = entry.key.as_str();
        let is_name = || key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
        let is_rest = || holds_secret && entry.value.value == Value::Null && !is_secret_key(key);
        let holds_names = above == ["proxy"] || above == ["ecs", "config"];
        match () {
            () if has_url(key) => self.url(place, key),
            () if self.is_ours && (is_rest() || (holds_names && !is_name())) => self.ranges.push(place),
            () => {}
        }
    }

    /// Finds the user info and the query of the URLs in a value at this place.
    ///
    /// A value whose text differs from its meaning, as with escapes or folded lines, is secret as a whole if it holds a
    /// secret.
    fn url(&mut self, place: Range<usize>, value: &str) {
        let written = self.text[place.clone()].trim();
        let unquoted = written.strip_prefix(['"', '\'']).and_then(|rest| rest.strip_suffix(['"', '\'']));
        let unquoted = unquoted.unwrap_or(written).lines().map(str::trim);
        match unquoted.eq(value.trim().lines().map(str::trim)) {
            true if self.is_ours => self.lines(place, url_secrets),
            true => self.lines(place, secret_ranges),
            false if value.lines().any(|line| !url_secrets(line).is_empty()) => self.ranges.push(place),
            false => {}
        }
    }

    /// Finds the user info in a proxy's URL without a scheme.
    fn user_info(&mut self, node: &Node) {
        let written = &self.text[node.span.start..node.span.end];
        let quotes = written.len() - written.trim_start_matches(['"', '\'']).len();
        if let Some(end) = written.rfind('@') {
            self.ranges.push(node.span.start + quotes..node.span.start + end);
        }
    }

    /// Finds the secrets in a comment.
    ///
    /// Behind a secret, the whole comment is hidden, since it may be the rest of the secret. In any other comment, text that
    /// looks like a secret is hidden.
    fn comment(&mut self, place: Range<usize>) {
        let Some(sign) = self.text[place.clone()].find('#').map(|at| place.start + at) else { return };
        let ends = self.text[sign..].find('\n').map_or(self.text.len(), |at| sign + at);
        let line = self.text[..sign].rfind('\n').map_or(0, |at| at + 1);
        match self.ends.iter().any(|end| (line..=sign).contains(end)) {
            true => self.ranges.push(sign..ends),
            false => self.lines(place, secret_ranges),
        }
    }

    fn lines(&mut self, place: Range<usize>, secrets: impl Fn(&str) -> Vec<Range<usize>>) {
        let mut at = place.start;
        for line in self.text[place].split_inclusive('\n') {
            self.ranges.extend(secrets(line.trim_end()).into_iter().map(|range| at + range.start..at + range.end));
            at += line.len();
        }
    }

    /// Hides possible secrets in the unread text from `from` on.
    ///
    /// `keys` are the keys above that place. If their value may not be shown in full, the text is hidden up to the next
    /// section; elsewhere, the values of keys that name a secret are hidden.
    fn unread(&mut self, from: usize, keys: &[&str]) {
        let from = self.text.ceil_char_boundary(from.min(self.text.len()));
        self.lines(from..self.text.len(), url_secrets);
        let is_text = keys.len() > 1;
        let mut is_hidden = match (self.is_ours, keys) {
            (true, ["proxy", "url" | "no_proxy", ..]) => !self.text[from..].trim_start().starts_with('{'),
            (true, keys) if keys.iter().any(|key| is_secret_key(key)) => true,
            (true, ["docker", "daemon" | "pull", _, ..]) => {
                self.text[from..].lines().next().is_some_and(|line| line.contains('@'))
            }
            (true, keys) => !keys.is_empty() && shown(keys, keys == ["proxy"], is_text) == Visibility::Nothing,
            (false, keys) => keys.iter().any(|key| is_secret_key(key)),
        };
        let mut at = from;
        for (number, line) in self.text[from..].split_inclusive('\n').enumerate() {
            // The first line goes on behind a key.
            let sign = if number == 0 { line.len() - line.trim_start_matches([':', ' ']).len() } else { 0 };
            let range = at + sign..at + line.trim_end().len().max(sign);
            at += line.len();
            let begins_section =
                SECTIONS.iter().any(|key| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')));
            is_hidden &= number == 0 || !(self.is_ours && begins_section);
            // Text right behind a value may be the rest of the value, as behind a bracket in a password.
            let word = line.split_whitespace().next().filter(|_| number == 0 && !line.starts_with([' ', ':', '\n']));
            if let Some(end) = word.and_then(|word| word.rfind('@')) {
                self.ranges.push(range.start - sign..range.start - sign + end);
            }
            if is_hidden {
                self.ranges.push(range);
            } else if let Some(behind) = self.names_secret(line) {
                self.ranges.push(range.start - sign + behind..range.end);
                is_hidden = true;
            }
        }
    }

    /// Finds the first key in a line whose value is secret, and gives the offset of that value.
    fn names_secret(&self, line: &str) -> Option<usize> {
        let of_variable = || {
            let name = line.trim_start_matches([' ', '\t', '-', '{', '"', '\'']);
            let begins = line.len() - name.len();
            let length = name.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))?;
            let is_variable = length > 3
                && name[..length].contains('_')
                && name[length..].trim_start_matches(['"', '\'']).starts_with([':', '=']);
            let may_be_shown = kind(&name[..length])
                .is_some_and(|kind| !matches!(kind, VariableKind::Elsewhere(_)) && !kind.is_object());
            (is_variable && !may_be_shown).then_some(begins + length + 1)
        };
        let of_proxy = || {
            let (key, rest) = line.split_once(':')?;
            let named = key.to_ascii_lowercase();
            let is_proxy = named.contains("proxy") || named.contains("url");
            (is_proxy && rest.contains('@')).then_some(key.len() + 1)
        };
        let of_secret = secret_value(line).map(|range| range.start);
        of_secret.or_else(|| self.is_ours.then(|| of_variable().or_else(of_proxy)).flatten())
    }
}

/// Finds our part of a document, with its key.
fn our_range(text: &str, ours: Option<&Entry>, key: &str) -> Range<usize> {
    // The parser may have given up before our part, or within it.
    let is_ours = |line: &Range<usize>| text[line.clone()].strip_prefix(key).is_some_and(|rest| rest.starts_with(':'));
    let line_of_key = || lines(text).find(is_ours).map(|line| line.start);
    let begins = ours.map(|entry| entry.key_span.start).or_else(line_of_key);
    let ends = ours.map(|entry| entry.value.span.end);
    begins.map_or(0..0, |begins| begins..ends.unwrap_or(begins).max(block_end(text, begins)))
}

/// Finds the end of a block that begins here. The block ends with its last line before a line that is not indented.
fn block_end(text: &str, begins: usize) -> usize {
    let mut lines = lines(text).skip_while(|line| line.start < begins).peekable();
    let Some(first) = lines.next_if(|line| line.start == begins) else { return begins };
    let indented = |line: &Range<usize>| text[line.clone()].starts_with([' ', '\t', '\r', '\n']);
    lines.take_while(indented).last().map_or(first.end, |line| line.end)
}

fn lines(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        at += line.len();
        at - line.len()..at
    })
}

#[cfg(test)]
mod tests;

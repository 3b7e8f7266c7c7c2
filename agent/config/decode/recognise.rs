//! Tells which documents are ours.

use super::MAX_TEXT;
use crate::config::problem::Source;
use crate::config::yaml::{self, Node, Value};

/// The MIME type of our documents. cloud-init skips types that it doesn't know.
pub(super) const OUR_TYPE: &str = "application/vnd.ecs-firstrun+yaml";
/// The first line of our documents.
const OUR_HEADER: &str = "#ecs-firstrun";
/// The key that holds our document in another.
pub(super) const OUR_KEY: &str = "ecs_firstrun";
/// Keys by which a document is recognised that lacks the first line.
const OUR_TOP_LEVEL: [&str; 7] = ["signal", "proxy", "storage", "docker", "logs", "ecs", "wait"];

/// Whose a document is.
pub(super) enum Recognised {
    Ours {
        embedded: bool,
    },
    /// Probably meant to be ours; the end of a sentence that says what is amiss.
    Nearly(&'static str),
    /// Another's; what it is.
    Others(&'static str),
    /// Empty.
    Nothing,
}

/// Tells whose a document is: by its type, its first line (cloud-init too skips blanks before it), then its keys.
pub(super) fn recognise(declared: Option<&str>, text: &str) -> Recognised {
    let header = text.trim_start().lines().next().unwrap_or("").trim_end();
    let word = header.split_whitespace().next().unwrap_or("").to_ascii_lowercase();
    if declared == Some(OUR_TYPE) || header.eq_ignore_ascii_case(OUR_HEADER) {
        return Recognised::Ours { embedded: has_only_our_key(text) };
    }
    if header.is_empty() {
        return Recognised::Nothing;
    }
    let mentioned = text.contains(OUR_KEY);
    if word == "#cloud-config" || (declared == Some("text/cloud-config") && !header.starts_with("##")) {
        return match mentioned && has_our_key(text) {
            true => Recognised::Ours { embedded: true },
            false => Recognised::Others("cloud-config"),
        };
    }
    if header.starts_with("##") && header.contains("jinja") {
        return match mentioned {
            true => Recognised::Nearly(
                "is a Jinja template, which ecs-firstrun doesn't read; put its configuration into a part of its own",
            ),
            false => Recognised::Others("Jinja template"),
        };
    }
    if is_nearly_our_header(header) {
        return Recognised::Nearly("looks like ecs-firstrun configuration, but its first line is not `#ecs-firstrun`");
    }
    if header.starts_with("#!") || header.starts_with("#include") {
        return Recognised::Others("script or include");
    }
    recognise_keys(text)
}

/// A mapping without a header.
fn recognise_keys(text: &str) -> Recognised {
    if text.contains(OUR_KEY) {
        if has_only_our_key(text) {
            return Recognised::Ours { embedded: true };
        }
        if has_our_key(text) {
            return Recognised::Nearly(
                "holds `ecs_firstrun` beside other keys, but its first line is not `#cloud-config`",
            );
        }
    }
    match has_our_top_level(text) {
        true => Recognised::Nearly("looks like ecs-firstrun configuration, but its first line is not `#ecs-firstrun`"),
        false => Recognised::Others("unknown kind"),
    }
}

/// `# ecs-firstrun`, `#ecs_firstrun: ...` and the like.
fn is_nearly_our_header(header: &str) -> bool {
    let letters: String = header.chars().filter(char::is_ascii_alphanumeric).collect();
    header.starts_with('#') && letters.to_ascii_lowercase().starts_with("ecsfirstrun")
}

/// Whether bytes that aren't UTF-8 begin as ours; Windows likes to write UTF-16.
pub(super) fn is_headed(bytes: &[u8]) -> bool {
    let start: Vec<u8> = bytes.iter().take(64).copied().filter(|byte| byte.is_ascii_graphic()).collect();
    start.to_ascii_lowercase().starts_with(OUR_HEADER.as_bytes())
}

/// Nothing where it is too long to be read at all.
fn root(text: &str) -> Option<Node> {
    (text.len() <= MAX_TEXT).then(|| yaml::load(&Source::new("", text)).0).flatten()
}

/// Whether it may well be ours, but is longer than what is read: it is ours, then, and refused for that.
fn is_too_long(text: &str) -> bool {
    text.len() > MAX_TEXT && text.contains(OUR_KEY)
}

/// Whether the document has our key; also when it breaks off before, so that its mistake is reported.
fn has_our_key(text: &str) -> bool {
    match root(text) {
        _ if is_too_long(text) => true,
        Some(root) if root.get(OUR_KEY).is_some() => true,
        _ => text.lines().any(|line| line.strip_prefix(OUR_KEY).is_some_and(|rest| rest.trim_start().starts_with(':'))),
    }
}

fn has_only_our_key(text: &str) -> bool {
    if is_too_long(text) {
        return true;
    }
    // Loading is dear for what can't be it.
    let root = text.contains(OUR_KEY).then(|| root(text)).flatten();
    matches!(root.map(|root| root.value), Some(Value::Mapping(entries)) if entries.len() == 1 && entries[0].key == OUR_KEY)
}

/// Whether the document is a mapping with one of our keys.
pub(super) fn has_our_top_level(text: &str) -> bool {
    OUR_TOP_LEVEL.iter().any(|key| text.contains(key))
        && root(text).is_some_and(|root| OUR_TOP_LEVEL.iter().any(|key| root.get(key).is_some()))
}

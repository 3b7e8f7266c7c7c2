//! What the logs of the ECS agent and of ecs-init say of the cause: text in, cause out.
//!
//! The agent writes its failures down but gives no other sign of most: one that AWS denies the registration ends with exit
//! code 1, is started again for ever, and its unit stays active. The wordings are those of amazon-ecs-agent 1.105.1.

pub use super::causes::Kind;
use super::causes::{CAUSES, CLUSTER, Row};
use crate::config::problem::redact;

/// A line longer than that, in characters, is quoted up to there.
const LONGEST_QUOTE: usize = 360;
/// The agent's first line.
const BEGINNING: &str = "Starting Amazon ECS Agent";
/// Lines after which nothing that came before matters: it registered, or holds its connection.
const WELL: [&str; 4] = [
    "Registered container instance with cluster!",
    "Instance registration completed successfully",
    "Registration completed successfully",
    "Connected to ACS endpoint",
];

/// Why the ECS agent isn't a working member of its cluster, by its own log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Which of the known causes it is.
    pub kind: Kind,
    /// The cause in words.
    pub what: String,
    /// The decisive part of the line, without what looks like a secret.
    pub quoted: String,
    /// The line's time.
    pub at: Option<String>,
    /// What to do about it.
    pub remedy: &'static str,
}

/// The cause that a log names last, unless the agent has registered since. Lines from before `since` (RFC 3339, UTC) are of
/// an earlier boot, or of the image. `cluster` is the cluster in words.
#[must_use]
pub fn cause(log: &str, since: &str, cluster: &str) -> Option<Cause> {
    let lines: Vec<&str> = log.lines().collect();
    let mut found: Option<(&Row, usize)> = None;
    for (at, line) in lines.iter().enumerate().rev() {
        let is_old = time(line).is_some_and(|time| time < since);
        let is_over = found.is_some() && line.contains(BEGINNING);
        if is_old || is_over || WELL.iter().any(|well| line.contains(well)) {
            break;
        }
        let row = CAUSES.iter().find(|row| row.is_of(line));
        // The first line of a kind says the most; what follows in the same attempt repeats it.
        found = match (found, row) {
            (None, Some(row)) => Some((row, at)),
            (Some((known, _)), Some(row)) if row.kind == known.kind => Some((known, at)),
            (found, _) => found,
        };
    }
    let (row, at) = found?;
    let line = lines.get(at)?;
    Some(Cause {
        kind: row.kind,
        what: row.what.replace(CLUSTER, cluster),
        quoted: quoted(line),
        at: time(line).map(str::to_owned),
        remedy: row.remedy,
    })
}

/// The time of a line, wherever its format has it.
fn time(line: &str) -> Option<&str> {
    const LENGTH: usize = "2026-11-23T07:50:48Z".len();
    let is_time = |text: &&[u8]| {
        let shape = b"0000-00-00T00:00:00Z";
        text.iter().zip(shape).all(|(found, wanted)| match wanted {
            b'0' => found.is_ascii_digit(),
            _ => found == wanted,
        })
    };
    let start = line.as_bytes().windows(LENGTH).take(64).position(|window| is_time(&window))?;
    line.get(start..start + LENGTH)
}

/// What a line says: its error, else its message, without the SDK's preliminaries.
fn quoted(line: &str) -> String {
    let said = field(line, "error").or_else(|| field(line, "msg")).unwrap_or_else(|| line.trim().to_owned());
    let mut said = said.as_str();
    if let Some((_, rest)) = said.split_once("RequestID: ") {
        said = rest.split_once(", ").map_or(said, |(_, rest)| rest);
    }
    for preliminary in ["api error ", "request send failed, "] {
        said = said.strip_prefix(preliminary).unwrap_or(said);
    }
    let said = redact(&said.split_whitespace().collect::<Vec<_>>().join(" "));
    match said.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{}…", &said[..end]),
        None => said,
    }
}

/// A quoted value, of `name="…"` or `"name":"…"`.
fn field(line: &str, name: &str) -> Option<String> {
    let forms = [format!(" {name}=\""), format!("\"{name}\":\"")];
    let start = forms.iter().find_map(|form| Some(line.find(form.as_str())? + form.len()))?;
    let mut value = String::new();
    let mut rest = line[start..].chars();
    while let Some(next) = rest.next() {
        match next {
            '"' => return Some(value),
            '\\' => value.push(match rest.next()? {
                'n' | 't' => ' ',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
#[path = "agent_log/tests.rs"]
mod tests;

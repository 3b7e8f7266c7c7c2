//! Causes that the logs of the ECS agent and of ecs-init name: text in, cause out.
//!
//! The agent logs its failures, but gives no other sign of most. An agent whose registration AWS denies exits with code 1
//! and is started again forever, while its unit stays active. The wordings are those of amazon-ecs-agent 1.105.1, and of
//! agents up to 1.91, which use the SDK for Go v1.

pub use super::causes::CauseKind;
use super::causes::{CLUSTER, OTHER, Row, consequence, named};
use crate::aws::denial::Denial;
use crate::secrets::redact;

/// Number of characters after which a quoted line is cut off.
const LONGEST_QUOTE: usize = 360;
/// Words of a line that begins an attempt: the agent's first line, also of old versions, or ecs-init's.
const BEGINNINGS: [&str; 5] = [
    "Starting Amazon ECS Agent",
    "Amazon ECS agent Version:",
    "Starting Agent: Amazon ECS Agent",
    "msg=\"pre-start\"",
    "msg=\"start\"",
];
/// Words of a line with which the agent begins to register itself, after all its preparations.
const PREPARED: [&str; 2] = ["Registering Instance with ECS", "Restored from checkpoint file"];
/// Words of a line which says that the agent registered or is connected. The lines before it no longer matter.
const WELL: [&str; 4] = [
    "Registered container instance with cluster!",
    "Instance registration completed successfully",
    "Registration completed successfully",
    "Connected to ACS endpoint",
];
/// Words of lines about the instance itself. After a line of [`WELL`], all other lines are about tasks.
const OF_INSTANCE: [&str; 3] = ["ACS", "ontainer instance", "ttribute"];
/// Words of lines that only repeat that there was an error.
const EMPTY: [&str; 5] = [
    "agent exited with terminal exit code",
    "Unable to initialize new task engine",
    "Agent will terminally exit",
    "Received terminal error",
    "Error performing action",
];
/// The words that an old agent puts before the SDK's message.
const REGISTERING: &str = "Unable to register as a container instance with ECS: ";

/// The cause, by the ECS agent's own log, that keeps the agent from being a working member of its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The kind of the cause.
    pub kind: CauseKind,
    /// The cause in words.
    pub what: String,
    /// The decisive part of the line, without what looks like a secret.
    pub quoted: String,
    /// The line's time.
    pub at: Option<String>,
    /// The remedy.
    pub remedy: String,
}

/// The weight of a line as a cause.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Weight {
    /// The line is an error, which may not have ended the attempt.
    Error,
    /// The line's error ended the attempt, but may follow from another error.
    End,
    /// The line names a cause.
    Cause,
}

/// The level of a line.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    Critical,
    Error,
    /// The line has no level, as it continues the line before.
    None,
    Lower,
}

/// Finds the cause that a log names last, unless the agent has registered since. Lines from before `since` (RFC 3339, UTC)
/// are from an earlier boot or from the image, and do not count. `cluster` is the cluster in words.
///
/// Within one attempt, a line that names a cause counts before a line that may only follow from one.
#[must_use]
pub fn cause(log: &str, since: &str, cluster: &str) -> Option<Cause> {
    let lines: Vec<&str> = log.lines().collect();
    let (lines, well) = since_well(&lines, since);
    last_cause(lines, well).map(|(row, line)| told(row, line, cluster))
}

/// Finds the cause that the log of a registered agent names. The line about the registration may have been rotated away.
pub(super) fn cause_if_registered(log: &str, since: &str, cluster: &str) -> Option<Cause> {
    let lines: Vec<&str> = log.lines().collect();
    let (lines, _) = since_well(&lines, since);
    last_cause(lines, lines.len()).map(|(row, line)| told(row, line, cluster))
}

/// Finds the cause and the line that names the cause. The first `well` lines are from a registered agent.
fn last_cause<'a>(lines: &[&'a str], well: usize) -> Option<(&'static Row, &'a str)> {
    let mut found: Option<(Weight, &'static Row, &'a str)> = None;
    let mut is_prepared = false;
    for (at, line) in lines.iter().enumerate().rev() {
        if has_one(line, &BEGINNINGS) {
            if found.is_some_and(|(weight, ..)| weight != Weight::Error) {
                break;
            }
            is_prepared = false;
        }
        is_prepared |= has_one(line, &PREPARED);
        let known = found.map(|(_, row, _)| row.kind);
        let Some((weight, row)) = judge(line, known) else { continue };
        let is_about_tasks = at < well && (weight != Weight::Cause || !has_one(line, &OF_INSTANCE));
        if is_about_tasks || (is_prepared && row.kind == CauseKind::PauseContainer) {
            continue;
        }
        let counts = found.is_none_or(|(known_weight, known, _)| {
            weight > known_weight || (weight == known_weight && says_more(row.kind, known.kind))
        });
        if counts {
            found = Some((weight, row, line));
        }
    }
    found.map(|(_, row, line)| (row, line))
}

/// Tells whether a line says more than a later one. Of the lines of one kind, the first says the most, since the others in
/// the same attempt repeat it.
fn says_more(kind: CauseKind, later: CauseKind) -> bool {
    kind != CauseKind::Other && kind == later || (kind, later) == (CauseKind::DockerVersion, CauseKind::NoDocker)
}

/// Returns the lines since the agent registered or connected, or since the time. Also returns how many of these lines the
/// registered agent wrote.
fn since_well<'a, 'b>(lines: &'a [&'b str], since: &str) -> (&'a [&'b str], usize) {
    for (at, line) in lines.iter().enumerate().rev() {
        let rest = &lines[at + 1..];
        if time(line).is_some_and(|time| time < since) {
            return (rest, 0);
        }
        if has_one(line, &WELL) {
            return (rest, rest.iter().position(|line| has_one(line, &BEGINNINGS)).unwrap_or(rest.len()));
        }
    }
    (lines, 0)
}

fn has_one(line: &str, words: &[&str]) -> bool {
    words.iter().any(|words| line.contains(words))
}

/// Finds the row and the weight of a line that tells of a failure. `known` is the kind found in the lines after this one.
fn judge(line: &str, known: Option<CauseKind>) -> Option<(Weight, &'static Row)> {
    let level = level(line);
    let named = named(line).filter(|row| match row.kind {
        CauseKind::Deregistered => true,
        // An agent tries some versions that Docker does not know before it takes another.
        CauseKind::DockerVersion => level != Level::Lower || known == Some(CauseKind::NoDocker),
        _ => level != Level::Lower,
    });
    if let Some(row) = named {
        return Some((Weight::Cause, row));
    }
    if !matches!(level, Level::Critical | Level::Error) {
        return None;
    }
    if let Some(row) = consequence(line) {
        return Some((Weight::End, row));
    }
    let weight = if level == Level::Critical { Weight::End } else { Weight::Error };
    (!has_one(line, &EMPTY)).then_some((weight, &OTHER))
}

fn told(row: &Row, line: &str, cluster: &str) -> Cause {
    let (mut what, mut remedy) = (row.what.replace(CLUSTER, cluster), row.remedy.to_owned());
    if row.kind == CauseKind::Denied
        && let Some(denial) = Denial::of(line)
    {
        let verb = if denial.is_explicit { "denies" } else { "does not allow" };
        what = format!("{} {verb} what the ECS agent needs", denial.policy);
        remedy = denial.remedy();
    }
    let at = time(line).map(str::to_owned);
    Cause { kind: row.kind, what, quoted: quoted(line, row.kind), at, remedy }
}

/// Returns the time at which the ECS agent was last started, by its own log.
pub fn started(log: &str) -> Option<&str> {
    log.lines().rev().find(|line| has_one(line, &BEGINNINGS)).and_then(time)
}

/// Reads the level, which every format has near a line's beginning.
fn level(line: &str) -> Level {
    const NEAR: usize = 32;
    const LEVELS: [(Level, [&str; 3]); 3] = [
        (Level::Critical, ["level=critical", "\"level\":\"critical\"", "[CRITICAL]"]),
        (Level::Error, ["level=error", "\"level\":\"error\"", "[ERROR]"]),
        (Level::Lower, ["level=", "\"level\":", "Z ["]),
    ];
    let beginning = line.char_indices().nth(NEAR).map_or(line, |(end, _)| &line[..end]);
    LEVELS.iter().find(|(_, forms)| has_one(beginning, forms)).map_or(Level::None, |(level, _)| *level)
}

/// Finds the time of a line, in any of the formats.
pub(super) fn time(line: &str) -> Option<&str> {
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

/// Quotes a line's error, else its message, without the SDK's introductory words.
fn quoted(line: &str, kind: CauseKind) -> String {
    let (error, message) = (field(line, "error"), field(line, "msg"));
    let said = match (error, message, field(line, "missingAttributes")) {
        (Some(error), _, Some(missing)) => format!("{error}, missingAttributes=\"{missing}\""),
        (Some(error), Some(message), _) if kind == CauseKind::Other => format!("{message}: {error}"),
        (Some(said), ..) | (None, Some(said), _) => said,
        (None, None, _) => line.trim().to_owned(),
    };
    let mut said = said.as_str();
    if let Some((_, rest)) = said.split_once("RequestID: ") {
        said = rest.split_once(", ").map_or(said, |(_, rest)| rest);
    }
    // The SDK for Go v1 puts its own words first, and the status last.
    said = said.split_once("caused by: ").map_or(said, |(_, cause)| cause);
    said = said.split_once("status code: ").map_or(said, |(cause, _)| cause);
    for preliminary in [REGISTERING, "NoCredentialProviders: ", "api error ", "request send failed, "] {
        said = said.strip_prefix(preliminary).unwrap_or(said);
    }
    quotable(&said.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Prepares a text to be quoted: removes what looks like a secret, and cuts a long text off.
pub(super) fn quotable(text: &str) -> String {
    let text = redact(text);
    match text.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Reads a quoted value, of `name="…"` or `"name":"…"`.
pub(super) fn field(line: &str, name: &str) -> Option<String> {
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

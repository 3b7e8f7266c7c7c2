//! Makes a checked configuration of the documents: merges and deserialises them, and finds everything that is wrong.

use std::borrow::Cow;
use std::sync::Arc;

use super::references::{References, Values};
use super::sections::Config;
use super::{check, daemon_json};
use crate::document::de::{self, Deserialized};
use crate::document::decode::{Decoded, Document, Note};
use crate::document::problem::{self, Problem, Source};
use crate::document::yaml::{self, Node, Value};

/// The outcome of parsing documents: the valid part of the configuration, and all problems.
#[derive(Debug, Default)]
pub struct Parsed {
    /// The valid part. With problems, only what is [`NEEDED_TO_TELL`] of them may be used.
    pub config: Config,
    /// The problems, in the order of the documents.
    pub problems: Vec<Problem>,
    /// True if there was any document at all.
    pub found: bool,
    /// Problems in the user data that are allowed but cause trouble.
    pub warnings: Vec<Problem>,
    /// Facts about the user data that are worth knowing and need no change.
    pub notes: Vec<Note>,
    /// True if a part of the user data that isn't ours names us, as a script does that calls this program.
    pub names_us: bool,
}

impl Parsed {
    /// Tells whether nobody asked for this agent: no document, nothing that can't be unpacked, no script that may call it.
    pub fn is_of_others(&self) -> bool {
        !self.found && !self.names_us && self.problems.is_empty()
    }
}

/// The variables of the shell script that this agent replaces, each with its key in our configuration.
pub const SHELL_VARIABLES: [(&str, [&str; 2]); 5] = [
    ("ECS_CLUSTER", ["ecs", "cluster"]),
    ("PROXY_URL", ["proxy", "url"]),
    ("STACK_NAME", ["signal", "stack"]),
    ("AUTOSCALING_GROUP", ["signal", "resource"]),
    ("AWS_DEFAULT_REGION", ["signal", "region"]),
];

/// The keys by which an outcome is told, and by which a failed instance is put out, whatever is wrong with the others.
pub const NEEDED_TO_TELL: [&str; 4] = ["signal", "proxy", "on_failure", "aws"];

/// The name of the document of `AWS_DEFAULT_REGION`.
const REGION_VARIABLE: &str = "variable AWS_DEFAULT_REGION";

/// Makes the documents of the replaced shell script's variables; empty variables count as not set.
pub fn shell_variables(value: impl Fn(&str) -> Option<String>) -> Vec<Document> {
    let set = |(name, path): &(&str, [&str; 2])| {
        let value = value(name).filter(|value| !value.is_empty())?;
        let text = serde_json::json!({ path[0]: { path[1]: value } }).to_string();
        Some(Document::read(format!("variable {name}"), text, false))
    };
    SHELL_VARIABLES.iter().filter_map(set).collect()
}

/// Settings that user data may add to the documents of an image, which may be incomplete without them.
const COMPLETING: &str =
    "{signal: {stack: web, resource: Instances}, proxy: {url: 'http://proxy:3128'}, ecs: {cluster: web}}";

/// Returns a document in place of the user data of an image's instances.
pub fn completing() -> Document {
    Document::read("user data", COMPLETING, false)
}

/// Parses a document of an image. Only problems that user data would not solve count: other documents may hold a missing
/// key, and a value may be meant to fit other user data.
pub fn parse_of_image(document: &Document) -> Parsed {
    let alone = parse(std::slice::from_ref(document));
    let completed = parse(&[completing(), document.clone()]);
    let problems = alone.problems.into_iter().filter(|problem| completed.problems.contains(problem)).collect();
    Parsed { problems, ..alone }
}

/// Parses unpacked user data, with the documents that come before and after it, and with the values of its references as
/// far as they are known.
pub fn parse_user_data(before: Vec<Document>, mut decoded: Decoded, after: Vec<Document>, values: &Values) -> Parsed {
    let own = std::mem::take(&mut decoded.documents);
    let all: Vec<_> = before.into_iter().chain(own).chain(after).collect();
    with_decoded(parse_with(&all, values), decoded)
}

/// Adds the problems, warnings and notes of unpacking the user data.
pub fn with_decoded(mut parsed: Parsed, decoded: Decoded) -> Parsed {
    parsed.problems.splice(0..0, decoded.problems);
    Parsed { warnings: decoded.warnings, notes: decoded.notes, names_us: decoded.names_us, ..parsed }
}

/// Merges the documents, later over earlier, and checks the result.
pub fn parse(documents: &[Document]) -> Parsed {
    parse_with(documents, &Values::new())
}

/// Parses documents like [`parse`], with these values in the places of references.
pub fn parse_with(documents: &[Document], values: &Values) -> Parsed {
    let mut problems = Vec::new();
    let mut merged: Option<Cow<'_, Node>> = None;
    let mut found = false;
    for document in documents {
        // Many programs have this variable set: a signal can use it, but the variable alone does not ask for this agent.
        let is_region = document.source.name == REGION_VARIABLE;
        if is_region && merged.as_deref().is_none_or(|node| node.get("signal").is_none()) {
            continue;
        }
        found = true;
        problems.extend(document.problems.iter().cloned());
        let Some(node) = &document.config else { continue };
        // A list, or text, would replace all the other documents, and the signal's target in them.
        if !matches!(node.value, Value::Mapping(_) | Value::Null) {
            problems.extend(de::from_node::<Config>(node).problems);
            continue;
        }
        merged = Some(match merged {
            Some(base) => Cow::Owned(yaml::merge(base.into_owned(), node.clone())),
            None => Cow::Borrowed(node),
        });
    }
    let Some(mut node) = merged else {
        if let Some(document) = documents.first().filter(|_| found && problems.is_empty()) {
            problems.push(empty(&document.source));
        }
        return Parsed { problems, found, ..Parsed::default() };
    };
    let mut references = References::of(&node);
    if !references.are_none() {
        references.put_values(node.to_mut(), values);
    }
    let Deserialized { value: mut config, problems: more, refused } = de::from_node::<Config>(&node);
    // With more mistakes than are looked for, no value is left. What is needed to tell of them is then read by itself.
    if !more.is_empty() && config == Config::default() {
        config = de::from_node(&node.only(&NEEDED_TO_TELL)).value;
    }
    let right_so_far = more.is_empty() && problems.is_empty();
    problems.extend(more);
    if right_so_far && config == Config::default() {
        problems.push(empty(&node.span.source));
    }
    if let Some(docker) = &mut config.docker {
        daemon_json::options_as_text(&mut docker.daemon, &node);
    }
    problems.extend(daemon_json::examined(&node).errors);
    problems.extend(check::check_together(&config, &node, &refused));
    if !references.are_none() {
        problems = references.reword(problems);
    }
    config.references = references.placed();
    if config.has_reference(&["proxy", "url"])
        && let Some(proxy) = &mut config.proxy
    {
        proxy.url.0.hide();
    }
    let order: Vec<_> = documents.iter().map(|document| document.source.clone()).collect();
    problem::sort(&mut problems, &order);
    // This note comes once and last. Several documents together, or the checks of several values, may exceed the limit.
    let found = problems.len();
    problems.retain(|problem| *problem != Problem::too_many());
    if problems.len() < found || found > problem::MOST {
        problems.truncate(problem::MOST);
        problems.push(Problem::too_many());
    }
    Parsed { config, problems, found: true, ..Parsed::default() }
}

/// Writes the reason of a refusal: the first problem in one line, and the number of the others.
pub fn summary(problems: &[Problem]) -> String {
    let Some(first) = problems.first() else { return String::new() };
    let (message, remedy) = first.words();
    let remedy = remedy.map(|remedy| format!(" ({remedy})")).unwrap_or_default();
    let more = match problems.len() - 1 {
        0 => String::new(),
        1 => ", and 1 more error".to_owned(),
        more => format!(", and {more} more errors"),
    };
    format!("{}{message}{remedy}{more}", first.place())
}

fn empty(source: &Arc<Source>) -> Problem {
    Problem::general(format!("{}: nothing is configured", source.name))
        .remedy("add at least `ecs` with a `cluster`, or leave the document out")
}

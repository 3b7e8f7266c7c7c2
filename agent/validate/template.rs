//! User data inside a CloudFormation template: found, put together as CloudFormation would, and checked. What is wrong is
//! shown where it stands in the template.

mod functions;
mod surroundings;
mod text;

use std::ops::Range;
use std::sync::Arc;

use self::functions::Functions;
use self::text::Text;
use super::{Verdict, warnings};
use crate::config::decode::{Decoded, decode};
use crate::config::problem::{self, Problem, Source, Span};
use crate::config::yaml::{self, Node, Value};
use crate::config::{self, Parsed};

pub(super) use self::surroundings::{Surroundings, matches};

/// The key that holds user data, in every kind of resource that has them.
const USER_DATA: &str = "UserData";

/// Whether a document looks like a template: a mapping whose `Resources` have types.
pub(super) fn is_template(text: &str) -> bool {
    let resources = text.contains("Resources").then(|| yaml::load_template(&Source::new("", text)).0).flatten();
    let resources = resources.as_ref().and_then(|root| root.get("Resources"));
    match resources.map(|node| &node.value) {
        Some(Value::Mapping(entries)) => entries.iter().any(|entry| entry.value.get("Type").is_some()),
        _ => false,
    }
}

/// Checks all user data of a template.
pub(super) fn check(name: &str, text: &str) -> Verdict {
    let source = Source::new(name, text);
    let (root, problems) = yaml::load_template(&source);
    let mut verdict = Verdict { errors: problems, ..Verdict::of(name) };
    let Some(root) = root else {
        verdict.errors.push(Problem::general(format!("{name}: the template is empty")));
        return verdict;
    };
    let mut found = Vec::new();
    for resource in root.get("Resources").map(children).unwrap_or_default() {
        find(resource.1, resource.0, &mut found);
    }
    if found.is_empty() && verdict.errors.is_empty() {
        let message = format!("{name}: no resource of this template has `UserData`");
        return verdict.nothing_found(message, "for user data outside a template use `ecs-firstrun validate FILE`");
    }
    for place in &found {
        // Once with all conditions true, and once with all false, where that makes a difference.
        for conditions in [true, false] {
            let functions = Functions::new(&root, conditions);
            Check { template: &root, name, place, functions: &functions, verdict: &mut verdict }.check();
            if !functions.conditional.get() {
                break;
            }
        }
    }
    if !verdict.found && verdict.errors.is_empty() {
        let message = format!("{name}: no user data in it holds ecs-firstrun configuration");
        return verdict.nothing_found(message, super::HOW_TO_HOLD);
    }
    for problems in [&mut verdict.errors, &mut verdict.warnings] {
        problem::sort(problems);
    }
    verdict.notes.dedup();
    verdict
}

/// User data of a resource.
struct Place<'a> {
    resource: &'a str,
    /// The mapping that holds the key.
    beside: &'a Node,
    user_data: &'a Node,
}

fn children(node: &Node) -> Vec<(&str, &Node)> {
    match &node.value {
        Value::Mapping(entries) => entries.iter().map(|entry| (entry.key.as_str(), &entry.value)).collect(),
        Value::Sequence(items) => items.iter().map(|item| ("", item)).collect(),
        _ => Vec::new(),
    }
}

fn find<'a>(node: &'a Node, resource: &'a str, found: &mut Vec<Place<'a>>) {
    for (key, child) in children(node) {
        match key == USER_DATA {
            true => found.push(Place { resource, beside: node, user_data: child }),
            false => find(child, resource, found),
        }
    }
}

/// The check of one user data, under one setting of the conditions.
struct Check<'a> {
    template: &'a Node,
    name: &'a str,
    place: &'a Place<'a>,
    functions: &'a Functions<'a>,
    verdict: &'a mut Verdict,
}

impl Check<'_> {
    fn check(&mut self) {
        let label = format!("{}, UserData of {}", self.name, self.place.resource);
        let text = self.functions.text(self.place.user_data);
        let whole = text.string();
        // Nothing, as where a condition leaves it out.
        if whole.is_empty() {
            return;
        }
        let Decoded { documents, problems, notes } = decode(&label, whole.as_bytes());
        self.verdict.notes.extend(notes);
        let Parsed { config, problems: more, found, .. } = config::parse(&documents);
        let mut known = |problems: Vec<Problem>| -> Vec<Problem> {
            let known = |problem: &Problem| match unknown(problem, &text, &whole) {
                Some(name) => {
                    let note =
                        format!("{label}: the value of `{name}` is known only in the stack, so it is not checked here");
                    self.verdict.notes.push(note);
                    false
                }
                None => true,
            };
            problems.into_iter().filter(known).collect()
        };
        let errors = known(problems.into_iter().chain(more).collect());
        let mut warned = Vec::new();
        if found && errors.is_empty() {
            let around = Surroundings::of(self.template, self.place.beside, self.functions, &config);
            warned = known(warnings::misfits(&config, &documents, &around));
            warned.extend(warnings::secrets(&config, &documents));
        }
        if found {
            warned.extend(warnings::size(&label, super::size_for_ec2(whole.as_bytes())));
            self.verdict.errors.append(&mut self.functions.problems.borrow_mut());
            self.verdict.found = true;
        }
        let shown = self.source_without_secrets(&documents, &text, &whole);
        let at = self.place.user_data;
        let move_all =
            |problems: Vec<Problem>| problems.into_iter().map(|problem| moved(problem, &text, &whole, at, &shown));
        self.verdict.errors.extend(move_all(errors));
        self.verdict.warnings.extend(move_all(warned));
    }

    /// The template, with the secrets that the user data's own documents have marked.
    fn source_without_secrets(&self, documents: &[config::decode::Document], text: &Text, whole: &str) -> Arc<Source> {
        let template = &self.template.span.source;
        let source = Source::new(template.name.clone(), template.text.clone());
        let mut hidden = template.secrets();
        for document in documents {
            let Some(base) = whole.find(&document.source.text) else { continue };
            for secret in document.source.secrets() {
                hidden.extend(text.written(base + secret.start..base + secret.end));
            }
        }
        hidden.into_iter().for_each(|secret| source.hide(secret));
        source
    }
}

/// The name of what only the stack knows, where the problem is with a value that depends on it.
fn unknown<'a>(problem: &Problem, text: &'a Text, whole: &str) -> Option<&'a str> {
    let range = in_whole(problem.span.as_ref()?, whole)?;
    let written = whole.get(range.clone())?;
    // A whole mapping is not wrong because of a value in it.
    let is_value = !written.contains(": ") && !written.contains('\n') && !written.starts_with(['{', '[']);
    text.unknown(&range).filter(|_| is_value)
}

/// A span of a document as a range of the user data that it is a part of; nothing where it was encoded.
fn in_whole(span: &Span, whole: &str) -> Option<Range<usize>> {
    let base = whole.find(&span.source.text)?;
    Some(base + span.start..base + span.end)
}

/// The problem at its place in the template; where that can't be told, at the user data.
fn moved(problem: Problem, text: &Text, whole: &str, user_data: &Node, source: &Arc<Source>) -> Problem {
    let place = problem.span.as_ref().and_then(|span| text.place(in_whole(span, whole)?));
    let place = place.unwrap_or_else(|| {
        let start = user_data.span.start;
        Span { source: source.clone(), start, end: start + 1 }
    });
    Problem { span: Some(Span { source: source.clone(), ..place }), ..problem }
}

#[cfg(test)]
mod tests;

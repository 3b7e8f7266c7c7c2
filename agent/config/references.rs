//! References: values that the user data names, and that Systems Manager or Secrets Manager keeps.
//!
//! A reference may stand wherever a secret may. It is taken out of the tree before a configuration is made of the tree. With
//! its value in its place, the value is checked as if the user data had held it. Until then a stand-in is there: that serves
//! to find the other mistakes and to show a plan, and no run carries such a plan out.

mod forms;

use std::fmt;

pub use self::forms::{Parameter, Reference, Secret};
use crate::document::problem::{Problem, Span};
use crate::document::yaml::{Node, Value};
use crate::ecs_variables::{VariableKind, kind};
use crate::secrets::MASK;

/// Tells where references may stand.
const PLACES: &str = "a reference can stand in `proxy.url`, `ecs.config` and `docker.daemon`";
/// The most references of a configuration: each is a request before anything else happens.
const MOST: usize = 50;
/// The URL in place of a proxy's reference. Nothing is sent to it: see [`super::Config::proxy_route`].
const NO_PROXY_YET: &str = "http://reference.invalid:3128";

/// The place of a value: the keys above it, with its own at the end. An item of a list goes by its number, from 0.
pub type Place = Vec<String>;

/// The values of references, each with its place.
pub type Values = Vec<(Place, String)>;

/// A reference and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedReference {
    /// The place.
    pub place: Place,
    /// The reference.
    pub reference: Reference,
    /// True if the configuration has the reference's value in this place, and no stand-in.
    pub is_resolved: bool,
}

impl PlacedReference {
    /// Tells whether the reference stands at these keys, or below them.
    pub fn is_below(&self, keys: &[&str]) -> bool {
        self.place.len() >= keys.len() && self.place.iter().zip(keys).all(|(own, key)| own == key)
    }

    /// Returns the name of the place, such as `proxy.url`.
    pub fn key(&self) -> String {
        in_words(&self.place)
    }
}

impl fmt::Display for PlacedReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key(), self.reference)
    }
}

/// The references of a tree, and what is wrong with them.
#[derive(Default)]
pub(super) struct References {
    found: Vec<(PlacedReference, Span)>,
    /// The mistakes, each with the place of its whole reference.
    wrong: Vec<(Problem, Place, Span)>,
}

impl References {
    /// Finds the references of a tree.
    pub(super) fn of(root: &Node) -> Self {
        let mut references = References::default();
        references.find(root, &mut Vec::new());
        references
    }

    pub(super) fn are_none(&self) -> bool {
        self.found.is_empty() && self.wrong.is_empty()
    }

    fn find(&mut self, node: &Node, place: &mut Vec<String>) {
        if Reference::is_meant(node) && !holds_free_names(place) {
            return self.add(node, place);
        }
        for entry in node.entries() {
            self.find_below(entry.key.clone(), &entry.value, place);
        }
        for (index, item) in node.items().iter().enumerate() {
            self.find_below(index.to_string(), item, place);
        }
    }

    fn find_below(&mut self, key: String, node: &Node, place: &mut Vec<String>) {
        if matches!(node.value, Value::Mapping(_) | Value::Sequence(_)) {
            place.push(key);
            self.find(node, place);
            place.pop();
        }
    }

    fn add(&mut self, node: &Node, place: &[String]) {
        let span = node.span.clone();
        let problem = match Reference::of(node) {
            _ if self.found.len() == MOST => {
                let remedy = "write some of the values themselves, or keep several in one JSON file";
                Problem::at(&span, format!("there are more than {MOST} references")).remedy(remedy)
            }
            _ if !may_stand_at(place) => misplaced(place, &span),
            Ok(reference) => {
                let placed = PlacedReference { place: place.to_vec(), reference, is_resolved: false };
                return self.found.push((placed, span));
            }
            Err(problem) => problem,
        };
        self.wrong.push((problem, place.to_vec(), span));
    }

    /// Puts the values, or stand-ins, in the places of the references.
    pub(super) fn put_values(&mut self, root: &mut Node, values: &Values) {
        let put = |root: &mut Node, place: &[String], span: &Span, text: String| {
            if let Some(node) = at_mut(root, place) {
                *node = Node::new(span.clone(), Value::String(text));
            }
        };
        for (placed, span) in &mut self.found {
            let value = values.iter().find(|(place, _)| *place == placed.place).map(|(_, value)| value.clone());
            placed.is_resolved = value.is_some();
            let text = value.unwrap_or_else(|| stand_in(&placed.place));
            put(root, &placed.place, span, text);
        }
        for (_, place, span) in &self.wrong {
            put(root, place, span, stand_in(place));
        }
    }

    /// Says in the words of references what is wrong with a value in the place of one. What a wrong reference leads to is
    /// left out.
    pub(super) fn reword(&self, problems: Vec<Problem>) -> Vec<Problem> {
        let is_within = |problem: &Problem, span: &Span| {
            let place = problem.span.as_ref().filter(|place| place.source == span.source);
            place.is_some_and(|place| span.start <= place.start && place.end <= span.end)
        };
        let reworded = |problem: Problem| match self.found.iter().find(|(_, span)| is_within(&problem, span)) {
            Some((placed, span)) => placed.misfit(&problem, span),
            None => problem,
        };
        let is_own = |problem: &Problem| !self.wrong.iter().any(|(.., span)| is_within(problem, span));
        let others = problems.into_iter().filter(is_own).map(reworded);
        others.chain(self.wrong.iter().map(|(problem, ..)| problem.clone())).collect()
    }

    /// Returns the right references.
    pub(super) fn placed(self) -> Vec<PlacedReference> {
        self.found.into_iter().map(|(placed, _)| placed).collect()
    }
}

impl PlacedReference {
    /// Makes the problem of a value that does not fit its place. The value itself is not shown.
    fn misfit(&self, problem: &Problem, span: &Span) -> Problem {
        let key = self.key();
        if !self.is_resolved {
            let message = format!("`{key}` can't be a reference, since its value is no secret");
            return Problem::at(span, message).remedy(format!("write the value itself; {PLACES}"));
        }
        let message = format!("the value of {} does not fit: {}", self.reference, without_quotes(&problem.message));
        let remedy = problem.remedy.as_deref().map(without_quotes);
        let problem = Problem::at(span, message);
        match remedy {
            Some(remedy) => problem.remedy(format!("store another value: {remedy}")),
            None => problem,
        }
    }
}

/// Masks all that a message quotes, and the words between the quotes.
fn without_quotes(message: &str) -> String {
    match (message.find('`'), message.rfind('`')) {
        (Some(first), Some(last)) if first < last => format!("{}`{MASK}`{}", &message[..first], &message[last + 1..]),
        _ => message.to_owned(),
    }
}

/// Tells whether a mapping has names that its owner chooses, such as those of tags.
fn holds_free_names(place: &[String]) -> bool {
    matches!(keys(place)[..], [] | ["ecs", "tags" | "attributes"])
}

/// Tells whether a reference may stand at a place. A setting that is no text is none that anybody keeps secret.
fn may_stand_at(place: &[String]) -> bool {
    match keys(place)[..] {
        ["proxy", "url"] => true,
        ["ecs", "config", name] => kind(name).is_none_or(|kind| {
            use VariableKind::{Elsewhere, Secret, Text};
            matches!(kind, Text | Secret | Elsewhere(_)) || kind.is_object()
        }),
        ["ecs", "config", name, ..] => kind(name).is_none_or(VariableKind::is_object),
        ["docker", "daemon", _, ..] => true,
        _ => false,
    }
}

/// Returns the keys of a place, for a comparison with words.
pub fn keys(place: &[String]) -> Vec<&str> {
    place.iter().map(String::as_str).collect()
}

/// Writes a place as messages have it, such as `docker.daemon.registry-mirrors[0]`.
fn in_words(place: &[String]) -> String {
    let step = |key: &String| match key.parse::<usize>() {
        Ok(index) => format!("[{index}]"),
        Err(_) => format!(".{key}"),
    };
    place.iter().map(step).collect::<String>().trim_start_matches('.').to_owned()
}

/// Makes the problem of a reference where none may stand.
fn misplaced(place: &[String], span: &Span) -> Problem {
    let key = in_words(place);
    let remedy = match keys(place)[..] {
        ["proxy"] => "write it as `proxy: {url: {ssm: NAME}}`".to_owned(),
        ["hooks", ..] => {
            "let the program of the hook fetch the secret: every user of the host can read its arguments".to_owned()
        }
        ["signal", ..] => {
            "write the value itself: the signal must get through even if no reference can be resolved".to_owned()
        }
        ["ecs", "config", ..] => "write the value itself: it is no secret".to_owned(),
        _ => PLACES.to_owned(),
    };
    Problem::at(span, format!("a reference can't stand in `{key}`")).remedy(remedy)
}

/// Returns a value for the place of a reference whose own value is not known.
fn stand_in(place: &[String]) -> String {
    match keys(place)[..] {
        ["proxy", ..] => NO_PROXY_YET.to_owned(),
        ["ecs", "config", name] if kind(name).is_some_and(VariableKind::is_object) => "{}".to_owned(),
        _ => MASK.to_owned(),
    }
}

fn at_mut<'a>(root: &'a mut Node, place: &[String]) -> Option<&'a mut Node> {
    place.iter().try_fold(root, |node, key| match &mut node.value {
        Value::Sequence(items) => items.get_mut(key.parse::<usize>().ok()?),
        Value::Mapping(entries) => entries.iter_mut().find(|entry| entry.key == *key).map(|entry| &mut entry.value),
        _ => None,
    })
}

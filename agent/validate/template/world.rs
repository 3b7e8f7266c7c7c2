//! The ways in which a stack can be made of a template: its parameters' values, and the resulting conditions.
//!
//! No value is invented. If a check depends on a value known only in the stack, such as a parameter that a condition
//! compares, one answer is tried, and the check is repeated with the other.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use super::nodes::{function, items};
use super::search::Choices;
use super::sections::Template;
use super::text::Text;
use crate::document::problem::{Problem, cut};
use crate::document::yaml::{Node, Value};

/// Most characters of a parameter's value in the description of a world.
const LONGEST_VALUE: usize = 40;
/// Deepest nesting of functions that is followed; a function that names itself would go on for ever.
const DEEPEST: usize = 64;
/// Most functions that are followed in one world.
const MOST_STEPS: usize = 20_000;

/// A fact, in one world, about a value known only in the stack.
#[derive(Clone, Debug, PartialEq)]
enum Fact {
    Is(String),
    IsNot(Vec<String>),
}

impl Fact {
    /// Tells whether the value may be this one.
    fn allows(&self, value: &str) -> bool {
        match self {
            Fact::Is(known) => known == value,
            Fact::IsNot(excluded) => !excluded.iter().any(|excluded| excluded == value),
        }
    }
}

/// One way to make a stack.
#[derive(Debug)]
pub(super) struct World<'a> {
    pub(super) template: &'a Template<'a>,
    choices: RefCell<Choices>,
    /// The facts by the name of a parameter, or by the words of another value.
    facts: RefCell<BTreeMap<String, Fact>>,
    /// The conditions evaluated so far; `None` marks one in progress.
    conditions: RefCell<BTreeMap<&'a str, Option<bool>>>,
    depth: Cell<usize>,
    /// Number of functions that were followed so far.
    steps: Cell<usize>,
    /// Set if a function has arguments that CloudFormation rejects.
    pub(super) is_malformed: Cell<bool>,
    /// Problems that CloudFormation would report.
    pub(super) problems: RefCell<Vec<Problem>>,
}

impl<'a> World<'a> {
    pub(super) fn new(template: &'a Template<'a>, choices: Choices) -> Self {
        World {
            template,
            choices: RefCell::new(choices),
            facts: RefCell::default(),
            conditions: RefCell::default(),
            depth: Cell::new(0),
            steps: Cell::new(0),
            is_malformed: Cell::new(false),
            problems: RefCell::default(),
        }
    }

    pub(super) fn into_choices(self) -> Choices {
        self.choices.into_inner()
    }

    /// Returns the traits that tell this world from others: its conditions, and the values of its parameters.
    pub(super) fn traits(&self) -> Traits {
        let conditions = self.conditions.borrow();
        let of_conditions = conditions.iter().filter_map(|(name, holds)| {
            let holds = if (*holds)? { "true" } else { "false" };
            Some(Trait { of_parameter: false, words: format!("`{name}` is {holds}") })
        });
        let facts = self.facts.borrow();
        let of_parameters = facts.iter().filter_map(|(name, fact)| match fact {
            Fact::Is(_) if self.template.hides(name) => {
                Some(Trait { of_parameter: true, words: format!("`{name}` has another value") })
            }
            Fact::Is(value) if self.template.parameters.contains_key(name.as_str()) || name.starts_with("AWS::") => {
                let value = cut(value, LONGEST_VALUE);
                Some(Trait { of_parameter: true, words: format!("`{name}` is `{value}`") })
            }
            _ => None,
        });
        let mut traits = Traits::new();
        traits.extend(of_conditions.chain(of_parameters));
        traits
    }

    /// Goes a level deeper; returns nothing beyond the limits of depth or steps.
    pub(super) fn deeper<T>(&self, go: impl FnOnce() -> T) -> Option<T> {
        let depth = self.depth.get();
        if depth >= DEEPEST || self.steps.get() >= MOST_STEPS {
            return None;
        }
        self.steps.set(self.steps.get() + 1);
        self.depth.set(depth + 1);
        let found = go();
        self.depth.set(depth);
        Some(found)
    }

    /// Evaluates a condition of the template. A condition that the template lacks may hold or not.
    pub(super) fn condition(&self, name: &str) -> bool {
        let Some((name, node)) = self.template.conditions.get_key_value(name) else {
            return self.is(&format!("the condition {name}"), "true");
        };
        let known = self.conditions.borrow().get(name).copied();
        match known {
            Some(holds) => holds.unwrap_or_default(),
            None => {
                self.conditions.borrow_mut().insert(name, None);
                let holds = self.deeper(|| self.holds(node)).unwrap_or_default();
                self.conditions.borrow_mut().insert(name, Some(holds));
                holds
            }
        }
    }

    fn holds(&self, node: &'a Node) -> bool {
        match function(node) {
            Some(("Condition", name)) => self.condition(name.text().unwrap_or_default()),
            Some(("Fn::Not", argument)) => !items(argument).first().is_some_and(|node| self.holds(node)),
            Some(("Fn::And", argument)) => items(argument).iter().all(|node| self.holds(node)),
            Some(("Fn::Or", argument)) => items(argument).iter().any(|node| self.holds(node)),
            Some(("Fn::Equals", argument)) => match items(argument) {
                [left, right] => self.equals(left, right),
                _ => false,
            },
            // Only the stack knows the result of other functions.
            _ => self.is(&format!("the condition at {}", node.span.start), "true"),
        }
    }

    fn equals(&self, left: &'a Node, right: &'a Node) -> bool {
        match (self.variable(left), self.variable(right)) {
            (Some(left), Some(right)) => self.same_variables(left, right),
            (Some(name), None) => self.compares(name, right),
            (None, Some(name)) => self.compares(name, left),
            (None, None) => self.same(&self.text(left), &self.text(right)),
        }
    }

    /// Returns the name of a parameter if a value is only that parameter: `!Ref Name`, or `!Sub "${Name}"`.
    fn variable<'n>(&self, node: &'n Node) -> Option<&'n str> {
        let name = match function(node)? {
            ("Ref", argument) => argument.text()?,
            ("Fn::Sub", argument) => argument.text()?.strip_prefix("${")?.strip_suffix('}')?,
            _ => return None,
        };
        let is_pseudo = name.starts_with("AWS::") && name != "AWS::NoValue";
        (self.template.parameters.contains_key(name) || is_pseudo).then_some(name)
    }

    fn same_variables(&self, left: &str, right: &str) -> bool {
        let known = |name: &str| match self.facts.borrow().get(name) {
            Some(Fact::Is(value)) => Some(value.clone()),
            _ => None,
        };
        match (left == right, known(left), known(right)) {
            (true, _, _) => true,
            (_, Some(left), Some(right)) => left == right,
            (_, Some(value), None) => self.is(right, &value),
            (_, None, Some(value)) => self.is(left, &value),
            _ => {
                let by_default =
                    self.template.default(left).is_some_and(|value| self.template.default(right) == Some(value));
                self.is_first(&format!("{left} = {right}"), "true", by_default)
            }
        }
    }

    fn compares(&self, name: &str, other: &'a Node) -> bool {
        let text = self.text(other);
        match text.words_of_open() {
            None => self.is(name, &text.string()),
            Some(words) => self.is(&format!("{name} = {words}"), "true"),
        }
    }

    fn same(&self, left: &Text, right: &Text) -> bool {
        let by_default = left.string() == right.string();
        match (left.words_of_open(), right.words_of_open()) {
            (None, None) => by_default,
            (Some(words), None) => self.is_first(&words, &right.string(), by_default),
            (None, Some(words)) => self.is_first(&words, &left.string(), by_default),
            (Some(left), Some(right)) => {
                left == right || self.is_first(&format!("{left} = {right}"), "true", by_default)
            }
        }
    }

    /// Returns what is known of a value that only the stack knows.
    fn fact(&self, name: &str) -> Fact {
        self.facts.borrow().get(name).cloned().unwrap_or(Fact::IsNot(Vec::new()))
    }

    /// Decides whether a value that only the stack knows is this one.
    fn is(&self, name: &str, value: &str) -> bool {
        self.is_first(name, value, self.template.default(name) == Some(value))
    }

    /// Decides the same as `is`. `by_default` is the answer that is tried first, so that the first world has the defaults.
    fn is_first(&self, name: &str, value: &str, by_default: bool) -> bool {
        let fact = self.fact(name);
        let excluded = match &fact {
            Fact::IsNot(excluded) if fact.allows(value) => excluded,
            known => return known.allows(value),
        };
        let is = match &self.possible(name) {
            Some(possible) if !possible.contains(&value) => return false,
            Some(possible) if possible.len() == 1 => true,
            _ => (self.choices.borrow_mut().take(2) == 0) == by_default,
        };
        let fact = match is {
            true => Fact::Is(value.to_owned()),
            false => Fact::IsNot(excluded.iter().cloned().chain([value.to_owned()]).collect()),
        };
        self.facts.borrow_mut().insert(name.to_owned(), fact);
        is
    }

    /// Returns the values that a parameter can still have, the default first; nothing if the template doesn't list them.
    fn possible(&self, name: &str) -> Option<Vec<&'a str>> {
        let mut possible = self.template.allowed_values(name)?;
        let fact = self.fact(name);
        possible.retain(|value| fact.allows(value));
        to_front(&mut possible, |value| self.template.default(name) == Some(value));
        Some(possible)
    }

    /// Returns the value of a parameter in this world; nothing if only the stack knows the value.
    pub(super) fn value_of(&self, name: &str) -> Option<String> {
        let excluded = match self.fact(name) {
            Fact::Is(value) => return Some(value),
            Fact::IsNot(excluded) => excluded,
        };
        if let Some(possible) = self.possible(name).filter(|possible| !possible.is_empty()) {
            return Some(self.choose_value(name, &possible));
        }
        let default = self.template.default(name)?;
        // A parameter may well have one of the values with which conditions compare it.
        let compared = self.template.compared.get(name).map(Vec::as_slice).unwrap_or_default();
        let others = compared.iter().copied().filter(|value| *value != default);
        let is_open = |value: &&str| !excluded.iter().any(|excluded| excluded == value);
        let values: Vec<&str> = [default].into_iter().chain(others).filter(is_open).collect();
        let any_other = usize::from(compared.contains(&default));
        match (compared.is_empty(), self.choose_if_open(values.len() + any_other)) {
            (true, _) => Some(default.to_owned()),
            (false, choice) if choice < values.len() => {
                self.facts.borrow_mut().insert(name.to_owned(), Fact::Is(values[choice].to_owned()));
                Some(values[choice].to_owned())
            }
            (false, _) => {
                let not = excluded.into_iter().chain(values.into_iter().map(str::to_owned)).collect();
                self.facts.borrow_mut().insert(name.to_owned(), Fact::IsNot(not));
                None
            }
        }
    }

    fn choose_if_open(&self, options: usize) -> usize {
        if options > 1 { self.choices.borrow_mut().take(options) } else { 0 }
    }

    fn choose_value(&self, name: &str, possible: &[&str]) -> String {
        let choice = self.choose_if_open(possible.len());
        let value = possible[choice.min(possible.len() - 1)].to_owned();
        self.facts.borrow_mut().insert(name.to_owned(), Fact::Is(value.clone()));
        value
    }

    /// Returns the value of a mapping at a key. If only the stack knows the key, each world takes another of the mapping's
    /// keys.
    pub(super) fn key_of(&self, mapping: &'a Node, key: &'a Node) -> Option<&'a Node> {
        let Value::Mapping(entries) = &mapping.value else { return None };
        let text = || self.text(key);
        let words = self.variable(key).map(str::to_owned).or_else(|| text().words_of_open());
        let Some(words) = words else { return mapping.get(&text().string()) };
        let is_open = |key: &&str| match self.facts.borrow().get(&words) {
            Some(fact) => fact.allows(key),
            None => self.possible(&words).is_none_or(|possible| possible.contains(key)),
        };
        // CloudFormation accepts only the keys of the mapping here.
        let mut keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).filter(is_open).collect();
        let default = self.template.default(&words).map_or_else(|| text().string(), str::to_owned);
        to_front(&mut keys, |key| default == key);
        if keys.is_empty() { None } else { mapping.get(&self.choose_value(&words, &keys)) }
    }

    /// Tells whether a resource is created in this world.
    pub(super) fn is_made(&self, resource: &Node) -> bool {
        resource.get("Condition").and_then(Node::text).is_none_or(|name| self.condition(name))
    }
}

/// A condition that holds in a world or doesn't, or a parameter's value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Trait {
    of_parameter: bool,
    words: String,
}

/// The traits that tell a world from others.
pub(super) type Traits = BTreeSet<Trait>;

/// Describes the traits that some worlds have in common, and that the others lack.
pub(super) fn in_common(some: &[&Traits], all: &[&Traits]) -> Option<String> {
    let common = |worlds: &[&Traits]| {
        let (first, others) = worlds.split_first()?;
        let mut common = (*first).clone();
        common.retain(|of_first| others.iter().all(|traits| traits.contains(of_first)));
        Some(common)
    };
    let everywhere = common(all)?;
    let telling = |traits: Traits| -> Vec<Trait> { traits.difference(&everywhere).cloned().collect() };
    let mut found = telling(common(some)?);
    if found.is_empty() {
        found = telling((*some.first()?).clone());
    }
    // Traits that the first world lacks tell most: the first world is the one of the defaults.
    let first = all.first()?;
    if found.iter().any(|of_it| !first.contains(of_it)) {
        found.retain(|of_it| !first.contains(of_it));
    }
    if found.iter().any(|of_it| !of_it.of_parameter) {
        found.retain(|of_it| !of_it.of_parameter);
    }
    let words: Vec<&str> = found.iter().take(3).map(|of_it| of_it.words.as_str()).collect();
    (!words.is_empty()).then(|| words.join(" and "))
}

/// Puts the value that is tried first before the others.
fn to_front(values: &mut [&str], is_first: impl Fn(&str) -> bool) {
    if let Some(at) = values.iter().position(|value| is_first(value)) {
        values[..=at].rotate_right(1);
    }
}

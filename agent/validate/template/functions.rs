//! CloudFormation's intrinsic functions, as far as user data use them.
//!
//! What the template says is used; where only a stack would know, something of the right form stands in.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::text::{Origin, Text};
use crate::config::problem::Problem;
use crate::config::yaml::{Node, Value};

/// The account, the region and the stack that stand in for those of a stack.
pub(super) const ACCOUNT: &str = "123456789012";
pub(super) const REGION: &str = "us-east-1";
pub(super) const STACK: &str = "stack";
/// Variables of `logs.group`, which look like those of `Fn::Sub`.
const OUR_VARIABLES: [&str; 5] = ["stack", "resource", "region", "account", "cluster"];

/// Makes text of a template's values.
pub(super) struct Functions<'a> {
    template: &'a Node,
    /// Which way every `Fn::If` goes.
    conditions: bool,
    /// Whether there was an `Fn::If` at all.
    pub conditional: Cell<bool>,
    /// What CloudFormation would not understand.
    pub problems: RefCell<Vec<Problem>>,
}

impl<'a> Functions<'a> {
    pub fn new(template: &'a Node, conditions: bool) -> Self {
        Functions { template, conditions, conditional: Cell::new(false), problems: RefCell::default() }
    }

    /// The text that a value gives. Of `Fn::Base64` it is what was encoded.
    pub fn text(&self, node: &Node) -> Text {
        let Some((name, argument)) = function(node) else {
            let mut text = Text::default();
            if let Some(value) = node.text() {
                text.push(value, &node.span, &value.into(), 0, Origin::Written);
            }
            return text;
        };
        match name {
            "Fn::Base64" => self.text(argument),
            "Fn::Sub" => self.sub(argument),
            "Fn::Join" => self.join(argument),
            "Fn::If" => self.branch(argument).map(|node| self.text(node)).unwrap_or_default(),
            "Ref" => self.named(argument.text().unwrap_or_default(), argument),
            "Fn::GetAtt" => {
                let parts = items(argument).iter().filter_map(Node::text).collect::<Vec<_>>().join(".");
                self.named(argument.text().unwrap_or(&parts), argument)
            }
            "Fn::FindInMap" => self.find_in_map(argument),
            "Fn::Select" => self.select(argument),
            other => unknown(other, argument),
        }
    }

    /// The texts that a list gives.
    pub fn list(&self, node: &Node) -> Vec<Text> {
        match function(node) {
            None => items(node).iter().filter(|item| !is_no_value(item)).map(|item| self.text(item)).collect(),
            Some(("Fn::If", argument)) => self.branch(argument).map(|node| self.list(node)).unwrap_or_default(),
            Some(("Fn::Split", argument)) => {
                let [separator, whole] = items(argument) else { return Vec::new() };
                let (separator, whole) = (self.text(separator).string(), self.text(whole).string());
                whole.split(separator.as_str()).map(|part| filled(part, argument)).collect()
            }
            Some(("Ref", argument)) => {
                let whole = self.text(node).string();
                whole.split(',').map(|part| filled(part.trim(), argument)).collect()
            }
            Some((other, argument)) => vec![unknown(other, argument)],
        }
    }

    fn branch(&self, argument: &'a Node) -> Option<&'a Node>
    where
        Self: 'a,
    {
        self.conditional.set(true);
        items(argument).get(if self.conditions { 1 } else { 2 })
    }

    fn sub(&self, argument: &Node) -> Text {
        let (pattern, variables) = match items(argument) {
            [pattern, variables] => (pattern, variables),
            _ => (argument, argument),
        };
        let Some(value) = pattern.text() else { return Text::default() };
        // Made once each, however often they are used.
        let own: Vec<(&str, Text)> = match &variables.value {
            Value::Mapping(entries) => {
                entries.iter().map(|entry| (entry.key.as_str(), self.text(&entry.value))).collect()
            }
            _ => Vec::new(),
        };
        let shared: Arc<str> = value.into();
        let mut text = Text::default();
        let mut at = 0;
        while let Some(begins) = value[at..].find("${").map(|found| at + found) {
            let Some(ends) = value[begins..].find('}').map(|found| begins + found) else { break };
            text.push(&value[at..begins], &pattern.span, &shared, at, Origin::Written);
            let name = value[begins + 2..ends].trim();
            match (name.strip_prefix('!'), own.iter().find(|(key, _)| *key == name)) {
                (Some(literal), _) => {
                    text.push(&format!("${{{literal}}}"), &pattern.span, &shared, begins, Origin::Filled);
                }
                (None, Some((_, other))) => text.append(other),
                (None, None) => {
                    let stands = self.stands_for(name);
                    if stands.is_none() {
                        self.names_nothing(name, pattern, &shared, begins..ends + 1);
                    }
                    let (filled, origin) =
                        stands.unwrap_or_else(|| ("unknown".to_owned(), Origin::Unknown(name.to_owned())));
                    text.push(&filled, &pattern.span, &shared, begins, origin);
                }
            }
            at = ends + 1;
        }
        text.push(&value[at..], &pattern.span, &shared, at, Origin::Written);
        text
    }

    fn join(&self, argument: &Node) -> Text {
        let [separator, parts] = items(argument) else { return Text::default() };
        let mut text = Text::default();
        for (number, part) in self.list(parts).iter().enumerate() {
            if number > 0 {
                text.append(&self.text(separator));
            }
            text.append(part);
        }
        text
    }

    fn select(&self, argument: &Node) -> Text {
        let [index, list] = items(argument) else { return Text::default() };
        let index = self.text(index).string().parse::<usize>().unwrap_or(0);
        self.list(list).get(index).cloned().unwrap_or_else(|| unknown("Fn::Select", argument))
    }

    /// The value of a mapping; where the first key is not in it, as a region that stands in, that of the first that is.
    fn find_in_map(&self, argument: &Node) -> Text {
        let [map, first, second, ..] = items(argument) else { return Text::default() };
        let [map, first, second] = [map, first, second].map(|node| self.text(node).string());
        let found = self.template.at(&["Mappings", &map]).and_then(|map| match &map.value {
            Value::Mapping(entries) => {
                map.get(&first).or_else(|| entries.first().map(|entry| &entry.value))?.get(&second)
            }
            _ => None,
        });
        found.map_or_else(|| unknown(&map, argument), |node| self.text(node))
    }

    /// What a name gives, where the template has it; it is a problem where not.
    fn named(&self, name: &str, node: &Node) -> Text {
        let mut text = Text::default();
        let shared: Arc<str> = name.into();
        match self.stands_for(name) {
            Some((value, origin)) => text.push(&value, &node.span, &shared, 0, origin),
            None => {
                self.names_nothing(name, node, &shared, 0..name.len());
                text = unknown(name, node);
            }
        }
        text
    }

    fn names_nothing(&self, name: &str, node: &Node, value: &Arc<str>, range: std::ops::Range<usize>) {
        let mut text = Text::default();
        text.push(value, &node.span, value, 0, Origin::Written);
        // A macro may make resources and parameters; AWS has more names of its own, such as of lists.
        if self.template.get("Transform").is_some() || name.starts_with("AWS::") {
            return;
        }
        let Some(place) = text.place(range) else { return };
        let remedy = match OUR_VARIABLES.contains(&name) {
            true => format!("write `${{!{name}}}`, which CloudFormation leaves to ecs-firstrun as `${{{name}}}`"),
            false => format!("name a parameter or a resource; for the text itself write `${{!{name}}}`"),
        };
        let problem = Problem::at(&place, format!("nothing in this template has the name `{name}`")).remedy(remedy);
        self.problems.borrow_mut().push(problem);
    }

    /// What stands for a parameter, a resource, an attribute (`Name.Attribute`) or one of CloudFormation's own.
    fn stands_for(&self, name: &str) -> Option<(String, Origin)> {
        let known = |text: &str| Some((text.to_owned(), Origin::Filled));
        match name {
            "AWS::AccountId" => return known(ACCOUNT),
            "AWS::Region" => return known(REGION),
            "AWS::Partition" => return known("aws"),
            "AWS::URLSuffix" => return known("amazonaws.com"),
            "AWS::StackName" => return known(STACK),
            "AWS::StackId" => {
                return known(&format!(
                    "arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/00000000-0000-0000-0000-000000000000"
                ));
            }
            "AWS::NoValue" => return known(""),
            _ => {}
        }
        if let Some(parameter) = self.template.at(&["Parameters", name]) {
            return Some(parameter_value(name, parameter));
        }
        let (logical_id, attribute) = name.split_once('.').unwrap_or((name, ""));
        let kind = self.template.at(&["Resources", logical_id])?.get("Type").and_then(Node::text).unwrap_or_default();
        let value = match (kind, attribute) {
            ("AWS::ECS::Cluster", "Arn") => format!("arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{logical_id}"),
            ("AWS::CloudFormation::WaitConditionHandle", _) => {
                format!("https://cloudformation-waitcondition-{REGION}.s3.amazonaws.com/{logical_id}?X-Amz-Signature=0")
            }
            ("AWS::ECS::Cluster", _) => format!("{STACK}-{logical_id}-1A2B3C4D5E6F"),
            (_, "") => return Some((format!("{STACK}-{logical_id}"), Origin::Unknown(name.to_owned()))),
            _ => return Some((format!("{logical_id}-{attribute}"), Origin::Unknown(name.to_owned()))),
        };
        Some((value, Origin::Filled))
    }
}

/// The default of a parameter, else the first value that it allows, else something for it.
fn parameter_value(name: &str, parameter: &Node) -> (String, Origin) {
    let kind = parameter.get("Type").and_then(Node::text).unwrap_or_default();
    // The default of these is the name under which Systems Manager has the value.
    let elsewhere = kind.starts_with("AWS::SSM::Parameter::Value");
    let allowed = parameter.get("AllowedValues").map(items).unwrap_or_default();
    let given = parameter.get("Default").into_iter().chain(allowed).filter_map(Node::text);
    match given.filter(|_| !elsewhere).find(|value| !value.is_empty()) {
        Some(value) => (value.to_owned(), Origin::Filled),
        None => {
            let stands = if kind == "Number" { "1".to_owned() } else { name.to_lowercase() };
            (stands, Origin::Unknown(name.to_owned()))
        }
    }
}

/// The function that a value calls, as a mapping of one key has it, and its argument.
pub(super) fn function(node: &Node) -> Option<(&str, &Node)> {
    match &node.value {
        Value::Mapping(entries) => match &entries[..] {
            [entry] if entry.key == "Ref" || entry.key.starts_with("Fn::") => Some((&entry.key, &entry.value)),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn items(node: &Node) -> &[Node] {
    match &node.value {
        Value::Sequence(items) => items,
        _ => &[],
    }
}

fn is_no_value(node: &Node) -> bool {
    function(node).is_some_and(|(name, argument)| name == "Ref" && argument.text() == Some("AWS::NoValue"))
}

fn filled(text: &str, node: &Node) -> Text {
    let mut made = Text::default();
    made.push(text, &node.span, &text.into(), 0, Origin::Filled);
    made
}

fn unknown(name: &str, node: &Node) -> Text {
    let mut text = Text::default();
    text.push("unknown", &node.span, &"unknown".into(), 0, Origin::Unknown(name.to_owned()));
    text
}

//! CloudFormation's intrinsic functions, as far as user data uses them.
//!
//! Values of the template are used; values known only in the stack are marked by their origin.

use std::sync::Arc;

use super::nodes::{function, items, scalar};
use super::text::{PartOrigin, Text, place_in};
use super::world::World;
use crate::document::problem::{self, Problem};
use crate::document::yaml::{Node, Value};
use crate::text::nearest;

/// The account, the region and the stack name that are used in place of a real stack's.
pub(super) const ACCOUNT: &str = "123456789012";
pub(super) const REGION: &str = "us-east-1";
pub const STACK: &str = "stack";
/// CloudFormation's pseudo parameters.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/pseudo-parameter-reference.html>
const PSEUDO_PARAMETERS: [&str; 8] = [
    "AWS::AccountId",
    "AWS::NotificationARNs",
    "AWS::NoValue",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
];
/// Variables of `logs.group`, which look like those of `Fn::Sub`.
const OUR_VARIABLES: [&str; 5] = ["stack", "resource", "region", "account", "cluster"];

/// The mark of a value known only in the stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct InStack;

/// The result of resolving a value that is not text: the template's own value, or none for `AWS::NoValue` and a missing key.
pub(super) type Resolved<'a> = Result<Option<&'a Node>, InStack>;

impl<'a> World<'a> {
    /// Resolves a value: `Fn::If` to its branch, for example.
    pub fn resolve(&self, node: &'a Node) -> Resolved<'a> {
        self.deeper(|| self.resolve_function(node)).unwrap_or(Err(InStack))
    }

    fn resolve_function(&self, node: &'a Node) -> Resolved<'a> {
        match function(node) {
            Some(("Fn::If", argument)) => self.branch(argument).map_or(Ok(None), |branch| self.resolve(branch)),
            Some(("Ref", _)) if is_no_value(node) => Ok(None),
            Some(("Fn::Base64" | "Fn::Sub" | "Fn::Join" | "Ref" | "Fn::GetAtt" | "Fn::Select", _)) | None => {
                Ok(Some(node))
            }
            Some(("Fn::FindInMap", argument)) => self.in_map(argument).map(Some).ok_or(InStack),
            Some(_) => Err(InStack),
        }
    }

    /// Resolves the value at the end of a path of keys.
    pub fn at(&self, node: &'a Node, path: &[&str]) -> Resolved<'a> {
        path.iter().try_fold(self.resolve(node)?, |found, key| match found {
            Some(node) if function(node).is_some() => Err(InStack),
            found => found.and_then(|node| node.get(key)).map_or(Ok(None), |value| self.resolve(value)),
        })
    }

    /// Returns the value at the end of a path of keys, if the template has it.
    pub fn node_at(&self, node: &'a Node, path: &[&str]) -> Option<&'a Node> {
        self.at(node, path).ok().flatten()
    }

    /// Returns the text at the end of a path of keys; nothing if only the stack knows the text.
    pub fn known_at(&self, node: &'a Node, path: &[&str]) -> Option<String> {
        self.known(self.node_at(node, path)?)
    }

    /// Returns the text of a value; nothing if only the stack knows the text.
    pub fn known(&self, node: &'a Node) -> Option<String> {
        let text = self.text(node);
        text.words_of_unknown().is_none().then(|| text.string())
    }

    /// Returns the text that a value gives.
    pub fn text(&self, node: &'a Node) -> Text {
        self.deeper(|| self.text_of(node)).unwrap_or_else(|| unknown("...", node))
    }

    fn text_of(&self, node: &'a Node) -> Text {
        let Some((name, argument)) = function(node) else {
            return match scalar(node) {
                Some(value) => made(value, node, PartOrigin::Written),
                None if matches!(node.value, Value::Null) => Text::default(),
                None => self.malformed(node, "a list or a mapping is not text"),
            };
        };
        match name {
            "Fn::Base64" => Text::encode(self.text(argument), &node.span),
            "Fn::Sub" => self.sub(argument),
            "Fn::Join" => self.join(argument),
            "Fn::If" => self.branch(argument).map(|node| self.text(node)).unwrap_or_default(),
            "Ref" => self.named(argument.text().unwrap_or_default(), argument),
            "Fn::GetAtt" => {
                let parts = items(argument).iter().filter_map(Node::text).collect::<Vec<_>>().join(".");
                self.named(argument.text().unwrap_or(&parts), argument)
            }
            "Fn::FindInMap" => {
                let map = items(argument).first().and_then(Node::text).unwrap_or("Fn::FindInMap");
                self.in_map(argument).map_or_else(|| unknown(map, argument), |node| self.text(node))
            }
            "Fn::Select" => self.select(argument),
            other => unknown(other, argument),
        }
    }

    /// Returns the texts that a list gives.
    pub fn list(&self, node: &'a Node) -> Vec<Text> {
        self.deeper(|| self.list_of(node)).unwrap_or_default()
    }

    fn list_of(&self, node: &'a Node) -> Vec<Text> {
        match function(node) {
            None => items(node).iter().filter(|item| !self.is_left_out(item)).map(|item| self.text(item)).collect(),
            Some(("Fn::If", argument)) => self.branch(argument).map(|node| self.list(node)).unwrap_or_default(),
            Some(("Fn::FindInMap", argument)) => {
                self.in_map(argument).map_or_else(|| vec![unknown("Fn::FindInMap", argument)], |node| self.list(node))
            }
            Some(("Fn::Split", argument)) => {
                let [separator, whole] = items(argument) else { return Vec::new() };
                let (separator, whole) = (self.text(separator).string(), self.text(whole));
                if let Some(name) = whole.first_unknown() {
                    return vec![unknown(name, argument)];
                }
                whole.string().split(separator.as_str()).map(|part| made(part, argument, PartOrigin::Filled)).collect()
            }
            Some(("Ref", argument)) => {
                let whole = self.text(node);
                if let Some(name) = whole.first_unknown() {
                    return vec![unknown(name, argument)];
                }
                let origin = whole.is_default().map_or(PartOrigin::Filled, |name| PartOrigin::Default(name.to_owned()));
                whole.string().split(',').map(|part| made(part.trim(), argument, origin.clone())).collect()
            }
            Some((other, argument)) => vec![unknown(other, argument)],
        }
    }

    /// Tells whether an item of a list is left out.
    fn is_left_out(&self, item: &'a Node) -> bool {
        let is_choice = function(item).is_some_and(|(name, _)| name == "Fn::If");
        is_no_value(item) || (is_choice && matches!(self.resolve(item), Ok(None)))
    }

    fn branch(&self, argument: &'a Node) -> Option<&'a Node> {
        let [condition, yes, no] = items(argument) else { return None };
        Some(if self.condition(condition.text().unwrap_or_default()) { yes } else { no })
    }

    fn sub(&self, argument: &'a Node) -> Text {
        let (pattern, variables) = match items(argument) {
            [pattern, variables] => (pattern, variables),
            _ => (argument, argument),
        };
        let Some(value) = pattern.text() else {
            return self.malformed(argument, "`Fn::Sub` takes a text, or a list of a text and a mapping");
        };
        // Each variable's text is made once, however often it is used.
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
            text.push(&value[at..begins], &pattern.span, &shared, at, PartOrigin::Written);
            let name = value[begins + 2..ends].trim();
            match (name.strip_prefix('!'), own.iter().find(|(key, _)| *key == name)) {
                (Some(literal), _) => {
                    text.push(&format!("${{{literal}}}"), &pattern.span, &shared, begins, PartOrigin::Filled);
                }
                (None, Some((_, other))) => text.append(other),
                (None, None) => {
                    let stands = self.stands_for(name);
                    if stands.is_none() {
                        self.names_nothing(name, pattern, value, begins..ends + 1);
                    }
                    let (filled, origin) =
                        stands.unwrap_or_else(|| ("unknown".to_owned(), PartOrigin::Unknown(name.to_owned())));
                    text.push(&filled, &pattern.span, &shared, begins, origin);
                }
            }
            at = ends + 1;
        }
        text.push(&value[at..], &pattern.span, &shared, at, PartOrigin::Written);
        text
    }

    /// Returns an empty text, and records a problem with the reason.
    fn malformed(&self, node: &Node, message: &str) -> Text {
        let mut problems = self.problems.borrow_mut();
        if problems.len() <= problem::MOST {
            let remedy = "write `Fn::Base64: !Sub |` and the user data below it";
            problems.push(Problem::at(&node.span, message).remedy(remedy));
        }
        self.is_malformed.set(true);
        Text::default()
    }

    fn join(&self, argument: &'a Node) -> Text {
        let is_list = |parts: &Node| function(parts).is_some() || matches!(parts.value, Value::Sequence(_));
        let (separator, parts) = match items(argument) {
            [separator, parts] if is_list(parts) => (separator, parts),
            _ => return self.malformed(argument, "`Fn::Join` takes a list of a text and a list"),
        };
        let mut text = Text::default();
        for (number, part) in self.list(parts).iter().enumerate() {
            if number > 0 {
                text.append(&self.text(separator));
            }
            text.append(part);
        }
        text
    }

    fn select(&self, argument: &'a Node) -> Text {
        let [index, list] = items(argument) else { return Text::default() };
        let (index, list) = (self.text(index), self.list(list));
        match (index.first_unknown(), index.string().parse::<usize>().ok().and_then(|index| list.get(index))) {
            (Some(name), _) => unknown(name, argument),
            (None, Some(item)) => item.clone(),
            (None, None) => unknown("Fn::Select", argument),
        }
    }

    /// Looks up a value of the template's `Mappings`, with the arguments of `Fn::FindInMap`.
    fn in_map(&self, argument: &'a Node) -> Option<&'a Node> {
        let [map, first, second, ..] = items(argument) else { return None };
        let name = self.text(map);
        let Some(mapping) = self.template.mappings.get(name.string().as_str()) else {
            if let (Some(written), None) = (map.text(), name.first_unknown()) {
                self.names_nothing(written, map, written, 0..written.len());
            }
            return None;
        };
        self.key_of(self.key_of(mapping, first)?, second)
    }

    /// Returns the text that a name gives. A name that the template lacks is a problem.
    fn named(&self, name: &str, node: &Node) -> Text {
        let Some((value, origin)) = self.stands_for(name) else {
            self.names_nothing(name, node, name, 0..name.len());
            return unknown(name, node);
        };
        let mut text = Text::default();
        text.push(&value, &node.span, &name.into(), 0, origin);
        text
    }

    fn names_nothing(&self, name: &str, node: &Node, value: &str, range: std::ops::Range<usize>) {
        let mut problems = self.problems.borrow_mut();
        let message = format!("nothing in this template has the name `{name}`");
        // Reported once for a value, and not more often than problems are shown.
        let is_said = problems.iter().any(|problem| {
            problem.message == message
                && problem.span.as_ref().is_some_and(|span| span.start >= node.span.start && span.end <= node.span.end)
        });
        if !self.template.is_complete || is_said || problems.len() > problem::MOST {
            return;
        }
        let (logical_id, attribute) = name.split_once('.').unwrap_or((name, ""));
        let names =
            self.template.in_order.iter().map(|(id, _)| *id).chain(self.template.parameter_names.iter().copied());
        let names = names.chain(PSEUDO_PARAMETERS).chain(self.template.mappings.keys().copied());
        let nearest = nearest(logical_id, names);
        let remedy = match (OUR_VARIABLES.contains(&name), nearest) {
            (true, _) => format!("write `${{!{name}}}`, which CloudFormation leaves to ecs-firstrun as `${{{name}}}`"),
            (_, Some(near)) if attribute.is_empty() => format!("did you mean `{near}`?"),
            (_, Some(near)) => format!("did you mean `{near}.{attribute}`?"),
            (_, None) => format!("name a parameter or a resource; for the text itself write `${{!{name}}}`"),
        };
        let place = place_in(&node.span, value, range);
        problems.push(Problem::at(&place, message).remedy(remedy));
    }

    /// Returns the text for a parameter, a resource, an attribute (`Name.Attribute`) or a pseudo parameter.
    fn stands_for(&self, name: &str) -> Option<(String, PartOrigin)> {
        let known = |text: String| Some((text, PartOrigin::Filled));
        let open = |text: String| Some((text, PartOrigin::Unknown(name.to_owned())));
        let of_stack = |name: &str, otherwise: &str| self.value_of(name).unwrap_or_else(|| otherwise.to_owned());
        let (region, account) = (of_stack("AWS::Region", REGION), of_stack("AWS::AccountId", ACCOUNT));
        match name {
            "AWS::AccountId" => return known(account),
            "AWS::Region" => return known(region),
            "AWS::Partition" => return known(of_stack(name, "aws")),
            "AWS::URLSuffix" => return known(of_stack(name, "amazonaws.com")),
            "AWS::StackName" => return known(of_stack(name, STACK)),
            "AWS::StackId" => {
                let path = format!("stack/{STACK}/00000000-0000-0000-0000-000000000000");
                return known(of_stack(name, &format!("arn:aws:cloudformation:{region}:{account}:{path}")));
            }
            "AWS::NoValue" => return known(of_stack(name, "")),
            "AWS::NotificationARNs" => return self.value_of(name).map_or_else(|| open(String::new()), known),
            _ => {}
        }
        if let Some(parameter) = self.template.parameters.get(name) {
            return match self.value_of(name) {
                Some(value) if self.template.default(name) == Some(&value) => {
                    Some((value, PartOrigin::Default(name.to_owned())))
                }
                Some(value) => known(value),
                None if self.template.kind(parameter) == "Number" => open("1".to_owned()),
                None => open(name.to_lowercase()),
            };
        }
        let (logical_id, attribute) = name.split_once('.').unwrap_or((name, ""));
        let resource = self.template.resources.get(logical_id)?;
        match (self.template.kind(resource), attribute) {
            ("AWS::ECS::Cluster", "Arn") => known(format!("arn:aws:ecs:{region}:{account}:cluster/{logical_id}")),
            ("AWS::CloudFormation::WaitConditionHandle", _) => known(format!(
                "https://cloudformation-waitcondition-{region}.s3.amazonaws.com/{logical_id}?X-Amz-Signature=0"
            )),
            ("AWS::ECS::Cluster", _) => known(format!("{STACK}-{logical_id}-1A2B3C4D5E6F")),
            ("AWS::AutoScaling::LifecycleHook", "") => {
                let own = self.known_at(resource, &["Properties", "LifecycleHookName"]);
                own.map_or_else(|| open(format!("{STACK}-{logical_id}")), known)
            }
            (_, "") => open(format!("{STACK}-{logical_id}")),
            _ => open(format!("{logical_id}-{attribute}")),
        }
    }
}

fn is_no_value(node: &Node) -> bool {
    function(node).is_some_and(|(name, argument)| name == "Ref" && argument.text() == Some("AWS::NoValue"))
}

fn made(text: &str, node: &Node, origin: PartOrigin) -> Text {
    let mut made = Text::default();
    made.push(text, &node.span, &text.into(), 0, origin);
    made
}

/// Returns a placeholder for a value known only in the stack, a different one for each value.
fn unknown(name: &str, node: &Node) -> Text {
    made(&format!("unknown{}", node.span.start), node, PartOrigin::Unknown(name.to_owned()))
}

//! User data inside a CloudFormation template.
//!
//! The user data is found, put together as CloudFormation would, and checked for each way in which a stack can be made of
//! the template. Problems are shown at their place in the template.

mod check;
pub(super) mod functions;
mod nodes;
pub(super) mod permissions;
pub(super) mod policies;
mod problems_by_world;
mod search;
mod sections;
pub(super) mod surroundings;
mod text;
mod updates;
mod user_data;
mod world;

use self::check::Checker;
use self::sections::Template;
use self::user_data::find;
use super::validation::{HOW_TO_HOLD, Validation};
use crate::document::problem::{Problem, Source};
use crate::document::yaml::{self, Value};

/// Tells whether a document looks like a template: a mapping whose `Resources` have types.
pub(super) fn is_template(text: &str) -> bool {
    let resources = text.contains("Resources").then(|| yaml::load_template(&Source::new("", text)).root).flatten();
    let resources = resources.as_ref().and_then(|root| root.get("Resources"));
    match resources.map(|node| &node.value) {
        Some(Value::Mapping(entries)) => entries.iter().any(|entry| entry.value.get("Type").is_some()),
        _ => false,
    }
}

/// Checks all user data of a template.
pub(super) fn check(name: &str, text: &str) -> Validation {
    let source = Source::new(name, text);
    let loaded = yaml::load_template(&source);
    let mut checker = Checker::new(name, &source, &loaded);
    let Some(root) = &loaded.root else {
        if loaded.problems.is_empty() {
            checker.verdict.errors.push(Problem::general(format!("{name}: the template is empty")));
        }
        return checker.finish();
    };
    let has_resources = root.get("Resources").is_some_and(|node| matches!(node.value, Value::Mapping(_)));
    if !has_resources && loaded.problems.is_empty() {
        let message = format!("{name} is not a CloudFormation template: it has no `Resources`");
        checker.verdict.errors.push(Problem::general(message).remedy("for user data alone leave out --template"));
        return checker.finish();
    }
    let template = Template::new(root);
    let mut places = Vec::new();
    for (id, resource) in &template.in_order {
        // A value passed to a nested stack or a custom resource is no user data yet.
        let kind = template.kind(resource);
        let is_passed_on = kind.starts_with("AWS::CloudFormation::") || kind.starts_with("Custom::");
        if let Some(properties) = resource.get("Properties").filter(|_| !is_passed_on) {
            find(properties, id, &mut Vec::new(), &mut places);
        }
    }
    for place in &places {
        checker.check(&template, place);
    }
    let no_user_data = !checker.user_data_exists && loaded.problems.is_empty();
    let mut verdict = checker.finish();
    if no_user_data {
        verdict.others = true;
        let what = if places.is_empty() {
            "no resource of this template has `UserData`"
        } else {
            "no stack of it has user data"
        };
        verdict.notes.push(format!("{name}: {what}"));
    } else if !verdict.found && verdict.errors.is_empty() && !verdict.depends_on_stack {
        let message = format!("{name}: no user data in it holds ecs-firstrun configuration");
        return verdict.nothing_found(message, HOW_TO_HOLD);
    }
    verdict
}

#[cfg(test)]
mod tests;

//! The places of a template that hold user data.

use super::nodes::{children, function, items};
use crate::document::yaml::Node;

/// The key that holds user data, in every type of resource with user data.
const USER_DATA: &str = "UserData";

/// A place of a template that holds the user data of a resource.
pub(super) struct UserDataPlace<'a> {
    pub(super) resource: &'a str,
    /// The mapping that holds the key.
    pub(super) beside: &'a Node,
    pub(super) user_data: &'a Node,
    /// The conditions, with their values, under which the user data is there.
    pub(super) guards: Vec<(&'a str, bool)>,
}

/// Finds all places below a node.
pub(super) fn find<'a>(
    node: &'a Node,
    resource: &'a str,
    guards: &mut Vec<(&'a str, bool)>,
    found: &mut Vec<UserDataPlace<'a>>,
) {
    if let Some(("Fn::If", argument)) = function(node)
        && let [condition, yes, no] = items(argument)
    {
        for (branch, holds) in [(yes, true), (no, false)] {
            guards.push((condition.text().unwrap_or_default(), holds));
            find(branch, resource, guards, found);
            guards.pop();
        }
        return;
    }
    for (key, child) in children(node) {
        match key == USER_DATA {
            true => found.push(UserDataPlace { resource, beside: node, user_data: child, guards: guards.clone() }),
            false => find(child, resource, guards, found),
        }
    }
}

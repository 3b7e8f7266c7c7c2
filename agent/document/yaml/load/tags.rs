//! Tags: those of the core schema, and the functions of a CloudFormation template.

use saphyr_parser::Tag;

use super::loader::Loader;
use crate::document::problem::{Problem, Span};
use crate::document::yaml::node::Value;
use crate::document::yaml::scalar::resolve;

impl Loader {
    /// Gives the value under a tag of the core schema. For other tags, and for a value that the tag doesn't fit, gives
    /// nothing and a problem.
    pub(super) fn tagged(&mut self, text: &str, tag: &Tag, span: &Span) -> Option<Value> {
        let suffix = if tag.is_yaml_core_schema() { tag.suffix.as_str() } else { "" };
        let value = match (suffix, resolve(text)) {
            ("str", _) => Value::String(text.into()),
            ("float", Value::Int(number)) => Value::Float(number as f64),
            ("null", value @ Value::Null)
            | ("bool", value @ Value::Bool(_))
            | ("int", value @ Value::Int(_))
            | ("float", value @ Value::Float(_)) => value,
            ("null" | "bool" | "int" | "float", _) => {
                self.report(Problem::at(span, format!("the value doesn't fit its tag `!!{suffix}`")));
                return None;
            }
            _ => {
                self.unknown_tag(tag, span);
                return None;
            }
        };
        Some(value)
    }

    /// Returns the function that a tag of a template names.
    pub(super) fn function(&self, tag: Option<&Tag>) -> Option<String> {
        let tag = tag.filter(|tag| self.functions && !is_bang(tag) && !tag.is_yaml_core_schema())?;
        let name = tag.suffix.trim_start_matches('!');
        let prefix = if ["Ref", "Condition"].contains(&name) { "" } else { "Fn::" };
        Some(format!("{prefix}{name}"))
    }

    pub(super) fn collection_tag(&mut self, tag: Option<&Tag>, wanted: &str, span: &Span) -> Option<String> {
        let function = self.function(tag);
        if let Some(tag) = tag
            && function.is_none()
            && !is_bang(tag)
            && !(tag.is_yaml_core_schema() && tag.suffix == wanted)
        {
            self.unknown_tag(tag, span);
        }
        function
    }

    fn unknown_tag(&mut self, tag: &Tag, span: &Span) {
        let tag = self.quotable(&tag.to_string());
        let problem = Problem::at(span, format!("the tag `{tag}` has no meaning here"));
        self.report(problem.remedy(
            "remove it; CloudFormation's functions work in a template: put `Fn::Sub` around the whole user data",
        ));
    }
}

/// Tells whether a tag is `!`, which makes any scalar text and says nothing else.
pub(super) fn is_bang(tag: &Tag) -> bool {
    (tag.handle.as_str(), tag.suffix.as_str()) == ("", "!")
}

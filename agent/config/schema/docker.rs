//! The schema of `docker.daemon`.

use serde_json::{Value, json};

use super::reference::{REFERENCE, no_reference};
use super::{any_case, closed};
use crate::config::daemon_json::directives::{DIRECTIVES, Type};

/// Points to the names of dockerd's directives in the schema.
const DIRECTIVE_NAMES: &str = "#/properties/docker/properties/daemon/additionalProperties/propertyNames";

/// Makes the schema of `docker.daemon`. dockerd also reads directives inside a mapping whose name it does not know.
pub(super) fn daemon_json() -> Value {
    let names = json!({ "enum": DIRECTIVES.iter().map(|(name, _)| *name).collect::<Vec<_>>() });
    let of_name = |(name, kind): &(&str, Type)| {
        let mut schema = directive(*kind);
        if matches!(kind, Type::FlagOnly(_)) {
            let of_directives = json!({ "type": "object", "propertyNames": { "$ref": DIRECTIVE_NAMES } });
            schema["anyOf"] = json!([of_directives, { "not": { "type": "object" } }]);
        }
        ((*name).to_owned(), schema)
    };
    let properties: serde_json::Map<_, _> = DIRECTIVES.iter().map(of_name).collect();
    // The mapping is read by serde_json's own visitor, which takes null for an empty mapping.
    json!({
        "type": ["object", "null"],
        "properties": properties,
        "additionalProperties": { "type": "object", "propertyNames": names },
    })
}

/// Makes the schema of a directive of dockerd. Null leaves Docker's default.
fn directive(kind: Type) -> Value {
    // Go's decoder matches the names of a structure's fields in any case.
    let in_any_case = |name: &str| closed(&format!("^{}$", any_case(name)));
    let of_fields = |fields: &[(&str, Type)], name: &dyn Fn(&str) -> String| -> Value {
        fields.iter().map(|(field, kind)| (name(field), directive(*kind))).collect::<serde_json::Map<_, _>>().into()
    };
    match kind {
        Type::Text => json!({ "anyOf": [{ "type": ["string", "null"] }, { "$ref": REFERENCE }] }),
        Type::Address | Type::Network6 | Type::Bytes | Type::Syntax(_) => json!({ "type": ["string", "null"] }),
        Type::AsText => json!({ "anyOf": [
            { "type": "string" }, { "type": "number" }, { "type": "boolean" }, { "type": "null" }, { "$ref": REFERENCE },
        ] }),
        Type::Bool => json!({ "type": ["boolean", "null"] }),
        Type::Whole(least) => json!({ "type": ["integer", "null"], "minimum": least, "maximum": i64::MAX }),
        Type::OneOf(words, true) => json!({ "type": ["string", "null"], "examples": words }),
        Type::OneOf(words, false) => {
            let words: Vec<Value> = words.iter().map(|word| json!(word)).chain([json!(""), Value::Null]).collect();
            json!({ "enum": words })
        }
        Type::List(item) => json!({ "type": ["array", "null"], "items": directive(*item) }),
        Type::Map(below) => {
            json!({ "type": ["object", "null"], "additionalProperties": directive(*below), "not": no_reference() })
        }
        Type::Fields(fields) => {
            json!({ "type": ["object", "null"], "patternProperties": of_fields(fields, &in_any_case) })
        }
        Type::Directives(fields) => json!({
            "type": ["object", "null"],
            "properties": of_fields(fields, &|name| name.to_owned()),
            "propertyNames": {
                "anyOf": [{ "$ref": DIRECTIVE_NAMES }, { "enum": fields.iter().map(|(name, _)| *name).collect::<Vec<_>>() }],
            },
        }),
        Type::Any => json!({}),
        Type::FlagOnly(_) => json!({ "description": "Ignored by Docker: the name of a flag." }),
        Type::OfUnit(..) => json!({ "not": {} }),
    }
}

//! The schema of references.

use serde_json::{Value, json};

use super::closed;

/// Points to the schema of a reference.
pub(super) const REFERENCE: &str = "#/properties/proxy/properties/url/anyOf/1";

/// Makes the schema of a reference: the name of a value that Systems Manager or Secrets Manager keeps.
pub(super) fn reference() -> Value {
    let parameter = r"^(arn:[^:]+:ssm:[A-Za-z0-9-]+:[0-9]*:parameter/[A-Za-z0-9_./-]+|/[A-Za-z0-9_./-]*|[A-Za-z0-9_.-]+)(:[A-Za-z0-9_.-]{1,100})?$";
    let name = r"[A-Za-z0-9/_+=.@!-]{1,512}";
    let secret = format!(
        r"^(arn:[^:]+:secretsmanager:[A-Za-z0-9-]+:[0-9]*:secret:{name}(:[^:{control}]*){{0,3}}|{name})$",
        control = control!()
    );
    let selector = |description: &str, pattern: &str| json!({ "type": ["string", "null"], "pattern": closed(pattern), "description": description });
    let any = concat!("^[^", control!(), "]{1,2048}$");
    json!({
        "title": "reference",
        "description": "A value that AWS keeps. The instance reads it with its role before it changes anything.",
        "anyOf": [
            {
                "title": "parameter",
                "type": "object",
                "properties": {
                    "ssm": {
                        "type": "string",
                        "pattern": closed(parameter),
                        "maxLength": 2048,
                        "description": "Name or ARN of a parameter of Systems Manager, with :VERSION or :LABEL behind it if one is meant.",
                        "examples": ["/network/proxy-url"],
                    },
                    "secretsmanager": { "type": "null" },
                },
                "required": ["ssm"],
                "additionalProperties": false,
            },
            {
                "title": "secret",
                "type": "object",
                "properties": {
                    "secretsmanager": {
                        "type": "string",
                        "pattern": closed(&secret),
                        "description": "Name or ARN of a secret of Secrets Manager. An ARN may have :KEY:STAGE:VERSION behind it, as in a task definition.",
                        "examples": ["registry-auth"],
                    },
                    "key": selector("The key of the secret's JSON whose value is meant; the whole secret unless given.", any),
                    "version_stage": selector("The staging label of the version; AWSCURRENT unless given.", concat!("^[^", control!(), "]{1,256}$")),
                    "version_id": selector("The ID of the version, in place of a stage.", "^[A-Za-z0-9-]{32,64}$"),
                    "ssm": { "type": "null" },
                },
                "required": ["secretsmanager"],
                "additionalProperties": false,
            },
        ],
    })
}

/// Makes the schema of a mapping that is meant to be a reference.
pub(super) fn no_reference() -> Value {
    let with = |key: &str| json!({ "type": "object", "properties": { key: true }, "required": [key] });
    json!({ "anyOf": [with("ssm"), with("secretsmanager")] })
}

//! Values of `daemon.json`: whether dockerd takes one, and how to write it.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};
use url::Url;

use super::directives::{Syntax, Type};
use crate::document::yaml::{Node, Value};
use crate::text::did_you_mean;

/// Tells whether dockerd takes a value that is not a list or a mapping of its own type.
pub(super) fn fits(kind: Type, value: &Value) -> bool {
    match (kind, value) {
        (Type::Text | Type::AsText, Value::String(_)) | (Type::Bool, Value::Bool(_)) => true,
        (Type::AsText, Value::Bool(_) | Value::Int(_) | Value::Float(_)) => true,
        (Type::Whole(least), Value::Int(number)) => *number >= least,
        (Type::OneOf(words, any_case), Value::String(text)) => {
            let is = |word: &&str| *word == text || any_case && word.eq_ignore_ascii_case(text);
            text.is_empty() || words.iter().any(is)
        }
        (Type::Bytes, Value::String(text)) => is_size(text),
        (Type::Syntax(syntax), Value::String(text)) => syntax.fits(text),
        (Type::Address, Value::String(text)) => text.is_empty() || text.parse::<IpAddr>().is_ok(),
        (Type::Network6, Value::String(text)) => text.is_empty() || text.parse::<Ipv6Net>().is_ok(),
        _ => false,
    }
}

/// Says what is expected, and what there is.
pub(super) fn mismatch(kind: Type, node: &Node) -> String {
    let wanted = match kind {
        Type::OneOf(..) if matches!(node.value, Value::String(_)) => "another word",
        Type::OneOf(..) => "text",
        kind => words(kind)[0],
    };
    let found = match (kind, &node.value) {
        (
            Type::Text | Type::Bool | Type::Whole(_) | Type::List(_) | Type::Map(_) | Type::Fields(_),
            Value::String(_),
        ) => "text".to_owned(),
        (_, Value::String(text)) => format!("`{}`", node.span.shown(text)),
        (_, Value::Bool(value)) => format!("`{value}`"),
        (_, Value::Int(number)) => format!("the number {number}"),
        (_, Value::Float(_)) => "a number with a fraction".to_owned(),
        (_, Value::Sequence(_)) => "a list".to_owned(),
        (_, Value::Mapping(_)) => "a mapping".to_owned(),
        (_, Value::Null) => "nothing".to_owned(),
    };
    format!("{wanted} is expected, not {found}")
}

/// Says how to write a value that does not fit.
pub(super) fn remedy(kind: Type, value: &Value) -> String {
    let of_kind = match (kind, value) {
        (Type::Text | Type::AsText, Value::Bool(_) | Value::Int(_) | Value::Float(_)) => "put it in quotes",
        (Type::Bool, Value::String(text)) if ["true", "false"].contains(&text.as_str()) => "leave the quotes out",
        (Type::Whole(_), Value::String(text)) if text.parse::<i64>().is_ok() => "leave the quotes out",
        (Type::OneOf(words, _), value) => {
            let alike = if let Value::String(text) = value { did_you_mean(text, words.iter().copied()) } else { None };
            return alike.unwrap_or_else(|| format!("write one of {}", words.join(", ")));
        }
        _ => words(kind)[1],
    };
    of_kind.to_owned()
}

/// Names what a type wants, and says how to write it.
fn words(kind: Type) -> [&'static str; 2] {
    match kind {
        Type::Text | Type::AsText => ["text", "write text"],
        Type::Bool => ["true or false", "write true or false"],
        Type::Whole(0) => ["a whole number, not negative,", "write digits only"],
        Type::Whole(_) => ["a whole number", "write digits only"],
        Type::Address => ["an IP address", "write one address, as 10.0.0.2"],
        Type::Network6 => ["an IPv6 network", "write it as fd00:1::/64"],
        Type::Bytes => ["a size as text", "write it as \"64M\""],
        Type::Syntax(syntax) => syntax.words(),
        Type::List(_) => ["a list", "write a list, also of one: `[...]`"],
        _ => ["a mapping", "write a mapping of names to values"],
    }
}

/// Tells whether an entry of `exec-opts` is `native.cgroupdriver`, the only option that Linux has.
pub(super) fn is_cgroup_driver(value: &Value) -> bool {
    let Value::String(text) = value else { return true };
    let parts = text.split_once('=');
    parts.is_some_and(|(key, value)| key.trim().eq_ignore_ascii_case("native.cgroupdriver") && !value.trim().is_empty())
}

impl Syntax {
    fn fits(self, text: &str) -> bool {
        match self {
            Syntax::Label => text.contains('=') && !is_reserved(text),
            Syntax::Resource => text.matches('=').count() == 1,
            Syntax::Mirror => is_mirror(text),
            Syntax::Network => text.parse::<IpNet>().is_ok(),
            Syntax::User => text.matches(':').count() <= 1,
            Syntax::Domain => text.trim_matches(' ') == "." || is_domain(text.trim()),
        }
    }

    /// Names the syntax, and says how to write it.
    fn words(self) -> [&'static str; 2] {
        match self {
            Syntax::Label => [
                "a label",
                "write it as name=value; Docker keeps com.docker.*, io.docker.* and org.dockerproject.* for itself",
            ],
            Syntax::Resource => ["a generic resource", "write it as kind=value"],
            Syntax::Mirror => [
                "the URL of a mirror",
                "write http:// or https:// and a host, without user, password, query and fragment",
            ],
            Syntax::Network => ["a network", "write it as 172.30.0.0/16"],
            Syntax::User => ["a user", "write it as default, or as user:group"],
            Syntax::Domain => ["a domain", "write letters, digits, `-` and `.` only, as corp.example"],
        }
    }
}

fn is_reserved(label: &str) -> bool {
    let label = label.to_lowercase();
    ["com.docker.", "io.docker.", "org.dockerproject."].iter().any(|namespace| label.starts_with(namespace))
}

fn is_mirror(text: &str) -> bool {
    let right = |url: Url| {
        ["http", "https"].contains(&url.scheme())
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none_or(str::is_empty)
            && url.fragment().is_none_or(str::is_empty)
    };
    text.contains("://") && Url::parse(text).is_ok_and(right)
}

/// Tells whether a text is a domain by Docker's `opts.ValidateDNSSearch`.
fn is_domain(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        !label.is_empty() && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() < 255 && name.bytes().any(|byte| byte.is_ascii_alphabetic()) && name.split('.').all(is_label)
}

/// Tells whether a text is a size by Docker's `units.RAMInBytes`. A size is a number, and a unit such as `m`, `MB` or `MiB`.
fn is_size(text: &str) -> bool {
    let Some(end) = text.rfind(|c: char| c.is_ascii_digit() || ". ".contains(c)) else { return false };
    let (number, unit) = text.split_at(end + 1);
    let number = number.strip_suffix(' ').unwrap_or(number);
    let is_number = !number.starts_with('-') && number.parse::<f64>().is_ok_and(f64::is_finite);
    let unit = unit.to_lowercase();
    let known = unit.is_empty()
        || unit == "b"
        || unit.starts_with(['k', 'm', 'g', 't', 'p']) && ["", "b", "ib"].contains(&&unit[1..]);
    is_number && known
}

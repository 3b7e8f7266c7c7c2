//! Resolves plain scalars, and measures quoted ones.

use super::node::Value;

/// Resolves a plain scalar by the core schema (YAML 1.2.2, chapter 10.3.2). A whole number beyond 64 bits becomes a float.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if let ".inf" | ".Inf" | ".INF" = digits {
        return Value::Float(if negative { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    let radix = |prefix, radix| {
        let digits: &str = text.strip_prefix(prefix)?;
        digits.starts_with(|c: char| c.is_ascii_alphanumeric()).then(|| i64::from_str_radix(digits, radix).ok())?
    };
    if let Some(number) = radix("0o", 8).or_else(|| radix("0x", 16)) {
        return Value::Int(number);
    }
    // Rust's own syntax is wider: it also takes `inf` and `nan`.
    let numeric = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    match (numeric, text.parse::<i64>(), text.parse::<f64>()) {
        (true, Ok(number), _) => Value::Int(number),
        (true, _, Ok(number)) => Value::Float(number),
        _ => Value::String(text.into()),
    }
}

/// Measures the quoted scalar at the beginning of a text, in bytes, with its tag, anchor and quotes. `None` if the quotes
/// are not closed.
pub(super) fn quoted_length(text: &str) -> Option<usize> {
    let mut scalar = text;
    while scalar.starts_with(['!', '&']) {
        scalar = scalar.trim_start_matches(|c: char| !c.is_whitespace()).trim_start();
    }
    let mut bytes = text.bytes().enumerate().skip(text.len() - scalar.len());
    let (_, quote) = bytes.next().filter(|(_, quote)| matches!(quote, b'"' | b'\''))?;
    while let Some((at, byte)) = bytes.next() {
        let is_doubled = || quote == b'\'' && text[at + 1..].starts_with('\'');
        match byte {
            b'\\' if quote == b'"' => _ = bytes.next(),
            _ if byte != quote => {}
            _ if is_doubled() => _ = bytes.next(),
            _ => return Some(at + 1),
        }
    }
    None
}

//! Finds what looks like a secret in foreign text: what programs print, what services answer, logs of others.
//!
//! In a document secrets are known by where they stand; see `document/secret_places.rs`.

use std::ops::Range;

use serde_json::Value;

/// What stands in for a secret.
pub(crate) const MASK: &str = "***";

/// Foreign text with everything that looks like a secret replaced by `***`: user info and query strings of URLs, and
/// whatever follows a key that names a secret. It would rather hide too much than show a password's last letters.
/// Our own sentences don't pass through here: what is secret in them was masked where they were made.
pub fn redact(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(redact_line).collect();
    lines.join("\n")
}

/// The value with the values of secret keys, and what looks like a secret in texts, replaced by `***`.
pub fn redact_json(json: &Value) -> Value {
    match json {
        Value::Object(entries) => {
            let shown = |(key, value): (&String, &Value)| {
                let value = if is_secret_key(key) { Value::from(MASK) } else { redact_json(value) };
                (key.clone(), value)
            };
            Value::Object(entries.iter().map(shown).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(redact_json).collect()),
        Value::String(text) => Value::String(redact(text)),
        other => other.clone(),
    }
}

fn redact_line(line: &str) -> String {
    let mut redacted = String::with_capacity(line.len());
    let mut shown_to = 0;
    for mask in joined(secret_ranges(line)) {
        redacted.push_str(&line[shown_to..mask.start]);
        redacted.push_str(MASK);
        shown_to = mask.end;
    }
    redacted.push_str(&line[shown_to..]);
    redacted
}

/// Whether a key of this name holds a secret: what the ECS agent and the AWS SDKs call theirs, and anything that
/// calls itself a password, a secret or a token.
pub fn is_secret_key(key: &str) -> bool {
    const WHOLE: [&str; 5] = ["AUTH", "AUTHS", "PASS", "PASSWD", "PWD"];
    const WITHIN: [&str; 11] = [
        "ECS_ENGINE_AUTH_DATA",
        "AWS_ACCESS_KEY_ID",
        "PASSWORD",
        "SECRET",
        "TOKEN",
        "CREDENTIAL",
        "PRIVATE_KEY",
        "PRIVATE-KEY",
        "API_KEY",
        "API-KEY",
        "APIKEY",
    ];
    let is_within = |word: &&str| {
        let mut windows = key.as_bytes().windows(word.len());
        windows.any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
    };
    let is_whole = || WHOLE.iter().any(|word| word.len() == key.len() && key.eq_ignore_ascii_case(word));
    // Most keys are shorter than the shortest of these words.
    is_whole() || (key.len() >= "TOKEN".len() && WITHIN.iter().any(is_within))
}

/// Byte ranges of a line of foreign text that hold secrets, in no order.
pub(crate) fn secret_ranges(line: &str) -> Vec<Range<usize>> {
    let mut ranges = url_secrets(line);
    ranges.extend(secret_value(line));
    ranges
}

/// What follows the first key of the line that names a secret, up to the end of the line.
pub(crate) fn secret_value(line: &str) -> Option<Range<usize>> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let mut from = 0;
    while let Some(at) = line[from..].find([':', '=']).map(|at| from + at) {
        let before = line[..at].trim_end().trim_end_matches(['"', '\'', '`']);
        let name = &before[before.trim_end_matches(is_name).len()..];
        if is_secret_key(name) {
            let rest = &line[at + 1..];
            let start = line.len() - rest.trim_start().len();
            return Some(start..line.len());
        }
        from = at + 1;
    }
    None
}

/// User info (up to the last `@`, since a wrongly written password may hold one) and query string of each URL. One may stand
/// within another: what they have in common is looked for once.
pub(crate) fn url_secrets(line: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut around: Option<Url> = None;
    for (at, scheme) in line.match_indices("://") {
        let start = at + scheme.len();
        let found = match around.take().filter(|url| start <= url.end) {
            Some(url) => url.from(line, start),
            None => Url::at(line, start),
        };
        let url = &line[start..found.end];
        if let Some(end) = found.last_at.filter(|end| *end > start) {
            ranges.push(start..end);
        } else if is_cut_off(&line[..at], url, &line[start..]) {
            ranges.push(start..found.end);
        } else if let Some(end) = unfinished_user_info(url) {
            ranges.push(start..start + end);
        }
        ranges.extend(found.query.map(|query| query + 1..found.end));
        around = Some(found);
    }
    ranges
}

/// Where in a line a URL ends, and where it has its last `@` and its first `?`.
#[derive(Debug, PartialEq)]
struct Url {
    end: usize,
    last_at: Option<usize>,
    query: Option<usize>,
}

impl Url {
    fn at(line: &str, start: usize) -> Self {
        let end = start + url_length(&line[start..]);
        let found = |at: Option<usize>| at.map(|at| start + at);
        Url { end, last_at: found(line[start..end].rfind('@')), query: found(line[start..end].find('?')) }
    }

    /// The rest of it from there on.
    fn from(self, line: &str, start: usize) -> Self {
        let next = || line[start..self.end].find('?').map(|at| start + at);
        let query = self.query.and_then(|query| if query < start { next() } else { Some(query) });
        Url { query, last_at: self.last_at.filter(|at| *at >= start), ..self }
    }
}

/// Whether a quote opens before the URL and nothing closes it: its host may be the beginning of its user info.
fn is_cut_off(before: &str, url: &str, rest: &str) -> bool {
    let before = before.trim_end_matches(|c: char| c.is_ascii_alphanumeric());
    before.ends_with(['"', '\'']) && url.len() == rest.len()
}

/// Where the text broke off within the user info: what follows the colon is no port.
fn unfinished_user_info(url: &str) -> Option<usize> {
    let end = url.find(|c: char| c.is_whitespace() || "/?#\"'`,]}".contains(c)).unwrap_or(url.len());
    let (_, port) = url[..end].split_once(':').filter(|_| !url.starts_with('['))?;
    (!port.bytes().all(|byte| byte.is_ascii_digit())).then_some(end)
}

/// A URL goes on to a quote that closes it. Not to a blank or to a quote in its midst: a password may hold these.
fn url_length(rest: &str) -> usize {
    let closes = |at: usize| {
        let next = rest[at + 1..].chars().next();
        next.is_none_or(|c| c.is_whitespace() || ",:]}".contains(c))
    };
    rest.match_indices(['"', '\'', '`']).map(|(at, _)| at).find(|at| closes(*at)).unwrap_or(rest.len())
}

/// The ranges in order, those that touch made one.
pub(super) fn joined(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut apart: Vec<Range<usize>> = Vec::new();
    for range in ranges.into_iter().filter(|range| !range.is_empty()) {
        match apart.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => apart.push(range),
        }
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn of_json_the_values_of_secret_keys_are_masked_and_what_looks_like_a_secret() {
        let given = json!({ "a": { "my-token": { "x": 1 }, "b": ["http://u:p@h", "plain", 1, null, true] } });
        let shown = json!({ "a": { "my-token": "***", "b": ["http://***@h", "plain", 1, null, true] } });
        assert_eq!(redact_json(&given), shown);
    }

    #[test]
    fn secrets_are_masked() {
        let table = [
            ("url: http://me:pass@proxy:3128", "url: http://***@proxy:3128"),
            ("url: http://me:pa@ss wo\"rd@proxy:3128", "url: http://***@proxy:3128"),
            ("[\"http://a:b@h\", \"http://c:d@h\"]", "[\"http://***@h\", \"http://***@h\"]"),
            ("url: http://me:pass/a", "url: http://***/a"),
            ("url: \"http://pass", "url: \"http://***"),
            ("url: \"http://@pass", "url: \"http://***"),
            ("url: \"http://proxy\"", "url: \"http://proxy\""),
            ("url: http://[fd00::1]:3128", "url: http://[fd00::1]:3128"),
            ("PASSWORD: http://u:p@h/?x=y", "PASSWORD: ***"),
            ("tags: {owner: jane@example.com}", "tags: {owner: jane@example.com}"),
            ("1 to 128 of - = . _ : / @, not aws:", "1 to 128 of - = . _ : / @, not aws:"),
            ("the proxy `http://me:pass@p` has no port", "the proxy `http://***@p` has no port"),
            ("{\"a\":\"http://u:p@h\",\"b\":1}", "{\"a\":\"http://***@h\",\"b\":1}"),
            ("h: https://s3/x?Signature=a&b=c", "h: https://s3/x?***"),
            ("ECS_ENGINE_AUTH_DATA: '{\"x\": 1}'", "ECS_ENGINE_AUTH_DATA: ***"),
            ("{\"AWS_SECRET_ACCESS_KEY\" : \"x\"}", "{\"AWS_SECRET_ACCESS_KEY\" : ***"),
            ("AWS_ACCESS_KEY_ID=AKIA", "AWS_ACCESS_KEY_ID=***"),
            ("my-password: x, y: z", "my-password: ***"),
            ("mail: me@example.com", "mail: me@example.com"),
            ("url: http://proxy:3128/a", "url: http://proxy:3128/a"),
            ("`a.PASSWORD` is a number", "`a.PASSWORD` is a number"),
            ("", ""),
        ];
        for (text, wanted) in table {
            assert_eq!(redact(text), wanted);
        }
    }

    proptest! {
        /// Looked for anew in each URL, the same is found.
        #[test]
        fn what_urls_have_in_common_is_found_in_each(line in "(://|[ab@?:'\" 1/]){0,24}") {
            for (at, scheme) in line.match_indices("://") {
                let start = at + scheme.len();
                let alone = Url::at(&line, start);
                for (before, _) in line[..at].match_indices("://") {
                    let around = Url::at(&line, before + scheme.len());
                    if start <= around.end {
                        prop_assert_eq!(&around.from(&line, start), &alone, "{} from {}", line, start);
                    }
                }
            }
        }
    }
}

//! Finds likely secrets in foreign text: the output of programs, the answers of services, the logs of others.
//!
//! In a document, secrets are known by their place; see `document/secret_places.rs`.

use std::ops::Range;
use std::sync::RwLock;

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// The name of AWS's service for secrets, in actions and ARNs.
const SECRETS_MANAGER: &str = "secretsmanager";
/// The text in place of a secret.
pub(crate) const MASK: &str = "***";

/// Replaces everything in foreign text that looks like a secret by `***`.
///
/// Secrets are the user info and query strings of URLs, and all text behind a key that names a secret. In doubt, more is
/// hidden: a password's last letters must not be shown. Our own sentences don't pass through here: their secrets were masked
/// where the sentences were made.
pub fn redact(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| masked(line, joined(secret_ranges(line)))).collect();
    without_known(lines.join("\n"))
}

/// The secrets that are known by their text: the values of references, and what is in them.
static KNOWN: RwLock<Vec<String>> = RwLock::new(Vec::new());
/// The shortest text that is known as a secret. A shorter one is in many words.
const SHORTEST: usize = 6;

/// Has [`redact`] mask a value from now on, wherever it stands. Of a URL its host and password are masked too, of JSON each
/// text.
pub(crate) fn remember(value: &str) {
    let Ok(mut known) = KNOWN.write() else { return };
    let mut texts = vec![value.to_owned()];
    if let Ok(url) = value.parse::<url::Url>() {
        let password = url.password().unwrap_or_default();
        texts.extend([password.to_owned(), percent_decode_str(password).decode_utf8_lossy().into_owned()]);
        // A host without a domain, such as `proxy`, may be any word.
        texts.extend(url.host_str().filter(|host| host.contains('.')).map(str::to_owned));
    }
    if let Ok(json) = serde_json::from_str(value) {
        collect_texts(&json, &mut texts);
    }
    for text in texts.into_iter().filter(|text| text.len() >= SHORTEST) {
        // A text may be a part of another one, which is masked first.
        let place = known.iter().position(|other| other.len() <= text.len()).unwrap_or(known.len());
        if !known.contains(&text) {
            known.insert(place, text);
        }
    }
}

fn collect_texts(json: &Value, texts: &mut Vec<String>) {
    match json {
        Value::Object(entries) => entries.values().for_each(|value| collect_texts(value, texts)),
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, texts)),
        Value::String(text) => texts.push(text.clone()),
        _ => {}
    }
}

/// Masks the secrets that are known by their text.
fn without_known(text: String) -> String {
    let Ok(known) = KNOWN.read() else { return MASK.to_owned() };
    known.iter().fold(text, |text, secret| match text.contains(secret.as_str()) {
        true => text.replace(secret.as_str(), MASK),
        false => text,
    })
}

/// Replaces by `***` the values of secret keys, and everything in texts that looks like a secret.
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

/// Replaces these parts of a text, which are in order and apart, by `***`.
pub(crate) fn masked(text: &str, secrets: impl IntoIterator<Item = Range<usize>>) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut shown_to = 0;
    for secret in secrets {
        masked.push_str(&text[shown_to..secret.start]);
        masked.push_str(MASK);
        shown_to = secret.end;
    }
    masked + &text[shown_to..]
}

/// Tells whether a key of this name holds a secret.
///
/// Secrets are known by the names that the ECS agent and the AWS SDKs use, and by words such as password, secret and token.
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
    // The service, and the actions and ARNs that have its name.
    if key.eq_ignore_ascii_case(SECRETS_MANAGER) {
        return false;
    }
    let is_whole = || WHOLE.iter().any(|word| word.len() == key.len() && key.eq_ignore_ascii_case(word));
    // Most keys are shorter than the shortest of these words.
    is_whole() || (key.len() >= "TOKEN".len() && WITHIN.iter().any(is_within))
}

/// Finds the byte ranges of a line of foreign text that hold secrets, in no order.
pub(crate) fn secret_ranges(line: &str) -> Vec<Range<usize>> {
    let mut ranges = url_secrets(line);
    ranges.extend(secret_value(line));
    ranges
}

/// Finds the text behind the first key that names a secret, up to the end of the line.
pub(crate) fn secret_value(line: &str) -> Option<Range<usize>> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let mut from = 0;
    while let Some(at) = line[from..].find([':', '=']).map(|at| from + at) {
        let before = line[..at].trim_end().trim_end_matches(['"', '\'', '`']);
        let name = &before[before.trim_end_matches(is_name).len()..];
        let is_of_arn = || {
            let word = before.rsplit(char::is_whitespace).next().unwrap_or_default();
            name == "secret" && word.contains(SECRETS_MANAGER)
        };
        if is_secret_key(name) && !is_of_arn() {
            let rest = &line[at + 1..];
            let start = line.len() - rest.trim_start().len();
            return Some(start..line.len());
        }
        from = at + 1;
    }
    None
}

/// Finds the user info and the query string of each URL.
///
/// User info ends at the last `@`, since a wrongly written password may hold one. A URL may lie within another: their common
/// part is searched once.
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

/// The end of a URL in a line, and the places of its last `@` and its first `?`.
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

    /// Returns the rest of the URL from `start` on.
    fn from(self, line: &str, start: usize) -> Self {
        let next = || line[start..self.end].find('?').map(|at| start + at);
        let query = self.query.and_then(|query| if query < start { next() } else { Some(query) });
        Url { query, last_at: self.last_at.filter(|at| *at >= start), ..self }
    }
}

/// Tells whether a quote opens before the URL and nothing closes it. The URL's host may then be the beginning of user info.
fn is_cut_off(before: &str, url: &str, rest: &str) -> bool {
    let before = before.trim_end_matches(|c: char| c.is_ascii_alphanumeric());
    before.ends_with(['"', '\'']) && url.len() == rest.len()
}

/// Finds the end of user info in which the text broke off: the text after the colon is no port.
fn unfinished_user_info(url: &str) -> Option<usize> {
    let end = url.find(|c: char| c.is_whitespace() || "/?#\"'`,]}".contains(c)).unwrap_or(url.len());
    let (_, port) = url[..end].split_once(':').filter(|_| !url.starts_with('['))?;
    (!port.bytes().all(|byte| byte.is_ascii_digit())).then_some(end)
}

/// Measures a URL, which goes on to a quote that closes it. Blanks and quotes within the URL don't end it: a password may
/// hold them.
fn url_length(rest: &str) -> usize {
    let closes = |at: usize| {
        let next = rest[at + 1..].chars().next();
        next.is_none_or(|c| c.is_whitespace() || ",:]}".contains(c))
    };
    rest.match_indices(['"', '\'', '`']).map(|(at, _)| at).find(|at| closes(*at)).unwrap_or(rest.len())
}

/// Sorts the ranges, and joins those that touch.
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
    fn a_value_that_is_known_is_masked_wherever_it_stands() {
        remember("http://me:pa%40ss-of-proxy@squid.example:3128");
        remember(r#"{"registry": {"auth": "b64-of-registry"}}"#);
        remember("abc");
        for (text, wanted) in [
            ("can't find squid.example", "can't find ***"),
            ("pa@ss-of-proxy is wrong", "*** is wrong"),
            ("not b64-of-registry, abc", "not ***, abc"),
            ("http://me:pa%40ss-of-proxy@squid.example:3128", "http://***@***:3128"),
        ] {
            assert_eq!(redact(text), wanted);
        }
    }

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
            ("may not secretsmanager:GetSecretValue", "may not secretsmanager:GetSecretValue"),
            ("on arn:aws:secretsmanager:r:1:secret:web-AbCdEf", "on arn:aws:secretsmanager:r:1:secret:web-AbCdEf"),
            ("a:secret:web", "a:secret:***"),
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
        /// Proves that a URL within another is found as if it stood alone.
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

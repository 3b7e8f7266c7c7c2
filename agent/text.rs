//! Text for people: in lines of 80 columns, and in colour where a caller asks for colour.

use anstyle::{AnsiColor, Color, Effects, Style};

/// Longest line of text for people, in columns.
pub const COLUMNS: usize = 80;

/// Style of text that stands out.
pub const STRONG: Style = Style::new().effects(Effects::BOLD);
/// Style of details that a reader can skip.
pub const FAINT: Style = Style::new().effects(Effects::DIMMED);
/// Style of things done, and of added lines.
pub const GOOD: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Green)));
/// Style of errors, and of removed lines.
pub const BAD: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Red)));
/// Style of text that needs attention.
pub const NOTE: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Yellow)));
/// Style of marks that structure a text.
pub const MARK: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Cyan)));

/// A space at which lines are not broken.
pub const NO_BREAK: char = '\u{a0}';

/// The choice between plain and coloured text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Plain text: for a file, a pipe, or a person who wants no colour.
    Plain,
    /// Coloured text: for a terminal.
    Colored,
}

impl Paint {
    /// Returns the text in this style, or unchanged where text is plain.
    pub fn paint(self, style: Style, text: &str) -> String {
        match self {
            Paint::Plain => text.to_owned(),
            Paint::Colored => format!("{style}{text}{style:#}"),
        }
    }
}

/// Takes away the backslashes that make the character behind them stand for itself.
pub fn unescaped(text: &str) -> String {
    let mut is_escaped = false;
    let kept = |c: &char| {
        is_escaped = *c == '\\' && !is_escaped;
        !is_escaped
    };
    text.chars().filter(kept).collect()
}

/// The least similarity of two words for a suggestion (normalised Damerau-Levenshtein). One wrong letter in two is a
/// coincidence, one in five is a typo.
const ALIKE: f64 = 0.6;
/// A word of this many letters or more is similar to every word that begins with it. Names made by a tool end in a hash.
const PREFIX: usize = 5;
/// Words of this many bytes or more get no suggestion, and are not compared.
const LONGEST_WORD: usize = 100;

/// Tells whether one word may be a typo of the other.
pub fn are_alike(wrong: &str, right: &str) -> bool {
    nearest(wrong, [right]).is_some()
}

/// Returns the right word that is most similar to a wrong one; nothing if none is similar.
pub fn nearest<'a>(wrong: &str, right: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if wrong.len() >= LONGEST_WORD {
        return None;
    }
    let lower = wrong.to_lowercase();
    let likeness = |word: &str| {
        let word = word.to_lowercase();
        let (short, long) = if word.len() < lower.len() { (&word, &lower) } else { (&lower, &word) };
        let likeness = strsim::normalized_damerau_levenshtein(&lower, &word);
        match short.len() >= PREFIX && long.starts_with(short.as_str()) {
            true => likeness.max(ALIKE),
            false => likeness,
        }
    };
    let rated = right.into_iter().map(|word| (likeness(word), word));
    let best = rated.max_by(|(a, _), (b, _)| a.total_cmp(b)).filter(|(likeness, _)| *likeness >= ALIKE);
    best.map(|(_, word)| word)
}

/// Asks whether the most similar right word was meant; nothing if none is similar.
pub fn did_you_mean<'a>(wrong: &str, right: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(wrong, right).map(|word| format!("did you mean `{word}`?"))
}

/// Cuts a text into lines of at most so many columns. Lines end between words; a path longer than a line is cut after a
/// slash. A word that can't be cut stays whole, and words with a no-break space between them stay together.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let text = one_line(text);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut width = 0;
    for word in text.split_ascii_whitespace() {
        for (at, piece) in pieces(word, columns).enumerate() {
            let gap = usize::from(at == 0 && width > 0);
            let more = piece.chars().count();
            if width > 0 && width + gap + more > columns {
                lines.push(std::mem::take(&mut line));
                width = 0;
            } else if gap == 1 {
                line.push(' ');
                width += 1;
            }
            line.push_str(piece);
            width += more;
        }
    }
    lines.push(line);
    lines.into_iter().map(|line| line.replace(NO_BREAK, " ")).collect()
}

/// Puts a text after its beginning. Further lines of the text are indented by the width of the beginning.
pub fn hanging(beginning: &str, text: &str) -> String {
    let indent = beginning.chars().count();
    format!("{beginning}{}\n", wrap(text, COLUMNS - indent).join(&format!("\n{:indent$}", "")))
}

/// Cuts a text to at most `most` characters. The last character is `…` if the text was longer.
pub fn shortened(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// Replaces control characters by spaces. The text is then one line, and can't move a terminal's cursor or change its
/// colours.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Describes an error in JSON and its place, without quoting the JSON, which may hold a secret.
pub fn json_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.strip_prefix("invalid ").and_then(|text| text.rsplit_once(", expected ")) {
        Some((_, expected)) => format!("expected {expected}"),
        None => text,
    }
}

/// Cuts a word after each slash if the word is longer than a line.
fn pieces(word: &str, columns: usize) -> impl Iterator<Item = &str> {
    let is_long = word.chars().count() > columns;
    word.split_inclusive(move |c| is_long && c == '/')
}

/// Tells whether a pattern with `*` and `?`, as in IAM policies, matches the whole of a text.
pub(crate) fn is_match(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // The last star, and the end of the text that the star has matched. Where the rest does not fit, the star takes one
    // more character.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Tells whether a path matches a pattern or a plain path. A character class in the pattern is taken for any character.
pub(crate) fn is_path_match(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    let any = parts.fold(first, |any, part| any + "?" + part.split_once(']').map_or(part, |(_, rest)| rest));
    // `**` matches slashes, too, as in `/opt/**.log`; `*` does not.
    if any.contains("**") {
        return is_match(&any, name);
    }
    any.split('/').count() == name.split('/').count()
        && any.split('/').zip(name.split('/')).all(|(pattern, name)| is_match(pattern, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_paths_match_as_those_of_the_cloudwatch_agent() {
        for (pattern, path, expected) in [
            ("/var/log/messages", "/var/log/messages", true),
            ("/var/log/*", "/var/log/messages", true),
            ("/var/*", "/var/log/messages", false),
            ("/var/**", "/var/log/messages", true),
            ("/opt/**.log", "/opt/a/b.log", true),
            ("/var/log/[mn]essage?", "/var/log/messages", true),
            ("/var/log/*.log", "/var/log/messages", false),
        ] {
            assert_eq!(is_path_match(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn patterns_match_as_those_of_iam() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("logs:*", "logs:createloggroup", true),
            ("a*b*c", "aXbYbc", true),
            ("a?c", "abc", true),
            ("a*c", "ab", false),
            ("a", "ab", false),
        ] {
            assert_eq!(is_match(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn lines_are_cut_between_words_and_behind_slashes() {
        assert_eq!(wrap("", 9), [""]);
        assert_eq!(wrap("to be  or not", 9), ["to be or", "not"]);
        assert_eq!(wrap("at /var/lib/docker now", 12), ["at /var/lib/", "docker now"]);
        assert_eq!(wrap("cannotbecut at", 5), ["cannotbecut", "at"]);
        assert_eq!(wrap("red\x1b[31m\nor", 20), ["red [31m or"]);
        assert_eq!(wrap("not a\u{a0}b", 5), ["not", "a b"]);
    }

    #[test]
    fn an_error_in_json_does_not_quote_it() {
        let error = |json: &str| {
            json_error(&serde_json::from_str::<std::collections::BTreeMap<String, u32>>(json).unwrap_err())
        };
        assert_eq!(error(r#"{"a": "s, expected t"}"#), "expected u32 at line 1 column 21");
        assert_eq!(error(r#"{"a": -1}"#), "expected u32 at line 1 column 8");
        assert_eq!(error(r#"{"a": 1"#), "EOF while parsing an object at line 1 column 7");
    }

    #[test]
    fn only_what_is_coloured_has_codes() {
        assert_eq!(Paint::Plain.paint(BAD, "x"), "x");
        assert_eq!(Paint::Colored.paint(BAD, "x"), "\x1b[31mx\x1b[0m");
    }
}

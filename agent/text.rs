//! Text for people: in 80 columns, and in colour where that is wanted.

use anstyle::{AnsiColor, Color, Effects, Style};

/// Lines are no longer than that.
pub const COLUMNS: usize = 80;

/// What stands out.
pub const STRONG: Style = Style::new().effects(Effects::BOLD);
/// What says more than one has to read.
pub const FAINT: Style = Style::new().effects(Effects::DIMMED);
/// What is done, or is added.
pub const GOOD: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Green)));
/// What is wrong, or is taken away.
pub const BAD: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Red)));
/// What wants attention.
pub const NOTE: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Yellow)));
/// What divides a text.
pub const MARK: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Cyan)));

/// A space at which no line ends.
pub const NO_BREAK: char = '\u{a0}';

/// Whether text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// For a file, a pipe, or a person who does not want it.
    Plain,
    /// For a terminal.
    Colored,
}

impl Paint {
    /// The text in this style.
    pub fn paint(self, style: Style, text: &str) -> String {
        match self {
            Paint::Plain => text.to_owned(),
            Paint::Colored => format!("{style}{text}{style:#}"),
        }
    }
}

/// The least likeness of two words (normalised Damerau-Levenshtein) for one to be suggested for the other: one slip in two letters
/// is a coincidence, one in five is a typo.
const ALIKE: f64 = 0.6;
/// A word that another one begins with is suggested from so many letters on: names that a tool has made end in a hash.
const PREFIX: usize = 5;
/// From so many bytes on a word is like no right one, and is not compared with them.
const LONGEST_WORD: usize = 100;

/// Tells whether one word may be a typo of the other.
pub fn are_alike(wrong: &str, right: &str) -> bool {
    nearest(wrong, [right]).is_some()
}

/// The right word that a wrong one is most like; nothing where none is like it.
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

/// The question after the right word that a wrong one is most like.
pub fn did_you_mean<'a>(wrong: &str, right: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(wrong, right).map(|word| format!("did you mean `{word}`?"))
}

/// Cuts a text into lines of at most so many columns: between words, and a path that is longer still behind one of its
/// slashes. What can't be cut stays whole; words with a no-break space between them stay together.
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

/// A text of at most so many characters, of which the last is `…` where more follow.
pub fn shortened(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// A text in one line, without what could move a terminal's cursor or change its colours.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What is wrong with JSON, and where, but not what stands there: it may be a secret.
pub fn json_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.strip_prefix("invalid ").and_then(|text| text.rsplit_once(", expected ")) {
        Some((_, expected)) => format!("expected {expected}"),
        None => text,
    }
}

/// A word, or what of it lies between its slashes if it is longer than a line.
fn pieces(word: &str, columns: usize) -> impl Iterator<Item = &str> {
    let is_long = word.chars().count() > columns;
    word.split_inclusive(move |c| is_long && c == '/')
}

/// Tells whether a pattern with `*` and `?`, as those of IAM, stands for the whole of a text.
pub(crate) fn is_match(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // The last star, and what it has matched up to: it takes one more where the rest does not fit.
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

/// Tells whether a pattern of paths, or a plain path, finds a path. A class of signs is taken for any sign.
pub(crate) fn is_path_match(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    let any = parts.fold(first, |any, part| any + "?" + part.split_once(']').map_or(part, |(_, rest)| rest));
    // `**` goes on over slashes anywhere, as in `/opt/**.log`; `*` does not.
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

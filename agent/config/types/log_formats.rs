//! The lines of a log: the format of their times, their encoding, and the files that they are in.

use std::fmt;

use globset::GlobBuilder;
use serde::{Deserialize, Serialize};

use super::checked_text::{AbsolutePath, OneLine, checked_text};
use crate::text::did_you_mean;

/// The longest text that the schema of the CloudWatch agent takes for a format or a pattern, in characters.
const LONGEST: usize = 4096;

checked_text! {
    /// A file, or a pattern of files, that the CloudWatch agent can send.
    LogPath, check_log_path
}

checked_text! {
    /// A format of times in the directives that the CloudWatch agent knows, with a date.
    TimestampFormat, check_timestamp_format
}

impl TimestampFormat {
    /// Tells whether the format ends in a plain `Z`, which means UTC.
    pub fn ends_in_z(&self) -> bool {
        self.0.ends_with('Z') && !self.0.ends_with("%Z")
    }
}

checked_text! {
    /// The name of an encoding that the CloudWatch agent finds, in any case.
    Encoding, |text| match !text.contains(' ') && ENCODINGS.contains(&format!(" {} ", text.to_ascii_lowercase())) {
        true => Ok(()),
        false => Err(format!("there is no encoding `{text}`\nthere are{}", ENCODINGS.trim_end())),
    }
}

/// The directives of a time that the CloudWatch agent knows: `internal/util/timestamp` of its sources.
const DIRECTIVES: [&str; 21] = [
    "%Y", "%y", "%m", "%-m", "%b", "%B", "%d", "%-d", "%a", "%A", "%H", "%I", "%-I", "%p", "%M", "%-M", "%S", "%-S",
    "%f", "%z", "%Z",
];

/// Words that are a part of the time in Go's layouts, into which the CloudWatch agent turns a format. Digits are such parts,
/// too.
const GO_LAYOUT: [&str; 5] = ["Jan", "Mon", "MST", "PM", "pm"];

/// Checks a format of times as the CloudWatch agent reads it. The format must have the agent's directives only, and a date:
/// a time without one is of 1 January, and soon too old for CloudWatch Logs.
fn check_timestamp_format(text: &str) -> Result<(), String> {
    check_length(text, "format")?;
    let (directives, literals) = parts(text)?;
    if let Some(c) = literals.chars().find(|c| *c == '\\' || c.is_ascii_digit()) {
        return Err(format!(
            "`{c}` can't stand in a format of times\nthe CloudWatch agent reads it as something else; {EXAMPLE}"
        ));
    }
    if let Some(word) = GO_LAYOUT.into_iter().find(|word| literals.contains(word)) {
        return Err(format!(
            "`{word}` can't stand in a format of times\nthe CloudWatch agent takes it for a part of the time; {EXAMPLE}"
        ));
    }
    let has = |kind: &[char]| directives.iter().any(|directive| directive.ends_with(kind));
    match has(&['d']) && has(&['m', 'b', 'B']) {
        true => Ok(()),
        false => Err(format!(
            "`{text}` has no date: the CloudWatch agent dates each line 1 January\nadd the month and the day, as %m and %d; {EXAMPLE}"
        )),
    }
}

const EXAMPLE: &str = "an example is %Y-%m-%d %H:%M:%S";

/// Refuses a text of more than one line, or longer than the CloudWatch agent takes it.
pub(super) fn check_length(text: &str, what: &str) -> Result<(), String> {
    OneLine::try_from(text.to_owned())?;
    match text.chars().count() <= LONGEST {
        true => Ok(()),
        false => Err(format!(
            "the {what} is longer than {LONGEST} characters\nshorten it: the CloudWatch agent accepts no more"
        )),
    }
}

/// Splits a format into its directives and the text between them.
fn parts(text: &str) -> Result<(Vec<&str>, String), String> {
    let mut directives = Vec::new();
    let mut pieces = text.split('%');
    let mut literals = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let length = if piece.starts_with('-') { 2 } else { 1 };
        let end = piece.char_indices().nth(length).map_or(piece.len(), |(end, _)| end);
        let (name, literal) = piece.split_at(end);
        let directive = DIRECTIVES.into_iter().find(|known| known[1..] == *name).ok_or_else(|| unknown(name))?;
        directives.push(directive);
        // A space keeps texts apart that did not stand side by side.
        literals += " ";
        literals += literal;
    }
    Ok((directives, literals))
}

fn unknown(name: &str) -> String {
    let instead = match name {
        "F" => Some("%Y-%m-%d"),
        "T" => Some("%H:%M:%S"),
        "R" => Some("%H:%M"),
        "D" => Some("%m/%d/%y"),
        "c" => Some("%a %b %d %H:%M:%S %Y"),
        "e" => Some("%-d"),
        "h" => Some("%b"),
        "k" => Some("%H"),
        "l" => Some("%-I"),
        "L" | "N" => Some("%f"),
        "P" => Some("%p"),
        _ => None,
    };
    let directive = format!("%{name}");
    let nearest = || did_you_mean(&directive, DIRECTIVES);
    let remedy = instead.map(|instead| format!("write {instead}")).or_else(nearest);
    let remedy = remedy.map(|remedy| format!("{remedy}; ")).unwrap_or_default();
    format!("the CloudWatch agent has no directive `{directive}` for times\n{remedy}it has {}", DIRECTIVES.join(" "))
}

/// Warns of a format that the CloudWatch agent takes but reads otherwise than documented, and gives the remedy.
pub fn timestamp_pitfall(format: &str) -> Option<(&'static str, &'static str)> {
    let (directives, _) = parts(format).ok()?;
    let pitfalls = [
        (
            "%z",
            "for `%z` the CloudWatch agent reads +0100, but not +01:00 or Z: lines with those get no time",
            "let the program write offsets in that form; if it writes Z, write Z instead of %z",
        ),
        (
            "%Z",
            "for `%Z` the CloudWatch agent reads three letters, and knows only those of UTC and of the instance's own time zone",
            "let the program write its offset, and use %z",
        ),
        (
            "%B",
            "for `%B` the CloudWatch agent reads only names of seven letters: January and October",
            "let the program abbreviate the month, and use %b, or write it as a number, and use %m",
        ),
    ];
    pitfalls
        .into_iter()
        .find(|(directive, ..)| directives.contains(directive))
        .map(|(_, message, remedy)| (message, remedy))
}

/// The endings of the archives that the CloudWatch agent passes over, whatever pattern finds them.
const ARCHIVES: [&str; 6] = [".gz", ".zip", ".bz2", ".tar", ".zst", ".rar"];

/// Checks a path or a pattern of paths that the CloudWatch agent can send.
fn check_log_path(text: &str) -> Result<(), String> {
    AbsolutePath::try_from(text.to_owned())?;
    if text == "/" {
        return Err("`/` is not a file\nname a file, or a pattern such as /var/log/app/*.log".to_owned());
    }
    if let Some(ending) = ARCHIVES.into_iter().find(|ending| text.ends_with(ending)) {
        return Err(format!(
            "`{text}` names archives ({ending}), which the CloudWatch agent never sends\nname the file that is written, before it is packed"
        ));
    }
    if !is_pattern(text) {
        return Ok(());
    }
    let why_not = match GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build() {
        Err(error) => Some(error.kind().to_string()),
        // globset takes `]` for the first sign of such a class.
        Ok(_) => ["[]", "[!]", "[^]"]
            .into_iter()
            .find(|class| text.contains(class))
            .map(|class| format!("`{class}` is empty")),
    };
    why_not.map_or(Ok(()), |why| {
        Err(format!(
            "`{text}` is not a pattern of paths: {why}\nthe CloudWatch agent reads * ? [a-z] and **, and takes a sign after \\ as it is"
        ))
    })
}

/// Tells whether a path is a pattern for several files.
pub fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// The accepted encodings: the names of the WHATWG's Encoding Standard, and the commonest of its other labels. The
/// CloudWatch agent knows further labels, and some names of IANA. <https://encoding.spec.whatwg.org/#names-and-labels>
const ENCODINGS: &str = " utf-8 utf8 utf-16 utf-16le utf-16be ascii us-ascii latin1 iso-8859-1 iso-8859-2 iso-8859-3 iso-8859-4 \
    iso-8859-5 iso-8859-6 iso-8859-7 iso-8859-8 iso-8859-9 iso-8859-10 iso-8859-13 iso-8859-14 iso-8859-15 iso-8859-16 ibm866 \
    koi8-r koi8-u macintosh x-mac-cyrillic windows-874 windows-1250 windows-1251 windows-1252 windows-1253 windows-1254 \
    windows-1255 windows-1256 windows-1257 windows-1258 gbk gb2312 gb18030 big5 euc-jp iso-2022-jp shift_jis sjis euc-kr ";

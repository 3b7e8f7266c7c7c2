//! Limits the quotes of foreign text in messages: their length, and their characters.

/// Characters of a quoted value: enough for a name, an ARN or a path.
const QUOTED: usize = 160;
/// Characters of a whole message or remedy. This limits text that is not in quotes, such as the keys above a value. The
/// longest of our own sentences have half as many; CloudFormation shows 1024.
pub(super) const WHOLE: usize = 1000;

/// Shortens each value in backticks, and then the whole text, each by a cut in its middle.
pub(super) fn shortened(text: &str) -> String {
    // A value that has a backtick itself is cut with the whole.
    let parts = text.split('`').enumerate().map(|(index, part)| match index % 2 {
        0 => part.to_owned(),
        _ => cut(part, QUOTED),
    });
    cut(&parts.collect::<Vec<_>>().join("`"), WHOLE)
}

/// Cuts a text to this many characters, and dots: three quarters from its beginning, the others from its end.
pub(crate) fn cut(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let at = |characters: usize| text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at);
    let tail = most / 4;
    format!("{}...{}", &text[..at(most - tail)], &text[at(count - tail)..])
}

/// Replaces the characters of a text that a terminal would obey.
pub(super) fn visible(text: &str) -> String {
    text.chars().map(visible_char).collect()
}

/// Replaces a control character by its picture, so that a document can't steer the terminal that shows it. A character that
/// only looks like a space becomes `␣`.
pub(crate) fn visible_char(c: char) -> char {
    match c {
        '\t' => ' ',
        '\u{7f}' => '\u{2421}',
        c if u32::from(c) < 0x20 => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => '\u{fffd}',
        c if is_odd_space(c) => '\u{2423}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// Tells whether a character looks like a space but is a letter to YAML. Word processors and web pages insert them.
pub(crate) fn is_odd_space(c: char) -> bool {
    c != ' ' && !c.is_ascii() && c.is_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown_as_a_picture() {
        for (c, shown) in [
            ('a', 'a'),
            (' ', ' '),
            ('\t', ' '),
            ('\0', '\u{2400}'),
            ('\u{1b}', '\u{241b}'),
            ('\u{1f}', '\u{241f}'),
            ('\u{7f}', '\u{2421}'),
            ('\u{9b}', '\u{fffd}'),
            ('\u{202e}', '\u{fffd}'),
            ('\u{a0}', '\u{2423}'),
            ('\u{3000}', '\u{2423}'),
        ] {
            assert_eq!(visible_char(c), shown, "{c:?}");
        }
    }

    #[test]
    fn what_is_long_is_cut_in_its_middle_and_the_rest_is_as_it_was() {
        let same = ["", "`a` isn't `b`", "no quotes", "`open", &format!("`{}`", "ä".repeat(QUOTED))];
        same.iter().for_each(|text| assert_eq!(shortened(text), **text));
        let long = format!("`a{}z` is not a name; `b`", "ä".repeat(500_000));
        let expected = format!("`a{}...{}z` is not a name; `b`", "ä".repeat(119), "ä".repeat(39));
        assert_eq!(shortened(&long), expected);
        let key = format!("ecs.attributes.{}: the text is empty", "k".repeat(500_000));
        let short = shortened(&key);
        assert!(short.starts_with("ecs.attributes.k") && short.ends_with("k: the text is empty"), "{short}");
        assert_eq!(short.chars().count(), WHOLE + 3);
        let quotes = "`x".repeat(100_000);
        assert_eq!(shortened(&quotes).chars().count(), WHOLE + 3);
    }
}

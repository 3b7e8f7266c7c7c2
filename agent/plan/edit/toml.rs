//! Finds where a TOML file defines a table, in whichever of TOML's ways: `[proxy]`, `["proxy"] # comment`, `proxy = { … }`,
//! `proxy.http_proxy = …`.
//!
//! TOML gives each header, and each key with its value, lines of their own: a table can be commented out by line.

use std::ops::Range;

use toml_edit::{Document, Item, Key, Table, Value};

/// A header or a key of a table.
#[derive(Debug, PartialEq)]
pub struct Entry {
    /// Its lines, counted from zero.
    pub lines: Range<usize>,
    /// The key, or the last one of a header.
    pub key: String,
}

/// Finds the headers and keys of a table, and of the tables that a Go program takes for it.
///
/// # Errors
/// Text that is no TOML, in words that begin with the line.
pub fn entries(text: &str, table: &str) -> Result<Vec<Entry>, String> {
    let line = |at: usize| text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    let document = Document::parse(text).map_err(|error| {
        let at = error.span().map(|span| span.start).unwrap_or_default();
        format!("line {}: {}", line(at) + 1, error.message())
    })?;
    let mut entries = Vec::new();
    let mut found = |span: Range<usize>, key: &str| {
        let last = span.end.saturating_sub(1).max(span.start);
        entries.push(Entry { lines: line(span.start)..line(last) + 1, key: key.to_owned() });
    };
    let root = document.as_table();
    for (key, item) in keys_of(root).filter(|(key, _)| is_same_in_go(key.get(), table)) {
        in_item(key, item, &mut found);
    }
    Ok(entries)
}

/// Tells whether Go's decoder of TOML takes one key for the other: like `strings.EqualFold`, without regard to case.
pub fn is_same_in_go(one: &str, other: &str) -> bool {
    let folded =
        |text: &str| text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect::<String>();
    folded(one) == folded(other)
}

fn keys_of(table: &Table) -> impl Iterator<Item = (&Key, &Item)> {
    table.iter().filter_map(|(key, _)| table.get_key_value(key))
}

fn in_item(key: &Key, item: &Item, found: &mut impl FnMut(Range<usize>, &str)) {
    match item {
        Item::None => {}
        Item::Value(value) => {
            let (Some(key_span), Some(value_span)) = (key.span(), value.span()) else { return };
            let span = key_span.start..value_span.end;
            found(span.clone(), key.get());
            if let Value::InlineTable(inline) = value {
                inline.iter().for_each(|(key, _)| found(span.clone(), key));
            }
        }
        Item::Table(table) => in_table(key, table, found),
        Item::ArrayOfTables(tables) => tables.iter().for_each(|table| in_table(key, table, found)),
    }
}

fn in_table(key: &Key, table: &Table, found: &mut impl FnMut(Range<usize>, &str)) {
    // A table that `[proxy.other]` or `proxy.http_proxy` implies has no header.
    if let Some(header) = table.span() {
        found(header, key.get());
    } else if let Some(span) = key.span() {
        found(span, key.get());
    }
    for (key, item) in keys_of(table) {
        in_item(key, item, found);
    }
}

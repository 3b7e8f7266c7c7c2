//! Folders of golden cases: inputs, which a person writes, and what must come out of them, which `UPDATE=1` writes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use similar::TextDiff;

/// Results of a case, by path within its folder.
pub type Files = BTreeMap<String, String>;

/// Runs every case below a folder of `tests/`, and shows all that differs.
pub fn check(folder: &str, inputs: &[&str], at_least: usize, outcome: impl Fn(&Path) -> Files) {
    let folder = super::repository("tests").join(folder);
    let cases = entries(&folder);
    assert!(cases.len() >= at_least, "{} has {} cases only", folder.display(), cases.len());
    let update = std::env::var_os("UPDATE").is_some_and(|value| !value.is_empty());
    let mut report = String::new();
    for case in &cases {
        let actual = outcome(case);
        if update {
            rewrite(case, inputs, &actual);
        }
        let differences = differences(&expected(case, inputs), &actual);
        if !differences.is_empty() {
            let name = case.strip_prefix(super::repository("")).unwrap_or(case).display();
            report += &format!("\n=== {name}\n{differences}");
        }
    }
    assert!(report.is_empty(), "{report}\n`-` is expected, `+` is the case; UPDATE=1 accepts all of it");
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in entries(folder) {
        match entry.is_dir() {
            true => files_below(&entry, found),
            false => found.push(entry),
        }
    }
}

fn expected(case: &Path, inputs: &[&str]) -> Files {
    let mut found = Vec::new();
    files_below(case, &mut found);
    let named = found.into_iter().map(|path| {
        let text = std::fs::read_to_string(&path);
        (path.strip_prefix(case).unwrap().display().to_string(), text)
    });
    let outputs = named.filter(|(name, _)| !inputs.contains(&name.as_str()));
    outputs.map(|(name, text)| (name, text.unwrap())).collect()
}

fn rewrite(case: &Path, inputs: &[&str], actual: &Files) {
    for name in expected(case, inputs).keys().filter(|name| !actual.contains_key(*name)) {
        std::fs::remove_file(case.join(name)).unwrap();
    }
    for (name, text) in actual {
        let path = case.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

fn differences(expected: &Files, actual: &Files) -> String {
    let names: BTreeSet<_> = expected.keys().chain(actual.keys()).collect();
    let differing = names.into_iter().filter(|name| expected.get(*name) != actual.get(*name));
    let shown = differing.map(|name| {
        let text = |files: &Files| files.get(name).cloned().unwrap_or_default();
        let (old, new) = (text(expected), text(actual));
        let remark = match (expected.contains_key(name), actual.contains_key(name)) {
            (true, false) => format!("{name} did not come out\n"),
            (false, true) => format!("{name} is not expected\n"),
            _ => String::new(),
        };
        let diff = TextDiff::from_lines(&old, &new);
        format!("{remark}{}", diff.unified_diff().context_radius(2).header(name, name))
    });
    shown.collect()
}

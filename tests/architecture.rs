//! The map in `CONTRIBUTING.md`: each module of `agent/` has its place in it, and uses only those after it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The modules at the top of the crate, in the order of the map.
fn modules_of_the_map() -> Vec<String> {
    let text = std::fs::read_to_string("CONTRIBUTING.md").unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `agent/")?.split(" | ").next());
    let names = rows.flat_map(|cell| cell.split("agent/"));
    names.filter_map(|name| name.split(['.', '/', '`']).next()).map(str::to_owned).collect()
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for path in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
        match path.is_dir() {
            true => sources(&path, into),
            false => into.push(path),
        }
    }
}

/// The module at the top of the crate that a file belongs to.
fn module_of(path: &Path) -> String {
    let first = path.strip_prefix("agent").unwrap().components().next().unwrap();
    first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// The modules at the top of the crate that a text names by their paths, outside comments and tests.
fn uses(text: &str) -> BTreeSet<String> {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let paths = code.split("crate::").skip(1).flat_map(|rest| match rest.strip_prefix('{') {
        Some(several) => several.split('}').next().unwrap_or_default().split(", ").collect::<Vec<_>>(),
        None => vec![rest],
    });
    let name =
        |path: &str| path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_owned();
    paths.map(name).collect()
}

#[test]
fn each_module_uses_only_those_after_it_in_the_map() {
    let map = modules_of_the_map();
    let place = |name: &str| map.iter().position(|module| module == name);
    let mut files = Vec::new();
    sources(Path::new("agent"), &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let path = file.to_string_lossy();
        let own = module_of(&file);
        // `fuzzing` is only for the fuzz targets, and `lib` names all modules.
        if path.contains("tests") || ["fuzzing", "lib"].contains(&own.as_str()) {
            continue;
        }
        let Some(at) = place(&own) else {
            wrong.push(format!("{path} has no place in the map"));
            continue;
        };
        let text = std::fs::read_to_string(&file).unwrap();
        for used in uses(&text).into_iter().filter(|used| *used != own) {
            if place(&used).is_some_and(|of_used| of_used <= at) {
                wrong.push(format!("{path} uses {used}, which is before {own} in the map"));
            }
        }
    }
    assert!(map.len() > 20, "the map has {map:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

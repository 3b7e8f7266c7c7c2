//! The rules by which keys tell what of their values may be shown.

use super::SECTIONS;
use crate::ecs_variables::{VariableKind, kind};
use crate::secrets::is_secret_key;
use crate::text::nearest;

/// The parts of a value that a message may show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Visibility {
    /// All but the user info and the query of URLs.
    All,
    /// Like `All`, but without the user info of a URL that lacks its scheme.
    Proxy,
    /// No part.
    Nothing,
}

/// Tells which parts of a value may be shown, by the keys above it. `keys` ends with the value's own key.
pub(super) fn shown(keys: &[&str], is_mapping: bool, is_text: bool) -> Visibility {
    match keys {
        [.., last] if is_secret_key(last) => Visibility::Nothing,
        ["proxy"] if is_mapping || is_text => Visibility::Proxy,
        ["proxy", "no_proxy", ..] => Visibility::Proxy,
        ["proxy", "url"] if is_text => Visibility::Proxy,
        ["proxy", ..] => Visibility::Nothing,
        ["docker", "daemon"] | ["ecs", "config"] if !is_mapping => Visibility::Nothing,
        ["hooks", .., "name" | "timeout" | "on_failure" | "every_boot"] => Visibility::Proxy,
        // A command may have a secret among its arguments, and may stand under a wrong key.
        ["hooks", .., "run"] => Visibility::Nothing,
        ["hooks", ..] if is_text => Visibility::Nothing,
        // People may give the URL in base64, as cfn-signal takes it.
        ["signal", "wait_handle"] if !is_mapping => Visibility::Nothing,
        // The keys of an object tell which of its values are secret. An unknown variable may be secret, and a proxy's URL
        // may hold a secret.
        ["ecs", "config", name] => match kind(name) {
            None | Some(VariableKind::Elsewhere("proxy.url")) => Visibility::Nothing,
            Some(VariableKind::Object) if !is_mapping => Visibility::Nothing,
            Some(_) => Visibility::All,
        },
        // People write whole URLs even where a name is wanted.
        ["docker", "daemon" | "pull", ..] | ["ecs", "cluster"] | ["signal", ..] => Visibility::Proxy,
        [section, ..] if SECTIONS.contains(section) => Visibility::All,
        _ => Visibility::Proxy,
    }
}

/// Replaces each misspelt key of ours in a path by the key that it resembles.
pub(super) fn canonical(keys: &[String]) -> Vec<&str> {
    let mut path: Vec<&str> = Vec::new();
    for key in keys {
        path.push(meant(&path, key));
    }
    path
}

/// Returns the key that is meant below a path: the key itself, or the key of ours that it resembles.
pub(super) fn meant<'k>(above: &[&str], key: &'k str) -> &'k str {
    let known: &[&'static str] = match above {
        [] => &SECTIONS,
        ["ecs"] => &["cluster", "attributes", "tags", "config"],
        ["docker"] => &["data_root", "daemon", "pull"],
        ["signal"] => &["stack", "resource", "region", "auth", "timeout", "wait_handle", "lifecycle_hook"],
        // Below `proxy`, a misspelt key counts as no key of ours, so that its value is not shown.
        _ => return key,
    };
    match known.contains(&key) {
        true => key,
        false => nearest(key, known.iter().copied()).unwrap_or(key),
    }
}

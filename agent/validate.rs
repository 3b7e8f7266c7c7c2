//! Checks user data offline: in a file, in its encodings, or inside a CloudFormation template.

mod launch;
mod log_files;
mod logs;
mod on_failure;
mod proxy;
mod pulls;
mod references;
mod template;
mod validation;
mod volumes;
mod warning;
mod warnings;
mod without_effect;

use self::launch::{is_empty, of_launch, size_for_ec2};
use self::template::surroundings::Surroundings;
use self::validation::HOW_TO_HOLD;
pub use self::validation::Validation;
use crate::config::{self, Parsed};
use crate::document::decode::{self, Decoded, Document, Note};

/// Checks a file of user data. If the file is a CloudFormation template, checks the user data in the template.
pub fn check(name: &str, bytes: &[u8]) -> Validation {
    let launch = of_launch(name, bytes);
    if launch.iter().all(is_empty)
        && let Ok(text) = std::str::from_utf8(bytes)
        && template::is_template(text)
    {
        return template::check(name, text);
    }
    let each = launch.into_iter().map(|decoded| check_decoded(name, bytes, decoded));
    let verdict = each.reduce(Validation::and).unwrap_or_default();
    if verdict.found || !verdict.errors.is_empty() {
        return verdict;
    }
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    // In a comment, a blank follows the `#`.
    let has_header = text.contains("firstrun") || (text.starts_with('#') && !text.starts_with("# "));
    let is_mapping = !has_header && decode::has_our_top_level(text);
    let remedy = match verdict.was_meant {
        true if is_mapping => "follow the note; a file of /etc/ecs-firstrun/conf.d is checked with --conf-d",
        true => "follow the note",
        false => HOW_TO_HOLD,
    };
    verdict.nothing_found(format!("{name} holds no ecs-firstrun configuration"), remedy)
}

/// Checks a file of an image's `/etc/ecs-firstrun/conf.d`, which needs no header.
pub fn check_of_conf_d(name: &str, bytes: &[u8]) -> Validation {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Validation::failed(name, format!("{name} isn't UTF-8 text"), "save it as UTF-8");
    };
    let documents = [Document::of_conf_d(name, text)];
    let Parsed { config, problems, .. } = config::parse_of_image(&documents[0]);
    let mut verdict = Validation { found: true, errors: problems, ..Validation::of(name) };
    if verdict.errors.is_empty() {
        verdict.warnings = warnings::misfits(&config, &documents, &Surroundings::default());
        verdict.warnings.extend(without_effect::find(&config, &documents));
        verdict.warnings.extend(proxy::warnings(&config, &documents));
        verdict.notes.extend(proxy::note(&config));
    }
    verdict
}

fn check_decoded(name: &str, bytes: &[u8], mut decoded: Decoded) -> Validation {
    let documents = std::mem::take(&mut decoded.documents);
    let replaced = without_effect::replaced_lists(&documents);
    let parsed = config::with_decoded(config::parse(&documents), decoded);
    let Parsed { config, problems: errors, found, warnings, notes, .. } = parsed;
    let was_meant = notes.iter().any(|note| matches!(note, Note::Missed(_)));
    let notes = notes.iter().map(ToString::to_string).chain(replaced).chain(proxy::note(&config)).collect();
    let mut verdict = Validation { found, was_meant, errors, warnings, notes, ..Validation::of(name) };
    if found {
        if verdict.errors.is_empty() {
            let around = Surroundings::default();
            verdict.warnings.extend(warnings::secrets(&config, &documents));
            verdict.warnings.extend(warnings::misfits(&config, &documents, &around));
            verdict.warnings.extend(without_effect::find(&config, &documents));
            verdict.warnings.extend(proxy::warnings(&config, &documents));
        }
        verdict.warnings.extend(warnings::size(name, size_for_ec2(bytes)));
    }
    verdict
}

/// Checks the user data in a CloudFormation template.
pub fn check_template(name: &str, bytes: &[u8]) -> Validation {
    match std::str::from_utf8(bytes) {
        Ok(text) => template::check(name, text.trim_start_matches('\u{feff}')),
        Err(_) => Validation::failed(name, format!("{name} isn't UTF-8 text"), "a template is YAML or JSON"),
    }
}

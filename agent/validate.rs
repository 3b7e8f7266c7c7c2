//! Checks user data offline: in a file, in its encodings, or inside a CloudFormation template.

mod log_files;
mod logs;
mod proxy;
mod template;
mod volumes;
mod warnings;
mod without_effect;

use self::template::Surroundings;
use crate::config::{self, Parsed};
use crate::document::decode::{self, Decoded, Document, Note, decode, decode_for};
use crate::document::problem::Problem;

/// What to do where nothing is for ecs-firstrun.
const HOW_TO_HOLD: &str = "make `#ecs-firstrun` its first line, or put the configuration under the key `ecs_firstrun` \
    of a `#cloud-config` document, or into a MIME part of the type application/vnd.ecs-firstrun+yaml";

/// The result of the check of a file.
#[derive(Debug, Default)]
pub struct Validation {
    /// What messages call the file.
    pub name: String,
    /// Whether there is any configuration in it.
    pub found: bool,
    /// Set if the only finding is that nothing in the file is for ecs-firstrun.
    pub others: bool,
    /// Set for a template. Beside files with configuration, a template without any is not an error.
    pub is_template: bool,
    /// Set if something in the file was meant for ecs-firstrun and isn't read.
    pub was_meant: bool,
    /// Set if values known only in the stack may contain configuration.
    pub depends_on_stack: bool,
    /// What is wrong: a run would refuse it.
    pub errors: Vec<Problem>,
    /// What is allowed, and hurts.
    pub warnings: Vec<Problem>,
    /// What a person should know.
    pub notes: Vec<String>,
}

impl Validation {
    fn of(name: &str) -> Self {
        Validation { name: name.to_owned(), ..Validation::default() }
    }

    /// Says of the same file for this and another instance of a launch what there is to say, each thing once.
    fn and(mut self, other: Self) -> Self {
        fn add<T: PartialEq>(all: &mut Vec<T>, more: Vec<T>) {
            more.into_iter().for_each(|one| {
                if !all.contains(&one) {
                    all.push(one)
                }
            });
        }
        add(&mut self.errors, other.errors);
        add(&mut self.warnings, other.warnings);
        add(&mut self.notes, other.notes);
        Self { found: self.found | other.found, was_meant: self.was_meant | other.was_meant, ..self }
    }

    /// The same, with the error that nothing in the file is for ecs-firstrun.
    fn nothing_found(mut self, message: String, remedy: &str) -> Self {
        self.errors.push(Problem::general(message).remedy(remedy));
        self.others = true;
        self
    }

    /// Turns the error that a template has no configuration into a note, for use beside files that have some.
    #[must_use]
    pub fn beside_others(mut self) -> Self {
        if self.is_template && self.others {
            let said = self.errors.drain(..).map(|problem| problem.message);
            self.notes.extend(said);
        }
        self
    }

    /// A file that could not be checked.
    pub fn failed(name: &str, message: String, remedy: &str) -> Self {
        Validation { errors: vec![Problem::general(message).remedy(remedy)], ..Validation::of(name) }
    }
}

/// Checks a file of user data; where it is a CloudFormation template, the user data in that.
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
    match verdict.found || !verdict.errors.is_empty() {
        true => verdict,
        false => {
            let text = std::str::from_utf8(bytes).unwrap_or_default();
            // A comment has a blank behind its sign.
            let has_header = text.contains("firstrun") || (text.starts_with('#') && !text.starts_with("# "));
            let is_mapping = !has_header && decode::has_our_top_level(text);
            let remedy = match verdict.was_meant {
                true if is_mapping => {
                    "do what the note says; a file of /etc/ecs-firstrun/conf.d is checked with --conf-d"
                }
                true => "do what the note says",
                false => HOW_TO_HOLD,
            };
            verdict.nothing_found(format!("{name} holds no ecs-firstrun configuration"), remedy)
        }
    }
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
        verdict.warnings.extend(warnings::without_effect(&config, &documents));
        verdict.warnings.extend(proxy::warnings(&config, &documents));
        verdict.notes.extend(proxy::note(&config));
    }
    verdict
}

/// The user data as each instance of a launch has it: those that a part names by their index, and any other.
fn of_launch(name: &str, bytes: &[u8]) -> Vec<Decoded> {
    let all = decode(name, bytes);
    if all.launch_indices.is_empty() {
        return vec![all];
    }
    let any_other = (0..).find(|index| !all.launch_indices.contains(&Some(*index)));
    let indices = all.launch_indices.iter().flatten().copied().chain(any_other);
    let mut launch: Vec<_> = indices.map(|index| decode_for(name, bytes, Some(index))).collect();
    // One without configuration may be meant to be so.
    if !launch.iter().all(is_empty) {
        launch.retain(|decoded| !is_empty(decoded));
    }
    for decoded in &mut launch {
        decoded.notes.retain(|note| !matches!(note, Note::Elsewhere(_)));
        let note = format!("{name}: parts with a launch index are checked for each instance that they are for");
        decoded.notes.push(Note::Elsewhere(note));
    }
    launch
}

/// Tells whether there is nothing for ecs-firstrun in user data.
fn is_empty(decoded: &Decoded) -> bool {
    decoded.documents.is_empty() && decoded.problems.is_empty()
}

fn check_decoded(name: &str, bytes: &[u8], mut decoded: Decoded) -> Validation {
    let documents = std::mem::take(&mut decoded.documents);
    let replaced = warnings::replaced_lists(&documents);
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
            verdict.warnings.extend(warnings::without_effect(&config, &documents));
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

/// The bytes that EC2 counts: user data that are base64 as a whole are decoded before.
fn size_for_ec2(bytes: &[u8]) -> usize {
    decode::base64_wrapped(bytes).map_or(bytes.len(), |decoded| decoded.len())
}

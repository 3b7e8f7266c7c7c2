//! Finds the documents that are ours in user data, as cloud-init would unpack it.
//!
//! What isn't ours is left to cloud-init, with a note that says so: a document that was meant for us but isn't
//! recognised must not vanish without a word.

mod mime;
mod recognise;

use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::bufread::GzDecoder;

use super::problem::{Problem, Source};
use super::secrets;
use super::yaml::{self, Node};
use mime::Entity;
use recognise::{OUR_KEY, OUR_TYPE, Recognised, has_our_top_level, is_headed, recognise};

/// Bytes of user data, before and after each unpacking. EC2 takes 16 KiB; a file on a laptop may be longer.
const MAX_BYTES: usize = 1 << 20;
/// Bytes of a document that is read as YAML. One that fills the user data and was compressed to a tenth has 160 KiB.
pub(super) const MAX_TEXT: usize = 256 << 10;
/// Wrappings (base64 or gzip) around one document; two are usual, and one more comes from encoding twice.
const MAX_LAYERS: usize = 4;
/// Multiparts within multiparts.
const MAX_NESTING: usize = 4;
/// Parts of one message.
const MAX_PARTS: usize = 100;

/// What was found.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Ours, in the order in which they were found.
    pub documents: Vec<Document>,
    /// What couldn't be unpacked.
    pub problems: Vec<Problem>,
    /// What was left to cloud-init, and why.
    pub notes: Vec<String>,
}

/// A document of ours.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its text; lines are counted from its own beginning.
    pub source: Arc<Source>,
    /// Whether the configuration is the value of the key `ecs_firstrun`, rather than the whole.
    pub embedded: bool,
}

impl Document {
    /// Loads the configuration in the document. Repeated keys outside of it are the business of others.
    pub fn load(&self) -> (Option<Node>, Vec<Problem>) {
        let (root, mut problems) = yaml::load(&self.source);
        if !self.embedded {
            root.iter().for_each(secrets::hide_misplaced);
            return (root, problems);
        }
        let entry = root.as_ref().and_then(|root| root.entry(OUR_KEY));
        secrets::hide_surroundings(&self.source, entry, OUR_KEY);
        let config = entry.map(|entry| entry.value.clone());
        config.iter().for_each(secrets::hide_misplaced);
        let ours = config.as_ref().map(|node| node.span.start..node.span.end).unwrap_or_default();
        problems.retain(|problem| {
            let at = problem.span.as_ref().map(|span| span.start);
            let of_key = problem.message == format!("the key `{OUR_KEY}` {}", yaml::GIVEN_TWICE);
            of_key || at.is_some_and(|at| ours.contains(&at)) || !problem.message.ends_with(yaml::GIVEN_TWICE)
        });
        (config, problems)
    }
}

/// Unpacks user data: plain, base64, gzip or both, or MIME multipart of these. `name` is what messages call it.
pub fn decode(name: &str, bytes: &[u8]) -> Decoded {
    let mut walk = Walk { name, multipart: false, parts: 0, unpacked: 0, found: Decoded::default() };
    if bytes.len() > MAX_BYTES {
        walk.refuse(name, "it is longer than 1 MiB".into(), "EC2 takes 16 KiB; move large files elsewhere");
        return walk.found;
    }
    match unwrapped(bytes) {
        Ok(bytes) if mime::is_mime(&bytes) => walk.entity(&bytes, 0),
        Ok(bytes) => walk.document(name.into(), None, &bytes),
        Err((message, remedy)) => walk.refuse(name, message, remedy),
    }
    walk.found
}

/// What is wrong with a wrapping, and the remedy.
type Trouble = (String, &'static str);

struct Walk<'a> {
    name: &'a str,
    multipart: bool,
    parts: usize,
    /// Bytes of all parts, unpacked.
    unpacked: usize,
    found: Decoded,
}

impl Walk<'_> {
    fn refuse(&mut self, label: &str, message: String, remedy: &str) {
        let problem = Problem::general(format!("{label}: {message}"));
        self.found.problems.push(problem.remedy(remedy));
    }

    fn entity(&mut self, bytes: &[u8], nesting: usize) {
        let entity = Entity::parse(bytes);
        match entity.parts() {
            None => self.part(&entity),
            Some(_) if nesting >= MAX_NESTING => {
                let message = format!("multiparts are nested more than {MAX_NESTING} deep");
                self.refuse(self.name, message, "put all parts into one multipart");
            }
            Some(parts) => {
                self.multipart = true;
                if parts.is_empty() {
                    self.found.notes.push(format!("{}: its multipart has no parts", self.name));
                }
                for part in parts {
                    self.entity(part, nesting + 1);
                }
            }
        }
    }

    fn part(&mut self, entity: &Entity<'_>) {
        self.parts += 1;
        if self.unpacked > MAX_BYTES {
            return;
        }
        if self.parts > MAX_PARTS {
            if self.parts == MAX_PARTS + 1 {
                let message = format!("there are more than {MAX_PARTS} parts; the others aren't read");
                self.refuse(self.name, message, "use fewer parts");
            }
            return;
        }
        let file = entity.file.as_ref().map(|file| format!(" ({file})")).unwrap_or_default();
        let label = match self.multipart {
            true => format!("{}, part {}{file}", self.name, self.parts),
            false => format!("{}{file}", self.name),
        };
        let content = entity.content().map_err(|message| (message.into(), "encode it again"));
        let unpacked = content.and_then(|content| unwrapped(&content).map(Cow::into_owned));
        self.unpacked += unpacked.as_ref().map_or(0, Vec::len);
        if self.unpacked > MAX_BYTES {
            let message = "the parts are longer than 1 MiB in all; from here on they aren't read".to_owned();
            return self.refuse(&label, message, "move large files elsewhere");
        }
        match unpacked {
            Ok(content) => self.document(label, entity.content_type.as_deref(), &content),
            Err((message, remedy)) => self.refuse(&label, message, remedy),
        }
    }

    fn document(&mut self, label: String, declared: Option<&str>, bytes: &[u8]) {
        let Ok(text) = std::str::from_utf8(bytes) else {
            if declared == Some(OUR_TYPE) || is_headed(bytes) {
                self.refuse(&label, "it isn't UTF-8 text".into(), "save it as UTF-8");
            } else {
                self.left(&label, declared.unwrap_or("not text"));
            }
            return;
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match recognise(declared, text) {
            Recognised::Ours { .. } if text.len() > MAX_TEXT => {
                let message = format!("it is longer than {} KiB", MAX_TEXT >> 10);
                self.refuse(&label, message, "move large files elsewhere, or into a part of their own");
            }
            Recognised::Ours { embedded } => {
                self.found.documents.push(Document { source: Source::new(label, text), embedded });
            }
            Recognised::Nearly(why) => self.found.notes.push(format!("{label} {why}")),
            Recognised::Others(kind) => self.left(&label, declared.unwrap_or(kind)),
            Recognised::Nothing => {}
        }
    }

    fn left(&mut self, label: &str, kind: &str) {
        self.found.notes.push(format!("{label} ({kind}) is left to cloud-init"));
    }
}

/// The content without the base64 and gzip around it.
fn unwrapped(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Trouble> {
    let mut content = Cow::Borrowed(bytes);
    for _ in 0..=MAX_LAYERS {
        if is_gzip(&content) {
            content = gunzip(&content)?.into();
        } else if let Some(decoded) = base64_wrapped(&content) {
            content = decoded.into();
        } else {
            return Ok(content);
        }
    }
    Err((format!("more than {MAX_LAYERS} layers of base64 and gzip"), "encode it once"))
}

fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// All members of gzip data; what follows the last is ignored, as padding is common.
fn gunzip(mut bytes: &[u8]) -> Result<Vec<u8>, Trouble> {
    let mut content = Vec::new();
    while is_gzip(bytes) {
        let mut decoder = GzDecoder::new(bytes);
        let read = decoder.by_ref().take(MAX_BYTES as u64 + 1).read_to_end(&mut content);
        if content.len() > MAX_BYTES {
            return Err(("the gzip data expands to more than 1 MiB".into(), "move large files elsewhere"));
        }
        match read {
            Ok(_) => bytes = decoder.into_inner(),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err((
                    "the gzip data ends too early".into(),
                    "it was cut off: encode it again, and check that all of it is copied",
                ));
            }
            Err(error) => {
                return Err((format!("the gzip data is damaged: {error}"), "compress it again"));
            }
        }
    }
    Ok(content)
}

/// What whole base64 stands for. Short plain text can be valid base64 by chance, so the content must make sense.
pub(crate) fn base64_wrapped(bytes: &[u8]) -> Option<Vec<u8>> {
    // Nothing is valid base64 too, and would go on for ever.
    let decoded = base64_decoded(bytes).filter(|decoded| !decoded.is_empty())?;
    let sensible = is_gzip(&decoded) || mime::is_mime(&decoded) || is_headed(&decoded) || {
        let text = std::str::from_utf8(&decoded).ok()?.trim_start_matches('\u{feff}').trim_start();
        text.starts_with('#') || text.contains(OUR_KEY) || has_our_top_level(text) || base64_wrapped(&decoded).is_some()
    };
    sensible.then_some(decoded)
}

/// Decodes base64 with blanks and line breaks anywhere, and with or without padding.
fn base64_decoded(bytes: &[u8]) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let dense: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    GeneralPurpose::new(&STANDARD, config).decode(dense).ok()
}

#[cfg(test)]
mod tests;

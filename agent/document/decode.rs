//! Finds the documents that are ours in user data, as cloud-init would unpack it.
//!
//! Other documents are left to cloud-init, with a note. A document that was meant for us but isn't recognised must not
//! vanish without a word.

mod decoded;
mod document;
mod launch_index;
mod mime;
mod recognise;

use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;

use flate2::bufread::GzDecoder;

use super::problem::{Extent, Problem, Source};
use super::yaml::{Loaded, Node, Value};
pub use decoded::{Decoded, Note};
pub use document::Document;
use mime::{Entity, base64_decoded};
pub(crate) use recognise::has_our_top_level;
use recognise::{MAX_TEXT, OUR_KEY, OUR_TYPE, Recognised, is_headed, recognise};

/// The most bytes of user data, before and after each unpacking. EC2 takes 16 KiB; a file on a laptop may be longer.
const MAX_BYTES: usize = 1 << 20;
/// The most wrappings (base64 or gzip) around one document. Two are usual, and encoding twice adds one more.
const MAX_LAYERS: usize = 4;
/// Multiparts within multiparts, and archives within archives.
const MAX_NESTING: usize = 4;
/// Parts of one message.
const MAX_PARTS: usize = 100;
/// The keys by which a `#cloud-config` document says how it is merged.
const MERGE_KEYS: [&str; 2] = ["merge_how", "merge_type"];

/// Unpacks user data: plain, base64, gzip or both, or MIME multipart of these. Messages call the user data `name`.
pub fn decode(name: &str, bytes: &[u8]) -> Decoded {
    decode_for(name, bytes, None)
}

/// Unpacks the user data of an instance with this launch index. Where the index isn't known, the parts for each are read.
pub fn decode_for(name: &str, bytes: &[u8], launch_index: Option<u32>) -> Decoded {
    let found = Decoded::default();
    let mut walk = Walk { name, launch_index, multipart: false, parts: 0, unpacked: 0, archives: 0, found };
    if bytes.len() > MAX_BYTES {
        walk.refuse(name, "it is longer than 1 MiB".into(), "EC2 takes 16 KiB; move large files elsewhere");
        return walk.found;
    }
    match unwrapped(bytes) {
        Ok(bytes) if mime::is_mime(&bytes) => walk.entity(mime::from_first_header(&bytes), 0),
        Ok(bytes) => walk.document(name.into(), &Entity::default(), &bytes),
        Err((message, remedy)) => walk.refuse(name, message, remedy),
    }
    if !walk.found.launch_indices.is_empty() {
        let note = format!(
            "{name}: the launch index of the instance isn't known, so the parts for every launch index are read"
        );
        walk.found.notes.push(Note::Elsewhere(note));
    }
    walk.found
}

/// The fault of a wrapping, and the remedy.
type Trouble = (String, &'static str);

struct Walk<'a> {
    name: &'a str,
    /// The instance's own launch index.
    launch_index: Option<u32>,
    multipart: bool,
    parts: usize,
    /// Bytes of all parts, unpacked.
    unpacked: usize,
    /// Archives that are open.
    archives: usize,
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
                    self.found.notes.push(Note::Missed(format!("{}: {}", self.name, entity.why_no_parts())));
                }
                for part in parts {
                    self.entity(part, nesting + 1);
                }
            }
        }
    }

    fn part(&mut self, entity: &Entity<'_>) {
        let Some(label) = self.next_part(entity.file.as_deref()) else { return };
        let content = entity.content().map_err(|message| (message, "encode it again"));
        let unpacked = content.and_then(|content| unwrapped(&content).map(Cow::into_owned));
        self.unpacked(label, entity, unpacked);
    }

    /// Names the next part for messages; `None` once the limit of unpacked bytes is reached.
    fn next_part(&mut self, file: Option<&str>) -> Option<String> {
        self.parts += 1;
        if self.unpacked > MAX_BYTES {
            return None;
        }
        if self.parts > MAX_PARTS {
            if self.parts == MAX_PARTS + 1 {
                let message = format!("there are more than {MAX_PARTS} parts; the others aren't read");
                self.refuse(self.name, message, "use fewer parts");
            }
            return None;
        }
        let file = file.map(|file| format!(" ({file})")).unwrap_or_default();
        Some(match self.multipart {
            true => format!("{}, part {}{file}", self.name, self.parts),
            false => format!("{}{file}", self.name),
        })
    }

    fn unpacked(&mut self, label: String, entity: &Entity<'_>, unpacked: Result<Vec<u8>, Trouble>) {
        self.unpacked += unpacked.as_ref().map_or(0, Vec::len);
        if self.unpacked > MAX_BYTES {
            let message = "the parts are longer than 1 MiB in total; parts from here on aren't read".to_owned();
            return self.refuse(&label, message, "move large files elsewhere");
        }
        match unpacked {
            Ok(content) => self.document(label, entity, &content),
            Err(_) if !self.is_for_us(&label, entity, None) => {}
            Err((message, remedy)) => self.refuse(&label, message, remedy),
        }
    }

    fn document(&mut self, label: String, entity: &Entity<'_>, bytes: &[u8]) {
        let declared = entity.content_type.as_deref();
        let Ok(text) = std::str::from_utf8(bytes) else {
            if !self.is_for_us(&label, entity, None) {
                return;
            }
            if declared == Some(OUR_TYPE) || is_headed(bytes) {
                self.refuse(&label, "it isn't UTF-8 text".into(), "save it as UTF-8");
            } else if recognise::mentions_us(bytes) {
                self.found.names_us = true;
                self.found.notes.push(Note::Missed(format!("{label} isn't UTF-8 text; save it as UTF-8")));
            } else {
                self.left(&label, declared.unwrap_or("not text"));
            }
            return;
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let source = Source::new(label, text);
        let label = source.name.as_str();
        match recognise(declared, &source) {
            // The launch index of an archive is lost where cloud-init unpacks it.
            Recognised::Archive(loaded) => self.archive(&source, loaded),
            Recognised::Nothing => {}
            recognised if !self.is_for_us(label, entity, Some(&recognised)) => {}
            Recognised::TooLong => {
                let message = format!("it is longer than {} KiB", MAX_TEXT >> 10);
                self.refuse(label, message, "move large files elsewhere, or into a part of their own");
            }
            Recognised::Ours { loaded, embedded } => self.ours(entity, &source, loaded, embedded),
            Recognised::Nearly(why) => {
                self.found.names_us = true;
                self.found.notes.push(Note::Missed(format!("{label} {why}")));
            }
            Recognised::Others(kind) => {
                self.found.names_us |= text.contains(env!("CARGO_PKG_NAME"));
                self.left(label, declared.unwrap_or(kind));
            }
        }
    }

    fn ours(&mut self, entity: &Entity<'_>, source: &Arc<Source>, loaded: Loaded, embedded: bool) {
        let label = &source.name;
        let declared = entity.content_type.as_deref().unwrap_or_default();
        let is_cloud_config = embedded && declared == "text/cloud-config";
        if let Some(what) = recognise::run_by_cloud_init(declared).filter(|_| !is_cloud_config) {
            let warning = Problem::general(format!("{label} has the type {declared}: cloud-init {what}"));
            let right = if embedded { "text/cloud-config" } else { OUR_TYPE };
            self.found.warnings.push(warning.remedy(format!("give the part the type {right}")));
        }
        if let Some(keys) = loaded.root.as_ref().filter(|_| embedded).and_then(recognise::sections_beside) {
            let note = format!("{label}: `{keys}` must stand under the key `{OUR_KEY}`, not beside it");
            self.found.notes.push(Note::Missed(note));
        }
        let of_document = MERGE_KEYS
            .into_iter()
            .find(|key| embedded && loaded.root.as_ref().is_some_and(|root| root.get(key).is_some()));
        if let Some(how) = entity.merge_type.then_some("X-Merge-Type").or(of_document) {
            let note = format!(
                "{label}: `{how}` has no effect on ecs-firstrun's configuration, of which only mappings are merged"
            );
            self.found.notes.push(Note::Missed(note));
        }
        self.found.documents.push(Document::of(source, loaded, embedded));
    }

    /// Reads a `#cloud-config-archive`: a list of parts, each a text or a mapping with `content`, `type` and `filename`.
    ///
    /// An archive that breaks off is refused, since cloud-init can't read it either. Other mistakes in an archive are not
    /// ours to report.
    fn archive(&mut self, source: &Arc<Source>, loaded: Loaded) {
        let Loaded { root, problems, .. } = loaded;
        let broken: Vec<_> = problems.into_iter().filter(|problem| problem.extent == Extent::Document).collect();
        if !broken.is_empty() {
            return self.found.problems.extend(broken);
        }
        if self.archives >= MAX_NESTING {
            let message = format!("archives are nested more than {MAX_NESTING} deep");
            return self.refuse(&source.name, message, "put all parts into one archive");
        }
        let Some(Value::Sequence(items)) = root.map(|root| root.value) else {
            let message = "a #cloud-config-archive is a list of parts".to_owned();
            return self.refuse(&source.name, message, "begin each part with `- `");
        };
        self.archives += 1;
        self.multipart = true;
        for item in items {
            let text = |key: &str| item.get(key).and_then(Node::text);
            let mut entity = Entity::named(text("type"), text("filename"));
            entity.launch_index = item.get(launch_index::KEY).map(launch_index::of_item);
            entity.merge_type = mime::MERGE_TYPE.iter().any(|name| item.get(name).is_some());
            let Some(label) = self.next_part(entity.file.as_deref()) else { continue };
            let Some(content) = item.text().or_else(|| text("content")) else {
                let note = format!("{label} has no text as its `content`; write `content: |`, and the part below it");
                self.found.notes.push(Note::Missed(note));
                continue;
            };
            let unpacked = unwrapped(content.as_bytes()).map(Cow::into_owned);
            self.unpacked(label, &entity, unpacked);
        }
        self.archives -= 1;
    }

    fn is_for_us(&mut self, label: &str, entity: &Entity<'_>, recognised: Option<&Recognised>) -> bool {
        self.found.takes(self.launch_index, label, entity, recognised)
    }

    fn left(&mut self, label: &str, kind: &str) {
        self.found.notes.push(Note::Left(format!("{label} ({kind}) is left to cloud-init")));
    }
}

/// Unwraps content from the base64 and gzip around it.
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

/// Unpacks all members of gzip data. Bytes behind the last member are ignored, as padding is common.
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

/// Decodes data that is base64 as a whole. Short plain text can be valid base64 by chance, so the content must make sense.
pub(crate) fn base64_wrapped(bytes: &[u8]) -> Option<Vec<u8>> {
    // Empty data is valid base64 too, and would be decoded for ever.
    let decoded = base64_decoded(bytes).filter(|decoded| !decoded.is_empty())?;
    let sensible = is_gzip(&decoded) || mime::is_mime(&decoded) || is_headed(&decoded) || {
        let text = std::str::from_utf8(&decoded).ok()?.trim_start_matches('\u{feff}').trim_start();
        text.starts_with('#') || text.contains(OUR_KEY) || has_our_top_level(text) || base64_wrapped(&decoded).is_some()
    };
    sensible.then_some(decoded)
}

#[cfg(test)]
mod tests;

//! Tells which documents are ours, and which were meant to be.

use std::sync::Arc;

use crate::document::SECTIONS;
use crate::document::problem::Source;
use crate::document::yaml::{self, Loaded, Node};
use crate::secrets::redact;

/// The most bytes of a document that is read as YAML. A document that fills the user data, compressed to a tenth, has 160
/// KiB.
pub(super) const MAX_TEXT: usize = 256 << 10;
/// The MIME type of our documents. cloud-init skips types that it doesn't know.
pub(super) const OUR_TYPE: &str = "application/vnd.ecs-firstrun+yaml";
/// The first line of our documents.
const OUR_HEADER: &str = "#ecs-firstrun";
/// The key that holds our document in another.
pub(super) const OUR_KEY: &str = "ecs_firstrun";
/// The letters of the header and of the key, without the characters between their words.
const OUR_LETTERS: &str = "ecsfirstrun";
/// The least likeness of a word to ours (normalised Damerau-Levenshtein): two typos in eleven letters.
const ALIKE: f64 = 0.8;

const WRONG_HEADER: &str = "looks like ecs-firstrun configuration, but its first line is not `#ecs-firstrun`";
const QUOTED: &str =
    "looks like ecs-firstrun configuration in quotes; leave out the quotes, and escapes such as `\\n` within";
const JINJA: &str =
    "is a Jinja template, which ecs-firstrun doesn't read; put its configuration into a part of its own";
const NO_BOUNDARY: &str = "is a multipart without a boundary; write `boundary=\"...\"` into its Content-Type";

/// The kinds of documents, by their owner.
pub(super) enum Recognised {
    Ours {
        loaded: Loaded,
        embedded: bool,
    },
    /// Ours, and longer than the text that is read.
    TooLong,
    /// A list of documents.
    Archive(Loaded),
    /// Probably meant to be ours. Holds the end of a sentence about the fault.
    Nearly(String),
    /// A document of others. Holds its kind.
    Others(&'static str),
    /// Empty.
    Nothing,
}

impl Recognised {
    fn nearly(why: impl Into<String>) -> Self {
        Recognised::Nearly(why.into())
    }
}

/// Tells whose a document is: by its type, by its first line, then by its keys. Like cloud-init, this skips blanks before
/// the first line.
pub(super) fn recognise(declared: Option<&str>, source: &Arc<Source>) -> Recognised {
    let text = &*source.text;
    let header = text.trim_start().lines().next().unwrap_or("").trim_end();
    let word = header.split_whitespace().next().unwrap_or("").to_ascii_lowercase();
    let too_long = text.len() > MAX_TEXT;
    if declared == Some(OUR_TYPE) && is_jinja(None, header) {
        return Recognised::nearly(JINJA);
    }
    if declared == Some(OUR_TYPE) || header.eq_ignore_ascii_case(OUR_HEADER) {
        if too_long {
            return Recognised::TooLong;
        }
        let loaded = yaml::load(source);
        return Recognised::Ours { embedded: is_only_our_key(&loaded), loaded };
    }
    if header.is_empty() {
        return Recognised::Nothing;
    }
    if is_jinja(declared, header) {
        let begins_section =
            |line: &str| SECTIONS.iter().any(|key| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')));
        let is_meant = text.contains(OUR_KEY) || line_of_header(text).is_some() || text.lines().any(begins_section);
        return if is_meant { Recognised::nearly(JINJA) } else { Recognised::Others("Jinja template") };
    }
    if word == "#cloud-config-archive" || declared == Some("text/cloud-config-archive") {
        return match text.contains(OUR_KEY) || text.contains(OUR_HEADER) || text.contains(OUR_TYPE) {
            true if too_long => Recognised::TooLong,
            true => Recognised::Archive(yaml::load(source)),
            false => Recognised::Others("cloud-config-archive"),
        };
    }
    if word == "#cloud-config" || (declared == Some("text/cloud-config") && !header.starts_with('#')) {
        return recognise_cloud_config(source);
    }
    match nearly_ours(declared, header, text) {
        Some(why) => Recognised::Nearly(why),
        None if declared == Some("text/cloud-config") => recognise_cloud_config(source),
        None if header.starts_with("#!") || header.starts_with("#include") => Recognised::Others("script or include"),
        None => recognise_keys(source),
    }
}

/// Tells how cloud-init itself handles a part of this type.
/// <https://docs.cloud-init.io/en/latest/explanation/format.html>
pub(super) fn run_by_cloud_init(declared: &str) -> Option<&'static str> {
    match declared {
        "text/cloud-boothook" | "text/x-shellscript" | "text/upstart-job" => {
            Some("runs it as a script too, which fails")
        }
        per if per.starts_with("text/x-shellscript-per-") => Some("runs it as a script too, which fails"),
        "text/part-handler" => Some("runs it as a Python program too, which fails"),
        "text/x-include-url" | "text/x-include-once-url" => Some("takes its lines for URLs too, and fetches them"),
        "text/cloud-config" | "text/cloud-config-jsonp" => {
            Some("takes its keys for keys of its own too, and warns of them")
        }
        _ => None,
    }
}

fn is_jinja(declared: Option<&str>, header: &str) -> bool {
    declared == Some("text/jinja2") || (header.starts_with("##") && header.to_ascii_lowercase().contains("jinja"))
}

/// Recognises a `#cloud-config` document. A document with our key is ours, also if it breaks off before the key, so that its
/// mistake is reported.
fn recognise_cloud_config(source: &Arc<Source>) -> Recognised {
    let text = &*source.text;
    if text.len() > MAX_TEXT {
        return if text.contains(OUR_KEY) { Recognised::TooLong } else { Recognised::Others("cloud-config") };
    }
    let lines = || text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim_end()));
    if !text.contains(OUR_KEY) && !lines().any(is_nearly_our_key) && !SECTIONS.iter().any(|key| text.contains(key)) {
        return Recognised::Others("cloud-config");
    }
    let loaded = yaml::load(source);
    if loaded.root.as_ref().is_some_and(|root| root.get(OUR_KEY).is_some()) || lines().any(|key| key == OUR_KEY) {
        return Recognised::Ours { loaded, embedded: true };
    }
    let keys: Vec<&str> = loaded.root.as_ref().map(keys).unwrap_or_default().into_iter().chain(lines()).collect();
    if let Some(nearly) = nearly_our_key(&keys) {
        return nearly;
    }
    if let Some(above) = loaded.root.as_ref().and_then(|root| above_our_key(root, "")) {
        return Recognised::Nearly(format!(
            "has `{OUR_KEY}` below `{}`, where ecs-firstrun doesn't look; write it without indentation",
            redact(&above)
        ));
    }
    if let Some(number) = text.lines().position(begins_with_our_key) {
        return Recognised::Nearly(format!(
            "has `{OUR_KEY}` in line {}, but not as a key at the left margin; write `{OUR_KEY}:`, with the configuration \
            indented below it",
            number + 1
        ));
    }
    match SECTIONS.into_iter().filter(|key| keys.contains(key)).collect::<Vec<_>>() {
        ours if ours.is_empty() => Recognised::Others("cloud-config"),
        ours => Recognised::Nearly(format!(
            "looks like ecs-firstrun configuration, but `{}` must stand under the key `{OUR_KEY}` in a #cloud-config document",
            ours.join("`, `")
        )),
    }
}

/// Lists our sections beside our key, where nothing reads them.
pub(super) fn sections_beside(root: &Node) -> Option<String> {
    let beside: Vec<&str> = keys(root).into_iter().filter(|key| SECTIONS.contains(key)).collect();
    (!beside.is_empty()).then(|| beside.join("`, `"))
}

/// Tells whether a line holds our key, even if it is quoted or indented.
fn begins_with_our_key(line: &str) -> bool {
    let line = line.trim_start_matches([' ', '\t', '"', '\'', '{', '-', '\u{a0}']);
    let rest = line.strip_prefix(OUR_KEY).map(|rest| rest.trim_start_matches(['"', '\'', ' ', '\u{a0}']));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '=', '{']))
}

/// Recognises a mapping without a header.
fn recognise_keys(source: &Arc<Source>) -> Recognised {
    let text = &*source.text;
    let mentions = |word: &str| text.contains(word);
    if text.len() > MAX_TEXT {
        return if mentions(OUR_KEY) { Recognised::TooLong } else { Recognised::Others("unknown kind") };
    }
    let might_be = mentions(OUR_KEY) || mentions("firstrun") || SECTIONS.iter().any(|key| mentions(key));
    if !might_be {
        return Recognised::Others("unknown kind");
    }
    let loaded = yaml::load(source);
    if is_only_our_key(&loaded) {
        return Recognised::Ours { loaded, embedded: true };
    }
    let has_our_line = text.lines().any(|line| line.split_once(':').is_some_and(|(key, _)| key.trim_end() == OUR_KEY));
    let Some(root) = &loaded.root else { return Recognised::Others("unknown kind") };
    if root.get(OUR_KEY).is_some() || has_our_line {
        return Recognised::nearly("holds `ecs_firstrun` beside other keys, but its first line is not `#cloud-config`");
    }
    match nearly_our_key(&keys(root)) {
        Some(nearly) => nearly,
        None if has_our_keys(root) => Recognised::nearly(WRONG_HEADER),
        None => Recognised::Others("unknown kind"),
    }
}

fn nearly_our_key(keys: &[&str]) -> Option<Recognised> {
    let key = keys.iter().find(|key| is_nearly_our_key(key))?;
    Some(Recognised::Nearly(format!("has the key `{key}`; did you mean `{OUR_KEY}`?")))
}

/// Recognises a text that was meant for ecs-firstrun, and says what to change.
fn nearly_ours(declared: Option<&str>, header: &str, text: &str) -> Option<String> {
    if let Some(kind) = declared.filter(|kind| kind.contains("firstrun") || kind.contains("first-run")) {
        return Some(format!("has the type {kind}; did you mean {OUR_TYPE}?"));
    }
    if is_nearly_our_header(header) {
        return Some(match header.chars().find(|c| !c.is_ascii()) {
            _ if header.starts_with(['"', '\'']) => QUOTED.to_owned(),
            None => WRONG_HEADER.to_owned(),
            // Such as a zero-width space, a no-break hyphen or a typographic quote: the line may look right.
            Some(c) => format!(
                "looks like ecs-firstrun configuration, but its first line has a character (U+{:04X}) that \
                `#ecs-firstrun` doesn't have; write the line anew",
                u32::from(c)
            ),
        });
    }
    let lower = text.to_ascii_lowercase();
    if !lower.contains("ecs-firstrun") && !lower.contains(OUR_KEY) {
        return None;
    }
    if declared.is_some_and(|kind| kind.starts_with("multipart/")) {
        return Some(NO_BOUNDARY.to_owned());
    }
    if let Some(why) = misplaced_mime(&lower) {
        return Some(why.to_owned());
    }
    let is_script = header.starts_with("#!");
    let below = |number: usize| -> String { text.lines().skip(number + 1).map(|line| format!("{line}\n")).collect() };
    if let Some(number) = line_of_header(text).filter(|number| *number > 0) {
        let Loaded { root, problems, .. } = yaml::load(&Source::new("", below(number)));
        // A script may well write such a document, and go on.
        let is_ours = (problems.is_empty() || !is_script) && root.as_ref().is_some_and(has_our_keys);
        return is_ours.then(|| format!("has `#ecs-firstrun` in line {}, but it must be the first line", number + 1));
    }
    let number = text.lines().position(|line| line.starts_with(OUR_KEY) && begins_with_our_key(line));
    let number = number.filter(|number| is_script && *number > 0)?;
    let what = "which nothing reads in a script; put it into a part of its own";
    Some(format!("has the key `{OUR_KEY}` in line {}, {what}", number + 1))
}

/// Says why MIME headers in a text are not read as headers.
fn misplaced_mime(lower: &str) -> Option<&'static str> {
    let of_ours = format!("content-type: {OUR_TYPE}");
    let is_mime = |line: &&str| {
        let line = line.trim_start();
        line.starts_with("content-type: multipart/") || line.starts_with(&of_ours)
    };
    let number = lower.lines().position(|line| is_mime(&line))?;
    let line = lower.lines().nth(number)?;
    let headers = lower.lines().take_while(|line| {
        line.split_once(':').is_some_and(|(name, _)| !name.contains(' ')) || line.starts_with([' ', '\t'])
    });
    Some(match () {
        () if line.starts_with([' ', '\t']) => "has MIME headers that are indented; they must begin at the left margin",
        () if !lower.contains("mime-version:") && number < headers.count() => {
            "has MIME headers without the line `MIME-Version: 1.0`; add it"
        }
        () => "has MIME headers that are not its first lines; take out what stands above them, a blank line too",
    })
}

/// Finds the line that is our header; its number counts from 0.
fn line_of_header(text: &str) -> Option<usize> {
    text.lines().position(|line| line.trim().eq_ignore_ascii_case(OUR_HEADER))
}

fn letters(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Tells whether a line resembles our header: `# ecs-firstrun`, `#ecs_firstrun: ...`, `ecs-firstrun`, `#ecs-firstun` and the
/// like.
fn is_nearly_our_header(header: &str) -> bool {
    let comment = header.trim_start_matches(['"', '\'', '/', ';', ' ']);
    let word = comment.trim_start_matches(['#', ' ']).split_whitespace().next().unwrap_or_default();
    let starts = comment.starts_with('#') && letters(comment).starts_with(OUR_LETTERS);
    let is_alone = !word.contains(':') && word.len() < 2 * OUR_LETTERS.len();
    starts || (is_alone && strsim::normalized_damerau_levenshtein(&letters(word), OUR_LETTERS) >= ALIKE)
}

/// Tells whether a key resembles ours: `ecs-firstrun`, `ecsfirstrun`, `ecs_fristrun`, in quotes or not.
fn is_nearly_our_key(key: &str) -> bool {
    let key = key.trim_matches(['"', '\'']);
    key != OUR_KEY
        && key.len() < 2 * OUR_KEY.len()
        && !key.starts_with([' ', '#', '-'])
        && strsim::normalized_damerau_levenshtein(&letters(key), OUR_LETTERS) >= ALIKE
}

/// Tells whether bytes that aren't UTF-8 begin with our header; Windows likes to write UTF-16.
pub(super) fn is_headed(bytes: &[u8]) -> bool {
    let start: Vec<u8> = bytes.iter().take(64).copied().filter(|byte| byte.is_ascii_graphic()).collect();
    start.to_ascii_lowercase().starts_with(OUR_HEADER.as_bytes())
}

/// Tells whether bytes that are not text contain our name or our key.
pub(super) fn mentions_us(bytes: &[u8]) -> bool {
    let dense: Vec<u8> = bytes.iter().copied().filter(u8::is_ascii_graphic).collect();
    let has = |word: &str| dense.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()));
    has(OUR_HEADER) || has(OUR_KEY) || has(OUR_TYPE)
}

fn keys(root: &Node) -> Vec<&str> {
    root.entries().iter().map(|entry| entry.key.as_str()).collect()
}

fn is_only_our_key(loaded: &Loaded) -> bool {
    loaded.root.as_ref().is_some_and(|root| keys(root) == [OUR_KEY])
}

/// Finds the path of the mapping that has our key, below the top.
fn above_our_key(node: &Node, path: &str) -> Option<String> {
    let below = |step: &str, child: &Node| {
        let path = if path.is_empty() { step.to_owned() } else { format!("{path}.{step}") };
        above_our_key(child, &path)
    };
    if !path.is_empty() && node.get(OUR_KEY).is_some() {
        return Some(path.to_owned());
    }
    let in_entries = node.entries().iter().find_map(|entry| below(&entry.key, &entry.value));
    in_entries.or_else(|| node.items().iter().enumerate().find_map(|(index, item)| below(&index.to_string(), item)))
}

fn has_our_keys(root: &Node) -> bool {
    SECTIONS.iter().any(|key| root.get(key).is_some())
}

/// Tells whether a text is a mapping with one of our keys.
pub fn has_our_top_level(text: &str) -> bool {
    text.len() <= MAX_TEXT
        && SECTIONS.iter().any(|key| text.contains(key))
        && yaml::load(&Source::new("", text)).root.is_some_and(|root| has_our_keys(&root))
}

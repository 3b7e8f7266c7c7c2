//! MIME as far as cloud-init takes it in user data (Python's `email` package): headers, multipart, transfer encodings.
//!
//! The bodies are cut out here and not by the mail parser. The parser makes text of bodies, and a part may be compressed.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{MessageParser, MimeHeaders};

/// The bytes in which cloud-init looks for `mime-version:` (cloudinit/user_data.py, `convert_string`).
const SNIFFED: usize = 4096;
/// The headers by which a part says how it is merged (cloudinit/user_data.py, `MERGE_HEADER`).
pub const MERGE_TYPE: [&str; 2] = ["Merge-Type", "X-Merge-Type"];
/// Characters of a type or file name that are kept for messages.
const MAX_NAME: usize = 64;

/// One entity: the whole message, or a part of it.
#[derive(Default)]
pub struct Entity<'a> {
    /// `type/subtype` in small letters.
    pub content_type: Option<String>,
    /// The file name, for messages.
    pub file: Option<String>,
    /// True if a header says how cloud-init merges the part with others.
    pub merge_type: bool,
    /// The launch index of the part, as its header has it.
    pub launch_index: Option<String>,
    boundary: Option<String>,
    encoding: Option<String>,
    body: &'a [u8],
}

/// Tells whether cloud-init would read the bytes as MIME.
pub fn is_mime(bytes: &[u8]) -> bool {
    let sniffed = &bytes[..bytes.len().min(SNIFFED)];
    let marker = b"mime-version:";
    sniffed.windows(marker.len()).any(|window| window.eq_ignore_ascii_case(marker))
}

/// Skips lines of blanks before a message's headers, which AWS Batch writes. Python takes such a line for a header's second
/// line.
pub fn from_first_header(bytes: &[u8]) -> &[u8] {
    let is_blank = |line: &&[u8]| matches!(line.first(), Some(b' ' | b'\t')) && line.trim_ascii().is_empty();
    let skipped = bytes.split_inclusive(|byte| *byte == b'\n').take_while(is_blank).map(<[u8]>::len).sum();
    bytes.get(skipped..).unwrap_or_default()
}

impl<'a> Entity<'a> {
    /// Reads the headers; bytes without headers are all body.
    pub fn parse(bytes: &'a [u8]) -> Self {
        let (headers, body) = bytes.split_at(header_length(bytes));
        let Some(message) = MessageParser::default().parse_headers(headers) else {
            return Self { body, ..Self::default() };
        };
        let part = message.root_part();
        let kind = part.content_type();
        let launch_index = part.headers().iter().find(|header| header.name().eq_ignore_ascii_case("Launch-Index"));
        Self {
            content_type: kind.map(|kind| {
                let subtype = kind.subtype().unwrap_or("plain");
                short(&format!("{}/{subtype}", kind.ctype()).to_ascii_lowercase())
            }),
            file: part.attachment_name().map(short),
            merge_type: part
                .headers()
                .iter()
                .any(|header| MERGE_TYPE.iter().any(|name| header.name().eq_ignore_ascii_case(name))),
            launch_index: launch_index.map(|header| short(header.value().as_text().unwrap_or_default())),
            boundary: kind.and_then(|kind| kind.attribute("boundary")).map(Into::into),
            encoding: part.content_transfer_encoding().map(|encoding| encoding.trim().to_ascii_lowercase()),
            body,
        }
    }

    /// Makes a part with a type and a file name, which somebody else chose.
    pub fn named(content_type: Option<&str>, file: Option<&str>) -> Self {
        let content_type = content_type.map(|kind| short(kind).to_ascii_lowercase());
        Self { content_type, file: file.map(short), ..Self::default() }
    }

    /// Returns the parts of a multipart; nothing for any other entity.
    pub fn parts(&self) -> Option<Vec<&'a [u8]>> {
        let boundary = self.boundary.as_deref().filter(|boundary| !boundary.is_empty())?;
        let multipart = self.content_type.as_ref()?.starts_with("multipart/");
        multipart.then(|| split(self.body, boundary.as_bytes()))
    }

    /// Says why a multipart has no parts.
    pub fn why_no_parts(&self) -> String {
        let boundary = short(self.boundary.as_deref().unwrap_or_default());
        let lines = || self.body.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
        if lines().any(|line| line.starts_with([' ', '\t']) && line.trim() == format!("--{boundary}")) {
            return "its parts are indented; their boundaries and headers must begin at the left margin".to_owned();
        }
        let other = lines().map(str::trim).find(|line| line.len() > 2 && line.starts_with("--"));
        let other = other.map(|line| format!(", which here begin with `{}`", short(line))).unwrap_or_default();
        format!(
            "its header names the boundary `{boundary}`, but there are no parts behind that: write the line `--{boundary}` \
            before each part{other}"
        )
    }

    /// Decodes the body from its transfer encoding. The error says what is wrong with the body.
    pub fn content(&self) -> Result<Cow<'a, [u8]>, String> {
        let (encoding, decoded) = match self.encoding.as_deref() {
            Some(encoding @ "base64") => (encoding, base64_decoded(self.body)),
            Some(encoding @ "quoted-printable") => (encoding, quoted_printable_decode(self.body)),
            _ => return Ok(self.body.into()),
        };
        decoded.map(Cow::from).ok_or_else(|| format!("the content isn't valid {encoding}, as its headers say"))
    }
}

/// Decodes base64 with blanks and line breaks anywhere, and with or without padding.
pub fn base64_decoded(bytes: &[u8]) -> Option<Vec<u8>> {
    let may_be = |byte: &u8| byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() || b"+/=".contains(byte);
    if !bytes.iter().all(may_be) {
        return None;
    }
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let dense: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    GeneralPurpose::new(&STANDARD, config).decode(dense).ok()
}

/// Measures the headers with the blank line that ends them. As in Python, a line that can't be a header ends them too.
fn header_length(bytes: &[u8]) -> usize {
    let mut length = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if line.trim_ascii().is_empty() {
            return length + line.len();
        }
        let folded = length > 0 && matches!(line.first(), Some(b' ' | b'\t'));
        let name = line.iter().take_while(|byte| byte.is_ascii_graphic() && **byte != b':').count();
        if !folded && (name == 0 || line.get(name) != Some(&b':')) {
            return length;
        }
        length += line.len();
    }
    length
}

/// Splits a body at its boundaries. The line break before a boundary belongs to the boundary; the last boundary may be
/// missing.
fn split<'a>(body: &'a [u8], boundary: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let mut part_start = None;
    let mut at = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let after = line.strip_prefix(b"--").and_then(|rest| rest.strip_prefix(boundary));
        let last = match after.map(<[u8]>::trim_ascii_end) {
            Some(b"") => false,
            Some(b"--") => true,
            _ => {
                at += line.len();
                continue;
            }
        };
        if let Some(start) = part_start {
            parts.push(without_line_break(&body[start..at]));
        }
        at += line.len();
        part_start = Some(at);
        if last {
            return parts;
        }
    }
    parts.extend(part_start.map(|start| &body[start..]));
    parts
}

fn without_line_break(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// Shortens and cleans a name for a message.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()
}

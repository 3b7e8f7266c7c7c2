//! The name of a container image, in the grammar of Docker's references.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::checked_text::{checked_text, is_word};

/// The host of Docker Hub, which a name without a host means.
const DOCKER_HUB: &str = "docker.io";
/// The path of Docker Hub's official images, which is left out in names.
const OFFICIAL: &str = "library/";
/// The tag that a name without a tag means. Docker would pull all tags of the repository.
const DEFAULT_TAG: &str = "latest";
/// The most characters of a name without its tag and its digest.
const LONGEST_NAME: usize = 255;
/// The most characters of a tag.
const LONGEST_TAG: usize = 128;
/// The digits of a digest that are shown, as many as Docker shows.
const SHOWN_DIGITS: usize = 12;
/// The kinds of digests, each with the number of its digits.
const DIGESTS: [(&str, usize); 2] = [("sha256:", 64), ("sha512:", 128)];

checked_text! {
    /// The name of a container image: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`.
    /// <https://github.com/distribution/reference/blob/main/reference.go>
    ImageName, check
}

/// The parts of a name.
#[derive(Debug, PartialEq)]
struct Parts<'a> {
    host: Option<&'a str>,
    path: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// Splits a name. What stands before the first slash is a host if it has a dot or a port, or is `localhost`.
    fn of(text: &'a str) -> Self {
        let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
        let is_host = |first: &str| first.contains(['.', ':']) || first == "localhost";
        let (host, rest) = match name.split_once('/').filter(|(first, _)| is_host(first)) {
            Some((host, rest)) => (Some(host), rest),
            None => (None, name),
        };
        let (path, tag) = rest.split_once(':').map_or((rest, None), |(path, tag)| (path, Some(tag)));
        Parts { host, path, tag, digest }
    }
}

impl ImageName {
    /// Returns the host of the registry, with its port if there is one.
    pub fn host(&self) -> &str {
        Parts::of(&self.0).host.unwrap_or(DOCKER_HUB)
    }

    /// Returns the name as it was written, without its tag and its digest.
    pub fn repository(&self) -> &str {
        let Parts { host, path, .. } = Parts::of(&self.0);
        let length = host.map_or(0, |host| host.len() + 1) + path.len();
        &self.0[..length]
    }

    /// Returns the path within the registry.
    pub fn path(&self) -> &str {
        Parts::of(&self.0).path
    }

    /// Returns the digest, if the name has one.
    pub fn digest(&self) -> Option<&str> {
        Parts::of(&self.0).digest
    }

    /// Returns the digest, else the tag, else the tag that is meant. Docker ignores a tag beside a digest.
    pub fn digest_or_tag(&self) -> &str {
        let Parts { tag, digest, .. } = Parts::of(&self.0);
        digest.or(tag).unwrap_or(DEFAULT_TAG)
    }

    /// Returns the name as a plan shows it: of a digest, the first digits.
    pub fn shown(&self) -> String {
        let Some((name, digest)) = self.0.split_once('@') else { return self.0.clone() };
        let end = digest.find(':').map_or(0, |at| at + 1) + SHOWN_DIGITS;
        format!("{name}@{}…", digest.get(..end).unwrap_or(digest))
    }

    /// Returns the name in the one form by which Docker lists the image, as `nginx:latest` for `docker.io/library/nginx`.
    pub fn listed(&self) -> String {
        let separator = if self.digest().is_some() { '@' } else { ':' };
        format!("{}{separator}{}", self.listed_repository(), self.digest_or_tag())
    }

    /// Returns the pattern of the names of images. What stands before the first slash is a host if it has a dot or a port, or is
    /// `localhost`.
    #[cfg(feature = "schema")]
    pub fn pattern() -> String {
        let label = "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?";
        let host = format!(r"({label}(\.{label})*|\[[0-9A-Fa-f:]+\])(:[0-9]+)?/");
        let part = "[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*";
        let begins_with_host = r"(?=[^/@]*[.:][^/@]*/|localhost/)";
        let path = format!("{part}(/{part})*");
        let tag = "(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?";
        let digest = "(@(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}))?";
        let other = begins_with_host.replacen("?=", "?!", 1);
        format!("^(?![0-9a-f]{{64}}$)({begins_with_host}{host}|{other}){path}{tag}{digest}$")
    }

    /// Returns the repository in the form of [`ImageName::listed`].
    fn listed_repository(&self) -> &str {
        match Parts::of(&self.0) {
            Parts { host: None | Some(DOCKER_HUB | "index.docker.io"), path, .. } => {
                path.strip_prefix(OFFICIAL).filter(|name| !name.contains('/')).unwrap_or(path)
            }
            _ => self.repository(),
        }
    }
}

fn check(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("the name of the image is empty\nwrite it as `docker pull` takes it".to_owned());
    }
    if text.contains("://") {
        return Err(format!("`{text}` is a URL\nleave out what stands before the host: write HOST/PATH:TAG"));
    }
    if text.split_once('@').is_some_and(|(_, host)| host.contains('/')) {
        return Err("the name of an image has no user in it\nleave out what stands before the host".to_owned());
    }
    if text.len() == 64 && text.chars().all(is_digit) {
        return Err(format!("`{text}` is the ID of an image\nwrite the image's name, with a tag or a digest"));
    }
    let Parts { host, path, tag, digest } = Parts::of(text);
    if let Some(host) = host.filter(|host| !is_host(host)) {
        return Err(format!("`{host}` is not the host of a registry\nwrite HOST or HOST:PORT, without a user"));
    }
    if !path.split('/').all(is_component) {
        let remedy = match path.contains(|c: char| c.is_ascii_uppercase()) {
            true => "the path of an image has no capital letters",
            false => {
                "small letters and digits, with one . or _, two _ or any number of - between them, and / between parts"
            }
        };
        return Err(format!("`{path}` is not the path of an image\n{remedy}"));
    }
    if host.map_or(0, |host| host.len() + 1) + path.len() > LONGEST_NAME {
        return Err(format!("the name of the image is too long\nup to {LONGEST_NAME} characters without the tag"));
    }
    let is_tag =
        |tag: &str| (1..=LONGEST_TAG).contains(&tag.len()) && is_word(tag, "_.-") && !tag.starts_with(['.', '-']);
    if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
        return Err(format!(
            "`{tag}` is not the tag of an image\n1 to {LONGEST_TAG} letters, digits and - _ ., beginning with a letter, a digit or _"
        ));
    }
    let is_digest = |digest: &str| {
        let hex = |(kind, length): &(&str, usize)| digest.strip_prefix(kind).filter(|hex| hex.len() == *length);
        DIGESTS.iter().find_map(hex).is_some_and(|hex| hex.chars().all(is_digit))
    };
    match digest.filter(|digest| !is_digest(digest)) {
        Some(digest) => Err(format!(
            "`{digest}` is not the digest of an image\nwrite sha256: and 64 hexadecimal digits, in small letters"
        )),
        None => Ok(()),
    }
}

/// Tells whether a character is a hexadecimal digit as digests have them.
fn is_digit(c: char) -> bool {
    matches!(c, '0'..='9' | 'a'..='f')
}

/// Tells whether a text is a host, perhaps with a port.
fn is_host(text: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.chars().all(|c| c.is_ascii_digit());
    if let Some(address) = text.strip_prefix('[') {
        let Some((address, port)) = address.split_once(']') else { return false };
        let is_address = !address.is_empty() && address.chars().all(|c| c.is_ascii_hexdigit() || c == ':');
        return is_address && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let is_label =
        |label: &str| !label.is_empty() && is_word(label, "-") && !label.starts_with('-') && !label.ends_with('-');
    host.split('.').all(is_label) && port.is_none_or(is_port)
}

/// Tells whether a text is a part of a path: small letters and digits, with separators between them.
fn is_component(text: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_separator = |text: &str| {
        let is_of_hyphens = !text.is_empty() && text.chars().all(|c| c == '-');
        ["", ".", "_", "__"].contains(&text) || is_of_hyphens
    };
    text.starts_with(is_alphanumeric)
        && text.ends_with(is_alphanumeric)
        && text.split(is_alphanumeric).all(is_separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ImageName {
        ImageName::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_name_has_one_form_by_which_docker_lists_its_image() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let by_digest = format!("nginx:1@{digest}");
        for (text, host, repository, listed) in [
            ("nginx", "docker.io", "nginx", "nginx:latest".to_owned()),
            ("docker.io/library/nginx:1", "docker.io", "docker.io/library/nginx", "nginx:1".to_owned()),
            ("index.docker.io/me/app", "index.docker.io", "index.docker.io/me/app", "me/app:latest".to_owned()),
            ("me/app:v1", "docker.io", "me/app", "me/app:v1".to_owned()),
            ("library/a/b", "docker.io", "library/a/b", "library/a/b:latest".to_owned()),
            ("localhost/a", "localhost", "localhost/a", "localhost/a:latest".to_owned()),
            ("127.0.0.1:5000/a/b:1", "127.0.0.1:5000", "127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b:1".to_owned()),
            (by_digest.as_str(), "docker.io", "nginx", format!("nginx@{digest}")),
        ] {
            let name = name(text);
            assert_eq!((name.host(), name.repository(), name.listed()), (host, repository, listed), "{text}");
        }
    }

    #[test]
    fn what_stands_where_in_a_name_decides_what_is_wrong_with_it() {
        for (text, words) in [
            ("", "is empty"),
            ("https://me:shh@host/a", "is a URL"),
            ("me:shh@host.local/a", "has no user"),
            ("Nginx", "`Nginx` is not the path of an image\nthe path of an image has no capital letters"),
            ("host.local/a//b", "`a//b` is not the path"),
            ("a..b", "`a..b` is not the path"),
            ("a_.b", "`a_.b` is not the path"),
            ("a___b", "`a___b` is not the path"),
            ("-a", "`-a` is not the path"),
            ("me:shh/a", "`me:shh` is not the host of a registry"),
            ("host_a.local/b", "`host_a.local` is not the host"),
            ("[::1/b.c", "`[::1` is not the host"),
            ("a:-1", "`-1` is not the tag"),
            ("a:", "`` is not the tag"),
            ("a@sha256:12", "`sha256:12` is not the digest"),
        ] {
            let error = ImageName::try_from(text.to_owned()).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
        let digest = "0A".repeat(32);
        assert!(ImageName::try_from(format!("a@sha256:{digest}")).is_err());
        assert!(ImageName::try_from("0a".repeat(32)).unwrap_err().contains("is the ID"));
        assert!(ImageName::try_from("a".repeat(256)).unwrap_err().contains("too long"));
        for text in ["[::1]:5000/a", "a__b/c--d/e.f", "a:_1", "host:1/a", "a.b"] {
            name(text);
        }
    }
}

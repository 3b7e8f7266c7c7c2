//! URLs that hold a secret.

use std::fmt;

use percent_encoding::{percent_decode_str, percent_encode};
use serde::Deserialize;

use crate::http::RESERVED;
use crate::secrets::MASK;

/// A URL that holds a secret: of a proxy, or of a wait condition handle. The URL is shown without user, password and query.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl {
    url: url::Url,
    /// Set if no part of the URL may be shown.
    is_hidden: bool,
}

impl SecretUrl {
    fn new(url: url::Url) -> Self {
        SecretUrl { url, is_hidden: false }
    }

    /// Makes the whole URL a secret, as one that comes from a reference is.
    pub fn hide(&mut self) {
        self.is_hidden = true;
    }

    /// Returns the whole URL, secrets included.
    pub fn reveal(&self) -> &url::Url {
        &self.url
    }

    /// Tells whether a part of the URL must be kept from other users of the host.
    pub fn has_secret(&self) -> bool {
        let url = &self.url;
        self.is_hidden || !url.username().is_empty() || url.password().is_some() || url.query().is_some()
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_hidden {
            return f.write_str(MASK);
        }
        let url = &self.url;
        let user = if url.username().is_empty() && url.password().is_none() { "" } else { "***@" };
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let path = url.path().trim_end_matches('/');
        let query = if url.query().is_some() { "?***" } else { "" };
        write!(f, "{}://{user}{}{port}{path}{query}", url.scheme(), url.host_str().unwrap_or_default())
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn parse_url(text: &str, what: &str, example: &str) -> Result<url::Url, String> {
    let remedy = format!("write it like {example}");
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("the {what} has a space or a line break in it\n{remedy}"));
    }
    if !text.contains("://") {
        return Err(format!("the {what} has no scheme\n{remedy}"));
    }
    // DNS has no other letters, and the library fails on some of them, since it is built without their tables.
    if !host_of(text).bytes().all(|byte| byte.is_ascii() && byte != b'%') {
        return Err(format!(
            "the {what} is not a URL: its host has characters other than ASCII letters, digits, `-` and `.`\n\
            write other names in Punycode, and such characters of a password percent-encoded, as in {example}"
        ));
    }
    let url = url::Url::parse(text).map_err(|error| format!("the {what} is not a URL: {error}\n{remedy}"))?;
    // A URL's parser would find a host in `http:///x` too.
    let after_scheme = text.split_once("://").filter(|_| ["http", "https"].contains(&url.scheme()));
    let has_no_host = after_scheme.is_none_or(|(_, rest)| rest.starts_with(['/', '\\']));
    match has_no_host || url.host_str().is_none_or(str::is_empty) {
        true => Err(format!("the {what} does not begin with http:// or https:// and a host\n{remedy}")),
        false => Ok(url),
    }
}

/// Returns the text at the place of a URL's host and port.
fn host_of(url: &str) -> &str {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '\\', '?', '#']).next().unwrap_or(authority);
    authority.rsplit('@').next().unwrap_or(authority)
}

/// The URL of an HTTP proxy, such as `http://proxy.internal:3128`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ProxyUrl(pub SecretUrl);

impl TryFrom<String> for ProxyUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let example = "http://proxy.internal:3128";
        check_user_info(&text)?;
        let url = parse_url(&text, "URL of the proxy", example)?;
        if [".pac", "/wpad.dat"].iter().any(|end| url.path().ends_with(end)) {
            return Err(format!(
                "the URL is that of a PAC file, which the programs of a host do not evaluate\nwrite the proxy that the file names, as {example}"
            ));
        }
        match url.path().len() > 1 || url.query().is_some() || url.fragment().is_some() {
            true => Err(format!("the URL of the proxy has more than a host and a port\nwrite it as {example}")),
            false => Ok(ProxyUrl(SecretUrl::new(url))),
        }
    }
}

/// Refuses user info with a control character (RFC 7617), or with a character that ends the host of a URL. The latter has to
/// be written percent-encoded.
fn check_user_info(text: &str) -> Result<(), String> {
    let user_info = text.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map_or("", |(before, _)| before);
    let is_written_out = user_info.contains(char::is_control);
    if !is_written_out && percent_decode_str(user_info).any(|byte| byte.is_ascii_control()) {
        return Err("the user or the password in the URL of the proxy holds a control character, which HTTP does not allow there\n\
            leave out the percent-encoded control characters, %00 to %1F and %7F"
            .to_owned());
    }
    let found: Vec<char> = ['#', '/', '?', '\\'].into_iter().filter(|c| user_info.contains(*c)).collect();
    let list = |words: &dyn Fn(char) -> String| found.iter().map(|c| words(*c)).collect::<Vec<_>>().join(", ");
    match found.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "the user or the password in the URL of the proxy holds {}, which ends the host part of a URL\nwrite {}",
            list(&|c| format!("`{c}`")),
            list(&|c| format!("{c} as %{:02X}", u32::from(c)))
        )),
    }
}

impl ProxyUrl {
    /// Returns the URL as programs want it. Its characters mean nothing to a shell, systemd or dnf, but for `%`.
    ///
    /// The URL always has a port: without one, curl takes 1080, where Go takes the port of the scheme.
    pub fn for_programs(&self) -> String {
        let url = self.0.reveal();
        let encoded = |text: &str| percent_encode(&percent_decode_str(text).collect::<Vec<u8>>(), RESERVED).to_string();
        let password = url.password().map(|password| format!(":{}", encoded(password))).unwrap_or_default();
        let user = encoded(url.username());
        let at = if user.is_empty() && password.is_empty() { "" } else { "@" };
        let port = url.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{user}{password}{at}{}{port}", url.scheme(), url.host_str().unwrap_or_default())
    }
}

/// The presigned URL of a wait condition handle.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct WaitHandle(pub SecretUrl);

impl TryFrom<String> for WaitHandle {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let url = parse_url(
            &text,
            "URL of the wait condition handle",
            "https://…, the value of !Ref for the WaitConditionHandle",
        )?;
        Ok(WaitHandle(SecretUrl::new(url)))
    }
}

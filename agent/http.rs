//! The one way to speak HTTP: clients, bounded bodies, printable errors and pauses between tries.
//!
//! Names resolve inside the process (hickory), because a static binary must not load the host's NSS modules. No client reads
//! a proxy from the environment: a proxy is used when, and only when, the configuration asks for one.

mod names;
mod no_proxy;

pub use self::no_proxy::covers;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::secrets::redact;

/// The `User-Agent` of every request of this program.
pub const USER_AGENT: &str = concat!("ecs-firstrun/", env!("CARGO_PKG_VERSION"));

/// The characters that a URL has percent-encoded in a value: all but the unreserved ones (RFC 3986, part 2.3).
pub const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The variable that names a PEM file of additional roots, as for the AWS command line and SDKs.
const CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// The file of the host's own names.
const HOSTS: &str = "/etc/hosts";

/// Time allowed for a connection to the instance's own services, which are at most one hop away.
const DIRECT_CONNECT: Duration = Duration::from_secs(1);

/// Time allowed for a connection to AWS, or to the proxy.
const OUTBOUND_CONNECT: Duration = Duration::from_secs(5);

/// An HTTP proxy, and what is reached without it.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyRoute {
    /// The proxy's address. User info, percent-encoded, is sent to the proxy as basic authentication and printed nowhere.
    pub url: url::Url,
    /// The hosts, domains, IP addresses and networks to reach without the proxy, each with or without a port, or `*`.
    pub no_proxy: Vec<String>,
}

impl ProxyRoute {
    /// Reads the variables of a proxy as other programs do: a URL that may lack its scheme, and a list with commas between.
    ///
    /// # Errors
    /// Text that is no URL.
    pub fn of_variables(url: &str, no_proxy: &str) -> Result<Self, url::ParseError> {
        let url = if url.contains("://") { url.parse() } else { format!("http://{url}").parse() }?;
        let entries = no_proxy.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        Ok(ProxyRoute { url, no_proxy: entries.map(str::to_owned).collect() })
    }
}

impl fmt::Debug for ProxyRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.url.clone();
        // Both fail only for URLs that can't have user info, which then have none to hide.
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        f.debug_struct("Proxy").field("url", &redact(shown.as_str())).field("no_proxy", &self.no_proxy).finish()
    }
}

/// Makes a client for the instance's own services (IMDS, the ECS agent): plain HTTP, never a proxy, never a redirect.
///
/// The client trusts no certificate at all, so that a run that signals nothing never reads the host's roots.
///
/// # Errors
/// Only when the TLS or resolver set-up of the libraries fails.
pub fn direct() -> Result<reqwest::Client> {
    base(RootCertStore::empty())?
        .no_proxy()
        .connect_timeout(DIRECT_CONNECT)
        .build()
        .context("can't set up the HTTP client for the instance's own services")
}

/// Makes a client for a service that listens on a socket of this host, whatever host its URLs name.
///
/// # Errors
/// Only when the TLS or resolver set-up of the libraries fails.
pub fn over_socket(path: &Path) -> Result<reqwest::Client> {
    let builder = base(RootCertStore::empty())?.no_proxy().unix_socket(path);
    builder.build().context("can't set up the HTTP client for a socket")
}

/// Makes a client for AWS, through `proxy` when there is one.
///
/// The client trusts the host's own roots and those of `AWS_CA_BUNDLE`, so that an inspecting proxy's CA works; the roots
/// built into this program are used only where the host has none.
///
/// # Errors
/// When the CA bundle can't be read (the text names the file) or the proxy's URL can't be used.
pub fn outbound(proxy: Option<&ProxyRoute>) -> Result<reqwest::Client> {
    let bundle = std::env::var_os(CA_BUNDLE).filter(|path| !path.is_empty());
    outbound_trusting(proxy, bundle.map(PathBuf::from).as_deref())
}

fn outbound_trusting(proxy: Option<&ProxyRoute>, bundle: Option<&Path>) -> Result<reqwest::Client> {
    let builder = base(roots(bundle)?)?.connect_timeout(OUTBOUND_CONNECT);
    let builder = match proxy {
        Some(proxy) => builder.proxy(reqwest_proxy(proxy)?),
        None => builder.no_proxy(),
    };
    builder.build().context("can't set up the HTTP client for AWS")
}

fn base(roots: RootCertStore) -> Result<reqwest::ClientBuilder> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("can't set up TLS")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(names::NameServers::default())
        .http1_only()
        .user_agent(USER_AGENT)
        // An API never redirects; whatever does (a captive portal) is not the API.
        .redirect(reqwest::redirect::Policy::none());
    Ok(names::from_file(builder, Path::new(HOSTS)))
}

/// Makes reqwest's proxy out of ours. The URL keeps its user info, which reqwest itself percent-decodes and sends as
/// `Proxy-Authorization`. Decoding the user info here would decode a literal `%` in a password twice.
fn reqwest_proxy(proxy: &ProxyRoute) -> Result<reqwest::Proxy> {
    // reqwest would silently leave out a proxy of a kind that it doesn't know.
    if !matches!(proxy.url.scheme(), "http" | "https") || proxy.url.host_str().is_none() {
        bail!("the proxy {proxy:?} can't be used: its URL must start with http:// or https:// and name a host");
    }
    let ProxyRoute { url, no_proxy } = proxy.clone();
    Ok(reqwest::Proxy::custom(move |wanted| (!no_proxy::is_direct(&no_proxy, wanted)).then(|| url.clone())))
}

/// Loads the host's roots and the bundle's; the built-in roots only if the host has none.
fn roots(bundle: Option<&Path>) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    let host = rustls_native_certs::load_native_certs();
    for error in &host.errors {
        tracing::debug!(%error, "skipped a part of the host's certificate store");
    }
    // Stores hold the odd certificate that webpki can't parse; it must not cost the others.
    store.add_parsable_certificates(host.certs);
    if store.is_empty() {
        tracing::debug!("the host has no certificate store; using the built-in roots");
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Some(path) = bundle {
        add_bundle(&mut store, path).with_context(|| format!("can't use {CA_BUNDLE}={}", path.display()))?;
    }
    Ok(store)
}

fn add_bundle(store: &mut RootCertStore, path: &Path) -> Result<()> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .context("not a readable PEM file")?;
    if store.add_parsable_certificates(certificates).0 == 0 {
        bail!("it holds no certificate");
    }
    Ok(())
}

/// Returns the error and its causes in one line, without the URL: a presigned URL is a secret.
#[must_use]
pub fn explain(error: reqwest::Error) -> String {
    redact(&causes(&error.without_url()))
}

/// Returns an error and its causes in one line.
#[must_use]
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |cause| cause.source()) {
        let cause = cause.to_string();
        // Layers often repeat the layer below word for word.
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// The reason why a response's body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The body goes on after the given number of bytes.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The connection broke, or time ran out.
    #[error("the answer broke off: {0}")]
    Broken(String),
}

/// Reads a body of at most `limit` bytes, in chunks, so that memory stays bounded whatever the other side sends.
///
/// # Errors
/// See [`BodyError`].
pub async fn read_body(mut response: reqwest::Response, limit: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await;
        let Some(chunk) = chunk.map_err(|error| BodyError::Broken(explain(error)))? else {
            return Ok(body);
        };
        if chunk.len() > limit - body.len() {
            return Err(BodyError::TooLong(limit));
        }
        body.extend_from_slice(&chunk);
    }
}

/// Reads from `Retry-After` how long the other side asks to be left alone: in seconds, or until a date.
///
/// The date counts from the `Date` of the same answer, since the clock of a booting host may be wrong; without a `Date`,
/// from that clock. `header` gives the value of a header field.
#[must_use]
pub fn retry_after<'a>(header: impl Fn(&'static str) -> Option<&'a str>) -> Option<Duration> {
    let text = header("retry-after")?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| DateTime::from_str(text.trim(), Format::HttpDate).ok();
    let sent = header("date").and_then(date).unwrap_or_else(|| SystemTime::now().into());
    let seconds = date(text)?.secs().saturating_sub(sent.secs());
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
}

/// Returns the pauses between tries, each a random time below a bound (full jitter). The bound doubles from `first` up to
/// `longest`. So instances that boot at the same time don't send their requests at the same time.
pub fn pauses(first: Duration, longest: Duration) -> impl Iterator<Item = Duration> {
    let bounds = std::iter::successors(Some(first), move |bound| Some((*bound * 2).min(longest)));
    bounds.map(|bound| bound.mul_f64(fastrand::f64()))
}

/// Checks the address of a service, which an option or its variable gives. Empty text counts as not given.
///
/// # Errors
/// The rule that the address breaks.
pub fn endpoint(text: &str) -> Result<String, String> {
    let is_right = |url: url::Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    match text.is_empty() || text.parse().is_ok_and(is_right) {
        true => Ok(text.to_owned()),
        false => Err("an address begins with http:// or https:// and names a host".to_owned()),
    }
}

#[cfg(test)]
#[path = "http/tests.rs"]
mod tests;

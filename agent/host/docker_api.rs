//! Docker's own API, over its socket: pulls of images, and the images that there are.
//! <https://docs.docker.com/reference/api/engine/version/v1.44/>

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use reqwest::header::HeaderValue;
use serde_json::Value;
use url::Url;

use super::pull_progress::Progress;
use crate::aws::ecr::RegistryAuth;
use crate::config::types::ImageName;
use crate::http;
use crate::secrets::redact;
use crate::text::one_line;

/// The version of the API that each Docker from 25 to 29 speaks.
const VERSION: (u32, u32) = (1, 44);
/// The header with the newest version that a daemon speaks.
const NEWEST: &str = "api-version";
/// The most bytes of an answer. An image's description has some kilobytes.
const ANSWER_LIMIT: usize = 1 << 20;
/// The most bytes of one value in the stream of a pull. Docker's values have some hundred bytes.
const VALUE_LIMIT: usize = 64 << 10;
/// The most bytes of a message that are quoted.
const QUOTED: usize = 500;

/// A Docker daemon that answers.
#[derive(Debug)]
pub(super) struct DockerApi {
    client: reqwest::Client,
    base: Url,
}

/// An image that Docker has, as Docker describes it.
#[derive(Debug, PartialEq)]
pub(super) struct Image(Value);

impl Image {
    /// Returns the image's ID.
    pub fn id(&self) -> Option<&str> {
        self.0["Id"].as_str()
    }

    /// Tells whether this is the image of a name with a digest. Docker lists the repositories that had the image, each with
    /// `@` and its digest there.
    pub fn has_digest_of(&self, name: &ImageName) -> bool {
        let listed = name.listed();
        self.0["RepoDigests"].as_array().into_iter().flatten().any(|digest| digest.as_str() == Some(&listed))
    }
}

/// The reason why a pull has failed.
#[derive(Debug)]
pub(super) enum PullError {
    /// Docker could not be asked, or broke off.
    Docker(anyhow::Error),
    /// Docker or the registry has refused the pull, in these words.
    Refused(String),
}

impl DockerApi {
    /// Connects to the daemon that listens on a socket, and finds the version of the API to use.
    ///
    /// # Errors
    /// Nobody answers there.
    pub async fn connect(socket: &Path) -> Result<Self> {
        let client = http::over_socket(socket)?;
        let answer = client.get("http://docker/_ping").send().await.map_err(|error| anyhow!(http::explain(error)))?;
        if !answer.status().is_success() {
            bail!("it answers a ping with HTTP {}", answer.status().as_u16());
        }
        let newest = answer.headers().get(NEWEST).and_then(|value| version(value.to_str().ok()?));
        let (major, minor) = newest.unwrap_or(VERSION).min(VERSION);
        Ok(DockerApi { client, base: format!("http://docker/v{major}.{minor}/").parse()? })
    }

    /// Returns the image of a name; none if Docker has no such image.
    ///
    /// # Errors
    /// Docker does not tell.
    pub async fn image(&self, name: &ImageName) -> Result<Option<Image>> {
        let url = self.base.join(&format!("images/{}/json", name.listed()))?;
        let answer = self.client.get(url).send().await.map_err(|error| anyhow!(http::explain(error)))?;
        let status = answer.status().as_u16();
        let body = http::read_body(answer, ANSWER_LIMIT).await?;
        match status {
            200 => {
                Ok(Some(Image(serde_json::from_slice(&body).context("Docker describes the image in another form")?)))
            }
            404 => Ok(None),
            _ => bail!("Docker does not describe the image: {}", message(status, &body)),
        }
    }

    /// Pulls an image to the end, and tells `progress` of each step. Dropping the future cancels the pull.
    ///
    /// # Errors
    /// See [`PullError`].
    pub async fn pull(
        &self,
        name: &ImageName,
        auth: Option<&RegistryAuth>,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<(), PullError> {
        let broken = |error: reqwest::Error| PullError::Docker(anyhow!(http::explain(error)));
        let mut url = self.base.join("images/create").map_err(|error| PullError::Docker(error.into()))?;
        // Without a tag, Docker would pull all tags.
        url.query_pairs_mut().append_pair("fromImage", name.repository()).append_pair("tag", name.digest_or_tag());
        let mut request = self.client.post(url);
        if let Some(auth) = auth {
            let mut value = HeaderValue::from_str(auth.reveal())
                .map_err(|_| PullError::Docker(anyhow!("the token is no header")))?;
            value.set_sensitive(true);
            request = request.header("x-registry-auth", value);
        }
        let mut answer = request.send().await.map_err(broken)?;
        let status = answer.status().as_u16();
        if status != 200 {
            let body = http::read_body(answer, ANSWER_LIMIT).await;
            let body = body.map_err(|error| PullError::Docker(error.into()))?;
            return Err(PullError::Refused(message(status, &body)));
        }
        let (mut seen, mut rest) = (Progress::default(), Vec::new());
        let mut refusal = None;
        while let Some(chunk) = answer.chunk().await.map_err(broken)? {
            rest.extend_from_slice(&chunk);
            for event in values(&mut rest)? {
                refusal = refusal.or(refusal_in(&event));
                seen.note(&event);
                progress(&seen);
            }
        }
        match refusal {
            Some(words) => Err(PullError::Refused(quoted(&words))),
            None if rest.trim_ascii().is_empty() => Ok(()),
            None => Err(PullError::Docker(anyhow!("Docker's answer broke off"))),
        }
    }
}

/// Returns the words of an error in the stream of a pull. With an error, Docker ends the stream, whose status was 200 before.
fn refusal_in(event: &Value) -> Option<String> {
    let words = event["errorDetail"]["message"].as_str().or(event["error"].as_str());
    words.map(str::to_owned)
}

/// Takes the whole values from the beginning of a stream of JSON, and leaves the rest.
///
/// # Errors
/// The stream is not JSON, or a value in it is too long.
fn values(stream: &mut Vec<u8>) -> Result<Vec<Value>, PullError> {
    let mut reader = serde_json::Deserializer::from_slice(stream).into_iter();
    let (mut found, mut end) = (Vec::new(), 0);
    loop {
        match reader.next() {
            Some(Ok(value)) => found.push(value),
            Some(Err(error)) if !error.is_eof() => {
                return Err(PullError::Docker(anyhow!(
                    "Docker's answer can't be parsed: {}",
                    crate::text::json_error(&error)
                )));
            }
            Some(Err(_)) | None => break,
        }
        end = reader.byte_offset();
    }
    stream.drain(..end);
    match stream.len() > VALUE_LIMIT {
        true => Err(PullError::Docker(anyhow!("a value in Docker's answer is longer than {VALUE_LIMIT} bytes"))),
        false => Ok(found),
    }
}

/// Reads a version of the API, such as `1.44`.
fn version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.trim().split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Returns Docker's words for an answer that is no success.
fn message(status: u16, body: &[u8]) -> String {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    match answer["message"].as_str() {
        Some(message) if !message.is_empty() => quoted(message),
        _ => format!("HTTP {status} without a reason"),
    }
}

/// Returns a text of Docker or a registry in one line that is not too long, without what looks like a secret.
fn quoted(text: &str) -> String {
    let text = redact(text.trim());
    one_line(&text[..text.floor_char_boundary(QUOTED)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_out_of_a_stream_wherever_it_is_cut() {
        let stream = b"{\"status\":\"Pulling from a\",\"id\":\"1\"}\r\n{\"status\":\"Downloading\",\"progressDetail\":{\"current\":5,\"total\":9},\"id\":\"b\"}\n{\"errorDetail\":{\"message\":\"no }{\"},\"error\":\"old\"}\r\n";
        for cut in 0..stream.len() {
            let (mut rest, mut found) = (Vec::new(), Vec::new());
            for part in [&stream[..cut], &stream[cut..]] {
                rest.extend_from_slice(part);
                found.extend(values(&mut rest).unwrap());
            }
            assert_eq!(found.len(), 3, "cut at {cut}");
            assert_eq!(refusal_in(&found[2]).as_deref(), Some("no }{"));
            assert!(rest.trim_ascii().is_empty());
        }
    }

    #[test]
    fn a_stream_that_is_no_json_or_has_no_end_is_refused() {
        let failed = |stream: &[u8]| match values(&mut stream.to_vec()) {
            Err(PullError::Docker(error)) => error.to_string(),
            other => panic!("{other:?}"),
        };
        assert!(failed(b"<html>").contains("can't be parsed"));
        let endless = [&b"{\"status\": \""[..], &vec![b'a'; VALUE_LIMIT]].concat();
        assert!(failed(&endless).contains("longer than"));
    }

    #[test]
    fn the_version_of_the_api_is_read() {
        for (text, expected) in [("1.44", Some((1, 44))), ("1.9", Some((1, 9))), ("", None), ("x.1", None)] {
            assert_eq!(version(text), expected, "{text}");
        }
    }

    #[test]
    fn dockers_words_are_quoted_without_secrets() {
        assert_eq!(message(404, br#"{"message":"no such image"}"#), "no such image");
        assert_eq!(message(500, br#"{"message":"Get https://me:shh@registry/v2/"}"#), "Get https://***@registry/v2/");
        assert_eq!(message(502, b"<html>"), "HTTP 502 without a reason");
    }
}

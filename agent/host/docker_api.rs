//! Docker's own API, over its socket: pulls of images, and the images that there are.
//! <https://docs.docker.com/reference/api/engine/version/v1.44/>

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use reqwest::header::HeaderValue;
use serde_json::Value;
use url::Url;

use super::pull_progress::Progress;
use crate::aws::ecr::RegistryAuth;
use crate::config::types::ImageName;
use crate::http;

/// The header with the newest version of the API that a daemon speaks. What is read here has been the same since 1.24, the
/// oldest that any Docker from 25 on speaks.
const NEWEST: &str = "api-version";
/// The longest time for an answer to anything but a pull. A Docker that starts accepts connections before it answers.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// The most bytes of an answer. An image's description has some kilobytes.
const ANSWER_LIMIT: usize = 1 << 20;
/// The most bytes of one value in the stream of a pull. Docker's values have some hundred bytes.
const VALUE_LIMIT: usize = 64 << 10;

/// A Docker daemon that answers.
#[derive(Debug)]
pub(super) struct DockerApi {
    client: reqwest::Client,
    base: Url,
}

/// The reason why a pull has failed.
#[derive(Debug)]
pub(super) enum PullError {
    /// Docker could not be asked, or broke off.
    Docker(anyhow::Error),
    /// Docker or the registry has refused the pull, in these words, which may hold secrets.
    Refused(String),
}

impl DockerApi {
    /// Connects to the daemon that listens on a socket, and finds the version of the API to use.
    ///
    /// # Errors
    /// Nobody answers there.
    pub async fn connect(socket: &Path) -> Result<Self> {
        let client = http::over_socket(socket)?;
        let asked = client.get("http://docker/_ping").timeout(ANSWER_TIME).send().await;
        let answer = asked
            .map_err(|error| anyhow!("Docker does not answer at {}: {}", socket.display(), http::explain(error)))?;
        let status = answer.status();
        if !status.is_success() {
            bail!("Docker answers a ping at {} with HTTP {}", socket.display(), status.as_u16());
        }
        let newest = answer.headers().get(NEWEST).and_then(|value| value.to_str().ok());
        let version = newest.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'));
        let base = format!("http://docker/{}", version.map(|version| format!("v{version}/")).unwrap_or_default());
        Ok(DockerApi { client, base: base.parse()? })
    }

    /// Returns the ID of the image of a name; none if Docker has no such image. With a digest, Docker must list the image
    /// under that digest, and not only find it by a tag.
    ///
    /// # Errors
    /// Docker does not tell.
    pub async fn image(&self, name: &ImageName) -> Result<Option<String>> {
        let url = self.base.join(&format!("images/{}/json", name.listed()))?;
        let asked = self.client.get(url).timeout(ANSWER_TIME).send().await;
        let answer = asked.map_err(|error| anyhow!("Docker does not describe the image: {}", http::explain(error)))?;
        let status = answer.status().as_u16();
        let body = http::read_body(answer, ANSWER_LIMIT).await?;
        match status {
            200 => {
                let image: Value =
                    serde_json::from_slice(&body).context("Docker describes the image in another form")?;
                Ok(is_of(&image, name).then(|| image["Id"].as_str().unwrap_or_default().to_owned()))
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
        let broken =
            |error: reqwest::Error| PullError::Docker(anyhow!("Docker broke off the pull: {}", http::explain(error)));
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
            Some(words) => Err(PullError::Refused(words)),
            None if rest.trim_ascii().is_empty() => Ok(()),
            None => Err(PullError::Docker(anyhow!("Docker's answer broke off"))),
        }
    }
}

/// Tells whether an image that Docker describes has a name's digest, if the name has one. With containerd's image store,
/// Docker may find the image of another repository by its digest.
fn is_of(image: &Value, name: &ImageName) -> bool {
    let listed = name.listed();
    let mut digests = image["RepoDigests"].as_array().into_iter().flatten();
    name.digest().is_none() || digests.any(|digest| digest.as_str() == Some(&listed))
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

/// Returns Docker's words for an answer that is no success.
fn message(status: u16, body: &[u8]) -> String {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    match answer["message"].as_str() {
        Some(message) if !message.is_empty() => message.to_owned(),
        _ => format!("HTTP {status} without a reason"),
    }
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
    fn a_digest_counts_only_in_its_own_repository() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let image = serde_json::json!({ "Id": "x", "RepoDigests": [format!("team/base@{digest}")] });
        let other = format!("base@{digest}");
        for (name, expected) in
            [(format!("team/base@{digest}"), true), (format!("docker.io/team/base:7@{digest}"), true), (other, false)]
        {
            assert_eq!(is_of(&image, &ImageName::try_from(name.clone()).unwrap()), expected, "{name}");
        }
        let untagged = ImageName::try_from("team/base".to_owned()).unwrap();
        assert!(is_of(&serde_json::json!({ "Id": "x" }), &untagged));
    }

    #[test]
    fn an_answer_that_is_no_success_has_a_message_or_none() {
        assert_eq!(message(404, br#"{"message":"no such image"}"#), "no such image");
        assert_eq!(message(502, b"<html>"), "HTTP 502 without a reason");
    }
}

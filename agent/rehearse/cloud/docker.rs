//! Docker's socket, which appears once Docker has been started: it answers a ping, and pulls images out of nowhere.
//!
//! The double reads and writes the little HTTP that it needs by itself: a pull's answer comes in pieces, and may break off.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};

use super::ecr::ECR_PASSWORD;
use super::http::{CloudLog, Request, Server, held, read_request, reason};

/// Time between two looks for a start of units, or for the end of the cloud.
pub(super) const TICK: Duration = Duration::from_millis(5);
/// The newest version of the API, that of Docker 25.
const API: &str = "1.44";
const LAYERS: [&str; 2] = ["4f4fb700ef54", "a3ed95caeb02"];
const LAYER_BYTES: u64 = 30_000_000;

/// Docker's socket, and the condition for its appearance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerSocket {
    /// The path of the socket.
    pub path: PathBuf,
    /// The path whose appearance makes the socket appear.
    pub starts_on: PathBuf,
}

/// Docker's answer to a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullAnswer {
    /// Docker has the image after this time.
    After(Duration),
    /// Docker refuses the pull, with this status and message.
    Refused(u16, String),
    /// Docker begins, and ends with an error of this message.
    Fails(String),
    /// The answer breaks off, as when Docker restarts.
    BreaksOff,
}

/// Images of Docker, and its answers to pulls.
#[derive(Debug, Default)]
struct Images {
    /// The images, as Docker lists them.
    there: BTreeSet<String>,
    /// The answers by repository; without one, the image is there at once.
    answers: BTreeMap<String, VecDeque<PullAnswer>>,
}

/// Docker, once it listens.
pub(super) struct Docker {
    images: Mutex<Images>,
    log: Arc<CloudLog>,
}

impl Docker {
    pub(super) fn new(
        there: BTreeSet<String>,
        answers: BTreeMap<String, VecDeque<PullAnswer>>,
        log: Arc<CloudLog>,
    ) -> Arc<Self> {
        Arc::new(Docker { images: Mutex::new(Images { there, answers }), log })
    }
}

/// Answers whenever Docker has been started. Without a socket this function never returns.
pub(super) async fn serve(socket: Option<DockerSocket>, docker: Arc<Docker>) -> io::Result<()> {
    let Some(DockerSocket { path, starts_on }) = socket else { return std::future::pending().await };
    // An earlier rehearsal in the same folder may have left its socket.
    let _ = std::fs::remove_file(&path);
    loop {
        while !starts_on.exists() || path.exists() {
            sleep(TICK).await;
        }
        std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
        let listener = UnixListener::bind(&path)?;
        // A restart of the host removes the socket.
        while path.exists() {
            let Ok(accepted) = timeout(TICK, listener.accept()).await else { continue };
            let (docker, (client, _)) = (Arc::clone(&docker), accepted?);
            // A client that disconnects early is no error.
            tokio::spawn(async move { docker.attend(BufReader::new(client)).await });
        }
    }
}

impl Docker {
    async fn attend(&self, mut client: BufReader<UnixStream>) -> io::Result<()> {
        let request = read_request(&mut client, Server::Docker, &self.log).await?;
        // A doctor's pings are no part of what a run asks for.
        let index = (request.path_and_query != "/_ping").then(|| self.log.asked(request.clone()));
        let answered = |status| index.into_iter().for_each(|index| self.log.answered(index, status));
        let url = format!("http://docker{}", request.path_and_query);
        let url = url.parse::<url::Url>().map_err(|_| io::ErrorKind::InvalidData)?;
        let path = url.path().strip_prefix(&format!("/v{API}")).unwrap_or(url.path());
        let (status, body) = match (request.method.as_str(), path) {
            ("GET", "/_ping") => (200, "OK".to_owned()),
            ("POST", "/images/create") => {
                let parameter = |name: &str| {
                    url.query_pairs()
                        .find(|(key, _)| key == name)
                        .map(|(_, value)| value.into_owned())
                        .unwrap_or_default()
                };
                let (repository, tag) = (parameter("fromImage"), parameter("tag"));
                match self.refusal(&request, &repository, &tag) {
                    Some((status, message)) => (status, json!({ "message": message }).to_string()),
                    None => {
                        answered(200);
                        return self.pull(client, &repository, &tag).await;
                    }
                }
            }
            ("GET", path) => self.described(path),
            _ => (404, json!({ "message": "page not found" }).to_string()),
        };
        answered(status);
        let head = head(status, &format!("Content-Length: {}", body.len()));
        client.write_all(format!("{head}{body}").as_bytes()).await?;
        client.shutdown().await
    }

    /// Returns the description of an image.
    fn described(&self, path: &str) -> (u16, String) {
        let name = path.strip_prefix("/images/").and_then(|rest| rest.strip_suffix("/json")).unwrap_or_default();
        if !held(&self.images).there.contains(name) {
            return (404, json!({ "message": format!("No such image: {name}") }).to_string());
        }
        let digests = if name.contains('@') { vec![name] } else { Vec::new() };
        (200, json!({ "Id": format!("the ID of {name}"), "RepoDigests": digests }).to_string())
    }

    /// Returns a refusal before the answer to a pull has begun. A registry of Amazon ECR demands its token.
    fn refusal(&self, request: &Request, repository: &str, tag: &str) -> Option<(u16, String)> {
        let auth = request.header("x-registry-auth").and_then(|header| URL_SAFE.decode(header).ok());
        let auth: Value = auth.and_then(|auth| serde_json::from_slice(&auth).ok()).unwrap_or_default();
        let is_known = auth["username"] == "AWS" && auth["password"] == ECR_PASSWORD;
        if repository.contains(".dkr.ecr") && !is_known {
            return Some((500, format!("Head \"https://{repository}/manifests/{tag}\": no basic auth credentials")));
        }
        let mut images = held(&self.images);
        let answers = images.answers.get_mut(repository)?;
        match answers.front() {
            Some(PullAnswer::Refused(status, message)) => {
                let refusal = (*status, message.clone());
                answers.pop_front();
                Some(refusal)
            }
            _ => None,
        }
    }

    /// Writes the answer to a pull in pieces, as Docker does.
    async fn pull(&self, mut client: BufReader<UnixStream>, repository: &str, tag: &str) -> io::Result<()> {
        let answer = held(&self.images).answers.get_mut(repository).and_then(VecDeque::pop_front);
        let separator = if tag.contains(':') { '@' } else { ':' };
        let name =
            format!("{}{separator}{tag}", repository.trim_start_matches("docker.io/").trim_start_matches("library/"));
        let was_there = held(&self.images).there.contains(&name);
        client.write_all(head(200, "Content-Type: application/json\r\nTransfer-Encoding: chunked").as_bytes()).await?;
        piece(&mut client, &json!({ "status": format!("Pulling from {repository}"), "id": tag })).await?;
        let after = match answer {
            Some(PullAnswer::Fails(message)) => {
                let error = json!({ "errorDetail": { "message": message }, "error": message });
                piece(&mut client, &error).await?;
                return end(&mut client).await;
            }
            Some(PullAnswer::BreaksOff) => return client.shutdown().await,
            Some(PullAnswer::After(time)) => time,
            Some(PullAnswer::Refused(..)) | None => Duration::ZERO,
        };
        if was_there {
            sleep(after).await;
        } else {
            self.pull_layers(&mut client, after).await?;
        }
        let what = if was_there { "Image is up to date for" } else { "Downloaded newer image for" };
        piece(&mut client, &json!({ "status": format!("Status: {what} {name}") })).await?;
        held(&self.images).there.insert(name);
        end(&mut client).await
    }

    async fn pull_layers(&self, client: &mut BufReader<UnixStream>, time: Duration) -> io::Result<()> {
        const PIECES: u32 = 10;
        for layer in LAYERS {
            piece(client, &json!({ "status": "Pulling fs layer", "progressDetail": {}, "id": layer })).await?;
        }
        for number in 1..=PIECES {
            sleep(time / PIECES).await;
            for layer in LAYERS {
                let current = LAYER_BYTES / u64::from(PIECES) * u64::from(number);
                let bytes = json!({ "current": current, "total": LAYER_BYTES });
                piece(client, &json!({ "status": "Downloading", "progressDetail": bytes, "id": layer })).await?;
            }
        }
        for layer in LAYERS {
            for status in ["Download complete", "Pull complete"] {
                piece(client, &json!({ "status": status, "progressDetail": {}, "id": layer })).await?;
            }
        }
        Ok(())
    }
}

fn head(status: u16, fields: &str) -> String {
    let text = reason(status);
    format!(
        "HTTP/1.1 {status} {text}\r\nApi-Version: {API}\r\nServer: Docker/25.0.16 (linux)\r\nConnection: close\r\n{fields}\r\n\r\n"
    )
}

async fn piece(client: &mut BufReader<UnixStream>, value: &Value) -> io::Result<()> {
    let text = format!("{value}\r\n");
    client.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await?;
    client.flush().await
}

async fn end(client: &mut BufReader<UnixStream>) -> io::Result<()> {
    client.write_all(b"0\r\n\r\n").await?;
    client.shutdown().await
}

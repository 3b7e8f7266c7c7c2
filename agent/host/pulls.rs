//! Pulls of images, each tried again until its time is over: awaited, or begun beside the run.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep, timeout_at};

use super::Host;
use super::docker_api::{DockerApi, PullError};
use super::hook::allowed;
use super::inspect::DOCKER_SOCKETS;
use super::pull_progress::Progress;
use super::pull_remedy::{Refusal, way_to};
use super::wait::whole_seconds;
use crate::aws::ecr::{Registry, Tokens};
use crate::config::types::ImageName;
use crate::http;
use crate::plan::Pull;
use crate::report::Change;

/// The bound of the first pause between two tries of a pull.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two tries of a pull.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The pause after a registry has asked for fewer requests, on average.
const LIMIT_PAUSE: Duration = Duration::from_secs(60);
/// The time that is left of a pull's own when the request for a token ends, so that the reason is that of the request.
const AFTER_TOKEN: Duration = Duration::from_secs(1);
/// The least time between two changes of the status line.
const STATUS_POLL: Duration = Duration::from_secs(1);

/// The pulls of a run: the registries' tokens, and the pulls that go on beside the run.
#[derive(Debug)]
pub struct Pulls {
    /// One pull at a time has the tokens, so that the pulls come one after the other.
    tokens: Arc<Mutex<Tokens>>,
    /// In the order in which they end.
    begun: VecDeque<(ImageName, JoinHandle<Result<Change>>)>,
}

/// A pull that has ended.
#[derive(Debug)]
pub struct Pulled {
    /// The image.
    pub image: ImageName,
    /// The change, or the reason of a failure.
    pub result: Result<Change>,
}

impl Pulls {
    /// Begins with no pull.
    pub fn new(tokens: Tokens) -> Self {
        Pulls { tokens: Arc::new(Mutex::new(tokens)), begun: VecDeque::new() }
    }

    /// Returns the pulls that go on.
    pub fn left(&self) -> usize {
        self.begun.len()
    }

    /// Takes a pull that has ended meanwhile.
    pub async fn take_ended(&mut self) -> Option<Pulled> {
        if self.begun.front()?.1.is_finished() { self.next().await } else { None }
    }

    /// Waits until a pull has ended; returns nothing if none goes on.
    pub async fn next(&mut self) -> Option<Pulled> {
        let (_, task) = self.begun.front_mut()?;
        let ended = task.await;
        let (image, _) = self.begun.pop_front()?;
        // The panic is in the log already.
        let result = ended.unwrap_or_else(|_| Err(anyhow!("a bug in ecs-firstrun has ended the pull")));
        Some(Pulled { image, result })
    }

    /// Begins a pull that nobody waits for, among the tasks of the run's thread.
    fn begin(&mut self, sockets: Sockets, pull: &Pull) {
        let (tokens, image, pull) = (Arc::clone(&self.tokens), pull.image.clone(), pull.clone());
        let task = spawn_local(async move {
            let mut tokens = tokens.lock().await;
            let most = humantime::format_duration(pull.timeout);
            tracing::info!("pulling {} beside the run, at most {most}", pull.image);
            let result = pull_within(&sockets, &pull, &mut tokens, pull.timeout, &mut |_| {}).await;
            if let Err(error) = &result {
                tracing::warn!("{}", not_pulled(&pull.image, error));
            }
            result
        });
        self.begun.push_back((image, task));
    }
}

/// Returns the words for a pull that has failed.
pub fn not_pulled(image: &ImageName, error: &anyhow::Error) -> String {
    format!("the image {image} was not pulled: {error:#}")
}

/// The places of Docker's socket.
type Sockets = [PathBuf; 2];

impl Host {
    /// Pulls an image, or begins to.
    ///
    /// # Errors
    /// The reason of a failure with its remedy, if a failure fails the run. Otherwise it is a warning.
    pub async fn pull_image(&self, pull: &Pull, pulls: &mut Pulls, deadline: Instant) -> Result<Change> {
        if pull.beside {
            pulls.begin(self.docker_sockets(), pull);
            return Ok(Change::Made);
        }
        let allowed = allowed(pull.timeout, pull.required, deadline);
        let words = format!("pulling {}, at most {}", pull.image, humantime::format_duration(allowed));
        tracing::info!("{words}");
        self.say_status(&words);
        let (mut said, mut said_at) = (String::new(), Instant::now());
        let mut say = |progress: &Progress| {
            if said_at.elapsed() < STATUS_POLL {
                return;
            }
            let words = format!("pulling {}: {progress}", pull.image);
            if words != said {
                self.say_status(&words);
                (said, said_at) = (words, Instant::now());
            }
        };
        let mut tokens = pulls.tokens.lock().await;
        match pull_within(&self.docker_sockets(), pull, &mut tokens, allowed, &mut say).await {
            Err(error) if !pull.required => {
                self.warn(not_pulled(&pull.image, &error));
                Ok(Change::Failed)
            }
            result => result,
        }
    }

    /// Tells whether Docker has an image, that of the digest if the name has one.
    ///
    /// # Errors
    /// Docker does not tell.
    pub async fn has_image(&self, name: &ImageName) -> Result<bool> {
        let docker = DockerApi::connect(&socket(&self.docker_sockets())).await?;
        Ok(docker.image(name).await?.is_some())
    }

    fn docker_sockets(&self) -> Sockets {
        DOCKER_SOCKETS.map(|path| self.at(path))
    }
}

/// Returns the socket that is there, or should be.
fn socket(sockets: &Sockets) -> PathBuf {
    let [first, _] = sockets;
    sockets.iter().find(|path| path.exists()).unwrap_or(first).clone()
}

/// Tries a pull until it has succeeded, is refused for good, or has used up its time.
async fn pull_within(
    sockets: &Sockets,
    pull: &Pull,
    tokens: &mut Tokens,
    allowed: Duration,
    say: &mut dyn FnMut(&Progress),
) -> Result<Change> {
    let began = Instant::now();
    let mut last: Option<Refusal> = None;
    let tries = async {
        let mut pauses = http::pauses(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            // A try that gets on has nothing to do with the errors before.
            let mut say = |progress: &Progress| {
                last = None;
                say(progress);
            };
            let refusal = match try_once(sockets, pull, tokens, began + allowed, &mut say).await {
                Ok(change) => return Ok(change),
                Err(refusal) if refusal.is_final => return Err(anyhow!("{refusal}")),
                Err(refusal) => refusal,
            };
            if last.as_ref().is_none_or(|last| last.words != refusal.words) {
                tracing::info!("the pull of {} is tried again: {}", pull.image, refusal.words);
            }
            let pause = match refusal.is_limit {
                true => LIMIT_PAUSE.mul_f64(0.5 + fastrand::f64()),
                false => pauses.next().unwrap_or(LONGEST_PAUSE),
            };
            last = Some(refusal);
            sleep(pause).await;
        }
    };
    let ended = timeout_at(began + allowed, tries).await;
    let change = ended.unwrap_or_else(|_| {
        let whose = if allowed < pull.timeout { ", when the time of the run was over (`signal.timeout`)" } else { "" };
        let seen = last.map_or_else(|| way_to(&pull.image), |last| format!("the last error: {last}"));
        Err(anyhow!("it had not ended after {}{whose}; {seen}", humantime::format_duration(allowed)))
    })?;
    let spent = humantime::format_duration(whole_seconds(began.elapsed()));
    match change {
        Change::Made => tracing::info!("pulled {} in {spent}", pull.image),
        _ => tracing::info!("Docker has {} already", pull.image),
    }
    Ok(change)
}

async fn try_once(
    sockets: &Sockets,
    pull: &Pull,
    tokens: &mut Tokens,
    deadline: Instant,
    say: &mut dyn FnMut(&Progress),
) -> Result<Change, Refusal> {
    let (image, socket) = (&pull.image, socket(sockets));
    let of_docker = |error: anyhow::Error| Refusal::of_docker(&error, image);
    let docker = DockerApi::connect(&socket).await.map_err(of_docker)?;
    let before = docker.image(image).await.map_err(of_docker)?;
    if pull.unless_there && before.is_some() {
        return Ok(Change::AlreadyDone);
    }
    let auth = match Registry::of(image.host()) {
        Some(registry) => {
            Some(tokens.of(registry, deadline - AFTER_TOKEN).await.map_err(|error| Refusal::of_aws(&error))?)
        }
        None => None,
    };
    docker.pull(image, auth.as_ref(), say).await.map_err(|error| match error {
        PullError::Docker(error) => of_docker(error),
        PullError::Refused(words) => Refusal::of(&words, image),
    })?;
    match (before, docker.image(image).await.map_err(of_docker)?) {
        (_, None) => Err(of_docker(anyhow!("Docker has pulled the image, and does not have it"))),
        (before, after) if before == after => Ok(Change::AlreadyDone),
        _ => Ok(Change::Made),
    }
}

//! A fake cloud on loopback: instance metadata, the ECS agent's introspection API, CloudFormation, Auto Scaling, Systems
//! Manager, Secrets Manager, Amazon ECR and a forward proxy; and Docker's socket.
//!
//! The cloud runs on a thread and a runtime of its own. The rehearsed code may block, and the cloud does not disturb its
//! timings.
#![allow(clippy::disallowed_methods, reason = "the doubles stand outside the host boundary")]

mod auto_scaling;
mod cloudformation;
mod docker;
mod ecr;
mod ecs;
pub mod http;
mod imds;
mod proxy;
mod query;
mod received;
mod values;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use tokio::net::TcpSocket;

pub use auto_scaling::AutoScalingAnswer;
pub use cloudformation::CfnAnswer;
use docker::TICK;
pub use docker::{DockerSocket, PullAnswer};
pub use ecr::{ECR_PASSWORD, EcrAnswer};
pub use ecs::{RegisteredAs, Registration};
pub use http::{Request, Server};
pub use imds::{IdentityDouble, ImdsFaults};
pub use proxy::ProxyCredentials;
pub use received::{HealthCall, LifecycleCall, ReceivedSignal, SignalAuth};
pub use values::{StoredValues, ValueAnswer};

/// The settings of the fake cloud.
#[derive(Debug, Clone, Default)]
pub struct CloudOptions {
    /// The instance's user data; without any, the service answers 404.
    pub user_data: Option<Vec<u8>>,
    /// The identity of the instance.
    pub identity: IdentityDouble,
    /// The instance tags in the metadata. Without tags the category is absent, as when tags in the metadata are not
    /// enabled.
    pub tags: BTreeMap<String, String>,
    /// `autoscaling/target-lifecycle-state`; without a state the service answers 404, as outside an Auto Scaling group.
    pub target_lifecycle_state: Option<String>,
    /// The role in the instance profile; the metadata has credentials for this role.
    pub iam_role: Option<String>,
    /// The faults of the metadata service.
    pub imds_faults: ImdsFaults,
    /// The address of the metadata service, if a test owns the real one; else it has any port of loopback.
    pub imds_address: Option<SocketAddr>,
    /// The registration of the ECS agent.
    pub registration: Registration,
    /// The path whose appearance starts the time to registration, besides [`Cloud::begin_registration`].
    pub registration_starts_on: Option<PathBuf>,
    /// Docker's socket; none if Docker never listens.
    pub docker: Option<DockerSocket>,
    /// The images that Docker has, as it lists them.
    pub images: BTreeSet<String>,
    /// Docker's answers to pulls, by repository, in order; then the image is there at once.
    pub pulls: BTreeMap<String, VecDeque<PullAnswer>>,
    /// Amazon ECR's answers to well-formed and signed requests for a token, in order; then it gives one.
    pub ecr: VecDeque<EcrAnswer>,
    /// CloudFormation's answers to well-formed and authenticated signals, in order; then it accepts.
    pub cloudformation: VecDeque<CfnAnswer>,
    /// Auto Scaling's answers to well-formed and signed completions of a lifecycle action, in order; then it accepts.
    pub auto_scaling: VecDeque<AutoScalingAnswer>,
    /// The parameters of Systems Manager.
    pub parameters: StoredValues,
    /// The secrets of Secrets Manager.
    pub secrets: StoredValues,
    /// Auto Scaling's answers to well-formed and signed reports of health, in order; then it accepts.
    pub health: VecDeque<AutoScalingAnswer>,
    /// The credentials that the proxy demands of its clients, if any.
    pub proxy_credentials: Option<ProxyCredentials>,
    /// Number of connections that the proxy first accepts, reads from, and closes without an answer.
    pub proxy_drops: usize,
}

/// A running fake cloud; it ends when dropped.
#[derive(Debug)]
pub struct Cloud {
    imds: SocketAddr,
    ecs: SocketAddr,
    cloudformation: SocketAddr,
    auto_scaling: SocketAddr,
    ssm: SocketAddr,
    secrets_manager: SocketAddr,
    ecr: SocketAddr,
    proxy: SocketAddr,
    lifecycle_state: imds::LifecycleState,
    log: Arc<http::CloudLog>,
    begun: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Cloud {
    /// Starts the servers. All ports are bound when this returns; the ECS agent's port still refuses connections.
    pub fn start(options: CloudOptions) -> Result<Self> {
        let sockets = Sockets::bind(options.imds_address.unwrap_or_else(any_port))?;
        let log = Arc::new(http::CloudLog::default());
        let begun = Arc::new(AtomicBool::new(false));
        let ended = Arc::new(AtomicBool::new(false));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("the fake cloud's runtime")?;
        let mut cloud = Self {
            imds: sockets.imds.local_addr()?,
            ecs: sockets.ecs.local_addr()?,
            cloudformation: sockets.cloudformation.local_addr()?,
            auto_scaling: sockets.auto_scaling.local_addr()?,
            ssm: sockets.ssm.local_addr()?,
            secrets_manager: sockets.secrets_manager.local_addr()?,
            ecr: sockets.ecr.local_addr()?,
            proxy: sockets.proxy.local_addr()?,
            lifecycle_state: Arc::new(Mutex::new(options.target_lifecycle_state.clone())),
            log: Arc::clone(&log),
            begun: Arc::clone(&begun),
            ended: Arc::clone(&ended),
            thread: None,
        };
        let state = Arc::clone(&cloud.lifecycle_state);
        let watch = Watch { begun, ended, path: options.registration_starts_on.clone() };
        let thread = std::thread::Builder::new().name("fake-cloud".into()).spawn(move || {
            if let Err(error) = runtime.block_on(serve(options, sockets, state, log, watch)) {
                tracing::error!("the fake cloud ended: {error:#}");
            }
        })?;
        cloud.thread = Some(thread);
        Ok(cloud)
    }

    /// Returns the metadata service's URL, without a path.
    pub fn imds_endpoint(&self) -> String {
        format!("http://{}", self.imds)
    }

    /// Returns the ECS agent's URL, without a path.
    pub fn ecs_endpoint(&self) -> String {
        format!("http://{}", self.ecs)
    }

    /// Returns CloudFormation's URL, without a path.
    pub fn cloudformation_endpoint(&self) -> String {
        format!("http://{}", self.cloudformation)
    }

    /// Returns Auto Scaling's URL, without a path.
    pub fn auto_scaling_endpoint(&self) -> String {
        format!("http://{}", self.auto_scaling)
    }

    /// Returns Systems Manager's URL, without a path.
    pub fn ssm_endpoint(&self) -> String {
        format!("http://{}", self.ssm)
    }

    /// Returns Secrets Manager's URL, without a path.
    pub fn secrets_manager_endpoint(&self) -> String {
        format!("http://{}", self.secrets_manager)
    }

    /// Returns Amazon ECR's URL, without a path.
    pub fn ecr_endpoint(&self) -> String {
        format!("http://{}", self.ecr)
    }

    /// Returns the forward proxy's URL, without credentials.
    pub fn proxy_endpoint(&self) -> String {
        format!("http://{}", self.proxy)
    }

    /// Returns a wait condition handle's URL, in the form of a presigned URL.
    pub fn wait_handle_url(&self) -> String {
        format!(
            "http://{}/waithandle?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=86399&X-Amz-Signature=5ca1ab1e",
            self.cloudformation
        )
    }

    /// Has Auto Scaling bring the instance to another state, such as `InService`.
    pub fn bring_to(&self, state: &str) {
        *http::held(&self.lifecycle_state) = Some(state.to_owned());
    }

    /// Starts the time to registration, as when the units are started.
    pub fn begin_registration(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    /// Returns every request so far, of all servers, in the order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.log.requests()
    }

    /// Returns the signals that CloudFormation has accepted so far.
    pub fn signals(&self) -> Vec<ReceivedSignal> {
        self.log.signals()
    }

    /// Returns the completions and heartbeats that Auto Scaling has accepted so far.
    pub fn lifecycle_calls(&self) -> Vec<LifecycleCall> {
        self.log.calls()
    }

    /// Returns the reports of health that Auto Scaling has accepted so far.
    pub fn health_calls(&self) -> Vec<HealthCall> {
        self.log.reports()
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed by then, and no caller could handle it.
            let _ = thread.join();
        }
    }
}

/// The sockets. They are bound before the thread exists, so that their ports are known and the caller gets the errors.
struct Sockets {
    imds: TcpListener,
    ecs: TcpSocket,
    cloudformation: TcpListener,
    auto_scaling: TcpListener,
    ssm: TcpListener,
    secrets_manager: TcpListener,
    ecr: TcpListener,
    proxy: TcpListener,
}

impl Sockets {
    fn bind(imds: SocketAddr) -> Result<Self> {
        let ecs = TcpSocket::new_v4()?;
        ecs.bind(any_port())?;
        Ok(Self {
            imds: listen(imds).with_context(|| format!("the fake metadata service on {imds}"))?,
            ecs,
            cloudformation: listen(any_port())?,
            auto_scaling: listen(any_port())?,
            ssm: listen(any_port())?,
            secrets_manager: listen(any_port())?,
            ecr: listen(any_port())?,
            proxy: listen(any_port())?,
        })
    }
}

fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The signs that the thread watches while it serves.
struct Watch {
    begun: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
    path: Option<PathBuf>,
}

impl Watch {
    async fn until_begun(&self) {
        let appeared = || self.path.as_ref().is_some_and(|path| path.exists());
        while !self.begun.load(Ordering::Relaxed) && !appeared() {
            tokio::time::sleep(TICK).await;
        }
    }

    async fn until_ended(&self) {
        while !self.ended.load(Ordering::Relaxed) {
            tokio::time::sleep(TICK).await;
        }
    }
}

async fn serve(
    options: CloudOptions,
    sockets: Sockets,
    state: imds::LifecycleState,
    log: Arc<http::CloudLog>,
    watch: Watch,
) -> Result<()> {
    let targets = proxy::Targets {
        cloudformation: sockets.cloudformation.local_addr()?,
        auto_scaling: sockets.auto_scaling.local_addr()?,
        ssm: sockets.ssm.local_addr()?,
        secrets_manager: sockets.secrets_manager.local_addr()?,
        ecr: sockets.ecr.local_addr()?,
    };
    let (credentials, drops) = (options.proxy_credentials.clone(), options.proxy_drops);
    let agent = ecs::Agent::new(&options.registration, &options.identity);
    let registration = options.registration.clone();
    let formation =
        cloudformation::CloudFormation::new(&options.identity, options.cloudformation.clone(), Arc::clone(&log));
    let parameters = values::ValueService::new(Server::Ssm, options.parameters);
    let secrets = values::ValueService::new(Server::SecretsManager, options.secrets);
    let scaling =
        auto_scaling::AutoScaling::new(options.auto_scaling.clone(), options.health.clone(), Arc::clone(&log));
    let tokens = ecr::Ecr::new(options.ecr.clone());
    let docker = docker::Docker::new(options.images, options.pulls, Arc::clone(&log));
    let docker = docker::serve(options.docker.clone(), docker);
    let contents = imds::Contents {
        identity: options.identity,
        tags: options.tags,
        role: options.iam_role,
        user_data: options.user_data,
    };
    let metadata = imds::ImdsDouble::new(contents, options.imds_faults, state);
    let introspection = async {
        watch.until_begun().await;
        ecs::serve(sockets.ecs, &registration, agent, Arc::clone(&log)).await
    };
    tokio::select! {
        ended = http::serve(sockets.imds, metadata, Arc::clone(&log)) => ended.context("metadata"),
        ended = http::serve(sockets.cloudformation, formation, Arc::clone(&log)) => ended.context("CloudFormation"),
        ended = http::serve(sockets.auto_scaling, scaling, Arc::clone(&log)) => ended.context("Auto Scaling"),
        ended = http::serve(sockets.ssm, parameters, Arc::clone(&log)) => ended.context("Systems Manager"),
        ended = http::serve(sockets.secrets_manager, secrets, Arc::clone(&log)) => ended.context("Secrets Manager"),
        ended = http::serve(sockets.ecr, tokens, Arc::clone(&log)) => ended.context("Amazon ECR"),
        ended = proxy::serve(sockets.proxy, targets, credentials, drops, Arc::clone(&log)) => ended.context("proxy"),
        ended = introspection => ended.context("ECS agent"),
        ended = docker => ended.context("Docker's socket"),
        () = watch.until_ended() => Ok(()),
    }
}

#[cfg(test)]
mod tests;

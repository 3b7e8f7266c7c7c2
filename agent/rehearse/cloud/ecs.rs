//! The ECS agent's introspection API: connections are refused until the agent has registered.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpSocket;

use super::CloudOptions;
use super::http::{self, CloudLog, Double, Reply, Request, Server, held};

const CONTAINER_INSTANCE: &str = "5b0d3c7e9a1f4d62b8c4e07f6a2d1b93";
const VERSION: &str = "Amazon ECS Agent - v1.105.1 (*8dfceca6c)";

/// The registration of the ECS agent. Times count from the start of the units.
#[derive(Debug, Clone)]
pub enum Registration {
    /// The agent registers after this time.
    After(Duration, RegisteredAs),
    /// The agent never registers: the port refuses connections.
    Never,
    /// The agent listens after this time and gives these answers first, then the answers of a registered agent.
    Scripted {
        /// Time during which the port refuses connections.
        after: Duration,
        /// The first answers to requests for the agent's metadata.
        answers: VecDeque<AgentAnswer>,
        /// The registration after these answers.
        then: RegisteredAs,
    },
}

impl Default for Registration {
    fn default() -> Self {
        Self::After(Duration::ZERO, RegisteredAs { cluster: "default".into() })
    }
}

/// The registered agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredAs {
    /// The cluster's name or ARN, which the agent echoes as it was configured.
    pub cluster: String,
}

/// A raw answer of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl AgentAnswer {
    /// Returns the answer of an agent that serves, and has no ARN yet.
    pub fn null_arn(cluster: &str) -> Self {
        let body = json!({"Cluster": cluster, "ContainerInstanceArn": null, "Version": VERSION});
        Self { status: 200, body: body.to_string() }
    }

    /// Returns the answer to a path that the agent doesn't know.
    pub fn available_commands() -> Self {
        let body = json!({"AvailableCommands": ["/v1/metadata", "/v1/tasks", "/license"]});
        Self { status: 200, body: body.to_string() }
    }

    /// Returns the answer after an internal error of the agent.
    pub fn internal_error() -> Self {
        let body = json!({"Cluster": "", "ContainerInstanceArn": null, "Version": ""});
        Self { status: 500, body: body.to_string() }
    }
}

/// The agent once it listens.
pub(super) struct Agent {
    answers: Mutex<VecDeque<AgentAnswer>>,
    metadata: String,
}

impl Agent {
    pub(super) fn new(options: &CloudOptions) -> Self {
        let (answers, cluster) = match &options.registration {
            Registration::After(_, known) => (VecDeque::new(), known.cluster.as_str()),
            Registration::Never => (VecDeque::new(), ""),
            Registration::Scripted { answers, then, .. } => (answers.clone(), then.cluster.as_str()),
        };
        let identity = &options.identity;
        let name = cluster.rsplit('/').next().unwrap_or_default();
        let arn = format!(
            "arn:{}:ecs:{}:{}:container-instance/{name}/{CONTAINER_INSTANCE}",
            identity.partition, identity.region, identity.account
        );
        let metadata = json!({"Cluster": cluster, "ContainerInstanceArn": arn, "Version": VERSION});
        Self { answers: Mutex::new(answers), metadata: metadata.to_string() }
    }
}

/// Waits as the registration says, then listens. If the agent never registers, this function never returns.
pub(super) async fn serve(
    socket: TcpSocket,
    registration: &Registration,
    agent: Agent,
    log: Arc<CloudLog>,
) -> io::Result<()> {
    let (Registration::After(after, _) | Registration::Scripted { after, .. }) = registration else {
        // The socket lives on in this future, so nobody else gets the port.
        return std::future::pending().await;
    };
    tokio::time::sleep(*after).await;
    http::serve_on(socket.listen(64)?, agent, log).await
}

impl Double for Agent {
    fn server(&self) -> Server {
        Server::Ecs
    }

    async fn answer(&self, request: &Request, _: SocketAddr) -> Option<Reply> {
        let path = request.path_and_query.split('?').next().unwrap_or_default();
        if path == "/v1/tasks" {
            return Some(Reply::new(200, "application/json", r#"{"Tasks":[]}"#));
        }
        if path != "/v1/metadata" {
            let commands = AgentAnswer::available_commands();
            return Some(Reply::new(commands.status, "text/plain; charset=utf-8", commands.body));
        }
        let scripted = held(&self.answers).pop_front();
        let AgentAnswer { status, body } =
            scripted.unwrap_or_else(|| AgentAnswer { status: 200, body: self.metadata.clone() });
        Some(Reply::new(status, "application/json", body))
    }
}

//! The ECS agent's introspection API: connections are refused until the agent has registered.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpSocket;

use super::http::{self, CloudLog, Double, Reply, Request, Server};
use super::imds::{ACCOUNT, IdentityDouble};

const CONTAINER_INSTANCE: &str = "5b0d3c7e9a1f4d62b8c4e07f6a2d1b93";
const VERSION: &str = "Amazon ECS Agent - v1.105.1 (*8dfceca6c)";

/// The registration of the ECS agent. Times count from the start of the units.
#[derive(Debug, Clone)]
pub enum Registration {
    /// The agent registers after this time.
    After(Duration, RegisteredAs),
    /// The agent never registers: the port refuses connections.
    Never,
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

/// The agent once it listens.
pub(super) struct Agent {
    metadata: String,
}

impl Agent {
    pub(super) fn new(registration: &Registration, identity: &IdentityDouble) -> Self {
        let cluster = match registration {
            Registration::After(_, known) => known.cluster.as_str(),
            Registration::Never => "",
        };
        let region = &identity.region;
        let name = cluster.rsplit('/').next().unwrap_or_default();
        let arn = format!("arn:aws:ecs:{region}:{ACCOUNT}:container-instance/{name}/{CONTAINER_INSTANCE}");
        let metadata = json!({"Cluster": cluster, "ContainerInstanceArn": arn, "Version": VERSION});
        Self { metadata: metadata.to_string() }
    }
}

/// Waits as the registration says, then listens. If the agent never registers, this function never returns.
pub(super) async fn serve(
    socket: TcpSocket,
    registration: &Registration,
    agent: Agent,
    log: Arc<CloudLog>,
) -> io::Result<()> {
    let Registration::After(after, _) = registration else {
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
        Some(match path {
            "/v1/metadata" => Reply::new(200, "application/json", self.metadata.as_str()),
            "/v1/tasks" => Reply::new(200, "application/json", r#"{"Tasks":[]}"#),
            _ => {
                let commands = json!({"AvailableCommands": ["/v1/metadata", "/v1/tasks", "/license"]});
                Reply::new(200, "text/plain; charset=utf-8", commands.to_string())
            }
        })
    }
}

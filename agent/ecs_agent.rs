//! Asks the ECS agent's introspection endpoint whether the agent has registered this instance.
//!
//! The agent opens the endpoint (`GET /v1/metadata`, port 51678) only once `RegisterContainerInstance` has succeeded, so a
//! refused connection is the usual "not yet". The shape of the answer comes from amazon-ecs-agent,
//! `ecs-agent/introspection/v1/response.go`.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::{Host, Url};

use crate::http;
use crate::secrets::redact;

/// Time between two looks at the ECS agent.
pub const POLL: Duration = Duration::from_millis(50);

/// Time allowed for one look; the agent is on this host and answers from memory.
const LOOK: Duration = Duration::from_secs(1);
const LIMIT: usize = 64 * 1024;

/// The cluster that an agent with an empty `ECS_CLUSTER` registers with.
pub const DEFAULT_CLUSTER: &str = "default";

/// The result of one look at the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing listens: the agent isn't running or hasn't registered yet.
    Refused,
    /// Something other than a refusal kept us from an answer.
    Unreachable(String),
    /// The agent answers, but says nothing of a registration; the text tells what the answer says.
    NotReady(String),
    /// The agent has registered with another cluster. Waiting won't help.
    WrongCluster {
        /// The cluster that was asked for, name or ARN.
        wanted: String,
        /// The cluster that the agent names, name or ARN.
        found: String,
    },
    /// The agent has registered with the cluster that was asked for.
    Registered {
        /// Name or ARN of the cluster, whichever the agent was configured with.
        cluster: String,
        /// The ARN of this container instance.
        container_instance_arn: String,
        /// The agent's version, such as `Amazon ECS Agent - v1.105.1 (*hash)`.
        version: String,
    },
}

/// The answer of the introspection endpoint.
///
/// The fields are empty or null on the agent's internal errors (HTTP 500). The fields are absent from the answer to a path
/// that the agent doesn't know, which has status 200 all the same.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AgentMetadata {
    #[serde(default)]
    cluster: String,
    container_instance_arn: Option<String>,
    #[serde(default)]
    version: String,
}

/// Judges an answer of the introspection endpoint by `wanted_cluster`, a name or an ARN. An empty `wanted_cluster` is the
/// cluster `default`, as for the agent.
#[must_use]
pub fn judge(status: u16, body: &[u8], wanted_cluster: &str) -> Seen {
    if status != 200 {
        return Seen::NotReady(format!("the ECS agent answers HTTP {status}"));
    }
    let Ok(metadata) = serde_json::from_slice::<AgentMetadata>(body) else {
        return Seen::NotReady("another program answers on the ECS agent's port".to_owned());
    };
    let arn = metadata.container_instance_arn.unwrap_or_default();
    if arn.is_empty() {
        return Seen::NotReady("the ECS agent runs, but has not registered".to_owned());
    }
    let wanted = match wanted_cluster {
        "" => DEFAULT_CLUSTER,
        name => name,
    };
    if !same_cluster(wanted, &metadata.cluster) {
        return Seen::WrongCluster { wanted: wanted.to_owned(), found: metadata.cluster };
    }
    Seen::Registered { cluster: metadata.cluster, container_instance_arn: arn, version: metadata.version }
}

/// Tells whether two names or ARNs are those of one cluster. Empty text is the cluster `default`. Two ARNs must be the same
/// as a whole (account and region too); otherwise the names, which end an ARN, must be the same.
pub fn same_cluster(a: &str, b: &str) -> bool {
    let [a, b] = [a, b].map(|cluster| if cluster.is_empty() { DEFAULT_CLUSTER } else { cluster });
    if a.starts_with("arn:") && b.starts_with("arn:") {
        return a == b;
    }
    let name = |cluster: &str| cluster.rsplit('/').next().map(str::to_owned);
    name(a) == name(b)
}

/// The ECS agent of this host.
#[derive(Clone, Debug)]
pub struct EcsAgent {
    client: reqwest::Client,
    url: Url,
    /// The address to try a connection with first; none for a host name, which only the HTTP client can resolve.
    probe: Option<SocketAddr>,
}

impl EcsAgent {
    /// Makes a client of the agent at `endpoint`, such as `http://127.0.0.1:51678`.
    ///
    /// # Errors
    /// When `endpoint` isn't an `http://` URL, or no HTTP client can be made.
    pub fn new(endpoint: &str) -> Result<Self> {
        let text = format!("{}/v1/metadata", endpoint.trim_end_matches('/'));
        let url: Url =
            text.parse().with_context(|| format!("the ECS agent's endpoint {:?} is not a URL", redact(endpoint)))?;
        ensure!(url.scheme() == "http", "the ECS agent's endpoint {:?} must start with http://", redact(endpoint));
        let port = url.port_or_known_default().unwrap_or(80);
        let probe = match url.host() {
            Some(Host::Ipv4(ip)) => Some(SocketAddr::new(ip.into(), port)),
            Some(Host::Ipv6(ip)) => Some(SocketAddr::new(ip.into(), port)),
            Some(Host::Domain(_)) | None => None,
        };
        let client = http::direct()?;
        Ok(Self { client, url, probe })
    }

    /// Looks at the agent once, for at most a second, and judges its answer; `wanted` is as for [`judge`].
    pub async fn look(&self, wanted: &str) -> Seen {
        match timeout(LOOK, self.ask(wanted)).await {
            Ok(seen) => seen,
            Err(_) => Seen::Unreachable("the ECS agent doesn't answer within a second".to_owned()),
        }
    }

    async fn ask(&self, wanted: &str) -> Seen {
        // The kernel refuses a loopback connection in microseconds; most looks end here.
        if let Some(address) = self.probe
            && let Err(error) = TcpStream::connect(address).await
        {
            return match error.kind() {
                std::io::ErrorKind::ConnectionRefused => Seen::Refused,
                _ => Seen::Unreachable(error.to_string()),
            };
        }
        let response = match self.client.get(self.url.clone()).send().await {
            Ok(response) => response,
            Err(error) => return Seen::Unreachable(http::explain(error)),
        };
        let status = response.status().as_u16();
        match http::read_body(response, LIMIT).await {
            Ok(body) => judge(status, &body, wanted),
            Err(error) => Seen::Unreachable(error.to_string()),
        }
    }
}

#[cfg(test)]
#[path = "ecs_agent/tests.rs"]
mod tests;

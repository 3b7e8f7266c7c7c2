//! A forward proxy in front of the services of AWS.
//!
//! The proxy reads and writes the little HTTP that it needs by itself: axum offers no tunnels, and one request per
//! connection is enough.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use url::{Host, Url};

use super::http::{CloudLog, Request, Server, read_request, reason};

/// The credentials that the proxy demands of its clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyCredentials {
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl ProxyCredentials {
    fn header(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.user, self.password)))
    }
}

/// The addresses to which the proxy forwards.
#[derive(Debug, Clone, Copy)]
pub(super) struct Targets {
    pub(super) cloudformation: SocketAddr,
    pub(super) auto_scaling: SocketAddr,
    pub(super) ecr: SocketAddr,
    pub(super) ssm: SocketAddr,
    pub(super) secrets_manager: SocketAddr,
}

impl Targets {
    /// Returns the address of the service whose endpoints have this name, else CloudFormation's.
    fn of(self, host_and_path: &str) -> SocketAddr {
        let host = host_and_path.split_once("://").map_or(host_and_path, |(_, rest)| rest);
        match host.trim_start_matches("api.").split('.').next().unwrap_or_default() {
            "autoscaling" => self.auto_scaling,
            "ecr" => self.ecr,
            "ssm" => self.ssm,
            "secretsmanager" => self.secrets_manager,
            _ => self.cloudformation,
        }
    }
}

struct ProxyDouble {
    targets: Targets,
    authorization: Option<String>,
    /// Number of connections that are still to be dropped.
    drops: AtomicUsize,
    log: Arc<CloudLog>,
}

/// Forwards each request to one of these addresses, whatever host it names.
pub(super) async fn serve(
    listener: std::net::TcpListener,
    targets: Targets,
    credentials: Option<ProxyCredentials>,
    drops: usize,
    log: Arc<CloudLog>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let authorization = credentials.map(|credentials| credentials.header());
    let proxy = Arc::new(ProxyDouble { targets, authorization, drops: AtomicUsize::new(drops), log });
    loop {
        let (client, _) = listener.accept().await?;
        let proxy = Arc::clone(&proxy);
        // A client that disconnects early is no error.
        tokio::spawn(async move { proxy.attend(client).await });
    }
}

impl ProxyDouble {
    async fn attend(&self, client: TcpStream) -> io::Result<()> {
        let mut client = BufReader::new(client);
        let request = read_request(&mut client, Server::Proxy, &self.log).await?;
        let index = self.log.asked(request.clone());
        let less = |left: usize| left.checked_sub(1);
        if self.drops.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
            return Ok(());
        }
        if let Some(status) = self.refusal(&request) {
            self.log.answered(index, status);
            return refuse(client, status).await;
        }
        let mut target = TcpStream::connect(self.targets.of(&request.path_and_query)).await?;
        self.log.proxy_speaks_from(target.local_addr()?);
        if request.method == "CONNECT" {
            self.log.answered(index, 200);
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            copy_bidirectional(&mut client, &mut target).await?;
            return Ok(());
        }
        target.write_all(&forwarded(&request)).await?;
        let mut answer = Vec::new();
        // A reset by the target ends the client's connection early, as with a real proxy that lost its upstream.
        target.read_to_end(&mut answer).await?;
        self.log.answered(index, status_of(&answer));
        client.write_all(&answer).await?;
        client.shutdown().await
    }

    fn refusal(&self, request: &Request) -> Option<u16> {
        if self.authorization.as_deref() != request.header("proxy-authorization") && self.authorization.is_some() {
            return Some(407);
        }
        let url = if request.method == "CONNECT" {
            Url::parse(&format!("http://{}", request.path_and_query))
        } else {
            Url::parse(&request.path_and_query)
        };
        match url {
            Ok(url) if url.host().is_some_and(|host| is_link_local(&host)) => Some(403),
            Ok(url) if url.scheme() == "http" => None,
            _ => Some(400),
        }
    }
}

/// Tells whether a host is the metadata service, or another address that a proxy must not reach.
fn is_link_local(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(address) => address.is_link_local(),
        // fe80::/10, and fd00:ec2::/32, which has the metadata service and similar services.
        Host::Ipv6(address) => address.is_unicast_link_local() || address.segments()[..2] == [0xfd00, 0x0ec2],
        Host::Domain(_) => false,
    }
}

/// Returns the request as a proxy forwards it: with the path alone, and without the headers meant for the proxy.
fn forwarded(request: &Request) -> Vec<u8> {
    let target = request.path_and_query.split_once("://").map_or("", |(_, rest)| rest);
    let path = target.find(['/', '?']).map_or("", |at| &target[at..]);
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut head = format!("{} {slash}{path} HTTP/1.1\r\n", request.method);
    let dropped = ["proxy-authorization", "proxy-connection", "connection", "keep-alive"];
    for (name, value) in request.headers.iter().filter(|(name, _)| !dropped.contains(&name.as_str())) {
        head += &format!("{name}: {value}\r\n");
    }
    head += "via: 1.1 rehearsal\r\nconnection: close\r\n\r\n";
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(&request.body);
    bytes
}

fn status_of(answer: &[u8]) -> u16 {
    let line = answer.get(9..12).and_then(|status| std::str::from_utf8(status).ok());
    line.and_then(|status| status.parse().ok()).unwrap_or(0)
}

async fn refuse(mut client: BufReader<TcpStream>, status: u16) -> io::Result<()> {
    let text = reason(status);
    let body = format!("<html><head><title>{status} {text}</title></head><body>{text}</body></html>\n");
    let challenge = if status == 407 { "Proxy-Authenticate: Basic realm=\"rehearsal\"\r\n" } else { "" };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} {text}\r\n{challenge}Content-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    client.write_all(format!("{head}{body}").as_bytes()).await?;
    client.shutdown().await
}

//! The parts that the servers share: the record of requests, and axum's plumbing.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::extract::connect_info::Connected;
use axum::http::StatusCode;
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::received::{HealthCall, LifecycleCall, ReceivedSignal};

/// The largest body that is read, in bytes: more than any request to these servers needs.
const LARGEST_BODY: usize = 1 << 20;

/// A server of the fake cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Server {
    /// The instance metadata service.
    Imds,
    /// The ECS agent's introspection API.
    Ecs,
    /// CloudFormation, and the bucket of its wait condition handles.
    CloudFormation,
    /// Auto Scaling.
    AutoScaling,
    /// Systems Manager.
    Ssm,
    /// Secrets Manager.
    SecretsManager,
    /// Amazon ECR.
    Ecr,
    /// Docker, at its socket.
    Docker,
    /// The forward proxy.
    Proxy,
}

/// A request as a server saw it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Time since the cloud's start.
    pub at: Duration,
    /// The server that was asked.
    pub server: Server,
    /// The method.
    pub method: String,
    /// The request target; at the proxy the whole URL, or host and port of a CONNECT.
    pub path_and_query: String,
    /// The header fields, in order, their names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The answer's status; 0 while there is no answer, and for ever if the connection was reset.
    pub status: u16,
}

impl Request {
    /// Returns the value of the first header field of this name, which is in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let field = self.headers.iter().find(|(field, _)| field == name);
        field.map(|(_, value)| value.as_str())
    }
}

/// The record of what has happened in the cloud so far.
#[derive(Debug)]
pub struct CloudLog {
    start: Instant,
    requests: Mutex<Vec<Request>>,
    signals: Mutex<Vec<ReceivedSignal>>,
    calls: Mutex<Vec<LifecycleCall>>,
    reports: Mutex<Vec<HealthCall>>,
    /// The proxy's own ends of its connections: a request from one of these addresses came through the proxy.
    proxied: Mutex<HashSet<SocketAddr>>,
}

impl Default for CloudLog {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            requests: Mutex::default(),
            signals: Mutex::default(),
            calls: Mutex::default(),
            reports: Mutex::default(),
            proxied: Mutex::default(),
        }
    }
}

impl CloudLog {
    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        held(&self.requests).clone()
    }

    pub(super) fn signals(&self) -> Vec<ReceivedSignal> {
        held(&self.signals).clone()
    }

    pub(super) fn calls(&self) -> Vec<LifecycleCall> {
        held(&self.calls).clone()
    }

    pub(super) fn reports(&self) -> Vec<HealthCall> {
        held(&self.reports).clone()
    }

    /// Records a request at once, so that a request without an answer is seen, too. `answered` takes the returned index.
    pub(super) fn asked(&self, request: Request) -> usize {
        let mut requests = held(&self.requests);
        requests.push(request);
        requests.len() - 1
    }

    pub(super) fn answered(&self, index: usize, status: u16) {
        if let Some(request) = held(&self.requests).get_mut(index) {
            request.status = status;
        }
    }

    pub(super) fn signalled(&self, signal: ReceivedSignal) {
        held(&self.signals).push(signal);
    }

    pub(super) fn called(&self, call: LifecycleCall) {
        held(&self.calls).push(call);
    }

    pub(super) fn reported(&self, call: HealthCall) {
        held(&self.reports).push(call);
    }

    pub(super) fn proxy_speaks_from(&self, address: SocketAddr) {
        held(&self.proxied).insert(address);
    }

    pub(super) fn is_proxy(&self, address: SocketAddr) -> bool {
        held(&self.proxied).contains(&address)
    }
}

/// Locks a mutex, even after a panic elsewhere: the record is most useful after a panic.
pub(super) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The reply of a double.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// Makes an answer with a body of this type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type", content_type.to_owned())], body: body.into() }
    }

    /// Adds a header field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    fn into_response(self) -> Response {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        response.body(Body::from(self.body)).unwrap_or_default()
    }
}

/// Longest head of a request, in bytes; no client of ours sends a longer one.
const LONGEST_HEAD: u64 = 64 << 10;

/// Reads a request, for a double whose answers axum can't give.
pub(super) async fn read_request(
    client: &mut (impl AsyncBufRead + Unpin),
    server: Server,
    log: &CloudLog,
) -> io::Result<Request> {
    let mut head = client.take(LONGEST_HEAD);
    let mut start = String::new();
    head.read_line(&mut start).await?;
    let mut words = start.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path_and_query)) = (words.next(), words.next()) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        head.read_line(&mut line).await?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let at = log.now();
    let mut request = Request { at, server, method, path_and_query, headers, body: Vec::new(), status: 0 };
    let length = request.header("content-length").and_then(|length| length.parse().ok());
    client.take(length.unwrap_or(0)).read_to_end(&mut request.body).await?;
    Ok(request)
}

/// Returns the words of a status, such as `Not Found`.
pub(super) fn reason(status: u16) -> &'static str {
    StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default()
}

/// The behaviour of one server.
pub trait Double: Send + Sync + 'static {
    /// Returns the server that this double stands in for.
    fn server(&self) -> Server;

    /// Answers a request; without an answer, the connection is reset.
    fn answer(&self, request: &Request, peer: SocketAddr) -> impl Future<Output = Option<Reply>> + Send;
}

/// Serves a double on a listener made outside the runtime.
pub(super) async fn serve<D: Double>(listener: std::net::TcpListener, double: D, log: Arc<CloudLog>) -> io::Result<()> {
    serve_on(TcpListener::from_std(listener)?, double, log).await
}

/// Serves a double, and records the requests and the status of each answer.
///
/// # Errors
/// The errors of axum. Serving does not end by itself.
pub async fn serve_on<D: Double>(listener: TcpListener, double: D, log: Arc<CloudLog>) -> io::Result<()> {
    let double = Arc::new(double);
    let app =
        Router::new().fallback(move |ConnectInfo(line): ConnectInfo<Connection>, request: axum::extract::Request| {
            let (double, log) = (Arc::clone(&double), Arc::clone(&log));
            async move {
                let request = seen(double.server(), log.now(), request).await;
                let index = log.asked(request.clone());
                let Some(answer) = double.answer(&request, line.peer).await else {
                    line.cut.store(true, Ordering::Relaxed);
                    return Response::default();
                };
                log.answered(index, answer.status);
                answer.into_response()
            }
        });
    let service = app.into_make_service_with_connect_info::<Connection>();
    axum::serve(Door(listener), service).await
}

async fn seen(server: Server, at: Duration, request: axum::extract::Request) -> Request {
    let (head, body) = request.into_parts();
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let fields = head.headers.iter();
    Request {
        at,
        server,
        method: head.method.to_string(),
        path_and_query: head.uri.to_string(),
        headers: fields.map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect(),
        body: axum::body::to_bytes(body, LARGEST_BODY).await.unwrap_or_default().to_vec(),
        status: 0,
    }
}

/// A connection, as seen from its requests.
#[derive(Debug, Clone)]
struct Connection {
    peer: SocketAddr,
    cut: Arc<AtomicBool>,
}

impl Connected<IncomingStream<'_, Door>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self { peer: *stream.remote_addr(), cut: Arc::clone(&stream.io().cut) }
    }
}

/// A listener whose connections can be reset from within a request, which axum has no way to ask for.
struct Door(TcpListener);

impl Listener for Door {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        let (stream, peer) = Listener::accept(&mut self.0).await;
        (Wire { stream, cut: Arc::default() }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

struct Wire {
    stream: TcpStream,
    cut: Arc<AtomicBool>,
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.cut.load(Ordering::Relaxed) {
            // Closing without lingering is what makes the kernel send a reset.
            self.stream.set_zero_linger()?;
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

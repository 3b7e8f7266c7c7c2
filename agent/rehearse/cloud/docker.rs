//! Docker's socket, which appears once Docker has been started, and answers a ping.

use std::io;
use std::path::PathBuf;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::TICK;

/// The API version that the answer names.
const PONG: &[u8] = b"HTTP/1.0 200 OK\r\nApi-Version: 1.47\r\nContent-Type: text/plain\r\n\r\nOK";
const NOT_FOUND: &[u8] =
    b"HTTP/1.0 404 Not Found\r\nContent-Type: application/json\r\n\r\n{\"message\":\"page not found\"}";

/// Docker's socket, and the condition for its appearance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerSocket {
    /// The path of the socket.
    pub path: PathBuf,
    /// The path whose appearance makes the socket appear.
    pub starts_on: PathBuf,
}

/// Waits until Docker has been started, then answers. Without a socket this function never returns.
pub(super) async fn serve(socket: Option<DockerSocket>) -> io::Result<()> {
    let Some(DockerSocket { path, starts_on }) = socket else { return std::future::pending().await };
    while !starts_on.exists() {
        tokio::time::sleep(TICK).await;
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // An earlier rehearsal in the same folder may have left its socket.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    loop {
        let (client, _) = listener.accept().await?;
        // A client that disconnects early is no error.
        tokio::spawn(answer(client));
    }
}

async fn answer(mut client: UnixStream) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match client.read_u8().await {
            Ok(byte) if request.len() < 4096 => request.push(byte),
            _ => return Ok(()),
        }
    }
    let is_ping = request.starts_with(b"GET /_ping ");
    client.write_all(if is_ping { PONG } else { NOT_FOUND }).await
}

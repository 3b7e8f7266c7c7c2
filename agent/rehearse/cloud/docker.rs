//! Docker's socket, which appears once Docker has been started, and answers a ping.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::net::UnixListener;

/// Time between two looks for a start of units, or for the end of the cloud.
pub(super) const TICK: Duration = Duration::from_millis(5);

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
    let app = Router::new().route("/_ping", get(async || "OK"));
    axum::serve(UnixListener::bind(&path)?, app).await
}

//! The double of EC2.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::repository;

const PORT: u16 = 5555;
/// The credentials of an account, of which the double accepts any.
pub const KEYS: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "testing"), ("AWS_SECRET_ACCESS_KEY", "testing"), ("AWS_EC2_METADATA_DISABLED", "true")];

pub struct Cloud {
    pub endpoint: String,
    server: Child,
}

/// moto's own program, as `make setup-bake` installs it.
pub fn server() -> PathBuf {
    repository("target/bake/venv/bin/moto_server")
}

/// The interpreter that has moto and boto3.
fn python() -> PathBuf {
    server().with_file_name("python")
}

impl Cloud {
    /// Starts the double; it knows the images of tests/bake/amis.json.
    pub fn start() -> Result<Self> {
        let log = std::fs::File::create(repository("target/bake/moto.log"))?;
        let server = Command::new(python())
            .arg(repository("tests/bake/ec2.py"))
            .args(["-H", "127.0.0.1", "-p", &PORT.to_string()])
            .env("MOTO_AMIS_PATH", repository("tests/bake/amis.json"))
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("run moto_server")?;
        let cloud = Self { endpoint: format!("http://127.0.0.1:{PORT}"), server };
        await_port(PORT, "moto_server; target/bake/moto.log says why")?;
        Ok(cloud)
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Waits until something listens on a port of loopback.
pub fn await_port(port: u16, what: &str) -> Result<()> {
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        ensure!(began.elapsed() < Duration::from_secs(60), "nothing listens on port {port}, so there is no {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// The images whose names begin so, and how many instances for them still run.
pub fn images(endpoint: &str, name: &str) -> Result<(Vec<Value>, u64)> {
    let answer = ask(endpoint, name)?;
    let images = answer["images"].as_array().cloned().unwrap_or_default();
    Ok((images, answer["running"].as_u64().context("no number of instances")?))
}

/// The accounts with which an image is shared, whose name begins so.
pub fn shared_with(endpoint: &str, name: &str, image: &str) -> Result<Vec<String>> {
    let answer = ask(endpoint, name)?;
    let accounts = answer["shared"][image].as_array().into_iter().flatten();
    let mut accounts: Vec<_> = accounts.filter_map(|account| account.as_str().map(str::to_owned)).collect();
    accounts.sort();
    Ok(accounts)
}

fn ask(endpoint: &str, name: &str) -> Result<Value> {
    let output = Command::new(python())
        .arg(repository("tests/bake/cloud.py"))
        .args([endpoint, name])
        .envs(KEYS)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "tests/bake/cloud.py ended with {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

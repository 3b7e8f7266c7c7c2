//! One host and what Packer makes of it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::cloud::{self, KEYS};
use crate::host::Host;
use crate::repository;

/// The scratch host and the folder in which a scenario is played.
pub struct Bench {
    pub host: Host,
    /// Packer's working folder: manifest.json is written there.
    pub folder: PathBuf,
    name: String,
    endpoint: String,
}

/// The result of a bake, with all of Packer's output.
pub struct Ended {
    pub success: bool,
    pub output: String,
}

impl Bench {
    pub fn set_up(name: &str, port: u16, endpoint: String) -> Result<Self> {
        let folder = repository("target/bake/runs").join(name);
        // The folder of an earlier run; it may be missing.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)?;
        let key = folder.join("key");
        let status = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status()?;
        ensure!(status.success(), "ssh-keygen ended with {status}");
        let mut host = Host::new(&folder, port)?;
        host.listen(&key)?;
        Ok(Self { host, folder, name: name.to_owned(), endpoint })
    }

    /// Bakes with packer.json as it is; the variables only say where EC2 and the host are, and what the scenario wants.
    pub fn bake(&self, wanted: &[(&str, &str)]) -> Result<Ended> {
        let mut variables = json!({
            "ec2_endpoint": self.endpoint,
            "skip_aws_checks": "true",
            "ssh_host": "127.0.0.1",
            "ssh_port": self.host.port.to_string(),
            "ssh_private_key_file": self.folder.join("key"),
            "ami_name": self.name,
            "version": "1.2.3",
            "revision": "abcdef",
            "docker_version": "25.0.3",
            "ecs_agent_version": "1.105.1",
        });
        for (variable, value) in wanted {
            variables[*variable] = Value::from(*value);
        }
        std::fs::write(self.folder.join("variables.json"), variables.to_string())?;
        let output = Command::new("packer")
            .args(["build", "-color=false", "-var-file", "variables.json"])
            .arg(repository("packer.json"))
            .current_dir(&self.folder)
            .envs(KEYS)
            .env("CHECKPOINT_DISABLE", "1")
            .output()
            .context("run packer")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        std::fs::write(self.folder.join("packer.log"), &said)?;
        Ok(Ended { success: output.status.success(), output: said })
    }

    /// A bake that must succeed.
    pub fn bake_well(&self, wanted: &[(&str, &str)]) -> Result<String> {
        let ended = self.bake(wanted)?;
        ensure!(ended.success, "the bake ended badly:\n{}", ended.output);
        Ok(ended.output)
    }

    /// A bake that must fail, say why, and leave nothing behind in EC2.
    pub fn bake_badly(&self, wanted: &[(&str, &str)], why: &str) -> Result<()> {
        let ended = self.bake(wanted)?;
        ensure!(!ended.success, "the bake succeeded:\n{}", ended.output);
        ensure!(ended.output.contains(why), "no word of `{why}`:\n{}", ended.output);
        let (images, running) = self.images()?;
        ensure!(images.is_empty(), "an image was left: {images:?}");
        ensure!(running == 0, "{running} instances still run");
        ensure!(!self.folder.join("manifest.json").exists(), "there is a manifest");
        Ok(())
    }

    /// The accounts with which an image is shared.
    pub fn shared_with(&self, image: &Value) -> Result<Vec<String>> {
        cloud::shared_with(&self.endpoint, &self.name, image["ImageId"].as_str().unwrap_or_default())
    }

    /// The images that were made, and how many instances still run.
    pub fn images(&self) -> Result<(Vec<Value>, u64)> {
        cloud::images(&self.endpoint, &self.name)
    }
}

//! A forward proxy as the only way out.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ecs_firstrun::rehearse::cloud::Server;

use crate::checks::{Ended, PATIENCE, contains, same};
use crate::lab::{Lab, Life, PROXY, Stage};

/// tinyproxy; it ends when dropped.
struct Tinyproxy {
    process: Child,
    address: String,
    log: PathBuf,
}

impl Tinyproxy {
    /// Starts it. It alone knows where CloudFormation's name leads.
    fn start(stage: &Stage, name: &str, cloudformation: &str) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let (settings, log) = (stage.folder.join("tinyproxy.conf"), stage.folder.join("tinyproxy.log"));
        let cloudformation = cloudformation.trim_start_matches("http://");
        let text = format!(
            "Listen 127.0.0.1\nPort {port}\nTimeout 60\nMaxClients 20\nAllow 127.0.0.1\nLogLevel Connect\n\
             LogFile \"{}\"\nUpstream http {cloudformation} \"{name}\"\nUpstream none \".\"\n",
            log.display()
        );
        std::fs::write(&settings, text)?;
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "tinyproxy", "-d", "-c"])
            .arg(&settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start tinyproxy")?;
        let proxy = Self { process, address: format!("127.0.0.1:{port}"), log };
        let began = Instant::now();
        while TcpStream::connect(&proxy.address).is_err() {
            ensure!(began.elapsed() < Duration::from_secs(10), "tinyproxy does not listen on {}", proxy.address);
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(proxy)
    }

    fn log(&self) -> Result<String> {
        let mut text = String::new();
        std::fs::File::open(&self.log)?.read_to_string(&mut text)?;
        Ok(text)
    }
}

impl Drop for Tinyproxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The configuration is a key of `#cloud-config` here: cloud-init does its own part of a document that is for both.
pub fn only_way_out(stage: &Stage) -> Result<()> {
    let user_data = format!(
        "#cloud-config\nwrite_files: [{{path: /etc/of-cloud-init, content: written}}]\necs_firstrun:\n  \
         signal: {{stack: web, resource: Instances}}\n  proxy: {{url: \"http://{PROXY}\", no_proxy: [.corp]}}\n  \
         logs: {{agent: none}}\n  ecs: {{cluster: production}}\n"
    );
    let lab = Lab::new(stage, user_data)?;
    let name = format!("cloudformation.{}.amazonaws.com", lab.identity.region);
    let proxy = Tinyproxy::start(stage, &name, &lab.cloud.cloudformation_endpoint())?;
    let mut machine = lab.boot(&Life { proxy: Some(&proxy.address), ..Life::default() })?;
    same("the agent ended", machine.settled()?, Ended::Well)?;
    machine.is_member_of("production")?;
    machine.is_healthy_but_for(&[])?;
    same("signals", lab.statuses(), vec!["SUCCESS".to_owned()])?;
    same("cloud-init's own part", machine.sh("cat /etc/of-cloud-init")?.as_str(), "written")?;

    let went_through = proxy.log()?;
    contains(&went_through, &format!("http://{name}"))?;
    ensure!(
        !went_through.contains("169.254.169.254"),
        "the metadata service was asked through the proxy:\n{went_through}"
    );
    ensure!(!went_through.contains("51678"), "the ECS agent was asked through the proxy:\n{went_through}");
    ensure!(!lab.requests(Server::Imds).is_empty(), "nobody asked the metadata service");
    let direct = machine.run(&format!("getent hosts {name}"), PATIENCE)?;
    ensure!(direct.0 != 0, "the machine itself resolves {name}: {}", direct.1);

    for unit in ["docker", "ecs"] {
        // That is for every user to read.
        let told = machine.property(unit, "Environment")?;
        ensure!(!told.to_uppercase().contains("PROXY"), "{unit} has the proxy in Environment=: {told}");
        let has = machine.sh(&format!("tr '\\0' '\\n' < /proc/$(systemctl show -P MainPID {unit})/environ"))?;
        contains(&has, &format!("HTTP_PROXY=http://{PROXY}"))?;
        contains(&has, &format!("HTTPS_PROXY=http://{PROXY}"))?;
        contains(&has, "169.254.169.254")?;
        contains(&has, ".corp")?;
    }
    contains(&machine.sh("docker info -f '{{.HTTPProxy}} {{.NoProxy}}'")?, PROXY)
}

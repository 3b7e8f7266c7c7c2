//! The forms of user data, and none.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Result, ensure};
use base64::Engine as _;
use ecs_firstrun::rehearse::cloud::{CloudOptions, Server};
use flate2::{Compression, write::GzEncoder};

use crate::checks::{Ended, contains, same};
use crate::lab::{Lab, Life, Stage};
use crate::machine::Machine;

const PATIENCE: Duration = Duration::from_secs(300);

/// The document, as it is within the others.
const DOCUMENT: &str = "#ecs-firstrun
signal: {stack: web, resource: Instances}
logs: {agent: none}
ecs: {cluster: production}
";

/// An instance with such user data becomes a member of its cluster, and says so once.
fn succeeds(stage: &Stage, user_data: impl Into<Vec<u8>>) -> Result<Machine> {
    let lab = Lab::new(stage, user_data)?;
    let mut machine = lab.boot(&Life::default())?;
    same("the agent ended", machine.settled(PATIENCE)?, Ended::Well)?;
    machine.is_member_of("production")?;
    machine.is_healthy_but_for(&[])?;
    machine.starts_nothing_by_itself()?;
    let signal = lab.only_signal()?;
    same("signalled", signal.status.as_str(), "SUCCESS")?;
    same("signalled", (signal.stack.as_str(), signal.resource.as_str()), ("web", "Instances"))?;
    Ok(machine)
}

/// cloud-init does its own part of a document that is for both.
pub fn key_in_cloud_config(stage: &Stage) -> Result<()> {
    let user_data = "#cloud-config
write_files: [{path: /etc/of-cloud-init, content: written}]
ecs_firstrun:
  signal: {stack: web, resource: Instances}
  logs: {agent: none}
  ecs: {cluster: production}
";
    let mut machine = succeeds(stage, user_data)?;
    same("/etc/of-cloud-init", machine.sh("cat /etc/of-cloud-init")?.as_str(), "written")
}

pub fn mime_beside_a_script(stage: &Stage) -> Result<()> {
    let user_data = format!(
        "Content-Type: multipart/mixed; boundary=\"==\"\nMIME-Version: 1.0\n\n\
         --==\nContent-Type: application/vnd.ecs-firstrun+yaml\n\n{DOCUMENT}\n\
         --==\nContent-Type: text/x-shellscript\n\n#!/bin/sh\necho ran > /etc/of-the-script\n\n--==--\n"
    );
    let mut machine = succeeds(stage, user_data)?;
    same("/etc/of-the-script", machine.sh("cat /etc/of-the-script")?.as_str(), "ran")
}

pub fn base64_of_gzip(stage: &Stage) -> Result<()> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(DOCUMENT.as_bytes())?;
    succeeds(stage, base64::engine::general_purpose::STANDARD.encode(gzip.finish()?)).map(drop)
}

/// What stands in the user data of those who used the shell script before: it runs inside cloud-final, which ECS waits for.
pub fn script_that_calls_the_agent(stage: &Stage) -> Result<()> {
    let user_data = "#!/bin/bash
export ECS_CLUSTER=production STACK_NAME=web AUTOSCALING_GROUP=Instances
ecs-firstrun run
echo \"it ended with $?\" > /etc/of-the-script
";
    let mut machine = succeeds(stage, user_data)?;
    same("/etc/of-the-script", machine.sh("cat /etc/of-the-script")?.as_str(), "it ended with 0")
}

pub fn runcmd_that_calls_the_agent(stage: &Stage) -> Result<()> {
    let user_data = "#cloud-config
runcmd:
  - export ECS_CLUSTER=production STACK_NAME=web AUTOSCALING_GROUP=Instances
  - ecs-firstrun run
  - echo \"it ended with $?\" > /etc/of-the-script
";
    let mut machine = succeeds(stage, user_data)?;
    same("/etc/of-the-script", machine.sh("cat /etc/of-the-script")?.as_str(), "it ended with 0")
}

pub fn none_at_all(stage: &Stage) -> Result<()> {
    let lab = Lab::with(stage, CloudOptions::default())?;
    let mut machine = lab.boot(&Life::default())?;
    same("the agent ended", machine.settled(PATIENCE)?, Ended::Well)?;
    machine.is_healthy_but_for(&[])?;
    machine.started_nothing()?;
    contains(&machine.sh("systemctl status --no-pager ecs-firstrun")?, "nothing was started, nothing is signalled")?;
    let requests = lab.requests(Server::CloudFormation);
    ensure!(requests.is_empty(), "CloudFormation was asked: {requests:?}");
    Ok(())
}

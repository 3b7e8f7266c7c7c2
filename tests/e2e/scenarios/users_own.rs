//! All that people keep a script for, in one instance: commands, values that AWS keeps, and images.

use anyhow::{Result, ensure};
use ecs_firstrun::rehearse::cloud::{CloudOptions, Server, StoredValues};

use crate::checks::{Ended, PATIENCE, contains, same};
use crate::lab::{Lab, Life, Stage};
use crate::machine::Machine;

const USER_DATA: &str = include_str!("../users_own.yaml");
const TAG: &str = "canary-of-tag";
const AUTH: &str = r#"{"registry.internal":{"auth":"canary-of-registry"}}"#;

pub fn commands_references_and_pulls(stage: &Stage) -> Result<()> {
    let stored = |name: &str, value: String| StoredValues {
        values: [(name.to_owned(), value)].into(),
        ..StoredValues::default()
    };
    let options = CloudOptions {
        user_data: Some(USER_DATA.into()),
        iam_role: Some("web-instances".into()),
        parameters: stored("/docker/tag", TAG.to_owned()),
        secrets: stored("registry-auth", serde_json::json!({ "auth": AUTH }).to_string()),
        ..CloudOptions::default()
    };
    let lab = Lab::with(stage, options)?;
    let mut machine = lab.boot(&Life::default())?;
    same("the agent ended", machine.settled()?, Ended::Well)?;
    machine.until("docker image inspect 127.0.0.1:5000/base:7", PATIENCE)?;
    is_complete(&mut machine)?;
    same("signalled", lab.only_signal()?.status.as_str(), "SUCCESS")?;
    same("values asked for", asked(&lab), 2)?;
    machine.shut_down()?;

    // Neither the values nor the registry can be reached.
    let mut machine = lab.boot(&Life { no_network: true, ..Life::default() })?;
    same("the agent ended", machine.settled()?, Ended::Well)?;
    machine.until("docker image inspect 127.0.0.1:5000/base:7", PATIENCE)?;
    is_complete(&mut machine)?;
    let log = machine.sh("cat /var/log/ecs-firstrun.log")?;
    same("values that were kept", log.matches("what an earlier boot wrote is kept").count(), 2)?;
    same("values asked for", asked(&lab), 2)?;
    same("signals", lab.statuses(), vec!["SUCCESS".to_owned()])?;
    same("reports of health", lab.cloud.health_calls().len(), 0)?;
    machine.shut_down()
}

fn asked(lab: &Lab) -> usize {
    lab.requests(Server::Ssm).len() + lab.requests(Server::SecretsManager).len()
}

/// Fails unless each part is there, and the values are in the files that need them alone.
fn is_complete(machine: &mut Machine) -> Result<()> {
    machine.is_member_of("production")?;
    machine.sh("test -s /opt/sensor/installed && test -s /opt/sensor/ready")?;
    contains(&machine.sh("cat /etc/ecs/ecs.config")?, &format!("ECS_ENGINE_AUTH_DATA={AUTH}\n"))?;
    contains(&machine.sh("cat /etc/docker/daemon.json")?, TAG)?;
    let seen = "{ journalctl --no-pager; grep -r . /var/log/ecs-firstrun* /var/lib/ecs-firstrun /run/ecs-firstrun; }";
    let leaks = machine.sh(&format!("{seen} | grep canary-of || true"))?;
    ensure!(leaks.is_empty(), "a value is shown: {leaks}");
    Ok(())
}

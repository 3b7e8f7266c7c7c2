//! Waits that are long, and end well.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::checks::{Ended, contains, same};
use crate::lab::{Lab, Life, Stage};

const PATIENCE: Duration = Duration::from_secs(300);

/// ECS is ordered after cloud-final, which a script of the user keeps busy. The agent says what it waits for.
pub fn slow_user_script(stage: &Stage) -> Result<()> {
    let user_data = "Content-Type: multipart/mixed; boundary=\"==\"\nMIME-Version: 1.0\n\n\
        --==\nContent-Type: application/vnd.ecs-firstrun+yaml\n\n\
        signal: {stack: web, resource: Instances}\nlogs: {agent: none}\necs: {cluster: production}\n\n\
        --==\nContent-Type: text/x-shellscript\n\n#!/bin/sh\nsleep 40\ntouch /etc/of-the-script\n\n--==--\n";
    let lab = Lab::new(stage, user_data)?;
    let mut machine = lab.boot(&Life { kernel: &["ecs-agent.late=5"], ..Life::default() })?;
    machine.until("pgrep -x sleep", PATIENCE)?;
    let waits = "systemctl show --property=StatusText --value ecs-firstrun | grep -i cloud-final";
    let status = machine.until(waits, Duration::from_secs(35))?;
    ensure!(machine.run("test -e /etc/of-the-script", PATIENCE)?.0 == 1, "the script was over before it was looked at");
    ensure!(lab.statuses().is_empty(), "CloudFormation was told before the ECS agent had registered");
    same("the agent ended", machine.settled(PATIENCE)?, Ended::Well)?;
    machine.is_member_of("production")?;
    machine.is_healthy_but_for(&[])?;
    same("signals", lab.statuses(), vec!["SUCCESS".to_owned()])?;
    contains(&machine.console(), "cloud-final")?;
    stage.remark.set(format!("it said: {status}"));
    Ok(())
}

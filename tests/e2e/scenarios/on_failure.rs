//! A failed instance under the real systemd: it powers itself off once it was told, and stays on when it is started again.

use anyhow::{Result, ensure};
use ecs_firstrun::rehearse::cloud::{CloudOptions, Server};
use serde_json::Value;

use crate::checks::{Ended, PATIENCE, contains, same};
use crate::lab::{Lab, Life, Stage};

/// The run fails before Docker starts.
const USER_DATA: &str = "#ecs-firstrun
signal: {stack: web, resource: Instances}
logs: {agent: none}
hooks: {before_docker: [{name: sensor, run: 'echo no such CID >&2; exit 78'}]}
ecs: {cluster: production}
on_failure: {health: unhealthy, power: \"off\"}
";

pub fn powers_off(stage: &Stage) -> Result<()> {
    let options = CloudOptions {
        user_data: Some(USER_DATA.into()),
        iam_role: Some("web-instances".into()),
        ..CloudOptions::default()
    };
    let lab = Lab::with(stage, options)?;
    let console = lab.power_on(&Life::default())?.goes_off(PATIENCE)?;
    let signal = lab.only_signal()?;
    same("signalled", signal.status.as_str(), "FAILURE")?;
    let reports = lab.cloud.health_calls();
    same("reports of health", reports.len(), 1)?;
    same("the instance reported", reports[0].instance_id.as_str(), lab.identity.instance_id.as_str())?;
    ensure!(signal.at <= reports[0].at, "the group was told before the stack");
    contains(&console, "powering off: the first run of this instance has failed")?;
    let asked = lab.requests(Server::AutoScaling).len();

    // Whoever starts it again can look at it: what it did, and why.
    let mut machine = lab.boot(&Life::default())?;
    same("the agent ended", machine.settled()?, Ended::Failed(1))?;
    machine.is_healthy_but_for(&["ecs-firstrun.service"])?;
    let report = machine.report()?;
    same("the outcome", report.get("outcome"), Some(&Value::from("failure")))?;
    same("the power in the report", report.get("powers_off"), None)?;
    let first = machine.sh("head -n 1 /var/log/ecs-firstrun-runs.log")?;
    contains(&first, r#""health":"accepted""#)?;
    contains(&first, r#""powers_off":true"#)?;
    // A shutdown that is queued would show here.
    same("jobs", machine.sh("systemctl list-jobs --no-legend | wc -l")?.as_str(), "0")?;
    same("requests to Auto Scaling", lab.requests(Server::AutoScaling).len(), asked)?;
    same("signals", lab.statuses(), vec!["FAILURE".to_owned()])?;
    machine.shut_down()
}

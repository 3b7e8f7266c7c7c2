//! Users' own commands under the real systemd: over a power cut and a reboot, and in each way in which they can fail.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::checks::{Ended, PATIENCE, contains, same};
use crate::lab::{Lab, Life, Stage};
use crate::machine::Machine;

const USER_DATA: &str = "#ecs-firstrun
signal: {stack: web, resource: Instances}
logs: {agent: none}
hooks:
  before_docker:
    - {name: interrupted, run: 'echo begun >>/etc/of-interrupted; test $(wc -l </etc/of-interrupted) -gt 1 || sleep 600', timeout: 2m}
    - {name: states, run: 'echo first $(systemctl is-active docker ecs) >>/etc/of-hooks', every_boot: true}
    - {name: unconfined, run: [unshare, --net, 'true']}
    - {name: arguments, run: [/bin/sh, -c, 'printf \"%s|\" \"$@\" >/etc/of-arguments', sh, $HOME, '${PATH}', '$$', '%n', 'a  b']}
    - {name: exits, run: 'echo one; echo the CID is wrong; exit 3', on_failure: warn}
    - {name: killed, run: 'kill -KILL $$', on_failure: warn}
    - {name: ended, run: 'kill -TERM $$', on_failure: warn}
    - {name: at-home, run: 'for folder in /root /tmp; do cp /bin/true $folder/of-hooks; done'}
    - {name: of-root, run: [/root/of-hooks, x]}
    - {name: of-tmp, run: [/tmp/of-hooks]}
    - {name: reexec, run: [systemctl, daemon-reexec]}
    - {name: hangs, run: '(trap \"\" TERM; sleep 601) & sleep 602', timeout: 2s, on_failure: warn}
    - {name: missing, run: [/opt/install.sh, --cid, '123'], on_failure: warn}
    - {name: script, run: 'printf \"#!/no/interpreter\\n\" >/etc/of-nobody; chmod 755 /etc/of-nobody'}
    - {name: interpreter, run: [/etc/of-nobody], on_failure: warn}
    - {name: daemon, run: 'sleep 603 &'}
  before_ecs:
    - {name: docker, run: 'docker info >/dev/null && echo second $(systemctl is-active docker ecs) >>/etc/of-hooks'}
  after_registration:
    - {name: last, run: 'echo third $(systemctl is-active docker ecs) >>/etc/of-hooks', every_boot: true}
ecs: {cluster: production}
";

/// The beginnings of the warnings in the report, in the order of the hooks that end badly.
const WARNINGS: [&str; 6] = [
    "the hook exits ended with exit status 3; its last line is: the CID is wrong",
    "the hook killed was killed by signal 9; it printed nothing",
    "the hook ended was killed by signal 15; it printed nothing",
    "the hook hangs had not ended after 2s, and was stopped; it printed nothing",
    "the hook missing can't run: Failed to find executable /opt/install.sh: No such file or directory",
    "the hook interpreter can't run: the program has no `#!` line, its interpreter is missing, or it is built for another processor",
];

pub fn over_a_power_cut_and_a_reboot(stage: &Stage) -> Result<()> {
    let lab = Lab::new(stage, USER_DATA)?;
    let mut machine = lab.boot(&Life::default())?;
    machine.until("test -s /etc/of-interrupted", PATIENCE)?;
    let status = machine.sh("systemctl show --property=StatusText --value ecs-firstrun")?;
    same("the status", status.as_str(), "running the hook interrupted, at most 2m")?;
    machine.sh("sync -f /etc")?;
    machine.cut_power()?;

    let mut machine = lab.boot(&Life::default())?;
    ended_well(&mut machine)?;
    same("runs of the interrupted one", machine.sh("wc -l </etc/of-interrupted")?.as_str(), "2")?;
    let first = "first inactive inactive\nsecond active inactive\nthird active active";
    same("states of Docker and ECS", machine.sh("cat /etc/of-hooks")?.as_str(), first)?;
    same("the arguments", machine.sh("cat /etc/of-arguments")?.as_str(), "$HOME|${PATH}|$$|%n|a  b|")?;
    warned_of_each_failure(&mut machine)?;
    // Neither a process nor a unit is left of any.
    same("processes", machine.sh("pgrep -fx 'sleep 60.' | wc -l")?.as_str(), "0")?;
    same("units", machine.sh("systemctl list-units --all --no-legend 'ecs-firstrun-hook-*' | wc -l")?.as_str(), "0")?;
    contains(&machine.sh("journalctl --no-pager -o cat -u ecs-firstrun-hook-exits.service")?, "one\nthe CID is wrong")?;
    same("signalled", lab.only_signal()?.status.as_str(), "SUCCESS")?;
    machine.shut_down()?;

    let mut machine = lab.boot(&Life::default())?;
    ended_well(&mut machine)?;
    same("runs of the interrupted one", machine.sh("wc -l </etc/of-interrupted")?.as_str(), "2")?;
    let later = format!("{first}\nfirst inactive inactive\nthird active active");
    same("states of Docker and ECS", machine.sh("cat /etc/of-hooks")?.as_str(), later.as_str())?;
    same("signals after a reboot", lab.statuses(), vec!["SUCCESS".to_owned()])
}

fn ended_well(machine: &mut Machine) -> Result<()> {
    same("the agent ended", machine.settled()?, Ended::Well)?;
    machine.is_member_of("production")?;
    machine.is_healthy_but_for(&[])
}

fn warned_of_each_failure(machine: &mut Machine) -> Result<()> {
    let report = machine.report()?;
    let warnings = report.get("warnings").and_then(Value::as_array).context("no warnings in the report")?;
    same("warnings", warnings.len(), WARNINGS.len())?;
    for (warning, expected) in warnings.iter().zip(WARNINGS) {
        let warning = warning.as_str().unwrap_or_default();
        ensure!(warning.starts_with(expected), "{warning} instead of {expected}");
    }
    Ok(())
}

/// The reason goes to the console and the report, and Docker is not started.
pub fn that_fails(stage: &Stage) -> Result<()> {
    let user_data = "#ecs-firstrun
signal: {stack: web, resource: Instances}
logs: {agent: none}
hooks: {before_docker: [{name: sensor, run: 'echo no such CID >&2; exit 78'}]}
ecs: {cluster: production}
";
    let lab = Lab::new(stage, user_data)?;
    let mut machine = lab.boot(&Life::default())?;
    let reason = "before_docker: run the hook sensor: ended with exit status 78; its last line is: no such CID";
    super::failures::failed_saying(&lab, &mut machine, reason)?;
    machine.is_healthy_but_for(&["ecs-firstrun.service"])?;
    machine.started_nothing()
}

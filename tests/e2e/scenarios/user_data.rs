//! The forms of user data, and none.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Result, ensure};
use ecs_firstrun::rehearse::cloud::{CloudOptions, Server};
use flate2::{Compression, write::GzEncoder};

use crate::checks::{Ended, PATIENCE, contains, same};
use crate::lab::{Lab, Life, Stage};
use crate::machine::Machine;

/// The document, as it is within the others.
const DOCUMENT: &str = "#ecs-firstrun
signal: {stack: web, resource: Instances}
logs: {agent: none}
ecs: {cluster: production}
";

/// The instance becomes a member of its cluster, and says so once.
fn succeeded(lab: &Lab, machine: &mut Machine) -> Result<()> {
    same("the agent ended", machine.settled()?, Ended::Well)?;
    machine.is_member_of("production")?;
    machine.is_healthy_but_for(&[])?;
    machine.starts_nothing_by_itself()?;
    let signal = lab.only_signal()?;
    same("signalled", signal.status.as_str(), "SUCCESS")?;
    same("signalled", (signal.stack.as_str(), signal.resource.as_str()), ("web", "Instances"))
}

/// A call within cloud-final returns, and the unit does what was asked for.
fn call_succeeds(stage: &Stage, user_data: &str) -> Result<()> {
    let lab = Lab::new(stage, user_data)?;
    let mut machine = lab.boot(&Life::default())?;
    let said = machine.until("cat /etc/of-the-script", PATIENCE)?;
    same("the call", said.as_str(), "it ended with 0")?;
    // The unit is restarted with what it was given: what it did before that is no answer.
    machine.until("[[ -n $(systemctl show -P StatusText ecs-firstrun | grep -v nothing) ]]", PATIENCE)?;
    succeeded(&lab, &mut machine)
}

/// gzip of MIME, as templates pack it, beside a script that keeps cloud-final busy; ECS is ordered after that. The agent
/// says what it waits for. Debian's cloud-init would take a second base64 around it for text of nobody.
pub fn packed_beside_a_slow_script(stage: &Stage) -> Result<()> {
    let script = "#!/bin/sh\nsleep 60\ntouch /etc/of-the-script\n";
    let mime = format!(
        "Content-Type: multipart/mixed; boundary=\"==\"\nMIME-Version: 1.0\n\n\
         --==\nContent-Type: application/vnd.ecs-firstrun+yaml\n\n{DOCUMENT}\n\
         --==\nContent-Type: text/x-shellscript\n\n{script}\n--==--\n"
    );
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(mime.as_bytes())?;
    let lab = Lab::new(stage, gzip.finish()?)?;
    let mut machine = lab.boot(&Life::default())?;
    machine.until("pgrep -x sleep", PATIENCE)?;
    let waits = "systemctl show --property=StatusText --value ecs-firstrun | grep cloud-final";
    let status = machine.until(waits, Duration::from_secs(55))?;
    ensure!(machine.run("test -e /etc/of-the-script", PATIENCE)?.0 == 1, "the script was over before it was looked at");
    ensure!(lab.statuses().is_empty(), "CloudFormation was told before the ECS agent had registered");
    stage.remark.set(format!("it said: {status}"));
    succeeded(&lab, &mut machine)?;
    contains(&machine.console(), "ecs.service is queued until cloud-final.service has ended")?;
    machine.sh("test -e /etc/of-the-script").map(drop)
}

/// A script that calls the agent, as users of the former shell script have. It runs inside cloud-final, which ECS waits for.
pub fn script_that_calls_the_agent(stage: &Stage) -> Result<()> {
    let user_data = "#!/bin/bash
export ECS_CLUSTER=production STACK_NAME=web AUTOSCALING_GROUP=Instances
ecs-firstrun run
echo \"it ended with $?\" > /etc/of-the-script
";
    call_succeeds(stage, user_data)
}

pub fn runcmd_that_calls_the_agent(stage: &Stage) -> Result<()> {
    let user_data = "#cloud-config
runcmd:
  - export ECS_CLUSTER=production STACK_NAME=web AUTOSCALING_GROUP=Instances
  - ecs-firstrun run
  - echo \"it ended with $?\" > /etc/of-the-script
";
    call_succeeds(stage, user_data)
}

/// Nothing at all: the ECS agent joins the cluster `default`, as on an image without this agent.
pub fn none_at_all(stage: &Stage) -> Result<()> {
    let lab = Lab::with(stage, CloudOptions::default())?;
    let mut machine = lab.boot(&Life::default())?;
    as_on_a_stock_image(&lab, &mut machine, "default")
}

/// The ECS console's script, which names the cluster within cloud-final; the line stays over a reboot.
pub fn of_the_ecs_console(stage: &Stage) -> Result<()> {
    let script = "#!/bin/bash \necho ECS_CLUSTER=production >> /etc/ecs/ecs.config;";
    let lab = Lab::new(stage, script)?;
    for _boot in ["first", "later"] {
        let mut machine = lab.boot(&Life::default())?;
        as_on_a_stock_image(&lab, &mut machine, "production")?;
        same("ecs.config", machine.sh("cat /etc/ecs/ecs.config")?.as_str(), "ECS_CLUSTER=production")?;
        machine.shut_down()?;
    }
    Ok(())
}

/// A script beside a document: what it appends to ecs.config within cloud-final stands below our lines, over a reboot too.
pub fn script_that_appends_to_ecs_config(stage: &Stage) -> Result<()> {
    // As AWS Batch writes it: no blank before the arrows, one behind the file's name.
    let script =
        "#!/bin/bash\necho ECS_RESERVED_MEMORY=32>>/etc/ecs/ecs.config \necho ECS_LOGLEVEL=debug>>/etc/ecs/ecs.config ";
    let mime = format!(
        "Content-Type: multipart/mixed; boundary=\"==\"\nMIME-Version: 1.0\n\n\
         --==\nContent-Type: application/vnd.ecs-firstrun+yaml\n\n{DOCUMENT}\n\
         --==\nContent-Type: text/x-shellscript; charset=\"us-ascii\"\n\n{script}\n--==--\n"
    );
    let lab = Lab::new(stage, mime)?;
    for _boot in ["first", "later"] {
        let mut machine = lab.boot(&Life::default())?;
        registers(&mut machine)?;
        succeeded(&lab, &mut machine)?;
        let config = machine.sh("cat /etc/ecs/ecs.config")?;
        let (ours, others) = config.split_once("# END ecs-firstrun\n").unwrap_or_default();
        contains(ours, "ECS_CLUSTER=production\n")?;
        same("below our lines", others, "ECS_RESERVED_MEMORY=32\nECS_LOGLEVEL=debug")?;
        let environment = machine.sh("tr '\\0' '\\n' < /proc/$(systemctl show -P MainPID ecs)/environ")?;
        contains(&environment, "ECS_LOGLEVEL=debug")?;
        machine.shut_down()?;
    }
    Ok(())
}

/// AWS Batch's part before a document of ours that names no cluster: Batch's cluster and attribute hold, over a reboot too.
pub fn of_aws_batch(stage: &Stage) -> Result<()> {
    let batch = r#"#!/bin/bash
echo ECS_CLUSTER=production>>/etc/ecs/ecs.config 
echo ECS_DISABLE_IMAGE_CLEANUP=false>>/etc/ecs/ecs.config 
echo ECS_INSTANCE_ATTRIBUTES={\"com.amazonaws.batch.compute-environment-revision\":\"2\"}>>/etc/ecs/ecs.config 
"#;
    let mime = format!(
        " \t\nContent-Type: multipart/mixed; boundary=\"==BOUNDARY==\"\nMIME-Version: 1.0\n\n\
         --==BOUNDARY==\nContent-Type: text/x-shellscript; charset=\"us-ascii\"\n\n{batch}\n\
         --==BOUNDARY==\nContent-Type: application/vnd.ecs-firstrun+yaml\n\n{}\n--==BOUNDARY==--\n",
        DOCUMENT.replace("{cluster: production}", "{config: {ECS_LOGLEVEL: debug}}")
    );
    let lab = Lab::new(stage, mime)?;
    for _boot in ["first", "later"] {
        let mut machine = lab.boot(&Life::default())?;
        registers(&mut machine)?;
        succeeded(&lab, &mut machine)?;
        let expected = "# BEGIN ecs-firstrun\nECS_LOGLEVEL=debug\n# END ecs-firstrun\nECS_CLUSTER=production\n\
            ECS_DISABLE_IMAGE_CLEANUP=false\n\
            ECS_INSTANCE_ATTRIBUTES={\"com.amazonaws.batch.compute-environment-revision\":\"2\"}";
        same("ecs.config", machine.sh("cat /etc/ecs/ecs.config")?.as_str(), expected)?;
        contains(&machine.sh("ecs-firstrun status --json")?, "\"cluster\": \"production\"")?;
        contains(&machine.sh("ecs-firstrun doctor --json || true")?, "set by `ECS_CLUSTER=production` in line 4 of")?;
        machine.shut_down()?;
    }
    Ok(())
}

/// A script that uses Docker and starts ECS finds the host configured; one that attaches the volume is not held up by it.
pub fn script_that_attaches_the_volume_and_uses_docker(stage: &Stage) -> Result<()> {
    let document = format!(
        "{DOCUMENT}storage: [{{device: /dev/xvdcy, filesystem: ext4, label: docker, mount: /data}}]\n\
         docker: {{data_root: /data/docker}}\n"
    );
    let script = r#"#!/bin/bash
exec >/var/log/of-the-script 2>&1
truncate -s 600M /disk.img
losetup /dev/loop0 /disk.img
ln -s loop0 /dev/xvdcy
until test -e /run/ecs-firstrun/configured; do sleep 0.2; done
set -ex
systemctl start docker
docker info --format 'root {{.DockerRootDir}}'
service docker restart
systemctl enable --now --no-block ecs
systemctl restart --no-block ecs
systemctl disable ecs
echo done
"#;
    let mime = format!(
        "Content-Type: multipart/mixed; boundary=\"==\"\nMIME-Version: 1.0\n\n\
         --==\nContent-Type: application/vnd.ecs-firstrun+yaml\n\n{document}\n\
         --==\nContent-Type: text/x-shellscript\n\n{script}\n--==--\n"
    );
    let lab = Lab::new(stage, mime)?;
    let mut machine = lab.boot(&Life::default())?;
    succeeded(&lab, &mut machine)?;
    let said = machine.sh("cat /var/log/of-the-script")?;
    contains(&said, "root /data/docker")?;
    ensure!(said.ends_with("done"), "the script: {said}");
    contains(&machine.sh("journalctl -u ecs-firstrun -o cat")?, "cloud-final.service may start now")
}

/// The ECS agent registers, which no run waits for.
fn registers(machine: &mut Machine) -> Result<()> {
    let asks = "python3 -c 'import urllib.request as r; r.urlopen(\"http://127.0.0.1:51678/\")'";
    machine.until(asks, PATIENCE).map(drop)
}

/// Docker and the ECS agent run, nothing else was asked for or told.
fn as_on_a_stock_image(lab: &Lab, machine: &mut Machine, cluster: &str) -> Result<()> {
    same("the agent ended", machine.settled()?, Ended::Well)?;
    registers(machine)?;
    machine.is_member_of(cluster)?;
    machine.is_healthy_but_for(&[])?;
    machine.starts_nothing_by_itself()?;
    contains(&machine.sh("systemctl status --no-pager --full ecs-firstrun")?, "as on an image without ecs-firstrun")?;
    let requests = lab.requests(Server::CloudFormation);
    ensure!(requests.is_empty(), "CloudFormation was asked: {requests:?}");
    Ok(())
}

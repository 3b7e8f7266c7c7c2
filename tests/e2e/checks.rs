//! Checks that several scenarios make in the machine.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::machine::Machine;

/// The longest that any part of a boot may take, on a machine that does other things too.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// The end of the agent's unit.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// With exit code 0.
    Well,
    /// With another.
    Failed(i64),
}

impl Machine {
    /// Waits until the agent's unit has run to its end, and the rest of the boot too.
    pub fn settled(&mut self) -> Result<Ended> {
        self.until("[[ $(systemctl show -P SubState ecs-firstrun) =~ exited|failed ]]", PATIENCE)?;
        self.run("systemctl is-system-running --wait", PATIENCE)?;
        let code = self.property("ecs-firstrun", "ExecMainStatus")?.parse()?;
        Ok(if code == 0 { Ended::Well } else { Ended::Failed(code) })
    }

    /// A property of a unit.
    pub fn property(&mut self, unit: &str, name: &str) -> Result<String> {
        self.sh(&format!("systemctl show --property={name} --value {unit}"))
    }

    /// Milliseconds from the start of the agent's unit until it was ready.
    pub fn time_to_ready(&mut self) -> Result<u64> {
        let mut at = |name: &str| -> Result<u64> {
            self.property("ecs-firstrun", name)?.parse().with_context(|| format!("{name} of ecs-firstrun.service"))
        };
        let (started, ready) = (at("InactiveExitTimestampMonotonic")?, at("ActiveEnterTimestampMonotonic")?);
        ensure!(ready >= started && started > 0, "the unit was not ready: started {started}, ready {ready}");
        Ok((ready - started) / 1000)
    }

    /// Checks that no unit failed but these, and that systemd reports no ordering cycle.
    pub fn is_healthy_but_for(&mut self, meant_to_fail: &[&str]) -> Result<()> {
        let listed = self.sh("systemctl list-units --state=failed --plain --no-legend | cut -d' ' -f1")?;
        let mut failed: Vec<_> = listed.lines().collect();
        failed.sort_unstable();
        ensure!(failed == meant_to_fail, "failed units: {failed:?}, not {meant_to_fail:?}");
        let (found, cycles) = self.run("journalctl -b --no-pager | grep -i 'ordering cycle'", PATIENCE)?;
        ensure!(found == 1, "there is an ordering cycle: {cycles}");
        Ok(())
    }

    /// Docker and ECS run, the agent has registered.
    pub fn is_member_of(&mut self, cluster: &str) -> Result<()> {
        let python = "import json, urllib.request as r; \
            print(json.load(r.urlopen('http://127.0.0.1:51678/v1/metadata'))['Cluster'])";
        let found = self.sh(&format!("python3 -c \"{python}\""))?;
        ensure!(found == cluster, "the ECS agent is in `{found}`, not in `{cluster}`");
        self.sh("systemctl is-active docker ecs && docker version")?;
        Ok(())
    }

    /// Neither Docker nor ECS was ever started in this boot.
    pub fn started_nothing(&mut self) -> Result<()> {
        for unit in ["docker.service", "docker.socket", "ecs.service"] {
            let started = self.property(unit, "InactiveExitTimestampMonotonic")?;
            ensure!(started == "0", "{unit} was started");
        }
        self.starts_nothing_by_itself()
    }

    /// Nothing but the agent starts Docker and ECS.
    pub fn starts_nothing_by_itself(&mut self) -> Result<()> {
        let (_, states) = self.run("systemctl is-enabled docker.service docker.socket ecs.service", PATIENCE)?;
        ensure!(states.lines().all(|state| state == "disabled"), "docker, docker.socket and ecs are {states}");
        Ok(())
    }

    /// The agent's report.
    pub fn report(&mut self) -> Result<serde_json::Value> {
        let text = self.run("ecs-firstrun status --json", PATIENCE)?.1;
        serde_json::from_str(&text).with_context(|| format!("`ecs-firstrun status --json` prints {text}"))
    }
}

/// A text has this in it.
pub fn contains(text: &str, part: &str) -> Result<()> {
    ensure!(text.contains(part), "no `{part}` in\n{text}");
    Ok(())
}

/// Two values are alike.
pub fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<()> {
    ensure!(found == expected, "{what}: {found:?}, not {expected:?}");
    Ok(())
}

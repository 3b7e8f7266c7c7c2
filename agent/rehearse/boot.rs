//! A boot of the scratch host, and its display while the job runs.

use std::io::IsTerminal as _;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::rehearsal::{Rehearsal, devices, make_disk};
use super::scenario::{LATE, Scenario};
use crate::host::Host;
use crate::report::{Follow, Outcome, Report};
use crate::text::Paint;
use crate::well_known::REPORT_FILE;

/// Time between two looks at the run.
const LOOK: Duration = Duration::from_millis(100);

impl Rehearsal {
    /// Runs the job as at a boot. A terminal shows the job's steps, its current wait and its warnings; elsewhere, the job's
    /// log is shown.
    pub(super) async fn boot(&self, paint: Paint) -> Result<ExitStatus> {
        let binary = std::env::current_exe().context("find this program")?;
        let mut command = self.command(&binary);
        let run = async {
            match std::io::stderr().is_terminal() {
                true => self.followed(command, paint).await,
                false => command.status().await.context("run this program"),
            }
        };
        let mut run = std::pin::pin!(run);
        tokio::select! {
            status = &mut run => return status,
            done = self.meanwhile() => done?,
        }
        run.await
    }

    async fn followed(&self, mut command: tokio::process::Command, paint: Paint) -> Result<ExitStatus> {
        let host = Host::rooted_at(&self.root);
        let path = host.state_path(REPORT_FILE);
        let report = || host.read(&path).ok().flatten();
        let before = report();
        let new = || report().filter(|text| Some(text) != before.as_ref());
        let parsed = || new().and_then(|text| Report::parse(&text).ok());
        let mut child = command.stderr(Stdio::piped()).spawn().context("run this program")?;
        let stderr = child.stderr.take().context("read the output of this program")?;
        let mut lines = BufReader::new(stderr).lines();
        let mut ticks = tokio::time::interval(LOOK);
        let mut follow = Follow::on(std::io::stderr(), paint);
        let began = Instant::now();
        loop {
            tokio::select! {
                line = lines.next_line() => match line.context("read the output of this program")? {
                    Some(line) if !line.starts_with(" INFO") => follow.line(&line),
                    Some(_) => {}
                    None => break,
                },
                _ = ticks.tick() => follow.say(parsed().as_ref(), &host.status(), began.elapsed()),
            }
        }
        let status = child.wait().await.context("wait for this program")?;
        follow.say(parsed().as_ref(), "", began.elapsed());
        follow.end();
        Ok(status)
    }

    /// Changes the host and its cloud while the job runs, as the scenario says.
    ///
    /// # Errors
    /// The scratch folder can't be written.
    pub async fn meanwhile(&self) -> Result<()> {
        match self.scenario {
            Scenario::LateDevice => {
                let host = Host::rooted_at(&self.root);
                // On a second boot the devices are there already, and the run says only for a moment that it waits.
                let is_there = |device: &String| host.at(device).exists();
                if devices(&self.parsed).iter().all(is_there) {
                    return Ok(());
                }
                while !host.status().contains(" is attached") {
                    tokio::time::sleep(LOOK).await;
                }
                tokio::time::sleep(LATE).await;
                devices(&self.parsed).iter().try_for_each(|device| make_disk(&self.root, device))?;
            }
            Scenario::WarmPool => {
                while self.report().map_or(true, |report| report.outcome == Outcome::Running) {
                    tokio::time::sleep(LOOK).await;
                }
                self.cloud.bring_to("InService");
            }
            _ => {}
        }
        Ok(())
    }

    /// Restarts the host: nothing runs or is mounted any more, and `/run` is empty.
    ///
    /// # Errors
    /// The scratch folder can't be written.
    pub fn restart(&self) -> Result<()> {
        self.programs.restart().context("start the scratch host again")?;
        let run = self.root.join("run");
        std::fs::remove_dir_all(&run).context("empty /run")?;
        std::fs::create_dir_all(&run).context("empty /run")
    }
}

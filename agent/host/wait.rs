//! Waits for conditions. Each wait has a deadline and a description, and says what was last seen if its condition was not
//! met in time.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::{Host, Life, UnitState};
use crate::config::types::Device;
use crate::ecs_agent::{EcsAgent, POLL, Seen};
use crate::plan::{Condition, Wait};
use crate::report::Change;
use crate::well_known::{CLOUD_FINAL_UNIT, DOCKER_UNIT, ECS_AGENT_LOG, ECS_EXIT_TERMINAL, ECS_INIT_LOG, ECS_UNIT};

// Each look at units runs systemctl, which costs a booting host CPU time.
/// The interval between checks of the units while the agent waits for registration.
const UNIT_POLL: Duration = Duration::from_secs(2);
/// The interval between checks of a queued job of a registered ECS agent.
const JOB_POLL: Duration = Duration::from_millis(500);
/// The first pause between two checks of a unit that is starting. The pauses grow up to [`UNIT_POLL`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The factor by which each pause between checks of a unit is longer than the pause before.
const GROWTH: f32 = 1.5;
/// Time between the end of a wait and the deadline, to report what was last seen.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// The interval between searches for a device.
const DEVICE_POLL: Duration = Duration::from_millis(100);
/// The time for which a missing device holds up cloud-final.service. A script of that service may attach the device.
const DEVICE_HOLDS_UP: Duration = Duration::from_secs(10);
/// The words for an `ecs.service` that waits for cloud-init.
pub const HELD_UP: &str =
    "ecs.service is queued until cloud-final.service has ended, which still runs scripts of the user data";

/// The error of a wait that knows what was seen, but not the cause. Other errors of a wait name their cause.
#[derive(Debug, thiserror::Error)]
#[error("{seen}{hint}")]
pub struct Unmet {
    /// The state that was seen at the end of the wait.
    pub seen: String,
    /// The place to look for the cause, in words that follow `seen`.
    pub hint: String,
}

impl Host {
    pub(super) async fn wait_for(&self, wait: &Wait, ecs_agent: &EcsAgent, deadline: Instant) -> Result<Change> {
        let (condition, began) = (&wait.condition, Instant::now());
        // The wait ends before the deadline, so that there is time to say what was last seen.
        let left = deadline.saturating_duration_since(began);
        let ends = began + wait.timeout.min(left - LAST_WORDS.min(left / 4));
        let most = humantime::format_duration(whole_seconds(ends.saturating_duration_since(began)));
        let words = format!("waiting until {condition}, at most {most}");
        tracing::info!("{words}");
        self.say_status(&words);
        match condition {
            Condition::DevicePresent { device } => self.wait_for_device(device, began, ends).await,
            Condition::UnitActive { unit } => self.wait_for_unit(unit, began, ends).await,
            Condition::Registered { cluster } => {
                self.wait_for_registration(cluster.as_deref(), ecs_agent, began, ends).await
            }
        }
    }

    async fn wait_for_device(&self, device: &Device, began: Instant, ends: Instant) -> Result<Change> {
        let (mut waited, mut held_up) = (false, true);
        while self.find_device(device)?.is_empty() {
            if Instant::now() >= ends {
                bail!("{device} was not attached within {}; {}", spent(began), self.devices_in_words(device));
            }
            if held_up && began.elapsed() >= DEVICE_HOLDS_UP {
                tracing::info!(
                    "{device} is not attached yet: cloud-final.service may start now, since one of its scripts may attach it"
                );
                self.say_up();
                held_up = false;
            }
            waited = true;
            sleep(DEVICE_POLL).await;
        }
        Ok(if waited { Change::Made } else { Change::AlreadyDone })
    }

    async fn wait_for_unit(&self, unit: &str, began: Instant, ends: Instant) -> Result<Change> {
        let mut pause = FIRST_PAUSE;
        loop {
            let state = self.unit_state(unit).await?;
            if let Life::Failed | Life::Ended = state.life() {
                let seen = format!("{unit} {}", state.ending());
                return Err(Unmet { seen, hint: format!("; `journalctl -u {unit}` says why") }.into());
            }
            match state.active.as_str() {
                "active" => return Ok(Change::Made),
                other if Instant::now() >= ends => {
                    let seen = format!("{unit} is not active after {}, but {other}", spent(began));
                    return Err(Unmet { seen, hint: String::new() }.into());
                }
                _ => sleep_until(ends.min(Instant::now() + pause)).await,
            }
            pause = pause.mul_f32(GROWTH).min(UNIT_POLL);
        }
    }

    async fn wait_for_registration(
        &self,
        configured: Option<&str>,
        ecs_agent: &EcsAgent,
        began: Instant,
        ends: Instant,
    ) -> Result<Change> {
        let mut units_looked_at = began;
        let mut job_looked_at: Option<Instant> = None;
        let mut last = String::new();
        let mut trouble = None;
        loop {
            // Other programs may write the agent's settings until the agent starts.
            let cluster = self.cluster(configured)?;
            let seen = match ecs_agent.look(&cluster).await {
                seen @ (Seen::Registered { .. } | Seen::WrongCluster { .. }) => {
                    // A queued restart means that this registration used the old configuration. The first look at the job
                    // comes at once, so that no time is lost where nothing is queued.
                    let is_due = |at: Instant| at.elapsed() >= JOB_POLL || Instant::now() >= ends;
                    if job_looked_at.is_none_or(is_due) {
                        if !self.unit_state(ECS_UNIT).await?.has_job {
                            return self.joined(seen);
                        }
                        job_looked_at = Some(Instant::now());
                    }
                    "it is about to be restarted".to_owned()
                }
                Seen::Refused => {
                    job_looked_at = None;
                    "its introspection endpoint refuses connections, as it does until the agent has registered"
                        .to_owned()
                }
                Seen::Unreachable(what) | Seen::NotReady(what) => what,
            };
            if units_looked_at.elapsed() >= UNIT_POLL {
                units_looked_at = Instant::now();
                // A slow host must not use up the time that is left to report what was last seen.
                if let Ok(looked) = timeout_at(ends, self.look_at_units()).await {
                    trouble = looked?;
                }
            }
            let seen = trouble.clone().unwrap_or(seen);
            if seen != last {
                tracing::info!("the ECS agent is not registered yet: {seen}");
                self.say_status(&format!("waiting for the ECS agent to register with `{cluster}`: {seen}"));
                last = seen;
            }
            if Instant::now() >= ends {
                let spent = spent(began);
                let states = timeout(LAST_WORDS / 5, self.units_in_words()).await;
                let states = states.unwrap_or_else(|_| "systemctl did not show the units' state in time".to_owned());
                let set_by = if configured.is_none() { format!(" ({})", self.cluster_set_by()) } else { String::new() };
                let seen = format!("the ECS agent was not registered with `{cluster}`{set_by} within {spent}");
                let hint = format!(": {last}; {states}; {ECS_AGENT_LOG} says more");
                return Err(Unmet { seen, hint }.into());
            }
            sleep(POLL).await;
        }
    }

    /// Succeeds if the ECS agent has registered with the wanted cluster, else says what to do.
    fn joined(&self, seen: Seen) -> Result<Change> {
        if let Seen::WrongCluster { wanted, found } = &seen {
            bail!(
                "the ECS agent is registered with `{found}`, not with `{wanted}`: it was started before it was configured, \
                or with another configuration; {}",
                self.remedy_for_another_cluster(wanted)
            )
        }
        if let Seen::Registered { container_instance_arn, version, .. } = &seen {
            tracing::info!("registered as {container_instance_arn} ({version})");
        }
        Ok(Change::Made)
    }

    /// Fails if Docker or the ECS agent has ended and systemd does not start it again. Returns other obstacles, which may
    /// pass.
    async fn look_at_units(&self) -> Result<Option<String>> {
        let [docker, ecs, cloud_final] = self.unit_states([DOCKER_UNIT, ECS_UNIT, CLOUD_FINAL_UNIT]).await?;
        let mut trouble = ecs.is_held_up_by(&cloud_final).then(|| HELD_UP.to_owned());
        for (unit, state) in [(DOCKER_UNIT, &docker), (ECS_UNIT, &ecs)] {
            let passing = match state.life() {
                Life::Failed | Life::Ended => {
                    let seen = format!("{unit} {}", state.ending());
                    return Err(Unmet { seen, hint: hint(unit, state) }.into());
                }
                Life::Repeating => format!("{unit} {}, and systemd starts it again", state.ending()),
                Life::Stopped => format!("{unit} was stopped, by hand or by a script"),
                Life::Running | Life::Starting | Life::NeverStarted => continue,
            };
            trouble = trouble.or(Some(passing));
        }
        Ok(trouble)
    }

    async fn units_in_words(&self) -> String {
        match self.unit_states([DOCKER_UNIT, ECS_UNIT]).await {
            Ok([docker, ecs]) => {
                let words = |unit, state: &UnitState| format!("{unit} is {} ({})", state.active, state.sub);
                format!("{}, {}", words(DOCKER_UNIT, &docker), words(ECS_UNIT, &ecs))
            }
            Err(error) => format!("{error:#}"),
        }
    }
}

/// Names the place that tells why a unit ended.
fn hint(unit: &str, state: &UnitState) -> String {
    match unit {
        DOCKER_UNIT => ", and `journalctl -u docker.service` says why".to_owned(),
        _ if state.life() == Life::Ended => {
            format!(
                ", so the ECS agent has ended, and systemd does not start it again after this code; {ECS_AGENT_LOG} says what it did last"
            )
        }
        _ if state.exited_with(ECS_EXIT_TERMINAL) => {
            format!(
                ", so the ECS agent gave up for good; the cluster does not exist, or an attribute or the saved state is wrong, and {ECS_AGENT_LOG} says which"
            )
        }
        _ => format!(", and {ECS_INIT_LOG} says why"),
    }
}

fn spent(began: Instant) -> humantime::FormattedDuration {
    humantime::format_duration(whole_seconds(began.elapsed()))
}

pub(super) fn whole_seconds(duration: Duration) -> Duration {
    if duration < Duration::from_secs(1) {
        Duration::from_millis(duration.as_millis() as u64)
    } else {
        Duration::from_secs(duration.as_secs())
    }
}

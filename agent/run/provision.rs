//! The part of a run that can fail: from the metadata and the user data to the last action of the plan.

use anyhow::{Result, anyhow};
use tokio::time::Instant;

use super::cause::with_cause;
use super::{Failure, Provisioned, Run, Stage, gather, log_agent, save_report, signal};
use crate::apply::{apply, millis};
use crate::config::{self, Config, Ecs, Parsed};
use crate::doctor;
use crate::document::decode::Note;
use crate::instance::Instance;
use crate::plan::{Action, Condition, Plan, obstacle, plan, plan_without_configuration};
use crate::report::{Change, Outcome, StepReport};
use crate::well_known::ECS_UNIT;

impl Run<'_> {
    /// Brings the host to what its configuration asks for.
    pub(super) async fn provision(&mut self) -> Result<Provisioned, Failure> {
        let failed = |error: anyhow::Error, config: Box<Config>| Failure {
            outcome: Outcome::Failure,
            reason: format!("{error:#}"),
            config,
        };
        self.status("reading the instance metadata and the user data");
        let began = Instant::now();
        // Kept as it comes, before anything is made of it: whatever happens then, there is something to report by.
        gather::gather(&self.host, self.options, &self.state, &mut self.gathered).await;
        let gathered = &self.gathered;
        self.report.steps.push(StepReport {
            name: "fetch".to_owned(),
            outcome: if gathered.error.is_none() { Outcome::Success } else { Outcome::Failure },
            start_ms: millis(began - self.began),
            duration_ms: millis(began.elapsed()),
            actions: Vec::new(),
        });
        let instance_id = gathered.instance_id();
        self.stage = Stage::of(&gathered.identity);
        self.report.instance_id = Some(instance_id.clone()).filter(|id| !id.is_empty());
        self.report.image_id = Some(self.gathered.identity.image_id.clone()).filter(|id| !id.is_empty());
        self.state.begin_instance(&instance_id);
        let parsed = self.gathered.parse();
        self.known = Some(Box::new(parsed.config.clone()));
        self.is_configured = parsed.found || !parsed.problems.is_empty();
        self.name_the_stack(&parsed.config);
        let was_decided = self.decision().is_some();
        if parsed.config.signal.is_some() {
            self.state.forget_what_nobody_waited_for(self.stage);
        }
        self.report.boot = Some(self.boot(was_decided));
        if self.decision().is_none() && !self.has_left_the_pool {
            self.uptime = self.host.uptime();
        }
        self.save();
        if self.gathered.identity.is_terminating() {
            return Ok(Provisioned::Terminating);
        }
        if let Some(error) = self.gathered.error.take().or_else(|| self.obstacle.take()) {
            return Err(failed(error, Box::new(parsed.config)));
        }
        let is_of_others = parsed.is_of_others();
        let Some(config) = accepted(parsed)? else { return self.start_unconfigured(is_of_others).await };
        self.report.cluster = config.ecs.as_ref().and_then(Ecs::cluster);
        let mut instance = match self.host.instance(&self.gathered.identity) {
            Ok(instance) => instance,
            Err(error) => return Err(failed(error, config)),
        };
        gather::ask_for_docker_version(&self.host, &config, &mut instance).await;
        let kept = instance.image.docker.as_ref().map(|version| self.host.keep_docker_version(version));
        if let Some(Err(error)) = kept {
            tracing::debug!("the version of Docker is not kept: {error:#}");
        }
        if let Some(obstacle) = obstacle(&config, &instance) {
            return Err(failed(anyhow!(obstacle), config));
        }
        let plan = self.plan_for_this_boot(&config, &instance);
        plan.notes.iter().for_each(|note| tracing::info!("{note}"));
        let heartbeats = self.heartbeats(&config);
        let applied = self.apply(&plan, &config).await;
        drop(heartbeats);
        // In a warm pool, and where the run failed before the ECS agent could start, nobody has to have named it yet.
        let is_named =
            !instance.is_warming() && (applied.is_ok() || self.report.steps.iter().any(|step| step.name == "wait"));
        if let Some(ecs) = config.ecs.as_ref().filter(|_| is_named) {
            self.report.cluster = self.host.cluster(ecs.cluster().as_deref()).ok();
        }
        match applied {
            Ok(()) => {
                if let Some(trouble) = self.log_agent_that_is_required(&config).await {
                    return Err(failed(anyhow!(trouble), config));
                }
                // The user data may have changed since the first boot.
                if self.decision().is_some() {
                    self.state.kept = Some(self.gathered.kept());
                    self.state.save(&self.host);
                    // An ECS agent that is just starting may still answer with what it had before.
                    if let Some(finding) = doctor::another_cluster(
                        &self.host,
                        &config,
                        &self.gathered.identity,
                        !self.started.is_new(ECS_UNIT),
                    )
                    .await
                    {
                        return Err(failed(anyhow!(finding), config));
                    }
                }
                Ok(Provisioned::Complete(config))
            }
            Err(error) => {
                let identity = &self.gathered.identity;
                Err(failed(with_cause(error, &self.host, &config, identity).await, config))
            }
        }
    }

    /// Starts Docker and the ECS agent, as an image without this agent does, where the user data does not name it. User data
    /// that names it may call it later, and then Docker must not run yet.
    async fn start_unconfigured(&mut self, is_of_others: bool) -> Result<Provisioned, Failure> {
        if !is_of_others {
            return Ok(Provisioned::Nothing { started: false });
        }
        let config = Box::<Config>::default();
        match self.apply(&plan_without_configuration(), &config).await {
            Ok(()) => Ok(Provisioned::Nothing { started: true }),
            Err(error) => Err(Failure { outcome: Outcome::Failure, reason: format!("{error:#}"), config }),
        }
    }

    /// The plan, without the wait if that is over.
    fn plan_for_this_boot(&self, config: &Config, instance: &Instance) -> Plan {
        fail_point!("plan");
        let mut plan = plan(config, instance);
        if self.decision().is_some() {
            plan.leave_out_the_wait();
        }
        plan
    }

    async fn apply(&mut self, plan: &Plan, config: &Config) -> Result<()> {
        let allowed = config.time_allowed(self.uptime);
        tracing::debug!("{} are left for the run", humantime::format_duration(allowed));
        let deadline = self.began + allowed;
        let tells = self.decision().is_none() && !self.waiting(config, Outcome::Success).nobody();
        let (host, client) = (&self.host, &self.client);
        let (report, started) = (&mut self.report, &mut self.started);
        let before = report.steps.clone();
        let mut announced = 0;
        let progress = |steps: &[StepReport]| {
            report.steps = before.iter().chain(steps).cloned().collect();
            save_report(host, report, self.began);
            let Some(step) = steps.last() else { return };
            if steps.len() > announced {
                announced = steps.len();
                tracing::info!("{}: started", step.name);
                host.say_status(&step.name);
            } else {
                let changed = step.actions.iter().filter(|action| action.change == Change::Made).count();
                tracing::info!(
                    "{}: {}, {changed} of {} changed, {} ms",
                    step.name,
                    if step.outcome == Outcome::Success { "done" } else { "failed" },
                    step.actions.len(),
                    step.duration_ms
                );
            }
        };
        let region = self.gathered.identity.region.as_str();
        let mut warnings = Vec::new();
        let perform = async |action: &Action, deadline| {
            // What is read for it takes time, which there is before the ECS agent has registered and not after it.
            if tells && matches!(action, Action::WaitFor(Condition::Registered { .. })) {
                let _ = signal::client(client, config);
            }
            fail_point!("action");
            log_agent::look_at_image(host, action, (config, region), &mut warnings)?;
            let change = host.perform(action, deadline).await?;
            started.note(action, change);
            Ok(change)
        };
        let applied = apply(plan, self.began, deadline, perform, progress).await;
        self.report.steps = before.into_iter().chain(applied.steps).collect();
        self.report.warnings.extend(warnings.into_iter().chain(self.host.take_warnings()));
        applied.result
    }
}

/// Takes the configuration, if there is one and nothing is wrong with it.
fn accepted(parsed: Parsed) -> Result<Option<Box<Config>>, Failure> {
    for note in &parsed.notes {
        match note {
            // Of a part of others nobody needs to know where there is one of ours.
            Note::Left(_) if parsed.found => tracing::debug!("{note}"),
            _ => tracing::warn!("{note}"),
        }
    }
    parsed.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    if !parsed.problems.is_empty() {
        for problem in &parsed.problems {
            tracing::error!("{problem}");
        }
        let reason = config::summary(&parsed.problems);
        return Err(Failure { outcome: Outcome::Refused, reason, config: Box::new(parsed.config) });
    }
    Ok(parsed.found.then(|| Box::new(parsed.config)))
}

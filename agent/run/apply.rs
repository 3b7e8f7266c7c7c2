//! The work of a run on the host: its plan carried out, and what no action can check.

use anyhow::{Result, anyhow};
use tokio::time::Instant;

use super::cause::with_cause;
use super::ended::Ended;
use super::known::Known;
use super::one_run::Run;
use super::prepare::Prepared;
use super::record::{Record, save};
use super::state::Stage;
use super::{lifecycle, log_agent, pulls};
use crate::apply;
use crate::config::Config;
use crate::doctor;
use crate::host::Pulls;
use crate::plan::{Action, Condition, Edit, File, Wait};
use crate::report::{Change, Outcome, StepReport};
use crate::well_known::ECS_UNIT;

/// Brings the host to what the plan asks for.
pub(super) async fn apply(run: &Run<'_>, record: &mut Record, known: &mut Known, prepared: Prepared) -> Ended {
    let is_decided = record.state.decided(known.stage()).is_some();
    let hook = prepared.recipients.hook.as_ref().filter(|_| !is_decided);
    let heartbeats = lifecycle::heartbeats(run, &prepared.config, hook);
    let applied = carry_out(run, record, known, &prepared).await;
    drop(heartbeats);
    let config = prepared.config;
    if !known.is_configured {
        return match applied {
            Ok(()) => Ended::Nothing { started: true },
            Err(error) => Ended::failed(&error, config),
        };
    }
    name_the_cluster(run, record, known.stage(), &config, applied.is_ok());
    let checked = match applied {
        Ok(()) => check(run, record, known, &config).await,
        Err(error) => Err(with_cause(error, run, &config, known.identity()).await),
    };
    match checked {
        Ok(()) => Ended::Complete(config),
        Err(error) => Ended::failed(&error, config),
    }
}

async fn carry_out(run: &Run<'_>, record: &mut Record, known: &mut Known, prepared: &Prepared) -> Result<()> {
    let Prepared { config, plan, recipients } = prepared;
    let allowed = config.time_allowed(known.uptime);
    tracing::debug!("the run has {} left", humantime::format_duration(allowed));
    let tells = record.state.decided(known.stage()).is_none() && !recipients.nobody();
    let (region, started) = (known.gathered.identity.region.as_str(), &mut known.started);
    let pulls = &mut known.pulls;
    let Record { report, state } = record;
    let before = report.steps.clone();
    let mut announced = 0;
    let progress = |steps: &[StepReport]| {
        report.steps = before.iter().chain(steps).cloned().collect();
        save(run, report);
        let Some(step) = steps.last() else { return };
        announce(run, step, steps.len() > announced);
        announced = steps.len();
    };
    let mut warnings = Vec::new();
    let perform = async |action: &Action, deadline: Instant| {
        // What is read for it takes time, which there is before the ECS agent has registered and not after it.
        if tells && matches!(action, Action::WaitFor(Wait { condition: Condition::Registered { .. }, .. })) {
            let _ = run.client(config);
        }
        fail_point!("action");
        log_agent::look_at_image(run.host, action, (config, region), &mut warnings)?;
        let change = match action {
            Action::PullImage(pull) => {
                let pulls = pulls.get_or_insert_with(|| Pulls::new(pulls::tokens(run, config)));
                run.host.pull_image(pull, pulls, deadline).await?
            }
            action => run.host.perform(action, &run.options.ecs_agent, deadline).await?,
        };
        started.note(action, change);
        match (action, change) {
            (Action::RunHook(hook), Change::Made) => {
                state.hooks.insert(hook.name.to_string());
                state.save(run.host);
            }
            (Action::WriteFile(File { path, .. }) | Action::EditFile(Edit { path, .. }), _) => {
                state.keep_references(run.host, config, path);
            }
            (Action::PullImage(pull), Change::Made | Change::AlreadyDone) if !pull.beside => {
                pulls::keep(run.host, state, &pull.image);
            }
            _ => {}
        }
        Ok(change)
    };
    let applied = apply::apply(plan, run.began, run.began + allowed, perform, progress).await;
    record.report.steps = before.into_iter().chain(applied.steps).collect();
    record.report.warnings.extend(warnings.into_iter().chain(run.host.take_warnings()));
    applied.result
}

/// Says that a step has begun, or how it ended.
fn announce(run: &Run<'_>, step: &StepReport, has_begun: bool) {
    if has_begun {
        tracing::info!("{}: started", step.name);
        return run.host.say_status(&step.name);
    }
    let changed = step.actions.iter().filter(|action| action.change == Change::Made).count();
    tracing::info!(
        "{}: {}, {changed} of {} changed, {} ms",
        step.name,
        if step.outcome == Outcome::Success { "done" } else { "failed" },
        step.actions.len(),
        step.duration_ms
    );
}

/// Puts the cluster into the report as the ECS agent's settings have it. In a warm pool, and where the run failed before the
/// wait, the settings need not name a cluster yet.
fn name_the_cluster(run: &Run<'_>, record: &mut Record, stage: Stage, config: &Config, is_applied: bool) {
    let report = &mut record.report;
    let is_named = stage == Stage::Service && (is_applied || report.steps.iter().any(|step| step.name == "wait"));
    if let Some(ecs) = config.ecs.as_ref().filter(|_| is_named) {
        report.cluster = run.host.cluster(ecs.cluster().as_deref()).ok();
    }
}

/// Checks what may be wrong although each action has succeeded.
///
/// # Errors
/// A log agent that is required and has ended; on a later boot also an ECS agent that joins, or has joined, another cluster.
async fn check(run: &Run<'_>, record: &mut Record, known: &Known, config: &Config) -> Result<()> {
    log_agent::is_as_required(run.host, config, &known.started).await?;
    if record.state.decided(known.stage()).is_none() {
        return Ok(());
    }
    // The user data may have changed since the first boot.
    record.state.kept = Some(known.gathered.kept());
    record.state.save(run.host);
    // An ECS agent that is just starting may still answer with what it had before.
    let has_settled = !known.started.is_new(ECS_UNIT);
    let finding =
        doctor::another_cluster(run.host, &run.options.ecs_agent, config, known.identity(), has_settled).await;
    finding.map_or(Ok(()), |finding| Err(anyhow!(finding)))
}

//! The preparation of a run: the user data parsed, accepted or refused, and the plan for this boot.

use std::time::Duration;

use anyhow::anyhow;

use super::ended::Ended;
use super::gather::ask_for_docker_version;
use super::known::Known;
use super::one_run::Run;
use super::recipients::Recipients;
use super::record::Record;
use super::resolve::resolve;
use crate::config::{self, Config, Ecs, Parsed};
use crate::document::decode::Note;
use crate::instance::Instance;
use crate::plan::{Plan, obstacle, plan, plan_without_configuration};

/// The plan for this boot, and for whom it is carried out.
pub(super) struct Prepared {
    /// The accepted configuration; the default one where only Docker and the ECS agent are started.
    pub(super) config: Box<Config>,
    pub(super) plan: Plan,
    pub(super) recipients: Recipients,
}

/// Makes the plan for this boot of what was gathered.
///
/// # Errors
/// The end of the work, good or bad, if there is nothing to carry out.
pub(super) async fn prepare(run: &Run<'_>, record: &mut Record, known: &mut Known) -> Result<Prepared, Ended> {
    let parsed = parse(run, record, known);
    if known.identity().is_terminating() {
        return Err(Ended::Terminating);
    }
    let missing = known.gathered.error.as_ref().map(|error| format!("{error:#}"));
    if let Some(reason) = missing.or_else(|| run.hand_over_error.clone()) {
        return Err(Ended::Failed { reason, config: Box::new(parsed.config) });
    }
    let is_of_others = parsed.is_of_others();
    let Some(config) = accepted(parsed)? else {
        // User data that names this agent may call it later: then Docker must not run yet, and the run ends here.
        if !is_of_others {
            return Err(Ended::Nothing { started: false });
        }
        let (config, plan) = (Box::default(), plan_without_configuration());
        return Ok(Prepared { config, plan, recipients: Recipients::default() });
    };
    let config = resolve(run, record, known, config).await?;
    record.report.cluster = config.ecs.as_ref().and_then(Ecs::cluster);
    match facts(run, record, known, &config).await {
        Ok(instance) => {
            let plan = plan_for_this_boot(&config, &instance, record.state.decided(known.stage()).is_some());
            let recipients = Recipients::named_by(&config, known.identity(), &record.state.instance_id);
            Ok(Prepared { config, plan, recipients })
        }
        Err(error) => Err(Ended::failed(&error, config)),
    }
}

/// Parses the user data and keeps the result in `known`. Also tells which boot this is, takes the uptime, and saves the
/// report.
fn parse(run: &Run<'_>, record: &mut Record, known: &mut Known) -> Parsed {
    let parsed = known.gathered.parse();
    known.config = Some(Box::new(parsed.config.clone()));
    known.is_configured = parsed.found || !parsed.problems.is_empty();
    let stage = known.stage();
    record.name_the_stack(&parsed.config, known.identity());
    let was_decided = record.state.decided(stage).is_some();
    if parsed.config.signal.is_some() {
        record.state.forget_what_nobody_waited_for(stage);
    }
    record.report.boot = Some(record.boot(run.host, stage, was_decided));
    let counts = record.state.decided(stage).is_none() && !run.has_left_the_pool;
    known.uptime = if counts { run.host.uptime() } else { Duration::ZERO };
    record.save(run);
    parsed
}

/// Takes the configuration, if there is one and nothing is wrong with it.
fn accepted(parsed: Parsed) -> Result<Option<Box<Config>>, Ended> {
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
        return Err(Ended::Refused { reason, config: Box::new(parsed.config) });
    }
    Ok(parsed.found.then(|| Box::new(parsed.config)))
}

/// Looks up the facts of the instance.
///
/// # Errors
/// A file of the image that can't be read, or a fact that rules the configuration out.
async fn facts(run: &Run<'_>, record: &Record, known: &Known, config: &Config) -> anyhow::Result<Instance> {
    let mut instance = run.host.instance(known.identity())?;
    record.state.tell(&mut instance);
    ask_for_docker_version(run.host, config, &mut instance).await;
    let kept = instance.image.docker.as_ref().map(|version| run.host.keep_docker_version(version));
    if let Some(Err(error)) = kept {
        tracing::debug!("the version of Docker can't be saved: {error:#}");
    }
    obstacle(config, &instance).map_or(Ok(instance), |obstacle| Err(anyhow!(obstacle)))
}

/// Makes the plan, without the wait if that is over.
fn plan_for_this_boot(config: &Config, instance: &Instance, is_decided: bool) -> Plan {
    fail_point!("plan");
    let mut plan = plan(config, instance);
    if is_decided {
        plan.leave_out_the_wait();
    }
    plan.notes.iter().for_each(|note| tracing::info!("{note}"));
    plan
}

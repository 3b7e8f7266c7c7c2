//! The dry run: the same run, up to the plan.

use anyhow::{Result, anyhow};

use super::gather;
use super::options::Options;
use super::state::State;
use crate::config::Parsed;
use crate::document::decode::Note;
use crate::host::Host;
use crate::plan::{Plan, plan, plan_without_configuration};

/// The result of a dry run.
#[derive(Debug)]
pub struct DryRun {
    /// The configuration, and what is wrong with it.
    pub parsed: Parsed,
    /// The plan that `run` would carry out.
    pub plan: Plan,
    /// True if the plan is for this host. False if it is for given facts, or for the example instance.
    pub is_for_this_host: bool,
}

/// Makes the plan as `run` does, and carries out nothing.
///
/// # Errors
/// Something can't be read, or there is no configuration although the user data names this agent. A refused configuration is no
/// error here.
pub async fn dry_run(options: &Options, facts: Option<crate::instance::Instance>) -> Result<DryRun> {
    let host = Host::rooted_at(&options.root);
    let mut gathered = gather::for_dry_run(&host, options, facts.is_some()).await?;
    let is_for_this_host = facts.is_none() && !gathered.identity.instance_id.is_empty();
    let mut instance = match facts {
        Some(facts) => facts,
        None => gather::facts_or_example(&host, &gathered)?,
    };
    let parsed = match is_for_this_host {
        true => gathered.parse_on(&host),
        false => gathered.parse_for(instance.launch_index),
    };
    if parsed.is_of_others() {
        return Ok(DryRun { parsed, plan: plan_without_configuration(), is_for_this_host });
    }
    if parsed.problems.is_empty() && !parsed.found {
        return Err(anyhow!(
            "there is no ecs-firstrun configuration in the user data; give one with --user-data FILE\n{}",
            parsed.notes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        ));
    }
    let state = is_for_this_host.then(|| State::load(&host));
    if let Some(state) = &state {
        state.tell(&mut instance);
        gather::ask_for_docker_version(&host, &parsed.config, &mut instance).await;
    }
    let mut plan = plan(&parsed.config, &instance);
    let elsewhere = parsed.notes.iter().filter(|note| matches!(note, Note::Elsewhere(_)));
    plan.notes.extend(elsewhere.map(ToString::to_string));
    if state.is_some_and(|state| state.has_outcome_of(&gathered.identity)) {
        plan.leave_out_the_wait();
    }
    Ok(DryRun { parsed, plan, is_for_this_host })
}

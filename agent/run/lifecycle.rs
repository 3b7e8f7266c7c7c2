//! The lifecycle hook of a run, and the wait in a warm pool.

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::one_run::Run;
use super::options::Options;
use super::recipients::HookRecipient;
use crate::aws::auto_scaling::{Caller, Hook};
use crate::aws::imds::{Imds, is_of_a_warm_pool};
use crate::config::Config;

/// Time after the boot within which Auto Scaling begins the lifecycle action. EC2 first tells it that the instance runs, or has
/// a new root volume. Too short a time would have a sound instance terminated once the hook has timed out.
const BEGINS: Duration = Duration::from_secs(5 * 60);
/// Pause between two looks of an instance in a warm pool for its way into service. The instance may stay there for weeks.
const POLL: Duration = Duration::from_secs(5);
/// Time that the instance metadata may take for such a look.
const LOOK: Duration = Duration::from_secs(2);

/// Keeps the hook from timing out until the returned set is dropped.
pub(super) fn heartbeats(run: &Run<'_>, config: &Config, hook: Option<&HookRecipient>) -> JoinSet<()> {
    let mut task = JoinSet::new();
    let Some(HookRecipient::Known(hook)) = hook else { return task };
    match caller(run, config, hook.clone()) {
        Ok(caller) => drop(task.spawn(async move { caller.keep_waiting().await })),
        Err(error) => tracing::warn!("no heartbeat goes to the lifecycle hook: {error:#}"),
    }
    task
}

/// Makes the caller of Auto Scaling for a hook, which knows until when it may be too early for the lifecycle action.
///
/// # Errors
/// No client for AWS, or none of the SDK.
pub(super) fn caller(run: &Run<'_>, config: &Config, hook: Hook) -> Result<Caller> {
    let begins_by = match run.has_left_the_pool {
        true => run.began + BEGINS,
        false => Instant::now() + BEGINS.saturating_sub(run.host.uptime()),
    };
    let client = run.client(config).map_err(anyhow::Error::msg)?;
    Caller::new(hook, &client, &run.options.credentials(), begins_by)
}

/// Returns when Auto Scaling brings the instance somewhere else than to a warm pool. As long as the instance metadata
/// don't say so, it is in the pool.
pub(super) async fn leaves_the_warm_pool(options: &Options) {
    loop {
        sleep(POLL).await;
        let state = match Imds::new(options.imds_endpoint.as_deref(), Instant::now() + LOOK) {
            Ok(imds) => imds.target_lifecycle_state().await,
            Err(error) => return tracing::error!("the instance metadata can't be read: {error:#}"),
        };
        match state {
            Ok(Some(state)) if !is_of_a_warm_pool(Some(&state)) => {
                return tracing::info!("the instance leaves the warm pool: its target is {state}");
            }
            Ok(_) => {}
            Err(error) => tracing::debug!("whether the instance leaves the warm pool is not known: {error}"),
        }
    }
}

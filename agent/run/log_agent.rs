//! The log agent: what keeps it from sending the logs. That is a warning, and fails a boot only with `logs.required`.

use anyhow::{Result, bail};

use super::started::Started;
use crate::config::Config;
use crate::doctor;
use crate::host::Host;
use crate::plan::Action;
use crate::report::Report;
use crate::well_known::{AWSLOGS_UNIT, CLOUDWATCH_UNIT};

/// Warns of what the image brings against what an action is about to do.
///
/// # Errors
/// Files because of which the CloudWatch agent would not send the logs, where these are required.
pub(super) fn look_at_image(
    host: &Host,
    action: &Action,
    (config, region): (&Config, &str),
    warnings: &mut Vec<String>,
) -> Result<()> {
    let mut warn = |words: String| {
        tracing::warn!("{words}");
        warnings.push(words);
    };
    match action {
        // What is no TOML is the error of the edit itself.
        Action::EditFile(edit) => host.other_spellings(edit).unwrap_or_default().into_iter().for_each(warn),
        Action::StartUnit { unit, .. } if unit == CLOUDWATCH_UNIT => {
            match host.cloudwatch_conflicts(None, config, region) {
                Ok(conflicts) => {
                    for conflict in conflicts {
                        if config.logs.required && !conflict.is_harmless {
                            bail!("{conflict}");
                        }
                        warn(conflict.to_string());
                    }
                }
                Err(error) => warn(format!("the files of the CloudWatch agent can't be checked: {error:#}")),
            }
        }
        _ => {}
    }
    Ok(())
}

/// Checks the log agent of a boot whose logs are required.
///
/// # Errors
/// One that has ended since this run started it.
pub(super) async fn is_as_required(host: &Host, config: &Config, started: &Started) -> Result<()> {
    let found = if config.logs.required { trouble(host, started).await } else { None };
    found.map_or(Ok(()), |trouble| bail!("logs: {trouble}"))
}

/// Warns of a log agent that has ended since this run started it.
pub(super) async fn look_at(host: &Host, report: &mut Report, started: &Started) {
    let Some(trouble) = trouble(host, started).await else { return };
    // Where it has failed the run, that is told already.
    if report.reason.as_ref().is_none_or(|reason| !reason.contains(&trouble)) {
        tracing::warn!("{trouble}");
        report.warnings.push(trouble);
    }
}

async fn trouble(host: &Host, started: &Started) -> Option<String> {
    let unit = [CLOUDWATCH_UNIT, AWSLOGS_UNIT].into_iter().find(|unit| started.has(unit))?;
    doctor::log_agent_trouble(host, unit).await
}

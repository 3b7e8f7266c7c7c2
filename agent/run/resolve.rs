//! The resolving of references: their values, before anything on the host changes.

use std::time::Duration;

use tokio::time::Instant;

use super::ended::Ended;
use super::known::Known;
use super::one_run::Run;
use super::record::{Record, step};
use crate::aws::values::{Failure, Fetcher};
use crate::config::{self, Config, PlacedReference, Values};
use crate::http;
use crate::secrets;

/// Time that all references together may take where an earlier run has put the value of each into its file.
const LATER_BOOT: Duration = Duration::from_secs(5);

/// Returns the configuration with the values of its references.
///
/// A value that can't be fetched is the one that an earlier run put into its file, and so are all if one does not fit.
///
/// # Errors
/// A value that can't be had, or does not fit its place. The host is as it was.
pub(super) async fn resolve(
    run: &Run<'_>,
    record: &mut Record,
    known: &mut Known,
    config: Box<Config>,
) -> Result<Box<Config>, Ended> {
    if config.references.is_empty() {
        return Ok(config);
    }
    run.status("resolving the references of the configuration");
    let began = Instant::now();
    let (values, mut reasons) = values(run, record, known, &config).await;
    record.report.steps.push(step("references", run.began, began, reasons.is_empty()));
    record.save(run);
    known.gathered.values = values;
    let mut parsed = known.gathered.parse();
    if reasons.is_empty() && !parsed.problems.is_empty() {
        let earlier =
            |placed: &PlacedReference| Some((placed.place.clone(), value_of_earlier_run(run, record, placed)?));
        let mut values: Values = config.references.iter().filter_map(earlier).collect();
        values.iter().for_each(|(_, value)| secrets::remember(value));
        // The first value of a place counts: what no earlier run wrote is the new value, and never a stand-in.
        values.append(&mut known.gathered.values);
        known.gathered.values = values;
        let kept = known.gathered.parse();
        if kept.problems.is_empty() {
            keep_earlier(record, &config::summary(&parsed.problems));
            parsed = kept;
        }
    }
    let config = Box::new(parsed.config);
    known.config = Some(config.clone());
    let misfits = config::summary(&parsed.problems);
    match (reasons.is_empty(), misfits.is_empty()) {
        (true, true) => Ok(config),
        (true, false) => Err(Ended::Refused { reason: misfits, config }),
        // What has its value serves to tell this: the outcome may have to go through the proxy.
        (false, _) => {
            reasons.extend(Some(misfits).filter(|misfits| !misfits.is_empty()));
            Err(Ended::Failed { reason: format!("references: {}", reasons.join("; ")), config })
        }
    }
}

/// Returns the values that can be had, and for each reference without one the reason.
async fn values(run: &Run<'_>, record: &mut Record, known: &Known, config: &Config) -> (Values, Vec<String>) {
    let (mut values, mut reasons) = (Values::new(), Vec::new());
    let has_earlier = |placed| value_of_earlier_run(run, record, placed).is_some();
    let deadline = match config.references.iter().all(has_earlier) {
        true => Instant::now() + LATER_BOOT,
        false => run.began + config.time_allowed(known.uptime),
    };
    // The proxy's own URL can't be fetched through the proxy.
    let client = match config.has_reference(&["proxy", "url"]) {
        true => http::outbound(None).map_err(|error| format!("{error:#}")),
        false => run.client(config),
    };
    let identity = known.identity();
    let place = (identity.region.as_str(), identity.partition_domain.as_str());
    let fetcher = client.and_then(|client| {
        Fetcher::new(&client, &run.options.credentials(), place, config.aws, deadline)
            .map_err(|error| format!("{error:#}"))
    });
    let mut fetcher = match fetcher {
        Ok(fetcher) => fetcher,
        Err(why) => return (values, vec![why]),
    };
    for (index, placed) in config.references.iter().enumerate() {
        let reason = match fetcher.fetch(&placed.reference, &config.references[index + 1..]).await {
            Ok(value) => {
                values.push((placed.place.clone(), value));
                continue;
            }
            Err(failure) => reason(placed, &failure, config, &identity.region),
        };
        match value_of_earlier_run(run, record, placed) {
            Some(value) => {
                keep_earlier(record, &reason);
                values.push((placed.place.clone(), value));
            }
            None => reasons.push(reason),
        }
    }
    values.iter().for_each(|(_, value)| secrets::remember(value));
    (values, reasons)
}

/// Returns the value of a reference in its file, if an earlier run put it there.
fn value_of_earlier_run(run: &Run<'_>, record: &Record, placed: &PlacedReference) -> Option<String> {
    let is_of_run = record.state.references.contains(&placed.to_string());
    run.host.value_in_place(&placed.place).filter(|_| is_of_run)
}

/// Warns that what an earlier boot wrote is kept, with the reason.
fn keep_earlier(record: &mut Record, reason: &str) {
    let warning = format!("{reason}; what an earlier boot wrote is kept");
    tracing::warn!("{warning}");
    record.report.warnings.push(warning);
}

/// Says why a reference has no value, and what to do.
fn reason(placed: &PlacedReference, failure: &Failure, config: &Config, region: &str) -> String {
    let (why, remedy) = match failure {
        Failure::Refused(why) => (why, String::new()),
        Failure::NoAnswer(why) => {
            let service = placed.reference.source();
            let region = placed.reference.region().unwrap_or(region);
            let endpoint = format!("a VPC endpoint for com.amazonaws.{region}.{service}");
            let remedy = if config.has_reference(&["proxy", "url"]) {
                format!(
                    " (the proxy's own URL is a reference, so this is asked without the proxy: the VPC needs {endpoint})"
                )
            } else if config.proxy.is_some() {
                format!(" (check that the proxy of `proxy.url` answers, and lets through {service} of {region})")
            } else {
                format!(" (without a way to the internet the VPC needs {endpoint})")
            };
            (why, remedy)
        }
    };
    format!("{placed} can't be resolved: {why}{remedy}")
}

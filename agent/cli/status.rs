//! `status`: how the last run went.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

use super::print;
use crate::host::Host;
use crate::report::{Outcome, Report};

pub(super) async fn status(host: &Host, wait: bool, json: bool) -> Result<ExitCode> {
    let path = host.state_path("report.json");
    loop {
        let text = host.read(&path)?;
        let report = text.as_deref().map(Report::parse).transpose().map_err(|error| anyhow!("{path}: {error}"))?;
        let running = report.as_ref().is_none_or(|report| report.outcome == Outcome::Running);
        if wait && running {
            tokio::time::sleep(Duration::from_millis(250)).await;
            continue;
        }
        let Some(report) = report else { bail!("there was no run on this host yet: {path} is missing") };
        let failed = !matches!(report.outcome, Outcome::Success | Outcome::Running);
        match json {
            true => print(&text.unwrap_or_default())?,
            false => print(&report.to_string())?,
        };
        return Ok(ExitCode::from(u8::from(failed)));
    }
}

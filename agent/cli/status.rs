//! `status`: shows how the last run went, or goes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;

use crate::ecs_agent::{EcsAgent, Seen};
use crate::host::{self, Host};
use crate::report::{Follow, Outcome, Report};
use crate::streams::{eprint, paint_for, print, read_input};
use crate::well_known::{ECS_ENDPOINT, REPORT_FILE};

/// Time between two looks at a run that is followed.
const LOOK: Duration = Duration::from_millis(100);
/// Tolerance for a clock that was set between a boot and the start of the run in it.
const CLOCK: Duration = Duration::from_secs(10);

#[derive(Args, Debug)]
pub(super) struct StatusArguments {
    /// Directory that stands for /: every file is read below it
    #[arg(long, value_name = "DIR", default_value = "/", env = "ECS_FIRSTRUN_ROOT")]
    root: PathBuf,
    /// Endpoint of the ECS agent's introspection API
    #[arg(long, value_name = "URL", default_value = ECS_ENDPOINT, env = "ECS_FIRSTRUN_ECS_ENDPOINT")]
    ecs_endpoint: String,
    /// Follow the run until it ends; what it does or waits for goes to standard error
    #[arg(long)]
    wait: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Show this report, of any instance, instead of the host's own; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "wait")]
    report: Option<PathBuf>,
    /// Write the timeline as SVG to this file, and print nothing; `-` is standard output
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    svg: Option<PathBuf>,
}

pub(super) async fn status(arguments: StatusArguments) -> Result<ExitCode> {
    let (text, mut report) = match &arguments.report {
        Some(path) => given(path)?,
        None => {
            let ecs_agent = EcsAgent::new(&arguments.ecs_endpoint)?;
            of_host(&Host::rooted_at(&arguments.root), &ecs_agent, arguments.wait).await?
        }
    };
    if report.outcome == Outcome::Running {
        let elapsed = report.began().and_then(|began| began.elapsed().ok());
        let elapsed = elapsed.filter(|_| arguments.report.is_none());
        report.duration_ms = elapsed.map_or(report.duration_ms, crate::apply::millis);
    }
    match &arguments.svg {
        Some(path) if path.as_os_str() == "-" => return print(&report.svg()),
        Some(path) => {
            host::save(path, &report.svg())?;
            return Ok(ExitCode::SUCCESS);
        }
        None => {}
    }
    match arguments.json {
        true => print(&text)?,
        false => print(&report.render(paint_for(&std::io::stdout())))?,
    };
    let failed = !matches!(report.outcome, Outcome::Success | Outcome::Running);
    Ok(ExitCode::from(u8::from(failed)))
}

/// Reads the report in a file, and returns its text, too.
fn given(path: &Path) -> Result<(String, Report)> {
    let name = if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() };
    let bytes = read_input(path)?;
    let text = String::from_utf8(bytes).with_context(|| format!("{name} is not a report of ecs-firstrun"))?;
    let report = Report::parse(&text).map_err(|error| anyhow!("{name}: {error}"))?;
    Ok((text, report))
}

/// Reads the host's own report, and returns its text, too. With `wait`, follows the run until its end first.
async fn of_host(host: &Host, ecs_agent: &EcsAgent, wait: bool) -> Result<(String, Report)> {
    let path = host.state_path(REPORT_FILE);
    let stderr = std::io::stderr();
    let paint = paint_for(&stderr);
    let began = SystemTime::now();
    let mut follow = Follow::on(stderr, paint);
    loop {
        let text = host.read(&path)?;
        let report = text.as_deref().map(Report::parse).transpose().map_err(|error| anyhow!("{path}: {error}"))?;
        let report = report.map(|report| cut_off(host, report));
        let has_ended = report.as_ref().is_some_and(|report| report.outcome != Outcome::Running);
        if wait && !has_ended {
            let since = report.as_ref().and_then(Report::began).unwrap_or(began);
            let doing = match &report {
                Some(_) => host.status(),
                None => "waiting for a run to begin on this host".to_owned(),
            };
            follow.say(report.as_ref(), &doing, since.elapsed().unwrap_or_default());
            tokio::time::sleep(LOOK).await;
            continue;
        }
        if wait {
            follow.say(report.as_ref(), "", Duration::ZERO);
            follow.end();
            eprint("\n");
        }
        let (Some(text), Some(mut report)) = (text, report) else {
            bail!(
                "there has been no run on this host yet: {path} is missing; `systemctl status ecs-firstrun` shows \
                whether one will start"
            )
        };
        if report.outcome == Outcome::Running && report.reason.is_none() {
            report.reason = Some(host.status()).filter(|doing| !doing.is_empty());
        }
        return Ok(match in_another_cluster(host, ecs_agent, &report).await {
            Some(reason) => {
                let report = Report { outcome: Outcome::Failure, reason: Some(reason), ..report };
                (format!("{}\n", serde_json::to_string_pretty(&report)?), report)
            }
            None => (text, report),
        });
    }
}

/// Tells why a successful run counts as failed: the instance has since joined another cluster, for example after a reboot.
async fn in_another_cluster(host: &Host, ecs_agent: &EcsAgent, report: &Report) -> Option<String> {
    let cluster = report.cluster.as_ref().filter(|_| report.outcome == Outcome::Success)?;
    match ecs_agent.look(cluster).await {
        Seen::WrongCluster { wanted, found } => {
            let remedy = host.remedy_for_another_cluster(&wanted);
            Some(format!("since this run the ECS agent has registered with `{found}`, not with `{wanted}`; {remedy}"))
        }
        _ => None,
    }
}

/// Marks a run as interrupted if the host was rebooted while the run was going.
fn cut_off(host: &Host, mut report: Report) -> Report {
    let is_of_an_earlier_boot = match (report.began(), host.started()) {
        (Some(began), Some(started)) => began + CLOCK < started,
        _ => false,
    };
    if report.outcome == Outcome::Running && is_of_an_earlier_boot {
        report.outcome = Outcome::Interrupted;
        report.reason = Some("the host was rebooted before this run ended; the next run continues".to_owned());
        let running = report.steps.iter_mut().filter(|step| step.outcome == Outcome::Running);
        running.for_each(|step| step.outcome = Outcome::Interrupted);
    }
    report
}

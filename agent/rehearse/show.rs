//! The output at the end of a rehearsal.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;

use super::cloud::{ReceivedSignal, Request, Server};
use super::rehearsal::{Rehearsal, contents, files};
use crate::apply::millis;
use crate::report::milliseconds;
use crate::text::{Paint, STRONG, hanging};

/// Most requests that are shown one by one.
const REQUESTS: usize = 40;

impl Rehearsal {
    /// Shows the report of the last run, and what the run did to the host and asked of its cloud.
    pub(super) fn shown(&self, paint: Paint) -> Result<String> {
        let mut out = String::new();
        writeln!(out, "\n{}", self.report()?.render(paint))?;
        writeln!(out, "{}", paint.paint(STRONG, "files written"))?;
        for (path, size, mode) in files(&self.root)? {
            if self.image.get(&path) != Some(&contents(&self.root, &path)) {
                out.push_str(&hanging(&format!("  {mode:04o} {size:>6}  "), &path));
            }
        }
        writeln!(out, "\n{}", paint.paint(STRONG, "programs"))?;
        for call in self.programs.calls().iter().filter(|call| !call.args.iter().any(|arg| arg == "show")) {
            let arguments = call.args.join(" ").replace(&self.root.display().to_string(), "");
            out.push_str(&hanging("  ", &format!("{} {arguments}", call.program)));
        }
        writeln!(out, "\n{}", paint.paint(STRONG, "requests received"))?;
        out.push_str(&requests(&self.cloud.requests()));
        writeln!(out, "\n{}", paint.paint(STRONG, "CloudFormation received"))?;
        let signals = self.cloud.signals();
        for signal in &signals {
            let way = if signal.proxied { "through the proxy" } else { "directly" };
            let at = milliseconds(millis(signal.at));
            let ReceivedSignal { status, stack, resource, unique_id, .. } = signal;
            writeln!(out, "  {status} for {stack} {resource} from {unique_id}, {way}, at {at}")?;
        }
        if signals.is_empty() {
            writeln!(out, "  nothing")?;
        }
        let (calls, reports) = (self.cloud.lifecycle_calls(), self.cloud.health_calls());
        if !calls.is_empty() || !reports.is_empty() {
            writeln!(out, "\n{}", paint.paint(STRONG, "Auto Scaling received"))?;
        }
        for call in calls {
            let what = call.result.as_deref().unwrap_or("a heartbeat");
            let at = milliseconds(millis(call.at));
            writeln!(out, "  {what} for {} {} from {}, at {at}", call.group, call.hook, call.instance_id)?;
        }
        for report in reports {
            writeln!(out, "  {} for {}, at {}", report.status, report.instance_id, milliseconds(millis(report.at)))?;
        }
        Ok(out)
    }
}

/// Formats the requests in the order of arrival. Equal requests in a row, as from a client that polls, share one line.
fn requests(requests: &[Request]) -> String {
    let mut shown: Vec<(String, [String; 2], usize)> = Vec::new();
    for request in requests {
        let text = [format!("{:<15} {}  ", name(request.server), status(request.status)), target(request)];
        match shown.last_mut() {
            Some((_, last, count)) if *last == text => *count += 1,
            _ => shown.push((milliseconds(millis(request.at)), text, 1)),
        }
    }
    let mut out = String::new();
    for (at, [server, target], count) in shown.iter().take(REQUESTS) {
        let times = if *count > 1 { format!(" ({count} times)") } else { String::new() };
        out.push_str(&hanging(&format!("{at:>8}  {server}"), &format!("{target}{times}")));
    }
    if shown.len() > REQUESTS {
        let mut left = BTreeMap::new();
        let rest = requests.iter().rev().take(shown.iter().skip(REQUESTS).map(|(.., count)| count).sum());
        rest.for_each(|request| *left.entry(name(request.server)).or_insert(0) += 1);
        let left: Vec<_> = left.iter().map(|(name, count)| format!("{count} to {name}")).collect();
        out.push_str(&format!("          and more: {}\n", left.join(", ")));
    }
    out
}

fn name(server: Server) -> String {
    match server {
        Server::Imds => "metadata".to_owned(),
        Server::Ecs => "ECS agent".to_owned(),
        Server::Ssm => "SSM".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Returns the status as text, or `---` for a request that never got its answer.
fn status(status: u16) -> String {
    if status == 0 { "---".to_owned() } else { status.to_string() }
}

/// Returns the method, the path and the action of a request. The rest of a query is long, or a signature, and is left out.
fn target(request: &Request) -> String {
    let (path, query) = request.path_and_query.split_once('?').unwrap_or((&request.path_and_query, ""));
    let body = String::from_utf8_lossy(&request.body);
    let action = query.split('&').chain(body.split('&')).find(|pair| pair.starts_with("Action="));
    let action = action.map(|action| format!("?{action}"));
    let operation = || request.header("x-amz-target").map(|operation| format!(" {operation}"));
    format!("{} {path}{}", request.method, action.or_else(operation).unwrap_or_default())
}

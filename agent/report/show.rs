//! The report for a person: the outcome, the steps on a time axis, the critical path, and the signal.

use std::collections::HashSet;
use std::fmt;

use super::contents::{Outcome, Report, StepReport, milliseconds};
use crate::text::{BAD, COLUMNS, FAINT, GOOD, MARK, NOTE, Paint, STRONG, one_line, wrap};

/// The width of the names of steps and of the time axis together, in columns.
const NAME_AND_AXIS: usize = 40;
/// The least and the greatest width of the names. `after_registration` has 18 letters.
const NAME: (usize, usize) = (10, 18);
/// Eighths of a column, from one to eight.
const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

impl Report {
    /// Returns the text that `status` prints.
    pub fn render(&self, paint: Paint) -> String {
        let instance = one_line(self.instance_id.as_deref().unwrap_or("an unknown instance"));
        let style = match self.outcome {
            Outcome::Success => GOOD,
            Outcome::Running | Outcome::Interrupted => NOTE,
            Outcome::Failure | Outcome::Refused => BAD,
        };
        let outcome = paint.paint(style, &self.outcome.to_string());
        let time = milliseconds(self.duration_ms);
        let mut out = format!("{outcome} on {instance}, started {}, {time}\n", one_line(&self.started));
        if let Some(reason) = &self.reason {
            let label = match self.outcome {
                Outcome::Success => "note",
                Outcome::Running => "now",
                _ => "reason",
            };
            out.push_str(&labelled(label, reason, style, paint));
        }
        for warning in &self.warnings {
            out.push_str(&labelled("warning", warning, NOTE, paint));
        }
        if !self.steps.is_empty() {
            out.push_str(&self.timeline(paint));
        }
        let told: Vec<_> = self.told().flat_map(|line| wrap(&line, COLUMNS)).collect();
        match told.is_empty() {
            true => out + "\nno signal was sent\n",
            false => told.iter().fold(out + "\n", |out, line| out + line + "\n"),
        }
    }

    /// Formats a line for each step, with a bar on the time axis, and the critical path.
    fn timeline(&self, paint: Paint) -> String {
        let (critical, span_ms) = (self.critical(), self.span_ms());
        let decisive: HashSet<*const StepReport> = critical.iter().map(|step| std::ptr::from_ref(*step)).collect();
        let longest = self.steps.iter().map(|step| step.name.chars().count()).max().unwrap_or_default();
        let width = longest.clamp(NAME.0, NAME.1);
        let axis = NAME_AND_AXIS - width;
        let head = format!("{:<width$} {:>8} {:>8}  {:axis$}  result", "step", "start", "duration", "");
        let mut out = format!("\n{}\n", paint.paint(STRONG, &head));
        for step in &self.steps {
            let is_critical = decisive.contains(&std::ptr::from_ref(step));
            let style = match step.outcome {
                Outcome::Failure | Outcome::Refused => BAD,
                _ if is_critical => MARK,
                _ => FAINT,
            };
            let bar = paint.paint(style, &bar(step, span_ms, is_critical, axis));
            let (start, duration) = (milliseconds(step.start_ms), milliseconds(step.duration_ms));
            let name = one_line(&step.name);
            out.push_str(&format!("{name:<width$} {start:>8} {duration:>8}  {bar}  {}\n", step.result()));
        }
        if let Some(longest) = critical.first().filter(|_| self.steps.len() > 1) {
            let names: Vec<_> = critical.iter().map(|step| share(step, span_ms)).collect();
            out.push('\n');
            out.push_str(&labelled("critical path", &names.join(", "), MARK, paint));
            if let Some(action) = longest.actions.iter().max_by_key(|action| action.duration_ms) {
                let text = format!("{}, {}", milliseconds(action.duration_ms), action.action);
                out.push_str(&labelled("longest action", &text, MARK, paint));
            }
        }
        out
    }
}

/// Formats a step with its share of the time: `wait 1.2 s (92 %)`.
fn share(step: &StepReport, span_ms: u64) -> String {
    let percent = u128::from(step.duration_ms) * 100 / u128::from(span_ms);
    format!("{} {} ({percent} %)", one_line(&step.name), milliseconds(step.duration_ms))
}

/// Draws a step on a time axis of some columns: full blocks on the critical path, light ones elsewhere.
fn bar(step: &StepReport, span_ms: u64, is_critical: bool, axis: usize) -> String {
    let eighths = |ms: u64| {
        let all = axis * EIGHTHS.len();
        usize::try_from(u128::from(ms) * all as u128 / u128::from(span_ms)).unwrap_or(all).min(all)
    };
    let start = eighths(step.start_ms).min(axis * 8 - 1) / 8;
    let end = eighths(step.start_ms.saturating_add(step.duration_ms)).max(start * 8 + 1);
    let mut out = " ".repeat(start);
    let length = eighths(step.duration_ms).max(1);
    match (is_critical, length < 8) {
        (true, _) => {
            out.push_str(&"█".repeat(end / 8 - start));
            out.extend((end % 8).checked_sub(1).and_then(|part| EIGHTHS.get(part)));
        }
        (false, true) => out.extend(EIGHTHS.get(length - 1)),
        (false, false) => out.push_str(&"░".repeat(end.div_ceil(8) - start)),
    }
    let width = out.chars().count();
    out.push_str(&" ".repeat(axis.saturating_sub(width)));
    out
}

/// Formats a text after its label, wrapped.
fn labelled(label: &str, text: &str, style: anstyle::Style, paint: Paint) -> String {
    let whole = format!("{label}: {text}");
    let mut lines = wrap(&whole, COLUMNS).into_iter();
    let first = lines.next().unwrap_or_default();
    let rest = first.strip_prefix(label).unwrap_or_default();
    let rest: String = std::iter::once(rest.to_owned() + "\n").chain(lines.map(|line| line + "\n")).collect();
    format!("{}{rest}", paint.paint(style, label))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Paint::Plain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, start_ms: u64, duration_ms: u64) -> StepReport {
        StepReport { name: name.to_owned(), outcome: Outcome::Success, start_ms, duration_ms, actions: Vec::new() }
    }

    #[test]
    fn bars_lie_on_the_axis_whatever_the_times() {
        for (start, duration, span) in
            [(0, 0, 1), (0, 1, 1), (5, 0, 5), (0, u64::MAX, 1), (u64::MAX, u64::MAX, u64::MAX)]
        {
            for is_critical in [true, false] {
                let bar = bar(&step("x", start, duration), span, is_critical, 30);
                assert_eq!(bar.chars().count(), 30, "{start} {duration} {span}: {bar}|");
                assert!(!bar.trim().is_empty());
            }
        }
        assert_eq!(bar(&step("x", 50, 25), 100, true, 30).trim_end(), format!("{}███████▌", " ".repeat(15)));
        assert_eq!(bar(&step("x", 50, 25), 100, false, 30).trim_end(), format!("{}░░░░░░░░", " ".repeat(15)));
    }

    #[test]
    fn the_critical_path_is_what_the_time_went_to() {
        let mut report = Report::begin();
        assert!(report.critical().is_empty());
        report.steps = vec![step("fetch", 0, 3), step("storage", 3, 40), step("wait", 43, 57)];
        let names: Vec<_> = report.critical().iter().map(|step| step.name.clone()).collect();
        assert_eq!(names, ["wait", "storage"]);
    }

    #[test]
    fn a_report_of_somebody_else_can_not_paint_the_terminal() {
        let mut report = Report::begin();
        report.steps = vec![step("\x1b[31mx", 0, 1)];
        report.instance_id = Some("i-1\x1b]0;x\x07".to_owned());
        report.reason = Some("a\x1b[2Jb".to_owned());
        assert!(!report.to_string().contains('\x1b') && !report.to_string().contains('\x07'));
    }
}

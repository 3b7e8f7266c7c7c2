//! The timeline as SVG, in the manner of `systemd-analyze plot`, for light and dark surroundings.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::contents::{Change, Outcome, Report, StepReport, milliseconds};
use crate::text::shortened;

/// Sizes in pixels: the width of the picture, the margin, a step's row, and the bar in a row.
const WIDTH: f64 = 960.0;
const MARGIN: f64 = 24.0;
const ROW: f64 = 30.0;
const BAR: f64 = 20.0;
/// The top of the first row, in pixels.
const TOP: f64 = 112.0;
/// The approximate width of a letter, in pixels.
const LETTER: f64 = 7.2;
/// The letters that have room between the margins.
const LETTERS: usize = ((WIDTH - 2.0 * MARGIN) / LETTER) as usize;
/// Most intervals of the grid.
const TICKS: u64 = 10;

/// The colours of both surroundings. Viewers that know no dark mode show the light one.
const STYLE: &str = "\
text { font: 13px ui-sans-serif, system-ui, 'DejaVu Sans', sans-serif; fill: #1f2328; }
.title { font-size: 18px; font-weight: 600; }
.faint { fill: #59636e; }
.page { fill: #ffffff; }
.grid { stroke: #d1d9e0; stroke-width: 1; }
.bar { fill: #9fb8d8; }
.critical { fill: #2f6fc4; }
.bad { fill: #c93c37; }
.even { fill-opacity: 0; }
.odd { fill: #ffffff; fill-opacity: 0.28; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .faint { fill: #9198a1; }
  .page { fill: #0d1117; }
  .grid { stroke: #30363d; }
  .bar { fill: #47658c; }
  .critical { fill: #4d94f0; }
  .bad { fill: #f0625d; }
  .odd { fill: #000000; }
}
";

impl Report {
    /// Returns the timeline as an SVG document: a bar for each step on a time axis, divided into the actions.
    pub fn svg(&self) -> String {
        let axis = Axis { span_ms: self.span_ms() };
        let height = TOP + ROW * self.steps.len() as f64 + 84.0;
        let mut out = String::new();
        // Writing to a String can't fail.
        let _ = write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
             <style>\n{STYLE}</style>\n\
             <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n"
        );
        let instance = self.instance_id.as_deref().unwrap_or("an unknown instance");
        let _ = writeln!(out, "<title>{}</title>", escaped(&format!("ecs-firstrun on {instance}")));
        let title = format!("{} on {instance}, {}", self.outcome, milliseconds(self.duration_ms));
        text(&mut out, "title", MARGIN, 36.0, "start", &title);
        let below = format!("started {}, ecs-firstrun {}; in full colour: the critical path", self.started, self.agent);
        text(&mut out, "faint", MARGIN, 58.0, "start", &below);
        self.grid(&mut out, &axis);
        let critical: HashSet<_> = self.critical().into_iter().map(std::ptr::from_ref).collect();
        for (row, step) in self.steps.iter().enumerate() {
            let class = match step.outcome {
                Outcome::Failure | Outcome::Refused => "bad",
                _ if critical.contains(&std::ptr::from_ref(step)) => "critical",
                _ => "bar",
            };
            bar(&mut out, &axis, TOP + ROW * row as f64, step, class);
        }
        let told: Vec<_> = self.told().collect();
        let signal = if told.is_empty() { "no signal was sent".to_owned() } else { told.join("; ") };
        for (line, words) in [self.reason.as_deref().unwrap_or_default(), &signal].into_iter().enumerate() {
            let y = height - 46.0 + 22.0 * line as f64;
            text(&mut out, "faint", MARGIN, y, "start", &shortened(words, LETTERS));
        }
        out.push_str("</svg>\n");
        out
    }

    fn grid(&self, out: &mut String, axis: &Axis) {
        let bottom = TOP + ROW * self.steps.len() as f64;
        let step = axis.tick_ms();
        for tick in 0..=axis.span_ms / step {
            let (ms, x) = (tick * step, axis.x(tick * step));
            let top = TOP - 8.0;
            let _ = writeln!(out, "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>");
            let anchor = if x > WIDTH - 2.0 * MARGIN { "end" } else { "middle" };
            let anchor = if tick == 0 { "start" } else { anchor };
            text(out, "faint", x, TOP - 14.0, anchor, &milliseconds(ms));
        }
    }
}

/// The time from the left to the right margin.
struct Axis {
    span_ms: u64,
}

impl Axis {
    fn x(&self, ms: u64) -> f64 {
        MARGIN + (WIDTH - 2.0 * MARGIN) * (ms.min(self.span_ms) as f64 / self.span_ms as f64)
    }

    /// Returns the milliseconds between two lines of the grid. The interval is 1, 2 or 5 times a power of ten, in
    /// milliseconds below 30 s, else in minutes or hours.
    fn tick_ms(&self) -> u64 {
        let decades = (0..15).flat_map(|power| [1, 2, 5].map(|first| first * 10_u64.pow(power)));
        let fits = |tick: &u64| self.span_ms / tick <= TICKS;
        let seconds = decades.clone().take_while(|tick| *tick < 30_000).find(fits);
        let of_unit = |unit| decades.clone().map(move |tick: u64| tick.saturating_mul(unit));
        let longer = || [60_000, 3_600_000].into_iter().flat_map(of_unit).find(fits);
        seconds.or_else(longer).unwrap_or(u64::MAX)
    }
}

fn bar(out: &mut String, axis: &Axis, y: f64, step: &StepReport, class: &str) {
    let (left, right) = (axis.x(step.start_ms), axis.x(step.start_ms.saturating_add(step.duration_ms)));
    let width = (right - left).max(2.0);
    let label = format!("{}  {}", step.name, milliseconds(step.duration_ms));
    let _ = writeln!(
        out,
        "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"2\"><title>{}: {}</title></rect>",
        escaped(&label),
        step.result()
    );
    let mut start_ms = step.start_ms;
    for (at, action) in step.actions.iter().enumerate() {
        let end_ms = start_ms.saturating_add(action.duration_ms);
        let (from, to) = (axis.x(start_ms), axis.x(end_ms).min(left + width));
        start_ms = end_ms;
        if to - from < 1.0 {
            continue;
        }
        let words = match action.change {
            Change::Made => "",
            Change::AlreadyDone => ", nothing to do",
            Change::Failed => ", failed",
        };
        // Every other action is lighter, so that actions can be told apart.
        let (class, width) = (if at % 2 == 0 { "even" } else { "odd" }, to - from);
        let title = format!("{}, {}{words}", action.action, milliseconds(action.duration_ms));
        let _ = writeln!(
            out,
            "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\"><title>{}</title></rect>",
            escaped(&title)
        );
    }
    let room = label.chars().count() as f64 * LETTER + 8.0;
    let (x, anchor) = match (right + room < WIDTH - MARGIN, left - room > MARGIN) {
        (true, _) => (left + width + 8.0, "start"),
        (false, true) => (left - 8.0, "end"),
        (false, false) => (left + 8.0, "start"),
    };
    text(out, "", x, y + 14.5, anchor, &shortened(&label, LETTERS));
}

fn text(out: &mut String, class: &str, x: f64, y: f64, anchor: &str, words: &str) {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    let _ = writeln!(out, "<text{class} x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escaped(words));
}

/// Escapes a text for XML. Characters that XML can't have become spaces.
fn escaped(words: &str) -> String {
    let mut out = String::new();
    for c in words.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_has_few_lines_at_round_times() {
        for (span_ms, tick_ms) in [
            (1, 1),
            (9, 1),
            (1_300, 200),
            (95_000, 10_000),
            (300_000, 60_000),
            (605_000, 60_000),
            (7_200_000, 1_200_000),
        ] {
            let axis = Axis { span_ms };
            let tick = axis.tick_ms();
            assert!(span_ms / tick <= TICKS, "{span_ms}: {tick}");
            if span_ms < 605_001 {
                assert_eq!(tick, tick_ms, "{span_ms}");
            }
        }
        assert!(Axis { span_ms: u64::MAX }.tick_ms() > 0);
    }

    #[test]
    fn nothing_of_a_report_is_markup() {
        assert_eq!(escaped("<b a=\"1\">&\u{1b}\u{ffff}"), "&lt;b a=&quot;1&quot;&gt;&amp;  ");
    }
}

//! The progress of a run: kept current on a terminal, and a line for each change in a log.

use std::io::{IsTerminal as _, Stderr, Write as _};
use std::time::Duration;

use super::contents::{Outcome, Report, milliseconds};
use crate::text::{BAD, COLUMNS, FAINT, GOOD, NOTE, Paint, STRONG, one_line, shortened};

/// Moves to the start of the line, and clears everything from there on.
const CLEAR: &str = "\r\x1b[J";
/// Moves to the line above.
const UP: &str = "\x1b[A";
/// The width of a step's name and of a time, with the gaps behind them.
const INDENT: usize = 21;

/// The display of a run's progress.
#[derive(Debug)]
pub struct Follow {
    out: Stderr,
    paint: Paint,
    /// The width of the terminal; none in a log.
    columns: Option<usize>,
    /// Number of steps that were shown as ended.
    ended: usize,
    last: String,
    /// Number of lines on the terminal that the next drawing replaces.
    drawn: usize,
}

impl Follow {
    /// Makes a display on standard error.
    pub fn on(out: Stderr, paint: Paint) -> Self {
        let columns = out.is_terminal().then(|| {
            let size = terminal_size::terminal_size_of(&out);
            size.map_or(COLUMNS, |(width, _)| usize::from(width.0))
        });
        Follow { out, paint, columns, ended: 0, last: String::new(), drawn: 0 }
    }

    /// Shows the news of a run: its report, and `doing`, the run's own words for its current work or wait.
    pub fn say(&mut self, report: Option<&Report>, doing: &str, elapsed: Duration) {
        let steps = report.map(|report| report.steps.as_slice()).unwrap_or_default();
        // The same process begins a new run when its instance leaves a warm pool.
        if steps.len() < self.ended {
            self.ended = 0;
        }
        for step in steps.iter().skip(self.ended) {
            if step.outcome == Outcome::Running {
                break;
            }
            self.ended += 1;
            let style = if step.outcome == Outcome::Success { GOOD } else { BAD };
            let time = milliseconds(step.duration_ms);
            let name = self.paint.paint(style, &format!("{:<10}", one_line(&step.name)));
            self.line(&format!("{name} {time:>8}  {}", step.result()));
        }
        let step = steps.last().filter(|step| step.outcome == Outcome::Running).map(|step| one_line(&step.name));
        let (step, doing) = (step.unwrap_or_default(), one_line(doing));
        let doing = if doing == step { "" } else { doing.as_str() };
        match self.columns {
            Some(columns) => self.draw(&step, doing, elapsed, columns),
            None => {
                let now = format!("{step:<10} {doing}").trim_end().to_owned();
                if !now.is_empty() && now != self.last {
                    self.line(&now);
                    self.last = now;
                }
            }
        }
    }

    /// Shows a line of its own.
    pub fn line(&mut self, line: &str) {
        let begin = self.clear();
        // A failure to write, as after the reader has gone, must not stop the run from being followed.
        let _ = writeln!(self.out, "{begin}{line}");
    }

    /// Removes the lines that were kept current.
    pub fn end(&mut self) {
        let clear = self.clear();
        let _ = write!(self.out, "{clear}");
        let _ = self.out.flush();
    }

    /// Returns the codes that remove the drawn lines.
    fn clear(&mut self) -> String {
        match std::mem::take(&mut self.drawn) {
            0 => String::new(),
            lines => UP.repeat(lines - 1) + CLEAR,
        }
    }

    /// Draws the current work. The text behind a colon, which is what a wait has seen, gets a line of its own.
    fn draw(&mut self, step: &str, doing: &str, elapsed: Duration, columns: usize) {
        let time = match elapsed.as_secs() {
            seconds @ 0..60 => format!("{seconds} s"),
            seconds => milliseconds(seconds.saturating_mul(1_000)),
        };
        let (doing, seen) = doing.split_once(": ").unwrap_or((doing, ""));
        let room = columns.saturating_sub(INDENT + 1);
        let step = self.paint.paint(if step.is_empty() { STRONG } else { NOTE }, &format!("{step:<10}"));
        let time = self.paint.paint(FAINT, &format!("{time:>8}"));
        let mut text = format!("{}{step} {time}  {}", self.clear(), shortened(doing, room));
        self.drawn = 1;
        if !seen.is_empty() {
            text.push_str(&format!("\n{:INDENT$}{}", "", self.paint.paint(FAINT, &shortened(seen, room))));
            self.drawn = 2;
        }
        let _ = write!(self.out, "{text}");
        let _ = self.out.flush();
    }
}

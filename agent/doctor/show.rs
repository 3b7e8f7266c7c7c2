//! The diagnosis for a person: the most likely cause in one line, what is wrong, what is right, what is not known.

use std::fmt::Write as _;

use super::finding::{Diagnosis, Finding, Verdict};
use crate::text::{COLUMNS, wrap};

/// The width of the words before a text.
const LABEL: usize = 9;
/// The width of a check's name before its finding.
const NAME: usize = 16;

const RED: &str = "\x1b[1;31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const PLAIN: &str = "\x1b[0m";

impl Diagnosis {
    /// The text that `doctor` prints; with these words before the first problem.
    #[must_use]
    pub fn render(&self, before_cause: &str, color: bool) -> String {
        let mut out = String::new();
        let painted = |text: &str, paint: &str| match color {
            true => format!("{paint}{text}{PLAIN}"),
            false => text.to_owned(),
        };
        match self.cause() {
            Some(cause) => out.push_str(&format!("{} {}\n", painted(before_cause, RED), cause.line())),
            None => out.push_str(&format!("{}\n", painted("nothing wrong was found", GREEN))),
        }
        for finding in self.of(Verdict::Problem) {
            let _ = write!(out, "\n{}\n", painted(&format!("problem: {}", finding.check), RED));
            for (label, text) in [("found", &finding.found), ("why", &finding.why), ("do", &finding.remedy)] {
                out.push_str(&wrapped(&format!("  {label:<7}"), text, LABEL));
            }
        }
        for (verdict, label, paint) in [(Verdict::Ok, "ok", GREEN), (Verdict::Unknown, "not known", YELLOW)] {
            for (at, finding) in self.of(verdict).enumerate() {
                if at == 0 {
                    let _ = write!(out, "\n{}\n", painted(label, paint));
                }
                out.push_str(&wrapped(&format!("  {:<14}", finding.check), &finding.found, NAME));
            }
        }
        out
    }

    fn of(&self, verdict: Verdict) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.verdict == verdict)
    }
}

/// A text after its label, indented so far from the second line on.
fn wrapped(label: &str, text: &str, indent: usize) -> String {
    let lines = wrap(text, COLUMNS - indent);
    format!("{label}{}\n", lines.join(&format!("\n{:indent$}", "")))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Check;
    use super::*;

    #[test]
    fn problems_come_first_and_each_line_below_the_first_fits_the_columns() {
        let long = "words that go on and on ".repeat(12);
        let diagnosis = Diagnosis::new(vec![
            Finding::unknown(Check::Clock, &long),
            Finding::ok(Check::Disk, "there is room"),
            Finding::problem(Check::AgentLog, "it was denied", &long, "allow it"),
            Finding::problem(Check::Disk, "it is full", &long, "make room"),
        ]);
        let text = diagnosis.render("most likely:", false);
        assert_eq!(text.lines().next(), Some("most likely: it is full; make room"));
        assert!(text.lines().skip(1).all(|line| line.chars().count() <= COLUMNS), "{text}");
        let positions = ["it is full", "it was denied", "\nok\n", "\nnot known\n"].map(|words| text.rfind(words));
        assert!(positions.is_sorted() && positions[0].is_some(), "{text}");
        assert!(!text.contains('\x1b') && diagnosis.render("most likely:", true).contains(RED));
    }

    #[test]
    fn without_a_problem_nothing_is_wrong() {
        let diagnosis = Diagnosis::new(vec![Finding::ok(Check::Disk, "there is room")]);
        assert_eq!(diagnosis.cause(), None);
        assert_eq!(diagnosis.render("", false), "nothing wrong was found\n\nok\n  disk          there is room\n");
    }
}

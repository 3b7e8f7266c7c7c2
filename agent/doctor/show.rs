//! Renders the diagnosis for a person: the most likely cause, the problems, what is right, what is not known.

use std::fmt::Write as _;

use anstyle::Style;

use super::finding::{Diagnosis, Finding, Verdict};
use crate::text::{BAD, GOOD, NOTE, Paint, hanging};

/// The style of headings that tell of a problem.
const PROBLEM: Style = BAD.bold();

impl Diagnosis {
    /// Renders the text that `doctor` prints, with `before_cause` before the most likely cause.
    #[must_use]
    pub fn render(&self, before_cause: &str, paint: Paint) -> String {
        let mut out = String::new();
        match self.cause() {
            Some(cause) => out.push_str(&format!("{} {}\n", paint.paint(PROBLEM, before_cause), cause.line())),
            None => out.push_str(&format!("{}\n", paint.paint(GOOD, "nothing wrong was found"))),
        }
        for finding in self.of(Verdict::Problem) {
            let _ = write!(out, "\n{}\n", paint.paint(PROBLEM, &format!("problem: {}", finding.check)));
            for (label, text) in [("found", &finding.found), ("why", &finding.why), ("do", &finding.remedy)] {
                out.push_str(&hanging(&format!("  {label:<7}"), text));
            }
        }
        for (verdict, label, style) in [(Verdict::Ok, "ok", GOOD), (Verdict::Unknown, "not known", NOTE)] {
            for (at, finding) in self.of(verdict).enumerate() {
                if at == 0 {
                    let _ = write!(out, "\n{}\n", paint.paint(style, label));
                }
                out.push_str(&hanging(&format!("  {:<14}", finding.check), &finding.found));
            }
        }
        out
    }

    fn of(&self, verdict: Verdict) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.verdict == verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Check;
    use super::*;
    use crate::text::COLUMNS;

    #[test]
    fn problems_come_first_and_each_line_below_the_first_fits_the_columns() {
        let long = "words that go on and on ".repeat(12);
        let diagnosis = Diagnosis::new(vec![
            Finding::unknown(Check::Clock, &long),
            Finding::ok(Check::Disk, "there is room"),
            Finding::problem(Check::AgentLog, "it was denied", &long, "allow it"),
            Finding::problem(Check::Disk, "it is full", &long, "make room"),
        ]);
        let text = diagnosis.render("most likely:", Paint::Plain);
        assert_eq!(text.lines().next(), Some("most likely: it is full; make room"));
        assert!(text.lines().skip(1).all(|line| line.chars().count() <= COLUMNS), "{text}");
        let positions = ["it is full", "it was denied", "\nok\n", "\nnot known\n"].map(|words| text.rfind(words));
        assert!(positions.is_sorted() && positions[0].is_some(), "{text}");
        assert!(!text.contains('\x1b') && diagnosis.render("most likely:", Paint::Colored).contains('\x1b'));
    }

    #[test]
    fn without_a_problem_nothing_is_wrong() {
        let diagnosis = Diagnosis::new(vec![Finding::ok(Check::Disk, "there is room")]);
        assert_eq!(diagnosis.cause(), None);
        assert_eq!(
            diagnosis.render("", Paint::Plain),
            "nothing wrong was found\n\nok\n  disk          there is room\n"
        );
    }
}

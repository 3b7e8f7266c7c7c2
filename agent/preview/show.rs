//! The plan for a person: the actions of each step, each with its reason and, if known, its preview.

use std::fmt;

use serde::Serialize;

use super::rewrite::Rewrite;
use crate::plan::{Action, Plan, Planned};
use crate::text::{BAD, COLUMNS, FAINT, MARK, NO_BREAK, NOTE, Paint, STRONG, wrap};

/// The version of the JSON form of [`Preview`].
pub const VERSION: u32 = 1;
/// The column of an action's object. The verbs before the object have six letters at most.
const INDENT: usize = 10;

/// An action's end state as a run would find it, as far as a look can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Foreseen {
    /// The end state holds: there would be nothing to do.
    AlreadyDone,
    /// There would be something to do.
    ToDo,
    /// Only a run, or only root, can tell.
    Unknown,
    /// The end state can't be brought about: a run would fail here.
    Refused,
}

/// The preview of one action.
#[derive(Clone, Debug)]
pub struct Foresight {
    /// The state that a run would find.
    pub foreseen: Foreseen,
    /// The reason if a run would fail here.
    pub refusal: Option<String>,
    /// The change that the action would make to a file.
    pub rewrite: Option<Rewrite>,
}

/// A plan, with the preview of each action if the host was looked at.
#[derive(Debug)]
pub struct Preview<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The preview of each action, in order; none if the host was not looked at.
    pub foresights: Option<Vec<Foresight>>,
    /// The display of file changes.
    pub changes: Changes,
}

/// The display of file changes in a preview.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// The plan is shown without the changes of files.
    Left,
    /// The plan is shown with the lines of files that would change.
    Shown,
}

#[derive(Serialize)]
struct ShownStep<'a> {
    name: &'static str,
    actions: Vec<ShownAction<'a>>,
}

#[derive(Serialize)]
struct ShownAction<'a> {
    #[serde(flatten)]
    planned: &'a Planned,
    #[serde(skip_serializing_if = "Option::is_none")]
    foreseen: Option<Foreseen>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
}

impl Serialize for Preview<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut foresights = self.foresights.iter().flatten();
        let mut shown = |planned| {
            let foresight = foresights.next();
            ShownAction {
                planned,
                foreseen: foresight.map(|foresight| foresight.foreseen),
                refusal: foresight.and_then(|foresight| foresight.refusal.as_deref()),
                diff: foresight.and_then(|foresight| self.diff(foresight, Paint::Plain)),
            }
        };
        let steps = self.plan.steps.iter();
        let steps: Vec<_> = steps
            .map(|step| ShownStep { name: step.name, actions: step.actions.iter().map(&mut shown).collect() })
            .collect();
        let mut out = serializer.serialize_struct("Preview", 3)?;
        out.serialize_field("version", &VERSION)?;
        out.serialize_field("steps", &steps)?;
        out.serialize_field("notes", &self.plan.notes)?;
        out.end()
    }
}

impl Preview<'_> {
    fn diff(&self, foresight: &Foresight, paint: Paint) -> Option<String> {
        let rewrite = foresight.rewrite.as_ref().filter(|_| self.changes == Changes::Shown)?;
        Some(rewrite.diff(paint))
    }

    /// Returns the text that `plan` prints.
    pub fn render(&self, paint: Paint) -> String {
        let foresights = self.foresights.as_deref().unwrap_or_default();
        let mut found = foresights.iter();
        let mut out = String::new();
        for (index, step) in self.plan.steps.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n" };
            out.push_str(&format!("{gap}{}\n", paint.paint(STRONG, step.name)));
            step.actions.iter().for_each(|planned| out.push_str(&line(planned, found.next(), paint)));
        }
        if self.plan.steps.is_empty() {
            out.push_str("There is nothing to do.\n");
        }
        for note in &self.plan.notes {
            let [first, rest @ ..] = &wrap(note, COLUMNS - "note: ".len())[..] else { continue };
            out.push_str(&format!("\n{} {first}\n", paint.paint(NOTE, "note:")));
            rest.iter().for_each(|line| out.push_str(&format!("      {line}\n")));
        }
        let diffs = foresights.iter().filter_map(|foresight| self.diff(foresight, paint));
        diffs.for_each(|diff| out.push_str(&format!("\n{diff}")));
        if !foresights.is_empty() {
            out.push_str(&format!("\n{}", summary(foresights)));
        }
        out
    }
}

/// Formats one action: its verb in a column of its own, then its object, and the reason below the object.
fn line(planned: &Planned, foresight: Option<&Foresight>, paint: Paint) -> String {
    let sentence = format!("{}{}", planned.action, details(&planned.action));
    let (verb, object) = sentence.split_once(' ').unwrap_or((&sentence, ""));
    let (sign, style) = match foresight.map(|foresight| foresight.foreseen) {
        None => (" ", MARK),
        Some(Foreseen::AlreadyDone) => (" ", FAINT),
        Some(Foreseen::ToDo) => ("*", MARK),
        Some(Foreseen::Unknown) => ("?", NOTE),
        Some(Foreseen::Refused) => ("!", BAD),
    };
    let mut out = paint.paint(style, &format!("{sign} {verb:<7}"));
    for (at, line) in wrap(object, COLUMNS - INDENT).iter().enumerate() {
        let indent = if at == 0 { 1 } else { INDENT };
        out.push_str(&format!("{:indent$}{line}\n", ""));
    }
    for line in wrap(&planned.why, COLUMNS - INDENT) {
        out.push_str(&format!("{:INDENT$}{}\n", "", paint.paint(FAINT, &line)));
    }
    let refusal = foresight.and_then(|foresight| foresight.refusal.as_deref());
    for line in refusal.map(|refusal| wrap(refusal, COLUMNS - INDENT)).unwrap_or_default() {
        out.push_str(&format!("{:INDENT$}{}\n", "", paint.paint(BAD, &line)));
    }
    out
}

/// Returns details behind an action's words: the lines and mode of a file, or the timeout of a wait.
fn details(action: &Action) -> String {
    match action {
        Action::WriteFile(file) => {
            let lines = file.contents.reveal().lines().count();
            let plural = if lines == 1 { "" } else { "s" };
            format!(" ({lines}{NO_BREAK}line{plural},{NO_BREAK}{})", file.mode)
        }
        Action::RunHook(hook) => format!(", at most {}", humantime::format_duration(hook.timeout)),
        Action::PullImage(pull) => format!(", at most {}", humantime::format_duration(pull.timeout)),
        Action::WaitFor(wait) => format!(", at most {}", humantime::format_duration(wait.timeout)),
        _ => String::new(),
    }
}

fn summary(foresights: &[Foresight]) -> String {
    let count = |wanted| foresights.iter().filter(|foresight| foresight.foreseen == wanted).count();
    let (all, to_do, unknown) = (foresights.len(), count(Foreseen::ToDo), count(Foreseen::Unknown));
    let refused = count(Foreseen::Refused);
    let mut out = match (to_do, unknown + refused) {
        (0, 0) => return "Nothing would change: all of this holds already.\n".to_owned(),
        (0, _) => "No change is known.\n".to_owned(),
        _ => format!("* to do: {to_do} of {all}; the rest holds already.\n"),
    };
    if refused > 0 {
        out.push_str(&format!(
            "! refused: {refused} of {all}; a run would fail there, for the reason that is given.\n"
        ));
    }
    if unknown > 0 {
        out.push_str(&format!(
            "? not known: {unknown} of {all}; run this as root to see more; the rest only `run` can tell.\n"
        ));
    }
    out
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let preview = Preview { plan: self, foresights: None, changes: Changes::Left };
        f.write_str(&preview.render(Paint::Plain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::types::Mode;
    use crate::plan::Contents;
    use crate::preview::rewrite::Before;

    fn foresights(foreseen: &[Foreseen]) -> Vec<Foresight> {
        foreseen.iter().map(|foreseen| Foresight { foreseen: *foreseen, refusal: None, rewrite: None }).collect()
    }

    #[test]
    fn a_summary_tells_what_is_to_do_and_what_is_not_known() {
        use Foreseen::{AlreadyDone, Refused, ToDo, Unknown};
        let refused = "! refused: 1 of 3; a run would fail there, for the reason that is given.\n";
        let unknown = "? not known: 1 of 3; run this as root to see more; the rest only `run` can tell.\n";
        for (foreseen, expected) in [
            ([AlreadyDone; 3], "Nothing would change: all of this holds already.\n".to_owned()),
            ([AlreadyDone, Unknown, AlreadyDone], format!("No change is known.\n{unknown}")),
            ([ToDo, AlreadyDone, ToDo], "* to do: 2 of 3; the rest holds already.\n".to_owned()),
            ([AlreadyDone, Refused, AlreadyDone], format!("No change is known.\n{refused}")),
            ([Refused, ToDo, Unknown], format!("* to do: 1 of 3; the rest holds already.\n{refused}{unknown}")),
            ([ToDo, ToDo, Unknown], format!("* to do: 2 of 3; the rest holds already.\n{unknown}")),
        ] {
            assert_eq!(summary(&foresights(&foreseen)), expected, "{foreseen:?}");
        }
    }

    #[test]
    fn the_lines_that_change_are_shown_where_they_are_asked_for() {
        let plan = Plan { steps: Vec::new(), notes: Vec::new() };
        let after = (Contents::Open("new\n".to_owned()), Mode(0o644));
        let rewrite = Some(Rewrite::new("/etc/x", Before::Missing, Some(after)));
        for (changes, expected) in [(Changes::Left, 0), (Changes::Shown, 1)] {
            let foresights =
                Some(vec![Foresight { foreseen: Foreseen::ToDo, refusal: None, rewrite: rewrite.clone() }]);
            let shown = Preview { plan: &plan, foresights, changes }.render(Paint::Plain);
            assert_eq!(shown.matches("+++ /etc/x\n@@ -0,0 +1 @@\n+new\n").count(), expected, "{shown}");
        }
    }
}

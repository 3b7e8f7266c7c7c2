//! The change of a file, as a unified diff that shows no secret.

use similar::TextDiff;

use crate::config::types::Mode;
use crate::ecs_variables;
use crate::plan::{Contents, Edit};
use crate::secrets::redact;
use crate::text::{BAD, FAINT, GOOD, MARK, Paint, STRONG, one_line};
use crate::well_known::ECS_CONFIG;

/// Unchanged lines that are shown around each change.
const CONTEXT: usize = 3;

/// A file before and after a change.
#[derive(Clone, Debug)]
pub struct Rewrite {
    path: String,
    before: Before,
    after: Option<(Contents, Mode)>,
}

/// A file before a change.
#[derive(Clone)]
pub enum Before {
    /// There is no file.
    Missing,
    /// The file's text and mode.
    Found(String, Mode),
    /// The file can't be read, or is no text.
    Unreadable,
}

impl std::fmt::Debug for Before {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Before::Missing => "Missing",
            Before::Found(..) => "Found(***)",
            Before::Unreadable => "Unreadable",
        })
    }
}

impl Rewrite {
    /// Makes the change of a file to new contents and a new mode. `after` is none if the file is removed.
    pub fn new(path: &str, before: Before, after: Option<(Contents, Mode)>) -> Self {
        Rewrite { path: path.to_owned(), before, after }
    }

    /// Returns the change as text for a person. The lines of a file that everybody may read are shown with secrets masked.
    /// The lines of `ecs.config` are shown, since its variables are known. Any other file that only root reads may hold
    /// secrets, so its lines are not shown.
    pub fn diff(&self, paint: Paint) -> String {
        let head = |what: &str| format!("{}\n  {}\n", paint.paint(STRONG, &self.path), paint.paint(FAINT, what));
        if matches!(self.before, Before::Unreadable) {
            return head("changes, not shown: it can't be read, or is not text");
        }
        let shown: fn(&str) -> String = match (self.path == ECS_CONFIG, self.may_hold_secrets()) {
            (true, _) => shown_variable,
            (false, true) => return head("changes, not shown: it may hold secrets"),
            (false, false) => redact,
        };
        let lines = |text: &str| text.split_inclusive('\n').map(shown_line(shown)).collect::<Vec<_>>();
        let before = if let Before::Found(text, _) = &self.before { text.as_str() } else { "" };
        let after = self.after.as_ref().map_or("", |(contents, _)| contents.reveal());
        let mut out = self.mode_change().map(|change| head(&change)).unwrap_or_default();
        if before == after {
            return out;
        }
        let name = |exists: bool| if exists { self.path.as_str() } else { "/dev/null" };
        let (old, new) = (name(matches!(self.before, Before::Found(..))), name(self.after.is_some()));
        // The lines are compared before secrets are masked, so that the change of a secret shows as a change.
        let diff = TextDiff::from_lines(before, after);
        let (shown_before, shown_after) = (lines(before), lines(after));
        out.push_str(&paint.paint(STRONG, &format!("--- {old}\n+++ {new}")));
        out.push('\n');
        for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
            out.push_str(&format!("{}\n", paint.paint(MARK, &hunk.header().to_string())));
            for change in hunk.iter_changes() {
                let (sign, style, line) = match (change.old_index(), change.new_index()) {
                    (Some(at), None) => ("-", Some(BAD), shown_before.get(at)),
                    (None, Some(at)) => ("+", Some(GOOD), shown_after.get(at)),
                    (_, at) => (" ", None, at.and_then(|at| shown_after.get(at))),
                };
                let line = format!("{sign}{}", line.map(String::as_str).unwrap_or_default());
                out.push_str(&style.map_or_else(|| line.clone(), |style| paint.paint(style, &line)));
                out.push('\n');
            }
        }
        out
    }

    fn may_hold_secrets(&self) -> bool {
        let is_private = |mode: Mode| mode.0 & 0o077 == 0;
        let found = matches!(self.before, Before::Found(_, mode) if is_private(mode));
        found
            || matches!(&self.after, Some((contents, mode)) if matches!(contents, Contents::Secret(_)) || is_private(*mode))
    }

    fn mode_change(&self) -> Option<String> {
        let (Before::Found(_, old), Some((_, new))) = (&self.before, &self.after) else { return None };
        (old.0 != new.0).then(|| format!("changes its mode from {old} to {new}"))
    }
}

/// Returns a function that shows a line without its end, and without control characters.
fn shown_line(shown: fn(&str) -> String) -> impl Fn(&str) -> String {
    move |line| {
        let line = line.trim_end_matches(['\n', '\r']);
        one_line(&shown(&line.replace('\t', "    ")))
    }
}

/// Shows a line of `ecs.config`: in full if the ECS agent knows the variable and its value is no secret.
fn shown_variable(line: &str) -> String {
    if Edit::is_marker(line) {
        return line.to_owned();
    }
    let Some((name, value)) = line.split_once('=') else { return "***".to_owned() };
    match ecs_variables::kind(name) {
        Some(_) if !ecs_variables::is_secret(name, value) => redact(line),
        Some(_) => format!("{name}=***"),
        None => "***".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Mode = Mode(0o644);
    const PRIVATE: Mode = Mode(0o600);

    fn diff(path: &str, before: (&str, Mode), after: (Contents, Mode)) -> String {
        Rewrite::new(path, Before::Found(before.0.to_owned(), before.1), Some(after)).diff(Paint::Plain)
    }

    fn open(text: &str) -> Contents {
        Contents::Open(text.to_owned())
    }

    #[test]
    fn lines_that_change_are_shown_with_those_around() {
        let text = diff("/etc/x", ("a\nb\nc\n", OPEN), (open("a\nB\nc\n"), OPEN));
        assert_eq!(text, "--- /etc/x\n+++ /etc/x\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n");
        let new = Rewrite::new("/etc/x", Before::Missing, Some((open("a\n"), OPEN)));
        assert_eq!(new.diff(Paint::Plain), "--- /dev/null\n+++ /etc/x\n@@ -0,0 +1 @@\n+a\n");
        let gone = Rewrite::new("/etc/x", Before::Found("a\n".to_owned(), OPEN), None);
        assert_eq!(gone.diff(Paint::Plain), "--- /etc/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n");
        let mode = diff("/etc/x", ("a\n", OPEN), (open("a\n"), Mode(0o755)));
        assert_eq!(mode, "/etc/x\n  changes its mode from 0644 to 0755\n");
    }

    #[test]
    fn what_may_hold_a_secret_is_not_shown_on_either_side() {
        let secret = || Contents::Secret("canary-new\n".to_owned());
        for (before, after) in [
            (("canary-old\n", PRIVATE), (open("x\n"), OPEN)),
            (("canary-old\n", OPEN), (secret(), PRIVATE)),
            (("x\n", OPEN), (open("canary-new\n"), PRIVATE)),
        ] {
            assert_eq!(diff("/etc/x", before, after), "/etc/x\n  changes, not shown: it may hold secrets\n");
        }
        let shown = diff("/etc/x", ("proxy=http://u:canary@h\ntoken = canary\n", OPEN), (open("x\n"), OPEN));
        assert!(shown.contains("-proxy=http://***@h\n-token = ***\n") && !shown.contains("canary"), "{shown}");
    }

    #[test]
    fn of_ecs_config_the_variables_that_are_no_secret_are_shown() {
        let before = "ECS_CLUSTER=old\nECS_ENGINE_AUTH_DATA={\"canary\":1}\nECS_LOG_OPTS={\"token\":\"canary\"}\nOF_SOMEBODY=canary\ncanary\nHTTP_PROXY=http://u:canary@h:1\n";
        let after = "ECS_CLUSTER=new\nECS_ENGINE_AUTH_DATA={\"canary\":2}\n";
        let shown = diff(ECS_CONFIG, (before, PRIVATE), (Contents::Secret(after.to_owned()), PRIVATE));
        assert!(shown.contains("-ECS_CLUSTER=old\n") && shown.contains("+ECS_CLUSTER=new\n"), "{shown}");
        assert!(
            shown.contains("-ECS_ENGINE_AUTH_DATA=***\n") && shown.contains("+ECS_ENGINE_AUTH_DATA=***\n"),
            "{shown}"
        );
        assert!(shown.contains("-ECS_LOG_OPTS=***\n"), "{shown}");
        assert!(!shown.contains("canary"), "{shown}");
    }
}

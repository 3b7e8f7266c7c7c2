//! What is wrong with a document: where, why, and what to do about it.
//!
//! A problem ends up on a terminal, in the console log and in CloudFormation's events, so nothing that looks like a
//! secret passes through here: neither the offending line nor the message.

mod excerpt;
mod redact;
mod shorten;
mod source;

use std::fmt;
use std::sync::Arc;

use annotate_snippets::renderer::{DEFAULT_LINE_NUM_STYLE, DecorStyle};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use excerpt::{Excerpt, LINE_WIDTH};
use shorten::{shortened, visible};

pub use redact::{is_secret_key, redact, redact_json};
pub use source::{Source, Span};

/// Problems of a document that are told. Nobody reads more, and to find and show each takes its time.
pub const MOST: usize = 100;

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where; nothing when it has no place, such as user data that is too long.
    pub span: Option<Span>,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Problem {
    /// A problem with a place in a document.
    pub fn at(span: &Span, message: impl Into<String>) -> Self {
        Self { span: Some(span.clone()), message: message.into(), remedy: None }
    }

    /// A problem without a place.
    pub fn general(message: impl Into<String>) -> Self {
        Self { span: None, message: message.into(), remedy: None }
    }

    /// What is said in place of all problems from the [`MOST`] on, or from fewer where they are dear to find.
    pub fn too_many() -> Self {
        Self::general("there are more problems; the others aren't shown")
    }

    /// The same problem with a remedy.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// The line in its document, from 1.
    pub fn line(&self) -> Option<usize> {
        Some(self.span.as_ref()?.position().0)
    }

    /// The column in its line, in characters, from 1.
    pub fn column(&self) -> Option<usize> {
        Some(self.span.as_ref()?.position().1)
    }

    /// The problem as a compiler shows it: message, place, the offending line without its secrets, remedy.
    pub fn render(&self, color: bool) -> String {
        self.render_as(Level::ERROR, color)
    }

    /// The same for what is no mistake, but should be known.
    pub fn render_as_warning(&self, color: bool) -> String {
        self.render_as(Level::WARNING, color)
    }

    /// Message and remedy in one line each, without secrets.
    pub fn words(&self) -> (String, Option<String>) {
        (one_line(&self.message), self.remedy.as_deref().map(one_line))
    }

    fn render_as(&self, level: Level<'_>, color: bool) -> String {
        let message = one_line(&self.message);
        let remedy = self.remedy.as_deref().map(one_line);
        let help = remedy.as_deref().map(|text| Level::HELP.message(text));
        let mut group = Group::with_title(level.primary_title(&*message));
        let excerpt = self.span.as_ref().map(Excerpt::of);
        if let Some(excerpt) = &excerpt {
            let caret = AnnotationKind::Primary.span(excerpt.caret.clone());
            group = group.element(Snippet::source(&*excerpt.text).line_start(excerpt.line).annotation(caret));
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let rendered =
            renderer.decor_style(DecorStyle::Ascii).term_width(2 * LINE_WIDTH).render(&[group.elements(help)]);
        match (&self.span, &excerpt) {
            (Some(span), Some(excerpt)) => with_place(&rendered, span, excerpt, color),
            _ => rendered,
        }
    }
}

/// Adds the line with the place below the message. The renderer would count the column in the excerpt, which is the
/// wrong one after masking and shortening.
fn with_place(rendered: &str, span: &Span, excerpt: &Excerpt, color: bool) -> String {
    let (title, rest) = rendered.split_once('\n').unwrap_or((rendered, ""));
    let indent = " ".repeat(excerpt.line.to_string().len());
    let arrow = match color {
        true => format!("{DEFAULT_LINE_NUM_STYLE}-->{DEFAULT_LINE_NUM_STYLE:#}"),
        false => "-->".into(),
    };
    let name = span.source.shown_name();
    format!("{title}\n{indent}{arrow} {name}:{}:{}\n{rest}", excerpt.line, excerpt.column)
}

impl fmt::Display for Problem {
    /// One line, for logs and for CloudFormation: `user-data.yaml:4:3: unknown key ...; did you mean ...?`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(span) = &self.span {
            let (line, column) = span.position();
            write!(f, "{}:{line}:{column}: ", span.source.shown_name())?;
        }
        f.write_str(&one_line(&self.message))?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {}", one_line(remedy)),
            None => Ok(()),
        }
    }
}

/// Sorts by document, in the order in which they first appear, then by place, and drops repetitions.
pub fn sort(problems: &mut Vec<Problem>) {
    let mut order: Vec<Arc<Source>> = Vec::new();
    for span in problems.iter().filter_map(|problem| problem.span.as_ref()) {
        if !order.contains(&span.source) {
            order.push(span.source.clone());
        }
    }
    problems.sort_by_key(|problem| {
        let span = problem.span.as_ref();
        span.map(|span| (order.iter().position(|source| *source == span.source), span.start))
    });
    problems.dedup();
}

/// A message as one line, not too long, without secrets and control characters.
pub(super) fn one_line(text: &str) -> String {
    visible(&shortened(&redact(text).replace('\n', " ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problem(text: &str, place: &str) -> Problem {
        let start = text.find(place).unwrap();
        let source = Source::new("user-data.yaml", text);
        let end = start + place.len();
        Problem::at(&Span { source, start, end }, "unknown key `clusterr`").remedy("did you mean `cluster`?")
    }

    #[test]
    fn a_problem_looks_like_a_compilers() {
        let shown = problem("#ecs-firstrun\necs:\n  clusterr: blue\n", "clusterr").render(false);
        let wanted = "\
error: unknown key `clusterr`
 --> user-data.yaml:3:3
  |
3 |   clusterr: blue
  |   ^^^^^^^^
  |
  = help: did you mean `cluster`?";
        assert_eq!(shown, wanted);
        assert!(problem("clusterr: x", "clusterr").render(true).contains("\u{1b}["));
        let shown = problem("clusterr: x", "clusterr").render_as_warning(false);
        assert!(shown.starts_with("warning: unknown key `clusterr`\n --> user-data.yaml:1:1\n"), "{shown}");
    }

    #[test]
    fn the_words_of_a_problem_are_in_one_line_each_and_without_secrets() {
        let problem = Problem::general("a\nb of http://me:pass@h");
        assert_eq!(problem.words(), ("a b of http://***@h".to_owned(), None));
        let problem = problem.remedy("write\nhttp://me:pass@h");
        assert_eq!(problem.words().1.as_deref(), Some("write http://***@h"));
    }

    #[test]
    fn sources_are_the_same_by_their_name_and_text() {
        let source = |name, text| Source::new(name, text);
        assert_eq!(source("a", "x"), source("a", "x"));
        assert_ne!(source("a", "x"), source("b", "x"));
        assert_ne!(source("a", "x"), source("a", "y"));
    }

    #[test]
    fn a_problem_without_a_place_is_its_message() {
        let shown = Problem::general("the user data is too long").remedy("shorten it").render(false);
        assert_eq!(shown, "error: the user data is too long\n |\n = help: shorten it");
    }

    #[test]
    fn a_long_line_is_shortened_around_the_place() {
        let (long, shown_before, shown_after) = ("a".repeat(5000), "a".repeat(40), "a".repeat(77));
        for (before, after, hidden, wanted) in [
            ("", "", false, "BAD".to_owned()),
            (&*shown_before, &*shown_after, false, format!("{shown_before}BAD{shown_after}")),
            (&long[..100], &long[..100], false, format!("...{shown_before}BAD{shown_after}...")),
            (&long, &long, false, format!("...{shown_before}BAD{shown_after}...")),
            (&long, "", false, format!("...{shown_before}BAD")),
            ("", &long, false, format!("BAD{shown_after}...")),
            (&long, &long, true, "...***BAD***...".to_owned()),
        ] {
            let problem = problem(&format!("{before}BAD{after}"), "BAD");
            let span = problem.span.as_ref().unwrap();
            if hidden {
                span.source.hide(0..span.start);
                span.source.hide(span.end..span.source.text.len());
            }
            let shown = problem.render(false);
            let lines: Vec<&str> = shown.lines().collect();
            assert_eq!(lines[3], format!("1 | {wanted}"));
            assert_eq!(lines[4], format!("  | {}^^^", " ".repeat(wanted.find("BAD").unwrap())));
            assert_eq!(lines[1], format!(" --> user-data.yaml:1:{}", before.len() + 1));
        }
        let text = long.repeat(2);
        let whole = Span { source: Source::new("x", &*text), start: 0, end: text.len() };
        let shown = Problem::at(&whole, "x").render(false);
        assert!(shown.lines().all(|line| line.len() < 150), "{shown}");
    }

    #[test]
    fn the_caret_points_behind_a_mask() {
        let shown = problem("proxy: {url: \"http://me:hunter2@host\", clusterr: 1}", "clusterr").render(false);
        let lines: Vec<&str> = shown.lines().collect();
        let at = lines[3].find("clusterr").unwrap();
        assert_eq!(lines[4].find('^'), Some(at), "{shown}");
        assert!(!shown.contains("hunter2"));
    }

    #[test]
    fn secrets_are_masked() {
        let table = [
            ("url: http://me:pass@proxy:3128", "url: http://***@proxy:3128"),
            ("url: http://me:pa@ss wo\"rd@proxy:3128", "url: http://***@proxy:3128"),
            ("[\"http://a:b@h\", \"http://c:d@h\"]", "[\"http://***@h\", \"http://***@h\"]"),
            ("url: http://me:pass/a", "url: http://***/a"),
            ("url: \"http://pass", "url: \"http://***"),
            ("url: \"http://@pass", "url: \"http://***"),
            ("url: \"http://proxy\"", "url: \"http://proxy\""),
            ("url: http://[fd00::1]:3128", "url: http://[fd00::1]:3128"),
            ("url=me:pass@proxy", "url=***@proxy"),
            ("[\"me:pass@proxy\"]", "[\"***@proxy\"]"),
            ("PASSWORD: http://u:p@h/?x=y", "PASSWORD: ***"),
            ("url: me:pass@proxy", "url: ***@proxy"),
            ("url: us:pa: ss@proxy", "url: ***@proxy"),
            ("- me:pass@proxy", "- ***@proxy"),
            ("[\"me:pass@proxy\", \"http://me:pass@h\"]", "[\"***@proxy\", \"http://***@h\"]"),
            ("[\"http://h\", \"me:pass@proxy\"]", "[\"http://h\", \"***@proxy\"]"),
            ("url=me:pass@proxy url=http://me:pass@h", "url=***@proxy url=http://***@h"),
            ("the proxy `http://me:pass@p` has no port", "the proxy `http://***@p` has no port"),
            ("{\"a\":\"http://u:p@h\",\"b\":1}", "{\"a\":\"http://***@h\",\"b\":1}"),
            ("h: https://s3/x?Signature=a&b=c", "h: https://s3/x?***"),
            ("ECS_ENGINE_AUTH_DATA: '{\"x\": 1}'", "ECS_ENGINE_AUTH_DATA: ***"),
            ("{\"AWS_SECRET_ACCESS_KEY\" : \"x\"}", "{\"AWS_SECRET_ACCESS_KEY\" : ***"),
            ("AWS_ACCESS_KEY_ID=AKIA", "AWS_ACCESS_KEY_ID=***"),
            ("my-password: x, y: z", "my-password: ***"),
            ("mail: me@example.com", "mail: me@example.com"),
            ("url: http://proxy:3128/a", "url: http://proxy:3128/a"),
            ("`a.PASSWORD` is a number", "`a.PASSWORD` is a number"),
            ("", ""),
        ];
        for (text, wanted) in table {
            assert_eq!(redact(text), wanted);
        }
    }

    #[test]
    fn the_lines_below_a_secret_key_are_masked() {
        let text = "ecs:\n  config:\n    ECS_ENGINE_AUTH_DATA: |\n      {\"https://x\": {\n\n        \"auth\": \"c2VjcmV0\"}}\n    A: clusterr\n";
        let shown = problem(text, "c2VjcmV0").render(false);
        assert!(!shown.contains("c2VjcmV0") && shown.contains("\n6 |         ***\n"), "{shown}");
        assert!(problem(text, "clusterr").render(false).contains("A: clusterr"));
    }

    #[test]
    fn what_the_loader_hides_is_masked() {
        let problem = problem("[visible, hushhush]", "hushhush");
        problem.span.as_ref().unwrap().source.hide(10..18);
        assert!(problem.render(false).contains("[visible, ***]"));
    }

    #[test]
    fn control_characters_are_made_visible() {
        let mut problem = problem("a: \u{1b}[31mBAD\u{9b}", "BAD");
        problem.message = "bad\n\u{1b}[2J".into();
        let shown = problem.render(false);
        assert!(!shown.contains(['\u{1b}', '\u{9b}']), "{shown}");
    }

    #[test]
    fn problems_sort_by_document_then_place() {
        let (one, two) = (Source::new("one", "abc"), Source::new("two", "abc"));
        let at = |source: &Arc<Source>, start| Problem::at(&Span { source: source.clone(), start, end: 3 }, "x");
        let mut problems = vec![at(&two, 2), at(&one, 1), at(&two, 0), at(&two, 2), Problem::general("y")];
        sort(&mut problems);
        let wanted = vec![Problem::general("y"), at(&two, 0), at(&two, 2), at(&one, 1)];
        assert_eq!(problems, wanted);
    }

    proptest! {
        #[test]
        fn rendering_never_panics(text in "(?s).{0,80}", start in 0..300usize, length in 0..300usize) {
            let source = Source::new("x", text);
            source.hide(start..start + length);
            let span = Span { source, start, end: start.saturating_add(length) };
            let problem = Problem::at(&span, span.source.text.clone());
            problem.render(true);
            let _ = (problem.to_string(), problem.line(), problem.column());
        }

        #[test]
        fn a_password_is_never_shown(secret in "[!#-&(-_a-~]{6,12}", before in "[ -~]{0,20}") {
            let line = format!("{before}http://me:{secret}@proxy");
            prop_assume!(!before.contains(&secret) && !"http://proxy***".contains(&secret));
            let shown = problem(&line, "http").render(false);
            prop_assert!(!shown.contains(&format!("me:{secret}")), "{shown}");
        }
    }
}

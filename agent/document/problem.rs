//! A problem with a document: its place, its reason, and its remedy.
//!
//! A problem ends up on a terminal, in the console log and in CloudFormation's events, so its message never holds a secret.
//! The maker of the message knows the value's place, and the document knows the secrets at that place ([`Span::shown`]). The
//! offending line is shown without the secrets that the document knows.

mod excerpt;
mod shorten;
mod source;

use std::fmt;
use std::sync::Arc;

use annotate_snippets::renderer::{DEFAULT_LINE_NUM_STYLE, DecorStyle};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use excerpt::{Excerpt, LINE_WIDTH};
use shorten::{shortened, visible};

pub(crate) use shorten::cut;
pub(super) use shorten::{is_odd_space, visible_char};
pub use source::{Source, Span};

/// The most problems of a document that are told. Nobody reads more, and finding and showing each takes time.
pub const MOST: usize = 100;

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The place; none for a problem without one, such as user data that is too long.
    pub span: Option<Span>,
    /// The message, without a full stop.
    pub message: String,
    /// The remedy.
    pub remedy: Option<String>,
    /// Another place, whose line ends the remedy: "the first is" becomes "the first is in line 3".
    pub related: Option<Span>,
    /// The part of the document that is affected.
    pub extent: Extent,
}

/// The part of a document that a problem affects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Extent {
    /// One value: another program that reads the same document may not mind it.
    #[default]
    Value,
    /// The document: the text behind the place was not read.
    Document,
}

impl Problem {
    /// Makes a problem with a place in a document.
    pub fn at(span: &Span, message: impl Into<String>) -> Self {
        Self { span: Some(span.clone()), ..Self::general(message) }
    }

    /// Makes a problem without a place.
    pub fn general(message: impl Into<String>) -> Self {
        Self { span: None, message: message.into(), remedy: None, related: None, extent: Extent::Value }
    }

    /// Makes the last problem, which stands in place of all problems from the [`MOST`] on. Where problems are costly to
    /// find, this problem comes earlier.
    pub fn too_many() -> Self {
        Self::general("there are more problems; the others aren't shown")
    }

    /// Adds a remedy to the problem.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Marks the problem as one that ends the reading of the document.
    #[must_use]
    pub fn of_document(self) -> Self {
        Self { extent: Extent::Document, ..self }
    }

    /// Returns the remedy, with the line of the place that ends it.
    fn whole_remedy(&self) -> Option<String> {
        let line = self.related.as_ref().map(|span| format!(" in line {}", span.position().0));
        self.remedy.as_deref().map(|remedy| one_line(&format!("{remedy}{}", line.unwrap_or_default())))
    }

    /// Returns the place for the beginning of a line, as `user-data.yaml:4:3: `; empty without a place.
    pub fn place(&self) -> String {
        let place = |span: &Span| {
            let (line, column) = span.position();
            format!("{}:{line}:{column}: ", span.source.shown_name())
        };
        self.span.as_ref().map(place).unwrap_or_default()
    }

    /// Returns the problem's line in its document, from 1.
    pub fn line(&self) -> Option<usize> {
        Some(self.span.as_ref()?.position().0)
    }

    /// Returns the problem's column in its line, in characters, from 1.
    pub fn column(&self) -> Option<usize> {
        Some(self.span.as_ref()?.position().1)
    }

    /// Shows the problem as a compiler does: message, place, the offending line without its secrets, remedy.
    pub fn render(&self, color: bool) -> String {
        self.render_as(Level::ERROR, color)
    }

    /// Shows the problem in the same way, as a warning: it is no mistake, but should be known.
    pub fn render_as_warning(&self, color: bool) -> String {
        self.render_as(Level::WARNING, color)
    }

    /// Returns message and remedy in one line each.
    pub fn words(&self) -> (String, Option<String>) {
        (one_line(&self.message), self.whole_remedy())
    }

    fn render_as(&self, level: Level<'_>, color: bool) -> String {
        let message = one_line(&self.message);
        let remedy = self.whole_remedy();
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

/// Adds the line with the place below the message. The renderer would count the column in the excerpt, where masking and
/// shortening have changed it.
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
    /// Writes one line, for logs and for CloudFormation: `user-data.yaml:4:3: unknown key ...; did you mean ...?`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remedy = self.whole_remedy().map(|remedy| format!("; {remedy}")).unwrap_or_default();
        write!(f, "{}{}{remedy}", self.place(), one_line(&self.message))
    }
}

/// Sorts by document, in this order, then by place, and drops repetitions.
pub fn sort(problems: &mut Vec<Problem>, order: &[Arc<Source>]) {
    problems.sort_by_key(|problem| {
        let span = problem.span.as_ref();
        span.map(|span| (order.iter().position(|source| *source == span.source), span.start))
    });
    problems.dedup();
}

/// Writes a message as one line, not too long, without control characters.
pub(crate) fn one_line(text: &str) -> String {
    visible(&shortened(&text.replace('\n', " ")))
}

#[cfg(test)]
mod tests {
    use std::iter::{empty, once};
    use std::ops::Range;

    use super::*;
    use proptest::prelude::*;

    fn read(name: &str, text: &str, secrets: impl IntoIterator<Item = Range<usize>>) -> Arc<Source> {
        let source = Source::new(name, text);
        source.set_secrets(secrets);
        source
    }

    fn problem(text: &str, place: &str) -> Problem {
        let start = text.find(place).unwrap();
        let source = read("user-data.yaml", text, empty());
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
    fn the_words_of_a_problem_are_in_one_line_each() {
        let problem = Problem::general("a\nb: c@d");
        assert_eq!(problem.words(), ("a b: c@d".to_owned(), None));
        let span = Span { source: Source::new("x", "a\nb"), start: 2, end: 3 };
        let problem = Problem { related: Some(span), ..problem.remedy("keep one; the\nfirst is") };
        assert_eq!(problem.words().1.as_deref(), Some("keep one; the first is in line 2"));
        assert!(problem.to_string().ends_with("; keep one; the first is in line 2"));
    }

    #[test]
    fn nothing_is_shown_of_a_text_before_its_secrets_are_known() {
        let span = Span { source: Source::new("x", "a: secret"), start: 3, end: 9 };
        let shown = Problem::at(&span, span.shown_in_backticks("`secret` is `wrong`")).render(false);
        assert!(!shown.contains("secret") && shown.contains("`***` is `***`"), "{shown}");
        let known = Problem::at(&span, "`secret`");
        span.source.set_secrets(once(4..5));
        assert!(known.render(false).contains("a: s***cret"), "{}", known.render(false));
    }

    #[test]
    fn of_a_quoted_value_the_secret_parts_are_masked_and_our_words_are_not() {
        let text = "http://u:pw@h/x pw";
        let source = read("x", text, once(7..11));
        let span = Span { source, start: 0, end: text.len() };
        assert_eq!(span.shown_in_backticks("u:pw: `http://u:pw@h` is `u:pw`"), "u:pw: `http://***@h` is `***`");
        // With a backtick in the value itself, nothing between the first and the last backtick is shown.
        let text = "http://u:`p@h";
        let source = read("x", text, once(7..11));
        let span = Span { source, start: 0, end: text.len() };
        assert_eq!(span.shown_in_backticks("that `http://u:`p@h` is bad"), "that `***` is bad");
        assert_eq!(span.shown_in_backticks("that is bad"), "that is bad");
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
        let problem = |text: &str, hides_others: bool| {
            let start = text.find("BAD").unwrap();
            let end = start + "BAD".len();
            let secrets = if hides_others { vec![0..start, end..text.len()] } else { Vec::new() };
            Problem::at(&Span { source: read("user-data.yaml", text, secrets), start, end }, "x")
        };
        for (before, after, hidden, wanted) in [
            ("", "", false, "BAD".to_owned()),
            (&*shown_before, &*shown_after, false, format!("{shown_before}BAD{shown_after}")),
            (&long[..100], &long[..100], false, format!("...{shown_before}BAD{shown_after}...")),
            (&long, &long, false, format!("...{shown_before}BAD{shown_after}...")),
            (&long, "", false, format!("...{shown_before}BAD")),
            ("", &long, false, format!("BAD{shown_after}...")),
            (&long, &long, true, "...***BAD***...".to_owned()),
        ] {
            let shown = problem(&format!("{before}BAD{after}"), hidden).render(false);
            let lines: Vec<&str> = shown.lines().collect();
            assert_eq!(lines[3], format!("1 | {wanted}"));
            assert_eq!(lines[4], format!("  | {}^^^", " ".repeat(wanted.find("BAD").unwrap())));
            assert_eq!(lines[1], format!(" --> user-data.yaml:1:{}", before.len() + 1));
        }
        let text = long.repeat(2);
        let whole = Span { source: read("x", &text, empty()), start: 0, end: text.len() };
        let shown = Problem::at(&whole, "x").render(false);
        assert!(shown.lines().all(|line| line.len() < 150), "{shown}");
    }

    #[test]
    fn the_caret_points_behind_a_mask() {
        let text = "proxy: {url: \"http://me:hunter2@host\", clusterr: 1}";
        let start = text.find("clusterr").unwrap();
        let source = read("user-data.yaml", text, once(21..31));
        let shown = Problem::at(&Span { source, start, end: start + "clusterr".len() }, "unknown key").render(false);
        let lines: Vec<&str> = shown.lines().collect();
        let at = lines[3].find("clusterr").unwrap();
        assert_eq!(lines[4].find('^'), Some(at), "{shown}");
        assert!(shown.contains("http://***@host"), "{shown}");
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
        sort(&mut problems, &[one.clone(), two.clone()]);
        let wanted = vec![Problem::general("y"), at(&one, 1), at(&two, 0), at(&two, 2)];
        assert_eq!(problems, wanted);
    }

    proptest! {
        #[test]
        fn rendering_never_panics(text in "(?s).{0,80}", start in 0..300usize, length in 0..300usize) {
            let secret = start.min(text.len())..(start + length).min(text.len());
            let source = read("x", &text, once(secret));
            let span = Span { source, start, end: start.saturating_add(length) };
            let problem = Problem::at(&span, &*span.source.text);
            problem.render(true);
            let _ = (problem.to_string(), problem.line(), problem.column());
        }
    }
}

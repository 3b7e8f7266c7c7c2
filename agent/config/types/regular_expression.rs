//! Regular expressions of the CloudWatch agent, in the syntax of Go.

use std::fmt;

use regex_syntax::ast::{self, Ast};
use serde::{Deserialize, Serialize};

use super::checked_text::{checked_text, is_word};
use super::log_formats::check_length;

checked_text! {
    /// A regular expression in the syntax of Go.
    RegularExpression, check_regular_expression
}

checked_text! {
    /// The regular expression of an event's first line, or `{timestamp_format}`: where a line has a time.
    StartPattern, |text| match text == StartPattern::TIMESTAMP_FORMAT {
        true => Ok(()),
        false => check_regular_expression(text),
    }
}

impl StartPattern {
    /// The text in place of the regular expression that the CloudWatch agent makes of the format of the times.
    pub const TIMESTAMP_FORMAT: &str = "{timestamp_format}";
}

/// Checks a regular expression in the syntax of Go, as far as regex-syntax, made for Rust's similar syntax, can tell. Syntax
/// that only Rust knows is refused, and so is syntax that only Go knows (`\C`, `\Q…\E`, a lone brace or bracket), for which
/// there is another spelling.
fn check_regular_expression(text: &str) -> Result<(), String> {
    check_length(text, "regular expression")?;
    let ast = ast::parse::ParserBuilder::new().nest_limit(250).build().parse(text).map_err(|error| {
        let at = text.get(error.span().start.offset..).filter(|rest| !rest.is_empty());
        let place = at.map(|rest| format!(" at `{rest}`")).unwrap_or_default();
        format!("`{text}` is not a regular expression{place}: {}\n{GO}", error.kind())
    })?;
    ast::visit(&ast, OfRust::default())
        .map_err(|what| format!("`{text}` has {what}, which is not of Go's syntax\n{GO}"))
}

const GO: &str = "the CloudWatch agent reads the syntax of Go (RE2); \\ makes the sign after it literal";

/// The greatest size of a regular expression, in signs. This size is well below Go's limit: 128 MiB of instructions of 40
/// bytes (`regexp/syntax/parse.go`).
const MOST_SIGNS: u32 = 1_000_000;

/// Finds what Rust's syntax has and Go's has not.
#[derive(Default)]
struct OfRust {
    /// The repeat counts of the open repetitions.
    repetitions: Vec<u32>,
    /// The signs that were visited, each counted as often as it is repeated.
    size: u32,
}

impl ast::Visitor for OfRust {
    type Output = ();
    type Err = String;

    fn finish(self) -> Result<(), String> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), String> {
        self.size = self.size.saturating_add(self.times());
        if self.size > MOST_SIGNS {
            return Err(format!("more than {MOST_SIGNS} signs, with repetitions counted"));
        }
        match ast {
            Ast::Flags(set) => of_go_flags(&set.flags),
            Ast::Group(group) => of_go_group(group),
            Ast::Assertion(assertion) => match assertion.kind {
                ast::AssertionKind::StartLine
                | ast::AssertionKind::EndLine
                | ast::AssertionKind::StartText
                | ast::AssertionKind::EndText
                | ast::AssertionKind::WordBoundary
                | ast::AssertionKind::NotWordBoundary => Ok(()),
                _ => Err("an assertion on one end of a word".to_owned()),
            },
            Ast::Repetition(repetition) => self.repetition(repetition),
            Ast::Literal(literal) => of_go_literal(literal),
            Ast::ClassUnicode(class) => of_go_class(class),
            _ => Ok(()),
        }
    }

    fn visit_post(&mut self, ast: &Ast) -> Result<(), String> {
        if matches!(ast, Ast::Repetition(_)) {
            self.repetitions.pop();
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ast::ClassSetItem) -> Result<(), String> {
        match item {
            ast::ClassSetItem::Bracketed(_) => Err("a class within a class".to_owned()),
            ast::ClassSetItem::Literal(literal) => of_go_literal(literal),
            ast::ClassSetItem::Range(range) => of_go_literal(&range.start).and_then(|()| of_go_literal(&range.end)),
            ast::ClassSetItem::Unicode(class) => of_go_class(class),
            _ => Ok(()),
        }
    }

    fn visit_class_set_binary_op_pre(&mut self, _: &ast::ClassSetBinaryOp) -> Result<(), String> {
        Err("an operation on classes".to_owned())
    }
}

impl OfRust {
    /// Checks a repetition. Go takes at most 1,000 times, with the times of nested repetitions multiplied.
    fn repetition(&mut self, repetition: &ast::Repetition) -> Result<(), String> {
        if matches!(*repetition.ast, Ast::Repetition(_)) {
            return Err("a repetition right after another".to_owned());
        }
        let times = match &repetition.op.kind {
            ast::RepetitionKind::Range(
                ast::RepetitionRange::Exactly(times)
                | ast::RepetitionRange::AtLeast(times)
                | ast::RepetitionRange::Bounded(_, times),
            ) => *times,
            _ => 1,
        };
        self.repetitions.push(times.max(1));
        match self.times() <= 1000 {
            true => Ok(()),
            false => Err("more than 1,000 repetitions".to_owned()),
        }
    }

    /// Multiplies the repeat counts of the open repetitions.
    fn times(&self) -> u32 {
        self.repetitions.iter().fold(1, |all: u32, times| all.saturating_mul(*times))
    }
}

fn of_go_group(group: &ast::Group) -> Result<(), String> {
    match &group.kind {
        ast::GroupKind::CaptureName { starts_with_p: false, .. } => {
            Err("`(?<name>` in place of `(?P<name>`".to_owned())
        }
        ast::GroupKind::CaptureName { name, .. } if !is_word(&name.name, "_") => {
            Err(format!("a group named `{}`", name.name))
        }
        ast::GroupKind::NonCapturing(flags) => of_go_flags(flags),
        _ => Ok(()),
    }
}

fn of_go_flags(flags: &ast::Flags) -> Result<(), String> {
    let is_of_rust = |item: &&ast::FlagsItem| {
        use ast::Flag::{CRLF, IgnoreWhitespace, Unicode};
        matches!(item.kind, ast::FlagsItemKind::Flag(CRLF | IgnoreWhitespace | Unicode))
    };
    flags.items.iter().find(is_of_rust).map_or(Ok(()), |_| Err("one of the flags R, u and x".to_owned()))
}

fn of_go_literal(literal: &ast::Literal) -> Result<(), String> {
    use ast::{HexLiteralKind, LiteralKind};
    match &literal.kind {
        LiteralKind::HexFixed(HexLiteralKind::X) | LiteralKind::HexBrace(HexLiteralKind::X) => Ok(()),
        LiteralKind::HexFixed(_) | LiteralKind::HexBrace(_) => Err("\\u or \\U in place of \\x{…}".to_owned()),
        _ => Ok(()),
    }
}

/// The general categories of Unicode, which Go knows by these names only. Besides categories, Go knows scripts.
const CATEGORIES: &str =
    " C Cc Cf Co Cs L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs ";

fn of_go_class(class: &ast::ClassUnicode) -> Result<(), String> {
    let name = match &class.kind {
        ast::ClassUnicodeKind::OneLetter(letter) => letter.to_string(),
        ast::ClassUnicodeKind::Named(name) => name.clone(),
        ast::ClassUnicodeKind::NamedValue { name, value, .. } => format!("{name}={value}"),
    };
    match CATEGORIES.contains(&format!(" {name} ")) {
        true => Ok(()),
        false => Err(format!("the class \\p{{{name}}} in place of a general category, such as \\p{{Lu}}")),
    }
}

//! The check of each user data, in each world.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::functions::InStack;
use super::nodes::function;
use super::problems_by_world::ProblemsByWorld;
use super::search::{MOST, Search};
use super::sections::Template;
use super::surroundings::Surroundings;
use super::text::Text;
use super::user_data::UserDataPlace;
use super::world::World;
use crate::config::{self, Parsed};
use crate::document::decode::{Decoded, Document, Note, base64_wrapped};
use crate::document::problem::{self, Extent, Problem, Source, Span};
use crate::document::secret_places;
use crate::document::yaml::Loaded;
use crate::validate::launch::{of_launch, size_for_ec2};
use crate::validate::validation::Validation;
use crate::validate::{proxy, warnings, without_effect};

/// Most worlds that are tried in a whole template, besides the first world of each user data.
const MOST_IN_ALL: usize = 2_000;
/// Most bytes of user data that are read in worlds besides the first, since reading takes time.
const MOST_BYTES: usize = 512 << 10;

/// Checks one template.
pub(super) struct Checker<'a> {
    name: &'a str,
    source: &'a Arc<Source>,
    /// The secrets of the template, as byte ranges.
    secrets: Vec<Range<usize>>,
    worlds: usize,
    bytes: usize,
    /// Set once the note is given that not all combinations are checked.
    is_exhausted: bool,
    /// Set if any stack has user data.
    pub(super) user_data_exists: bool,
    notes_said: HashSet<String>,
    pub(super) verdict: Validation,
}

/// The findings in one world.
#[derive(Default)]
struct WorldFindings {
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
    notes: Vec<String>,
    /// The notes on documents that are left to cloud-init. The notes are given only if no world has configuration.
    left: Vec<String>,
    secrets: Vec<Range<usize>>,
    found: bool,
    depends_on_stack: bool,
    /// Set if there is user data in this world.
    exists: bool,
    /// The bytes of user data that were read for this world.
    bytes: usize,
    /// The warning that nothing waits for the signal. The warning counts only if every world with a signal has it.
    nobody_waits: Option<Problem>,
    signals: bool,
}

impl<'a> Checker<'a> {
    pub(super) fn new(name: &'a str, source: &'a Arc<Source>, loaded: &Loaded) -> Self {
        let secrets = secret_places::find(&source.text, loaded, secret_places::Part::Template);
        let verdict = Validation { errors: loaded.problems.clone(), is_template: true, ..Validation::of(name) };
        Checker {
            name,
            source,
            secrets,
            worlds: 0,
            bytes: 0,
            is_exhausted: false,
            user_data_exists: false,
            notes_said: HashSet::new(),
            verdict,
        }
    }

    /// Checks one user data in every world.
    pub(super) fn check(&mut self, template: &Template<'_>, place: &UserDataPlace<'_>) {
        let label = format!("{}, UserData of {}", self.name, place.resource);
        let mut search = Search::new();
        let (mut errors, mut warned) = (ProblemsByWorld::default(), ProblemsByWorld::default());
        let (mut nobody_waits, mut signals) = (Vec::new(), 0);
        let (mut left, mut found) = (Vec::new(), false);
        let mut parsed = HashMap::new();
        let mut tried = 0;
        while let Some(choices) = search.next() {
            if tried == MOST || (tried > 0 && (self.worlds >= MOST_IN_ALL || self.bytes >= MOST_BYTES)) {
                if !std::mem::replace(&mut self.is_exhausted, tried < MOST) {
                    self.note(format!(
                        "{label}: checked {tried} combinations of its conditions; the others were not checked"
                    ));
                }
                break;
            }
            self.worlds += usize::from(tried > 0);
            tried += 1;
            let world = World::new(template, choices);
            for outcome in check_in(&world, place, &label, &mut parsed) {
                self.bytes += if tried > 1 { outcome.bytes } else { 0 };
                if outcome.exists {
                    let traits = world.traits();
                    errors.add(&traits, outcome.errors);
                    warned.add(&traits, outcome.warnings);
                }
                nobody_waits.extend(outcome.nobody_waits);
                signals += usize::from(outcome.signals);
                found |= outcome.found;
                left.extend(outcome.left);
                self.user_data_exists |= outcome.exists || outcome.depends_on_stack;
                self.verdict.depends_on_stack |= outcome.depends_on_stack;
                self.secrets.extend(outcome.secrets);
                outcome.notes.into_iter().for_each(|note| self.note(note));
            }
            search.extend(world.into_choices());
        }
        if !found {
            left.into_iter().for_each(|note| self.note(note));
        }
        self.verdict.found |= found;
        self.verdict.errors.extend(errors.told());
        self.verdict.warnings.extend(warned.told());
        if nobody_waits.len() == signals {
            self.verdict.warnings.extend(nobody_waits.into_iter().next());
        }
    }

    fn note(&mut self, note: String) {
        if self.notes_said.insert(note.clone()) {
            self.verdict.notes.push(note);
        }
    }

    /// Returns the verdict, with all problems at their places in the template and without the template's secrets.
    pub(super) fn finish(self) -> Validation {
        self.source.set_secrets(self.secrets);
        let order = [self.source.clone()];
        let shown = |mut shown: Vec<Problem>| {
            problem::sort(&mut shown, &order);
            if shown.len() > problem::MOST {
                shown.truncate(problem::MOST);
                shown.push(Problem::too_many());
            }
            shown
        };
        let Validation { errors, warnings, .. } = self.verdict;
        // An error at which the text breaks off comes first. Other findings may only follow from this error: warnings are
        // left out.
        let (mut errors, others): (Vec<_>, Vec<_>) =
            shown(errors).into_iter().partition(|problem| problem.extent == Extent::Document);
        errors.extend(others);
        let is_cut = errors.first().is_some_and(|problem| problem.extent == Extent::Document);
        let warnings = if is_cut { Vec::new() } else { shown(warnings) };
        Validation { errors, warnings, ..self.verdict }
    }
}

/// A text of user data, decoded and parsed. Many worlds share one.
struct Read {
    decoded: Decoded,
    parsed: Parsed,
}

fn check_in<'a>(
    world: &World<'a>,
    place: &UserDataPlace<'a>,
    label: &str,
    parsed: &mut HashMap<String, Arc<[Read]>>,
) -> Vec<WorldFindings> {
    let is_made = || world.template.resources.get(place.resource).is_none_or(|resource| world.is_made(resource));
    let is_there = place.guards.iter().all(|(condition, holds)| world.condition(condition) == *holds) && is_made();
    let in_stack = || {
        let note = format!("{label}: it is known only in the stack, so it is not checked here");
        vec![WorldFindings { depends_on_stack: true, notes: vec![note], ..WorldFindings::default() }]
    };
    let resolved = if is_there { world.resolve(place.user_data) } else { Ok(None) };
    let user_data = match resolved {
        Ok(Some(user_data)) => user_data,
        Ok(None) => return vec![WorldFindings::default()],
        Err(InStack) => return in_stack(),
    };
    let encoded = function(user_data).filter(|(name, _)| *name == "Fn::Base64").map(|(_, argument)| argument);
    let text = world.text(encoded.unwrap_or(user_data));
    let whole = text.string();
    if whole.is_empty() {
        let exists = world.is_malformed.get();
        let errors = if exists { world.problems.take() } else { Vec::new() };
        return vec![WorldFindings { exists, errors, ..WorldFindings::default() }];
    }
    // CloudFormation resolves a dynamic reference that is the whole value.
    if encoded.is_none() && whole.trim_start().starts_with("{{resolve:") {
        return in_stack();
    }
    let bytes = if parsed.contains_key(&whole) { 0 } else { whole.len() };
    let read = parsed.entry(whole.clone()).or_insert_with(|| {
        let launch = of_launch(label, whole.as_bytes()).into_iter();
        launch.map(|decoded| Read { parsed: config::parse(&decoded.documents), decoded }).collect()
    });
    let check = |read: &Read| WorldCheck { world, place, label, layers: text.layers(), read }.outcome();
    let mut outcomes: Vec<_> = read.clone().iter().map(check).collect();
    let Some(outcome) = outcomes.first_mut() else { return outcomes };
    outcome.bytes = bytes;
    if encoded.is_none() && outcome.found && base64_wrapped(whole.as_bytes()).is_none() {
        let message = "`UserData` must be base64: the stack fails with \"Invalid BASE64 encoding of user data\"";
        let problem = Problem::at(&user_data.span, message);
        outcome.errors.insert(0, problem.remedy("put `Fn::Base64` around it"));
    }
    outcomes
}

/// The check of one user data in one world.
struct WorldCheck<'a, 'w> {
    world: &'w World<'a>,
    place: &'w UserDataPlace<'a>,
    label: &'w str,
    /// The user data, and the texts that it contains in base64.
    layers: Vec<(&'w Text, String)>,
    read: &'w Read,
}

impl WorldCheck<'_, '_> {
    fn outcome(&self) -> WorldFindings {
        let Read { decoded, parsed } = self.read;
        let Parsed { config, problems, found, .. } = parsed;
        let mut outcome = WorldFindings { exists: true, found: *found, ..WorldFindings::default() };
        let unread = self.layers[0].0.first_unknown().filter(|_| !found);
        for note in &decoded.notes {
            match note {
                Note::Missed(text) | Note::Elsewhere(text) => outcome.notes.push(text.clone()),
                // If only the stack knows the text, nobody can tell whether it is for cloud-init.
                Note::Left(_) if unread.is_some() => {}
                Note::Left(text) if *found => outcome.notes.push(text.clone()),
                Note::Left(text) => outcome.left.push(text.clone()),
            }
        }
        outcome.notes.extend(without_effect::replaced_lists(&decoded.documents));
        let errors: Vec<Problem> = decoded.problems.iter().chain(problems).cloned().collect();
        let errors = self.known(errors, &mut outcome.notes);
        outcome.errors.extend(self.physical_name());
        let mut warned = decoded.warnings.clone();
        if *found && errors.is_empty() {
            let in_stack = |path: &[&str; 2]| {
                self.value_at(path).is_some_and(|span| self.unknown(&Problem::at(&span, "")).is_some())
            };
            let timeout_in_stack = [["signal", "timeout"], ["wait", "timeout"]].iter().any(in_stack);
            let mut around = Surroundings { timeout_in_stack, ..Surroundings::of(self.world, self.place, config) };
            outcome.warnings.append(&mut around.updates.problems);
            outcome.notes.extend(around.notes(self.label));
            outcome.signals = config.signal.is_some();
            let misfits = warnings::misfits(config, &decoded.documents, &around);
            warned.extend(self.known(misfits, &mut outcome.notes));
            outcome.nobody_waits =
                warnings::nobody_waits(config, &decoded.documents, &around).map(|problem| self.moved(problem));
            warned.extend(without_effect::find(config, &decoded.documents));
            let of_proxy = proxy::warnings(config, &decoded.documents);
            warned.extend(self.known(of_proxy, &mut outcome.notes));
            outcome.notes.extend(proxy::note(config).map(|note| format!("{}: {note}", self.label)));
            warned.extend(warnings::secrets(config, &decoded.documents));
        }
        if *found {
            let whole = self.layers[0].1.as_bytes();
            warned.extend(warnings::size(self.label, size_for_ec2(whole)));
            outcome.errors.append(&mut self.world.problems.borrow_mut());
        } else if let Some(name) = unread {
            outcome.depends_on_stack = true;
            let what = "is known only in the stack, so the user data can't be checked here";
            outcome.notes.push(format!("{}: the value of `{name}` {what}", self.label));
        }
        outcome.secrets = decoded.documents.iter().flat_map(|document| self.secrets(document)).collect();
        outcome.errors.extend(errors.into_iter().map(|problem| self.moved(problem)));
        outcome.warnings.extend(warned.into_iter().map(|problem| self.moved(problem)));
        outcome
    }

    /// Removes problems of values that only the stack knows, and notes each.
    fn known(&self, problems: Vec<Problem>, notes: &mut Vec<String>) -> Vec<Problem> {
        let known = |problem: &Problem| match self.unknown(problem) {
            Some(name) => {
                let what = "is known only in the stack, so it is not checked here";
                notes.push(format!("{}: the value of `{name}` {what}", self.label));
                false
            }
            None => true,
        };
        problems.into_iter().filter(known).collect()
    }

    /// Returns the name of the value on which a problem depends, if only the stack knows that value.
    fn unknown(&self, problem: &Problem) -> Option<&str> {
        let span = problem.span.as_ref()?;
        if problem.extent == Extent::Document {
            let (text, range) = self.layer(span)?;
            let (_, whole) = self.layers.iter().find(|(layer, _)| std::ptr::eq(*layer, text))?;
            return text.unknown_begins_line(whole, range.start);
        }
        // A whole mapping is not wrong because of a value in it.
        let written = span.text();
        let is_value = !written.contains(": ") && !written.contains('\n') && !written.starts_with(['{', '[']);
        let (text, range) = self.layer(span)?;
        text.unknown(&range).filter(|_| is_value)
    }

    /// Finds the place of a value in the last document that has it.
    fn value_at(&self, path: &[&str]) -> Option<Span> {
        let mut documents = self.read.decoded.documents.iter().rev();
        documents.find_map(|document| Some(document.config.as_ref()?.at(path)?.span.clone()))
    }

    /// Reports a signal for a resource's name in AWS, where its logical ID in the template is needed.
    fn physical_name(&self) -> Option<Problem> {
        let span = self.value_at(&["signal", "resource"])?;
        let (text, range) = self.layer(&span)?;
        let name = text.unknown(&range).filter(|name| self.world.template.resources.contains_key(name))?;
        let message = format!("`signal.resource` is the physical ID of `{name}`, but a signal needs the logical ID");
        Some(self.moved(Problem::at(&span, message).remedy(format!("write the logical ID, `{name}`, without `${{}}`"))))
    }

    /// Finds the text that holds a document, and the range in it of a span of that document.
    fn layer(&self, span: &Span) -> Option<(&Text, Range<usize>)> {
        self.layers.iter().find_map(|(text, whole)| {
            let base = whole.find(&*span.source.text)?;
            Some((*text, base + span.start..base + span.end))
        })
    }

    /// Moves a problem to its place in the template, or to the user data if the place isn't known.
    fn moved(&self, problem: Problem) -> Problem {
        let layer = |span: &Option<Span>| self.layer(span.as_ref()?);
        let place = |span: &Option<Span>| layer(span).and_then(|(text, range)| text.place(range));
        let default = layer(&problem.span).and_then(|(text, range)| text.default_in(&range));
        let (moved, related) = (place(&problem.span), place(&problem.related));
        let moved = moved.unwrap_or_else(|| {
            let Span { source, start, .. } = &self.place.user_data.span;
            Span { source: source.clone(), start: *start, end: start + 1 }
        });
        let message = match default {
            Some((name, "")) => format!("{} (`{name}` is empty by default)", problem.message),
            Some((name, _)) => format!("{} (in the default of `{name}`)", problem.message),
            None => problem.message,
        };
        Problem { span: Some(moved), related, message, ..problem }
    }

    /// Finds the secrets of a document in the template.
    fn secrets(&self, document: &Document) -> Vec<Range<usize>> {
        let secrets = document.source.secrets();
        let whole = Span { source: document.source.clone(), start: 0, end: 0 };
        if !secrets.is_empty() && self.layer(&whole).is_none() {
            // The document is encoded in the template, and anybody could decode it: the whole user data is secret.
            let Span { start, end, .. } = self.place.user_data.span;
            return std::iter::once(start..end).collect();
        }
        let span = |range: &Range<usize>| Span { source: document.source.clone(), start: range.start, end: range.end };
        let layered = secrets.iter().filter_map(|range| self.layer(&span(range)));
        layered.flat_map(|(text, range)| text.written(range)).collect()
    }
}

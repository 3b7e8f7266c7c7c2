//! The result of the check of a file.

use crate::document::problem::Problem;

/// The remedy if nothing in a file is for ecs-firstrun.
pub(super) const HOW_TO_HOLD: &str = "make `#ecs-firstrun` its first line, or put the configuration under the key `ecs_firstrun` \
    of a `#cloud-config` document, or into a MIME part of the type application/vnd.ecs-firstrun+yaml";

/// The result of the check of a file.
#[derive(Debug, Default)]
pub struct Validation {
    /// The name of the file in messages.
    pub name: String,
    /// Set if there is any configuration in the file.
    pub found: bool,
    /// Set if the only finding is that nothing in the file is for ecs-firstrun.
    pub others: bool,
    /// Set for a template. Beside files with configuration, a template without any is not an error.
    pub is_template: bool,
    /// Set if something in the file was meant for ecs-firstrun and isn't read.
    pub was_meant: bool,
    /// Set if values known only in the stack may contain configuration.
    pub depends_on_stack: bool,
    /// The errors: a run would refuse the configuration.
    pub errors: Vec<Problem>,
    /// The warnings: values that are valid but cause trouble.
    pub warnings: Vec<Problem>,
    /// Notes for a person.
    pub notes: Vec<String>,
}

impl Validation {
    pub(super) fn of(name: &str) -> Self {
        Validation { name: name.to_owned(), ..Validation::default() }
    }

    /// Merges the findings in the same file for another instance of a launch, each finding once.
    pub(super) fn and(mut self, other: Self) -> Self {
        fn add<T: PartialEq>(all: &mut Vec<T>, more: Vec<T>) {
            more.into_iter().for_each(|one| {
                if !all.contains(&one) {
                    all.push(one)
                }
            });
        }
        add(&mut self.errors, other.errors);
        add(&mut self.warnings, other.warnings);
        add(&mut self.notes, other.notes);
        Self { found: self.found | other.found, was_meant: self.was_meant | other.was_meant, ..self }
    }

    /// Adds the error that nothing in the file is for ecs-firstrun.
    pub(super) fn nothing_found(mut self, message: String, remedy: &str) -> Self {
        self.errors.push(Problem::general(message).remedy(remedy));
        self.others = true;
        self
    }

    /// Turns the error that a template has no configuration into a note, for use beside files that have some.
    #[must_use]
    pub fn beside_others(mut self) -> Self {
        if self.is_template && self.others {
            let said = self.errors.drain(..).map(|problem| problem.message);
            self.notes.extend(said);
        }
        self
    }

    /// Makes the verdict on a file that could not be checked.
    pub fn failed(name: &str, message: String, remedy: &str) -> Self {
        Validation { errors: vec![Problem::general(message).remedy(remedy)], ..Validation::of(name) }
    }
}

//! Problems of several worlds, each reported once, with the condition under which it holds.

use std::collections::BTreeSet;

use super::world::{Traits, in_common};
use crate::document::problem::{self, Problem};

/// Problems by the worlds in which they were found.
#[derive(Default)]
pub(super) struct ProblemsByWorld {
    worlds: Vec<Traits>,
    /// The problems in the order in which they were found first, each with the numbers of its worlds.
    found: Vec<(Problem, BTreeSet<usize>)>,
}

impl ProblemsByWorld {
    /// Adds what was found in one world.
    pub(super) fn add(&mut self, traits: &Traits, problems: Vec<Problem>) {
        let world = self.worlds.len();
        self.worlds.push(traits.clone());
        for problem in problems {
            if self.found.len() > problem::MOST {
                return;
            }
            match self.found.iter_mut().find(|(known, _)| *known == problem) {
                Some((_, worlds)) => drop(worlds.insert(world)),
                None => self.found.push((problem, BTreeSet::from([world]))),
            }
        }
    }

    /// Returns the problems. A problem that is not found in every world gets the condition under which it is found.
    pub(super) fn told(self) -> impl Iterator<Item = Problem> {
        let Self { worlds, found } = self;
        found.into_iter().map(move |(problem, found_in)| {
            let all: Vec<&Traits> = worlds.iter().collect();
            let some: Vec<&Traits> = found_in.iter().map(|world| &worlds[*world]).collect();
            let condition = (some.len() < all.len()).then(|| in_common(&some, &all)).flatten();
            match condition {
                Some(words) => Problem { message: format!("{} (where {words})", problem.message), ..problem },
                None => problem,
            }
        })
    }
}

//! The search through the worlds of a template: each world is known by the answers that it takes.

use std::collections::VecDeque;

/// Most ways that are tried for one user data. Each condition that is independent of the others doubles the number of ways.
pub(super) const MOST: usize = 64;

/// The answers of one world: the answers given at its start, and all answers taken so far.
#[derive(Debug, Default)]
pub(super) struct Choices {
    given: Vec<usize>,
    taken: Vec<(usize, usize)>,
}

impl Choices {
    /// Takes one of so many answers: the given answer, else the first.
    pub(super) fn take(&mut self, options: usize) -> usize {
        let choice = self.given.get(self.taken.len()).copied().unwrap_or(0);
        self.taken.push((choice, options));
        choice
    }
}

/// The worlds that are still to be tried. Worlds that differ from the first one in a single answer come first.
#[derive(Debug)]
pub(super) struct Search {
    queue: VecDeque<Vec<usize>>,
}

impl Search {
    pub(super) fn new() -> Self {
        Search { queue: [Vec::new()].into() }
    }

    pub(super) fn next(&mut self) -> Option<Choices> {
        Some(Choices { given: self.queue.pop_front()?, taken: Vec::new() })
    }

    /// Adds the worlds that differ from a tried world in one more answer.
    pub(super) fn extend(&mut self, tried: Choices) {
        let Choices { given, taken } = tried;
        for (at, (_, options)) in taken.iter().enumerate().skip(given.len()) {
            for other in 1..*options {
                if self.queue.len() >= MOST {
                    return;
                }
                let before = taken[..at].iter().map(|(choice, _)| *choice);
                self.queue.push_back(before.chain([other]).collect());
            }
        }
    }
}

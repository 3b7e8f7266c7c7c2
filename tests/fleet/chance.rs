//! Events by chance, the same for the same seed.

use std::time::Duration;

/// One in so many requests is failed, and one in so many of the others is answered late.
const FAULTS: u64 = 10;
const SLOW: u64 = 10;

/// Random numbers.
#[derive(Clone, Debug)]
pub struct Chance(fastrand::Rng);

impl Chance {
    pub fn seeded(seed: u64) -> Self {
        Chance(fastrand::Rng::with_seed(seed))
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0.u64(..bound)
    }

    pub fn span(&mut self, longest: Duration) -> Duration {
        Duration::from_millis(self.below(longest.as_millis() as u64))
    }

    /// Chooses one of these faults for a request, or none.
    pub fn fault(&mut self, kinds: &[Fault]) -> Option<Fault> {
        (self.below(FAULTS) == 0).then(|| kinds[self.below(kinds.len() as u64) as usize])
    }

    /// Chooses the delay of an answer, at most `longest`, or none.
    pub fn delay(&mut self, longest: Duration) -> Option<Duration> {
        (self.below(SLOW) == 0).then(|| self.span(longest))
    }
}

/// The way in which a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// 500.
    ServerError,
    /// 503, to be tried again after a second.
    Busy,
    /// The connection is reset.
    Reset,
    /// A page with 502, or with 200, from something in between.
    BadGateway,
    Portal,
    /// The request is taken, and the connection reset before that is said.
    LostAnswer,
}

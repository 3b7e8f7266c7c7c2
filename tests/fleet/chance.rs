//! What happens by chance, the same for the same seed.

use std::time::{Duration, Instant};

/// One in so many requests is failed, and one in so many of the others is answered late.
const FAULTS: u64 = 10;
const SLOW: u64 = 10;

/// Random numbers: SplitMix64, <https://prng.di.unimi.it/splitmix64.c>.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    pub fn seeded(seed: u64) -> Self {
        Chance(seed)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub fn span(&mut self, longest: Duration) -> Duration {
        Duration::from_millis(self.below(longest.as_millis() as u64))
    }

    /// Whether a request fails, and how: one of these.
    pub fn fault(&mut self, kinds: &[Fault]) -> Option<Fault> {
        (self.below(FAULTS) == 0).then(|| kinds[self.below(kinds.len() as u64) as usize])
    }

    /// How late an answer is, at most so late.
    pub fn delay(&mut self, longest: Duration) -> Option<Duration> {
        (self.below(SLOW) == 0).then(|| self.span(longest))
    }
}

/// How a request fails.
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

/// A bucket of tokens, as AWS throttles by.
#[derive(Debug)]
pub struct Bucket {
    tokens: f64,
    burst: f64,
    rate: f64,
    filled: Instant,
}

impl Bucket {
    pub fn new(burst: f64, rate: f64) -> Self {
        Bucket { tokens: burst, burst, rate, filled: Instant::now() }
    }

    pub fn take(&mut self) -> bool {
        let now = Instant::now();
        self.tokens = (self.tokens + self.rate * (now - self.filled).as_secs_f64()).min(self.burst);
        self.filled = now;
        let taken = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(taken));
        taken
    }
}

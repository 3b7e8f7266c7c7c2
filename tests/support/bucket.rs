//! Throttling as AWS does it. Unit tests include this file, too.

use std::time::Duration;

/// A bucket of tokens: so many requests at once, so many a second.
#[derive(Debug)]
pub struct Bucket {
    tokens: f64,
    burst: f64,
    rate: f64,
    filled: Duration,
}

impl Bucket {
    pub fn new(burst: f64, rate: f64) -> Self {
        Bucket { tokens: burst, burst, rate, filled: Duration::ZERO }
    }

    /// Takes a token, if there is a token at this time since the bucket was made.
    pub fn take(&mut self, now: Duration) -> bool {
        self.tokens = (self.tokens + self.rate * (now - self.filled).as_secs_f64()).min(self.burst);
        self.filled = now;
        let taken = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(taken));
        taken
    }
}

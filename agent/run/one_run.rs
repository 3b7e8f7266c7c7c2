//! One run: the values that its phases share, and the ways in which they speak.

use std::cell::OnceCell;

use tokio::time::Instant;

use super::options::Options;
use crate::config::Config;
use crate::host::Host;
use crate::http;
use crate::report::Outcome;

/// One run: its host, its start, and the means that all phases share.
pub(super) struct Run<'a> {
    pub(super) options: &'a Options,
    pub(super) host: &'a Host,
    pub(super) began: Instant,
    /// The reason why this run can only fail: it could not be handed over to the unit.
    pub(super) hand_over_error: Option<String>,
    /// Set where the instance goes into service without a boot, after it was in a warm pool.
    pub(super) has_left_the_pool: bool,
    /// The client for AWS, or the reason why there is none.
    client: OnceCell<Result<reqwest::Client, String>>,
}

impl<'a> Run<'a> {
    pub(super) fn begin(
        options: &'a Options,
        host: &'a Host,
        hand_over_error: Option<String>,
        has_left_the_pool: bool,
    ) -> Self {
        Run { options, host, began: Instant::now(), hand_over_error, has_left_the_pool, client: OnceCell::new() }
    }

    /// Says what the run is about to do.
    pub(super) fn status(&self, what: &str) {
        tracing::info!("{what}");
        self.host.say_status(what);
    }

    /// Says the outcome in one line: in the status, the log and, if it is no success, on the console. Returns the line.
    pub(super) fn say(&self, outcome: Outcome, reason: Option<&str>) -> String {
        let line = match reason {
            Some(reason) => format!("{}: {reason}", outcome.to_string().to_uppercase()),
            None => outcome.to_string().to_uppercase(),
        };
        self.host.say_status(&line);
        if outcome == Outcome::Success {
            tracing::info!("{line}");
        } else {
            tracing::error!("{line}");
            self.host.say_on_console(&line.replace('\n', " "));
        }
        line
    }

    /// Returns the client for AWS. The client is made once, since that reads the host's certificates.
    ///
    /// # Errors
    /// The reason why there is none, in words.
    pub(super) fn client(&self, config: &Config) -> Result<reqwest::Client, String> {
        let make = || http::outbound(config.proxy_route().as_ref()).map_err(|error| format!("{error:#}"));
        self.client.get_or_init(make).clone()
    }
}

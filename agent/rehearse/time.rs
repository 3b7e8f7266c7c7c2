//! A shorter wait, so that a rehearsal in which nothing registers ends soon.
//!
//! The job itself does not know about the shorter wait. The fake metadata service adds one more document to the user data,
//! which sets the timeout and is merged over the other documents.

use std::time::Duration;

use serde_json::json;

use crate::config::Parsed;
use crate::document::decode::decode_for;

/// The longest wait of a scenario that waits to the end, unless a scale is given.
const SHORT: Duration = Duration::from_secs(3);
const BOUNDARY: &str = "=_ecs-firstrun-rehearsal";
const OURS: &str = "application/vnd.ecs-firstrun+yaml";

/// The factor for the wait for the registration: more than 0, at most 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TimeScale(f64);

impl std::str::FromStr for TimeScale {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let factor = text.parse().ok().filter(|factor| *factor > 0.0 && *factor <= 1.0);
        factor.map(TimeScale).ok_or_else(|| "write a number above 0, at most 1, as 0.01".to_owned())
    }
}

/// User data with a changed timeout.
pub(super) struct Scaled {
    /// The user data that is served.
    pub(super) user_data: Vec<u8>,
    /// A note for a person on the difference.
    pub(super) note: String,
}

/// Returns the user data with its wait scaled: the shorter of `wait.timeout` and the time that `signal.timeout` allows.
pub(super) fn scaled(user_data: &[u8], parsed: &Parsed, scale: TimeScale) -> Option<Scaled> {
    let wait = parsed.config.wait.timeout.0.min(parsed.config.time_allowed(Duration::ZERO));
    let scaled = Duration::from_millis((wait.as_millis() as f64 * scale.0).ceil() as u64);
    with_wait(user_data, parsed, scaled)
}

/// Returns the user data with a short wait; nothing if its own wait is not longer.
pub(super) fn shortened(user_data: &[u8], parsed: &Parsed) -> Option<Scaled> {
    (parsed.config.wait.timeout.0 > SHORT).then(|| with_wait(user_data, parsed, SHORT))?
}

/// Returns the user data with this wait. Returns nothing if the user data has mistakes, so that a run refuses it at once,
/// or no configuration.
fn with_wait(user_data: &[u8], parsed: &Parsed, wait: Duration) -> Option<Scaled> {
    if !parsed.problems.is_empty() || !parsed.found {
        return None;
    }
    let words = |span: Duration| humantime::format_duration(span).to_string();
    let given = parsed.config.wait.timeout.0;
    let note = match wait == given {
        true => format!("the run waits for the registration as long as on an instance, {}", words(wait)),
        false => format!(
            "the user data is served with one more document: `wait.timeout` is {}, not {}",
            words(wait),
            words(given)
        ),
    };
    let documents = decode_for("user data", user_data, Some(0)).documents.into_iter().map(|document| {
        let kind = if document.embedded { "text/cloud-config" } else { OURS };
        (kind, document.source.text.to_string())
    });
    let all = documents.chain([(OURS, json!({"wait": {"timeout": words(wait)}}).to_string())]);
    let mut mime = format!("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"{BOUNDARY}\"\n\n");
    all.for_each(|(kind, text)| mime.push_str(&format!("--{BOUNDARY}\nContent-Type: {kind}\n\n{text}\n")));
    mime.push_str(&format!("--{BOUNDARY}--\n"));
    Some(Scaled { user_data: mime.into_bytes(), note })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::documents;

    fn scaled_by(user_data: &str, factor: &str) -> Option<Scaled> {
        let parsed = documents("user data", user_data.as_bytes());
        scaled(user_data.as_bytes(), &parsed, factor.parse().unwrap())
    }

    #[test]
    fn only_the_wait_is_another() {
        for user_data in [
            "#ecs-firstrun\nsignal: {stack: web, resource: I, timeout: 5m}\necs: {cluster: c}\nwait: {timeout: 4m}\n",
            "#cloud-config\nusers: []\necs_firstrun:\n  signal: {stack: web, resource: I, timeout: 5m}\n  ecs: {cluster: c}\n  wait: {timeout: 4m}\n",
            "{\"ecs_firstrun\": {\"signal\": {\"stack\": \"web\", \"resource\": \"I\", \"timeout\": \"5m\"}, \"ecs\": {\"cluster\": \"c\"}, \"wait\": {\"timeout\": \"4m\"}}}",
        ] {
            let scaled = scaled_by(user_data, "0.01").unwrap();
            assert!(scaled.note.ends_with("`wait.timeout` is 2s 400ms, not 4m"), "{}", scaled.note);
            let before = documents("user data", user_data.as_bytes());
            let after = documents("user data", &scaled.user_data);
            assert!(after.problems.is_empty(), "{:?}", after.problems);
            let mut config = after.config;
            assert_eq!(config.wait.timeout.0, Duration::from_millis(2400));
            config.wait = before.config.wait.clone();
            assert_eq!(config, before.config);
        }
    }

    #[test]
    fn a_wait_that_the_stack_would_cut_short_is_as_long_as_that() {
        let scaled =
            scaled_by("#ecs-firstrun\nsignal: {stack: w, resource: I, timeout: 5m}\necs: {cluster: c}\n", "0.1");
        assert!(scaled.unwrap().note.ends_with("`wait.timeout` is 27s, not 10m"));
    }

    #[test]
    fn what_is_refused_is_served_as_it_is() {
        assert!(scaled_by("#ecs-firstrun\necs: {clusterr: c}\n", "0.01").is_none());
        let whole = scaled_by("#ecs-firstrun\necs: {cluster: c}\n", "1").unwrap();
        assert!(whole.note.ends_with("as long as on an instance, 10m"), "{}", whole.note);
        let parsed = documents("user data", &whole.user_data);
        assert_eq!(parsed.config.wait.timeout.0, Duration::from_secs(600));
        for wrong in ["0", "-1", "1.01", "inf", "NaN", "x", ""] {
            assert!(wrong.parse::<TimeScale>().is_err(), "{wrong}");
        }
    }
}

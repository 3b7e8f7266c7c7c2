//! Values that are numbers, in the forms in which people write them.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use crate::document::de::DURATION_REMEDY;

/// The permissions of a file or directory, written in octal as `"0755"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mode(pub u32);

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let octal = (3..=4).contains(&text.len()) && text.chars().all(|c| c.is_digit(8));
        let octal = octal.then(|| u32::from_str_radix(&text, 8).ok()).flatten();
        octal
            .map(Mode)
            .ok_or_else(|| format!("`{text}` is not a mode\nwrite three or four octal digits in quotes, as \"0755\""))
    }
}

impl From<Mode> for String {
    fn from(mode: Mode) -> String {
        mode.to_string()
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// A duration with its unit, such as `90s`, `15m` or `1h 30m`. More than zero, and at most twelve hours: CloudFormation
/// waits no longer for a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct TimeSpan(pub Duration);

impl<'de> Deserialize<'de> for TimeSpan {
    /// Reads a duration with a visitor of its own. For a bare number, the error must ask for a unit, and not for quotes.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimeSpanVisitor;

        impl Visitor<'_> for TimeSpanVisitor {
            type Value = TimeSpan;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<TimeSpan, E> {
                text.to_owned().try_into().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(TimeSpanVisitor)
    }
}

impl TryFrom<String> for TimeSpan {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a duration\n{DURATION_REMEDY}");
        if text.contains(|c: char| c.is_whitespace() && c != ' ') {
            return Err(wrong());
        }
        let span = humantime::parse_duration(&text).map_err(|_| wrong())?;
        match span.is_zero() || span > Duration::from_secs(12 * 3600) {
            true => Err(format!("`{text}` is out of range\nmore than 0s, at most 12h")),
            false => Ok(TimeSpan(span)),
        }
    }
}

impl From<TimeSpan> for String {
    fn from(span: TimeSpan) -> String {
        span.to_string()
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// Days that CloudWatch Logs can keep events for.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct RetentionDays(i64);

impl RetentionDays {
    /// All retentions of CloudWatch Logs, in days.
    pub const ALL: [i64; 22] =
        [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];
}

impl TryFrom<i64> for RetentionDays {
    type Error = String;

    fn try_from(days: i64) -> Result<Self, String> {
        let nearest = RetentionDays::ALL.iter().min_by_key(|known| known.abs_diff(days)).unwrap_or(&30);
        match RetentionDays::ALL.contains(&days) {
            true => Ok(RetentionDays(days)),
            false => Err(format!(
                "CloudWatch Logs can't keep events for {days} days\nthe nearest that it knows is {nearest}"
            )),
        }
    }
}

impl From<RetentionDays> for i64 {
    fn from(days: RetentionDays) -> i64 {
        days.0
    }
}

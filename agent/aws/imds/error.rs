//! Errors of the metadata service.

use reqwest::StatusCode;

/// Why the metadata service gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ImdsError {
    /// No connection, or only temporary errors, until the deadline.
    #[error("the instance metadata service didn't answer in time: {tried}")]
    Unreachable {
        /// The endpoints that were tried, each with what the last try came to.
        tried: String,
    },
    /// It answered, and trying again won't change that.
    #[error("the instance metadata service refused {path} with HTTP {status}{}", remedy(*.status))]
    Refused {
        /// What was asked for.
        path: String,
        /// The HTTP status.
        status: u16,
    },
    /// It answered something that isn't what the category holds.
    #[error("the instance metadata service's answer for {path} is unusable: {why}")]
    Malformed {
        /// What was asked for.
        path: String,
        /// What is wrong with the answer.
        why: String,
    },
}

fn remedy(status: u16) -> &'static str {
    match status {
        403 => {
            ": IMDS is disabled or not permitted; enable it in the instance's metadata options (HttpEndpoint: enabled), \
             and keep proxies out of the way"
        }
        _ => "",
    }
}

pub(super) fn refused(path: &str, status: StatusCode) -> ImdsError {
    ImdsError::Refused { path: path.to_owned(), status: status.as_u16() }
}

pub(super) fn malformed(path: &str, why: &str) -> ImdsError {
    ImdsError::Malformed { path: path.to_owned(), why: why.to_owned() }
}

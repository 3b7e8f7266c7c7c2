//! Errors of the metadata service.

use reqwest::StatusCode;

/// The reason why the metadata service gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum ImdsError {
    /// No connection, or only temporary errors, until the deadline.
    #[error("the instance metadata service didn't answer in time: {tried}")]
    Unreachable {
        /// The endpoints that were tried, each with the outcome of the last try.
        tried: String,
    },
    /// The service refused the request, and trying again won't change that.
    #[error("the instance metadata service refused {path} with HTTP {status}{}", remedy(*.status))]
    Refused {
        /// The path of the request.
        path: String,
        /// The HTTP status.
        status: u16,
    },
    /// The service's answer can't be the contents of the category.
    #[error("the instance metadata service's answer for {path} is unusable: {why}")]
    Malformed {
        /// The path of the request.
        path: String,
        /// The fault of the answer.
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

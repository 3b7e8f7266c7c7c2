//! The contents of files, which may be secret.

use std::fmt;

use serde::Serialize;

/// The contents of a file; shown only if they hold no secret.
#[derive(Clone, PartialEq)]
pub enum Contents {
    /// May be shown.
    Open(String),
    /// Must not be shown; readable by root alone.
    Secret(String),
}

impl Contents {
    /// Makes the contents of a file, which may be secret.
    pub fn of(text: String, is_secret: bool) -> Self {
        if is_secret { Contents::Secret(text) } else { Contents::Open(text) }
    }

    /// Returns the contents, secret or not.
    pub fn reveal(&self) -> &str {
        match self {
            Contents::Open(text) | Contents::Secret(text) => text,
        }
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Contents::Open(text) => text.fmt(f),
            Contents::Secret(_) => f.write_str("***"),
        }
    }
}

impl Serialize for Contents {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Contents::Open(text) => serializer.serialize_str(text),
            Contents::Secret(_) => serializer.serialize_str("***"),
        }
    }
}

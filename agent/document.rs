//! Documents: from the bytes of user data to trees that know their lines, and problems in their place.
//!
//! Nothing here knows the meaning of a key, except which keys hold secrets.

pub mod de;
pub mod decode;
pub mod problem;
pub(crate) mod secret_places;
pub mod yaml;

/// The keys at the top of a document of ours.
pub(crate) const SECTIONS: [&str; 9] =
    ["signal", "proxy", "storage", "docker", "logs", "hooks", "ecs", "wait", "on_failure"];

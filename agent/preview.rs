//! The dry run: the changes that a plan would make on this host.

mod foresee;
mod rewrite;
mod show;

pub use self::foresee::foresee;
pub use self::rewrite::{Before, Rewrite};
pub use self::show::{Changes, Foreseen, Foresight, Preview};

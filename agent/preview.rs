//! The dry run: what a plan would change on this host.

mod foresee;
mod rewrite;
mod show;

pub use self::foresee::foresee;
pub use self::rewrite::{Before, Rewrite};
pub use self::show::{Changes, Foreseen, Foresight, Preview};

//! The report of a run: what was done, how long each step took, how it ended, and what CloudFormation was told.
//!
//! It is kept as `report.json` in the state directory, rewritten whenever something changed, and read by `status`.

mod contents;
mod follow;
mod line;
mod show;
mod svg;

pub use self::contents::{
    ActionReport, BUG, Boot, Change, DeliveryState, Outcome, Report, SignalReport, StepReport, VERSION, milliseconds,
};
pub use self::follow::Follow;
pub use self::line::Line;

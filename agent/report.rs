//! The report of a run: its steps with their times, its outcome, and the signals that were sent.
//!
//! The report is kept as `report.json` in the state directory, rewritten at every change, and read by `status`.

mod contents;
mod follow;
mod line;
mod show;
mod svg;

pub use self::contents::{
    ActionReport, BUG, Boot, Change, DeliveryState, Outcome, Report, SignalReport, StepReport, VERSION, milliseconds,
};
pub use self::follow::Follow;
pub use self::line::line;

//! Finishes an Amazon ECS container instance at first boot, and tells CloudFormation how it went.
//!
//! ```text
//! user data ──parse──▶ Config ──plan──▶ Plan ──apply──▶ Report ──▶ signal + exit code
//!     ▲                   pure            pure     host only          always, even if
//!    imds                                                             nothing above worked
//! ```
//!
//! - [`config`] turns bytes into a checked [`config::Config`]. Everything that can be wrong is refused here, all of it at
//!   once; what is right is kept, to report the rest.
//! - [`plan`] turns it, and the facts of the [`instance`], into a [`plan::Plan`]: a value that can be printed, compared
//!   and carried out. Making it cannot fail.
//! - [`apply`] carries it out through [`host`], the only module that changes the machine. Actions name end states and can
//!   be repeated.
//! - [`report`] says how it went; [`cloudformation`] and [`auto_scaling`] pass that on, each by a [`delivery`].
//! - [`doctor`] says why an instance isn't a working member of its cluster; a run that fails asks it for the reason.
//! - [`run`] is the pipeline, and the only module that knows all of these; [`mod@signal`] sends one signal by hand.
//! - [`cli`] is the command line above them; [`text`] is how what they print looks.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::type_complexity, reason = "tests"))]

pub mod apply;
pub mod auto_scaling;
pub mod cli;
pub mod cloudformation;
pub mod config;
pub mod delivery;
pub mod doctor;
pub mod ecs_agent;
pub mod host;
pub mod http;
pub mod imds;
pub mod instance;
pub mod plan;
#[cfg(feature = "rehearse")]
pub mod rehearse;
pub mod report;
pub mod run;
mod sdk;
pub mod signal;
pub mod text;
pub mod validate;

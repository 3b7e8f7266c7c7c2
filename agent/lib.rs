//! Configures an Amazon ECS container instance at first boot, and tells CloudFormation how it went.
//!
//! ```text
//! user data ──parse──▶ Config ──plan──▶ Plan ──apply──▶ Report ──▶ signal + exit code
//!     ▲                   pure            pure     host only          always, even if
//!    imds                                                             nothing above worked
//! ```
//!
//! - [`document`] turns bytes into trees that know their lines; [`config`] makes a checked [`config::Config`] of the trees.
//!   Every mistake is refused here, all at once; the valid part is kept, so that the mistakes can be reported.
//! - [`plan`] turns the configuration and the facts of the [`instance`] into a [`plan::Plan`]: a value that can be printed,
//!   compared and carried out. Making it cannot fail.
//! - [`apply`] carries the plan out through [`host`], the only module that changes the machine. Actions name end states and
//!   can be repeated. [`preview`] tells what it would change.
//! - [`report`] says how it went; [`aws`] passes that on to CloudFormation and Auto Scaling, and reads the instance metadata.
//! - [`run`] is the pipeline: gather, prepare, apply, decide, tell, close. It is the only module that knows all of these.
//! - [`doctor`] says why an instance isn't a working member of its cluster; a run that fails asks it for the reason.
//! - [`validate`] checks user data offline, in CloudFormation templates too.
//! - [`cli`] is the command line above them.
//!
//! Facts and tools that several modules share are in [`ecs_agent`] and [`ecs_variables`], [`cloudwatch_agent`], [`host_logs`]
//! and [`well_known`]; [`http`], [`secrets`], [`streams`] and [`text`].
//!
//! These rules hold everywhere:
//!
//! - **The plan is a value, and making it cannot fail.** `plan(&Config, &Instance) -> Plan` does no I/O. A fact that only
//!   the machine knows is phrased as an end state, and looked up while acting.
//! - **Actions are a small closed enum of mechanisms; features are pure functions that return them**, in a module each below
//!   [`plan`], named after what on the host it owns. One path on disk has one writer.
//! - **Reporting stands outside everything that can fail.** User data is kept before it is parsed. The valid part of it
//!   names the signal's target and the proxy, so that a mistake anywhere else is reported; after a panic, each document is
//!   read alone. The first outcome of an instance is final.
//! - **A root folder in place of a mocked filesystem.** Every path on the host lies below [`host::Host`]'s root, and every
//!   endpoint is an option: tests run the real binary against fake servers, as the command `rehearse` does.
//!
//! On an instance, `ecs-firstrun.service` runs the binary: before cloud-init's last stage until the host is configured, then
//! beside that stage while the run waits. `docs/operations.md` has the boot in a diagram, and `CONTRIBUTING.md` says how a
//! log file, a key or a step is added.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::type_complexity, reason = "tests"))]

/// Marks a place where a test makes the job panic, as with `FAILPOINTS=plan=panic`. An image's build has no such places.
#[cfg(feature = "failpoints")]
macro_rules! fail_point {
    ($name:literal) => {
        fail::fail_point!($name)
    };
}
#[cfg(not(feature = "failpoints"))]
macro_rules! fail_point {
    ($name:literal) => {};
}

pub mod apply;
pub mod aws;
pub mod cli;
pub mod cloudwatch_agent;
pub mod config;
pub mod doctor;
pub mod document;
pub mod ecs_agent;
pub mod ecs_variables;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod host;
pub mod host_logs;
pub mod http;
pub mod instance;
pub mod plan;
pub mod preview;
#[cfg(feature = "rehearse")]
pub mod rehearse;
pub mod report;
pub mod run;
pub mod secrets;
pub mod streams;
pub mod text;
pub mod validate;
pub mod well_known;

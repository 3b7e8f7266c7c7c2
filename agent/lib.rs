//! Configures an Amazon ECS container instance at first boot, and tells CloudFormation how it went.
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
//! - [`cloudwatch_agent`] says where an image's configuration of that agent and ours contradict each other.
//! - [`denial`] says which policy keeps a request of ours, or of the ECS agent, out.
//! - [`doctor`] says why an instance isn't a working member of its cluster; a run that fails asks it for the reason.
//! - [`run`] is the pipeline, and the only module that knows all of these; [`mod@signal`] sends one signal by hand.
//! - [`validate`] checks user data offline, in CloudFormation templates too.
//! - [`cli`] is the command line above them; [`text`] is how what they print looks; [`well_known`] has the host's names.
//!
//! What holds everywhere:
//!
//! - **The plan is a value, and making it cannot fail.** `plan(&Config, &Instance) -> Plan` does no I/O. What only the machine
//!   knows is phrased as an end state, and looked up while acting.
//! - **Actions are a small closed enum of mechanisms; features are pure functions that return them**, in a module each below
//!   [`plan`], named after what on the host it owns. One path on disk has one writer.
//! - **Reporting stands outside what can fail.** User data is kept before it is parsed. What is right in it names whom to signal,
//!   and by which proxy, so that a mistake anywhere else is told; after a panic each document is read alone. The first outcome
//!   of an instance is final.
//! - **A root folder in place of a mocked filesystem.** Every path on the host lies below [`host::Host`]'s root, and every
//!   endpoint is an option: tests run the real binary against fake servers, as the command `rehearse` does.
//!
//! On an instance the binary is run by `ecs-firstrun.service`: before cloud-init's last stage until the host is configured, then
//! beside it while the run waits. `docs/operations.md` has the boot in a diagram, and `CONTRIBUTING.md` says how a log file, a key or a step is added.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::type_complexity, reason = "tests"))]

/// A place where a test makes the job panic, as `FAILPOINTS=plan=panic`; nothing in an image's build.
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
pub mod auto_scaling;
pub mod cli;
pub mod cloudformation;
pub mod cloudwatch_agent;
pub mod config;
pub mod delivery;
pub mod denial;
pub mod doctor;
pub mod ecs_agent;
mod endpoint;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod host;
pub mod host_logs;
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
pub mod well_known;

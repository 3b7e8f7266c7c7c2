//! Integration tests: golden plans, golden refusals, properties over all configurations, and runs of the real binary.
//!
//! A golden case is a folder; `UPDATE=1 cargo test --all-features` writes what it expects anew. `support` has what the modules
//! share: a scratch host with its cloud, and documents made at random. By what they exercise:
//!
//! | command | modules |
//! | --- | --- |
//! | `run`, user data | `run` (to the signal), `user_data_of_others`, `launch_index`, `cloud_init` (the real one), `hand_over` (called by a script) |
//! | `run`, the host | `disks`, `root_volume`, `selinux`, `image_store`, `proxy`, `log_agent` |
//! | `run`, units and agents as the real programs read them | `systemd`, `dockerd`, `cloudwatch_agent`, `cloudwatch_double` |
//! | `run`, its end | `ends` (of the ECS agent and of Docker), `membership`, `panics`, `runs` (the log of runs) |
//! | `run`, what AWS is told | `signal`, `faults`, `lifecycle`, `signed_requests` |
//! | `plan` | `plans` (golden), `plan_command` |
//! | `validate` | `refused` and `verdicts` (golden), `validate` |
//! | `doctor` | `doctor` (causes), `doctor_checks`, `doctor_image` (`--image`) |
//! | `status`, `signal`, `rehearse`, help and the rest | `status`, `command_line`, `help`, `rehearsal`, `scenarios` |
//! | the parser and the schema | `properties`, `hostile_input`, `schema`, `schema_validators` |
//! | all commands | `secrets` |
//! | the code itself | `architecture` |
//! | what is shipped beside the binary | `documentation`, `examples`, `glance` (dashboard, queries), `packages`, `makefile` |
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "tests make files and processes of their own, and fail by panicking"
)]

mod architecture;
mod cloud_init;
mod cloudwatch_agent;
mod cloudwatch_double;
mod command_line;
mod disks;
mod dockerd;
mod doctor;
mod doctor_checks;
mod doctor_image;
mod documentation;
mod ends;
mod examples;
mod faults;
mod glance;
mod hand_over;
mod help;
mod hostile_input;
mod image_store;
mod launch_index;
mod lifecycle;
mod log_agent;
mod makefile;
mod membership;
mod packages;
mod panics;
mod plan_command;
mod plans;
mod properties;
mod proxy;
mod refused;
mod rehearsal;
mod root_volume;
mod run;
mod runs;
mod scenarios;
mod schema;
mod schema_validators;
mod secrets;
mod selinux;
mod signal;
mod signed_requests;
mod status;
mod support;
mod systemd;
mod user_data_of_others;
mod validate;
mod verdicts;

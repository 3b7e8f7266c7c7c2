//! Integration tests: golden plans, golden refusals, properties over all configurations, and runs of the real binary.
//!
//! A golden case is a folder; `UPDATE=1 cargo test --all-features` writes what it expects anew. `support` has what the modules
//! share: a scratch host with its cloud, the user data of most tests, and documents made at random. By what they exercise:
//!
//! | command | modules |
//! | --- | --- |
//! | `run`, the whole of it | `run` (from the user data to the signal), `panics`, `state` (the decision that is kept), `run_log` |
//! | `run`, what it reads | `instance_metadata`, `user_data_of_others`, `launch_index`, `cloud_init` (the real one), `hand_over` (called by a script) |
//! | `run`, the host | `disks`, `root_volume`, `selinux`, `image_store`, `proxy`, `log_agent` |
//! | `run`, units and agents as the real programs read them | `systemd`, `dockerd`, `cloudwatch_agent`, `cloudwatch_double` |
//! | `run`, users' own commands | `hooks` |
//! | `run`, images | `pulls`, `image_pulls` (the real Docker, and a real registry) |
//! | `run`, what it waits for | `registration`, `cluster` (another one, or none any more), `unit_exits` (of the ECS agent and of Docker) |
//! | `run`, what AWS is told | `signal` (for whom, and when), `delivery` (each answer), `lifecycle` (the hook), `on_failure` (a bad instance), `endpoints` (where it answers), `signed_requests` |
//! | `plan` | `plans` (golden), `plan_command` |
//! | `validate` | `refused` and `verdicts` (golden), `validate` |
//! | `doctor` | `doctor` (causes), `doctor_checks`, `doctor_image` (`--image`) |
//! | `status`, `signal`, `rehearse`, help and the rest | `status`, `signal`, `rehearsal`, `scenarios` (golden), `help`, `command_line` |
//! | the parser and the schema | `properties`, `hostile_input`, `schema`, `schema_validators` |
//! | all commands | `secrets` |
//! | the code itself | `architecture` |
//! | what is shipped beside the binary | `documentation`, `examples`, `dashboard` (and the documented queries), `packages`, `makefile` |
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
mod cluster;
mod command_line;
mod dashboard;
mod delivery;
mod disks;
mod dockerd;
mod doctor;
mod doctor_checks;
mod doctor_image;
mod documentation;
mod endpoints;
mod examples;
mod hand_over;
mod help;
mod hooks;
mod hostile_input;
mod image_pulls;
mod image_store;
mod instance_metadata;
mod launch_index;
mod lifecycle;
mod log_agent;
mod makefile;
mod on_failure;
mod packages;
mod panics;
mod plan_command;
mod plans;
mod properties;
mod proxy;
mod pulls;
mod references;
mod refused;
mod registration;
mod rehearsal;
mod root_volume;
mod run;
mod run_log;
mod scenarios;
mod schema;
mod schema_validators;
mod secrets;
mod selinux;
mod signal;
mod signed_requests;
mod state;
mod status;
mod support;
mod systemd;
mod unit_exits;
mod user_data_of_others;
mod validate;
mod verdicts;

//! Integration tests: golden plans, golden refusals, properties over all configurations, and runs of the real binary.
//!
//! A golden case is a folder; `UPDATE=1 cargo test --all-features` writes what it expects anew.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "tests make files and processes of their own, and fail by panicking"
)]

mod anything;
mod builder;
mod checks;
mod cloud_init;
mod cloudwatch_agent;
mod cloudwatch_double;
mod command_line;
mod disks;
mod dockerd;
mod doctor;
mod documentation;
mod ends;
mod examples;
mod faults;
mod glance;
mod hand_over;
mod help;
mod image_store;
mod images;
mod job;
mod launch_index;
mod lifecycle;
mod log_agent;
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
mod runs;
mod scenarios;
mod schema;
mod schema_validators;
mod secrets;
mod selinux;
mod signal;
mod status;
mod support;
mod systemd;
mod user_data_of_others;
mod validate;
mod verdicts;
mod wire;

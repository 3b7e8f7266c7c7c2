//! `doctor`: tells why an instance is no working member of its cluster, or why an image should not be baked.

use std::process::ExitCode;

use anyhow::Result;

use crate::doctor::Diagnosis;
use crate::run::{self, Options};
use crate::streams::{paint_for, print};

pub(super) async fn doctor(options: &Options, json: bool) -> Result<ExitCode> {
    show(&run::diagnose(options).await, "most likely:", json)
}

pub(super) async fn doctor_image(options: &Options, json: bool) -> Result<ExitCode> {
    show(&run::diagnose_image(options).await?, "don't bake this:", json)
}

fn show(diagnosis: &Diagnosis, before_cause: &str, json: bool) -> Result<ExitCode> {
    match json {
        true => print(&format!("{}\n", serde_json::to_string_pretty(diagnosis)?))?,
        false => print(&diagnosis.render(before_cause, paint_for(&std::io::stdout())))?,
    };
    Ok(ExitCode::from(u8::from(diagnosis.cause().is_some())))
}

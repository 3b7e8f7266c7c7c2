//! `doctor`: why this instance is no working member of its cluster.

use std::process::ExitCode;

use anyhow::Result;

use super::{has_color, print};
use crate::run::{self, Options};

pub(super) async fn doctor(options: &Options, json: bool) -> Result<ExitCode> {
    let diagnosis = run::diagnose(options).await?;
    match json {
        true => print(&format!("{}\n", serde_json::to_string_pretty(&diagnosis)?))?,
        false => print(&diagnosis.render(has_color(&std::io::stdout())))?,
    };
    Ok(ExitCode::from(u8::from(diagnosis.cause().is_some())))
}

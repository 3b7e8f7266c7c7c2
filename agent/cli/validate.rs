//! `validate`: user data checked offline, and how its mistakes are shown.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

use super::{has_color, print};
use crate::config::problem::Problem;
use crate::run::{self, Ending};

pub(super) fn validate(file: &Path) -> Result<ExitCode> {
    let name = if file.as_os_str() == "-" { "standard input".to_owned() } else { file.display().to_string() };
    let bytes = run::read_user_data(file)?;
    let (parsed, notes) = run::documents(&name, &bytes);
    for note in &notes {
        eprintln!("note: {note}");
    }
    if !parsed.problems.is_empty() {
        return refuse(&parsed.problems);
    }
    if !parsed.found {
        bail!(
            "{name} holds no ecs-firstrun configuration; its first line must be `#ecs-firstrun`, or a MIME part or the key `ecs_firstrun` must hold it"
        );
    }
    print(&format!("{name}: no mistakes found\n"))
}

pub(super) fn refuse(problems: &[Problem]) -> Result<ExitCode> {
    let color = has_color(&std::io::stderr());
    for problem in problems {
        eprintln!("{}\n", problem.render(color));
    }
    eprintln!("{} error{} found.", problems.len(), if problems.len() == 1 { "" } else { "s" });
    Ok(ExitCode::from(Ending::Refused.code()))
}

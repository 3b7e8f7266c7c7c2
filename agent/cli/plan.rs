//! `plan`, and `run --dry-run`: what a run would do.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use super::print;
use super::validate::refuse;
use crate::instance::{self, Instance};
use crate::run::{self, Options};

pub(super) async fn print_plan(options: &Options, facts: Option<PathBuf>, json: bool) -> Result<ExitCode> {
    let facts = facts.map(|path| read_facts(&path)).transpose()?;
    let (parsed, plan, _) = run::dry_run(options, facts).await?;
    if !parsed.problems.is_empty() {
        return refuse(&parsed.problems);
    }
    match json {
        true => print(&format!("{}\n", serde_json::to_string_pretty(&plan)?)),
        false => print(&plan.to_string()),
    }
}

fn read_facts(path: &Path) -> Result<Instance> {
    let text = run::read_user_data(path)?;
    let facts: Instance = serde_json::from_slice(&text)
        .with_context(|| format!("{} does not hold facts; `ecs-firstrun facts` prints them", path.display()))?;
    match facts.version {
        instance::VERSION => Ok(facts),
        other => {
            bail!("{} holds facts of version {other}, this agent reads version {}", path.display(), instance::VERSION)
        }
    }
}

//! `plan`, and `run --dry-run`: they show what a run would do.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, anyhow};

use super::validate::refuse;
use crate::host::Host;
use crate::instance::Instance;
use crate::preview::{Changes, Preview, foresee};
use crate::run::{self, DryRun, Options};
use crate::streams::{paint_for, print, read_input};

pub(super) async fn plan(options: &Options, facts: Option<PathBuf>, changes: Changes, json: bool) -> Result<ExitCode> {
    let facts = facts.map(|path| read_facts(&path)).transpose()?;
    let DryRun { parsed, plan, is_for_this_host } = run::dry_run(options, facts).await?;
    if !parsed.problems.is_empty() {
        return refuse(&parsed.problems);
    }
    // The state of another machine, such as a laptop, says nothing about an instance.
    let is_looked_at = is_for_this_host || changes == Changes::Shown || options.root != Path::new("/");
    let foresights = match is_looked_at {
        true => Some(foresee(&Host::rooted_at(&options.root), &options.ecs_agent, &plan).await),
        false => None,
    };
    let preview = Preview { plan: &plan, foresights, changes };
    match json {
        true => print(&format!("{}\n", serde_json::to_string_pretty(&preview)?)),
        false => print(&preview.render(paint_for(&std::io::stdout()))),
    }
}

fn read_facts(path: &Path) -> Result<Instance> {
    let bytes = read_input(path)?;
    Instance::parse(&bytes).map_err(|why| anyhow!("{} {why}", path.display()))
}

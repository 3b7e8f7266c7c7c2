//! `ecs-firstrun rehearse`: the whole job on this machine, against a fake cloud and stub programs.
//!
//! The job is the `run` of this same binary, in a process of its own. Only its endpoints, root and environment differ from
//! those on an instance.

#![allow(clippy::disallowed_methods, reason = "it builds the scratch folder that stands for a host")]

mod boot;
pub mod cloud;
pub mod programs;
mod rehearsal;
mod scenario;
mod show;
mod time;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum as _};

pub use self::rehearsal::{Rehearsal, docker_socket};
pub use self::scenario::Scenario;
use self::time::TimeScale;
use crate::streams::{eprint, print, read_input};
use crate::text::{COLUMNS, FAINT, Paint, STRONG, wrap};

/// The user data of a rehearsal if no other is given.
const EXAMPLE: &str = include_str!("../examples/user-data/complete.yaml");

/// The arguments of `rehearse`.
#[derive(Args, Clone, Debug)]
pub struct RehearseArguments {
    /// Scenario to rehearse; --list shows all
    #[arg(long, value_name = "NAME", default_value = "success")]
    scenario: Scenario,
    /// Your own user data instead of that of examples/
    #[arg(long, value_name = "FILE")]
    user_data: Option<PathBuf>,
    /// List the scenarios
    #[arg(long)]
    list: bool,
    /// Leave the scratch host in this folder, which must be empty or missing
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Multiply the time to wait for the registration by this factor: with 0.01, 10m becomes 6s
    ///
    /// The user data is served with one more document, which sets the shorter `wait.timeout`; the run itself knows
    /// nothing of it. Without this, a scenario that waits to the end does so for 3 s; with 1, for as long as on an instance.
    #[arg(long, value_name = "FACTOR")]
    time_scale: Option<TimeScale>,
    /// Run the commands of `hooks` on this machine, in the scratch folder, with your own rights
    ///
    /// A program is looked for below the scratch folder first. Without this, hooks are recorded, and each succeeds.
    #[arg(long)]
    run_hooks: bool,
}

/// Rehearses a boot and shows its result. `paint` is for the result, `progress` for the messages before the result.
///
/// # Errors
/// The scratch host or the fake cloud can't be made.
pub async fn rehearse(arguments: RehearseArguments, paint: Paint, progress: Paint) -> Result<u8> {
    if arguments.list {
        for scenario in Scenario::value_variants() {
            let (name, what) = scenario.words();
            print(&format!("{name:<15} {what}\n"))?;
        }
        return Ok(0);
    }
    let scratch = tempfile::Builder::new().prefix("ecs-firstrun-").tempdir().context("make a scratch folder")?;
    let folder = arguments.keep.clone().unwrap_or_else(|| scratch.path().to_owned());
    if arguments.keep.is_some() && folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        anyhow::bail!("{} is not empty; choose another folder", folder.display());
    }
    let (rehearsal, note) = prepare(&arguments, &folder)?;
    let (name, what) = arguments.scenario.words();
    eprint(&format!("{} {what}\n", progress.paint(STRONG, &format!("{name}:"))));
    let lines = note.iter().flat_map(|note| wrap(note, COLUMNS));
    lines.for_each(|line| eprint(&format!("{}\n", progress.paint(FAINT, &line))));
    let mut status = rehearsal.boot(progress).await?;
    if arguments.scenario == Scenario::Reboot {
        print(&format!("\n{}\n\n{}", paint.paint(STRONG, "first boot"), rehearsal.report()?.render(paint)))?;
        rehearsal.restart()?;
        status = rehearsal.boot(progress).await?;
        print(&format!("\n{}\n", paint.paint(STRONG, "second boot")))?;
    }
    print(&rehearsal.shown(paint)?)?;
    if let Some(folder) = &arguments.keep {
        print(&format!("\nThe scratch host is in {}.\n", folder.display()))?;
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    print(&format!("\nexit code {code}\n"))?;
    Ok(code)
}

/// Prepares the scratch host, and returns a note on its user data for a person, if any.
fn prepare(arguments: &RehearseArguments, folder: &Path) -> Result<(Rehearsal, Option<String>)> {
    let scenario = arguments.scenario;
    let text = match (&arguments.user_data, scenario) {
        (Some(path), _) => read_input(path)?,
        (None, Scenario::BadUserData) => EXAMPLE.replace("cluster:", "clusterr:").into_bytes(),
        (None, _) => EXAMPLE.as_bytes().to_vec(),
    };
    let parsed = crate::run::documents("user data", &text);
    let needs_device = matches!(scenario, Scenario::LateDevice | Scenario::ForeignDisk);
    let idle = (needs_device && rehearsal::devices(&parsed).is_empty())
        .then(|| "the user data has no device in `storage`, so this is the same as `success`".to_owned());
    let other = match arguments.time_scale {
        Some(scale) => time::scaled(&text, &parsed, scale),
        None if scenario.waits_to_the_end() => time::shortened(&text, &parsed),
        None => None,
    };
    let (text, note) = other.map_or((text, idle), |other| (other.user_data, Some(other.note)));
    let binary = std::env::current_exe().context("find this program")?;
    let rehearsal = Rehearsal::of(scenario, text, folder, &binary)?;
    if arguments.run_hooks {
        rehearsal.programs.run_hooks()?;
    }
    Ok((rehearsal, note))
}

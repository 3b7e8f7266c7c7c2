//! The command line: its commands and options, and what each command prints.

mod doctor;
mod log;
mod plan;
mod signal;
mod status;
mod validate;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};

use crate::aws::imds;
use crate::ecs_agent::EcsAgent;
use crate::host::Host;
use crate::http;
use crate::preview::Changes;
use crate::run::{self, Options};
use crate::secrets::redact;
use crate::streams::{eprint, has_color, print};
use crate::well_known::ECS_ENDPOINT;

/// Configures an Amazon ECS container instance at first boot and signals CloudFormation
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct CommandLine {
    /// Format of the log lines
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text", env = "ECS_FIRSTRUN_LOG")]
    log_format: log::LogFormat,
    /// Log more: every program that is run
    #[arg(short, long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Do the boot job: fetch, plan, apply, wait, signal
    ///
    /// Exit codes: 0 done; 1 failed, and the failure was reported; 2 the configuration was refused, and that was
    /// reported; 3 the outcome could not be reported, a configuration was refused that names nobody to signal, or the
    /// run was stopped, for example by a shutdown, and the next one continues.
    Run {
        #[command(flatten)]
        places: Places,
        /// Print the plan and change nothing, as `plan` does
        #[arg(long)]
        dry_run: bool,
    },
    /// Print what `run` would do, and change nothing
    ///
    /// Needs neither root nor AWS. Without instance metadata and without --facts the plan is for an example instance.
    /// On an instance, and with --root or --diff, `*` marks what would change, and `?` what can't be told without a
    /// run, or without being root.
    Plan {
        #[command(flatten)]
        places: Places,
        /// Facts of an instance, as `facts` prints them
        #[arg(long, value_name = "FILE")]
        facts: Option<PathBuf>,
        /// Show the lines of files that would change below --root; none that may hold a secret
        #[arg(long)]
        diff: bool,
        /// Print the plan as JSON
        #[arg(long)]
        json: bool,
    },
    /// Check user data, offline, alone or inside a CloudFormation template; exit code 2 when something is wrong
    ///
    /// Warnings are about what is valid but causes trouble; they leave the exit code at 0.
    Validate(validate::ValidateArguments),
    /// Print the JSON Schema of the configuration, for editors and other programs
    Schema,
    /// Print the facts of this instance that a plan depends on, as JSON for `plan --facts`
    Facts {
        #[command(flatten)]
        places: Places,
    },
    /// Show the last run, step by step
    ///
    /// Exit codes: 0 the run went well, or still goes; 1 the run failed; 2 there is no report, or it can't be read.
    Status(status::StatusArguments),
    /// Say why this instance isn't a working member of its cluster, and what to do
    ///
    /// Makes every check that it can, in a few seconds, and changes nothing. Exit codes: 0 nothing is wrong; 1 something is.
    Doctor {
        #[command(flatten)]
        places: Places,
        /// Check an image before it is baked: reads files below --root, asks dockerd on the host itself, and uses no network
        #[arg(long, conflicts_with = "user_data")]
        image: bool,
        /// Print the findings as JSON
        #[arg(long)]
        json: bool,
    },
    /// Send one signal to CloudFormation by hand, with the options of cfn-signal
    ///
    /// Exit codes are those of cfn-signal: 0 accepted, 1 not, 2 wrong usage. Called as `cfn-signal`, this program
    /// is this command.
    Signal(Box<signal::SignalArguments>),
    /// Run the whole job against an embedded fake cloud, in a scratch folder
    #[cfg(feature = "rehearse")]
    Rehearse(crate::rehearse::RehearseArguments),
}

#[derive(Args, Debug)]
struct Places {
    /// Directory that stands for /: every file is read and written below it
    #[arg(long, value_name = "DIR", default_value = "/", env = "ECS_FIRSTRUN_ROOT")]
    root: PathBuf,
    /// Read the user data from a file (`-` is standard input), not from the instance metadata
    #[arg(long, value_name = "FILE")]
    user_data: Option<PathBuf>,
    /// Endpoint of the instance metadata service [default: its IPv4, then its IPv6 address]
    #[arg(long, value_name = "URL", env = "AWS_EC2_METADATA_SERVICE_ENDPOINT", value_parser = imds::endpoint)]
    imds_endpoint: Option<String>,
    /// Endpoint of the ECS agent's introspection API
    #[arg(long, value_name = "URL", default_value = ECS_ENDPOINT, env = "ECS_FIRSTRUN_ECS_ENDPOINT")]
    ecs_endpoint: String,
    /// Endpoint of CloudFormation [default: by region and partition]
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL_CLOUDFORMATION", value_parser = http::endpoint)]
    cloudformation_endpoint: Option<String>,
}

impl TryFrom<Places> for Options {
    type Error = anyhow::Error;

    fn try_from(places: Places) -> Result<Self> {
        Ok(Options {
            root: places.root,
            user_data: places.user_data,
            imds_endpoint: places.imds_endpoint.filter(|url| !url.is_empty()),
            ecs_agent: EcsAgent::new(&places.ecs_endpoint)?,
            cloudformation_endpoint: places.cloudformation_endpoint.filter(|url| !url.is_empty()),
        })
    }
}

/// Parses the process's arguments, and ends the process if they are wrong or ask for help. Called as `cfn-signal`, this
/// program runs the command `signal`.
pub fn parse(mut arguments: Vec<OsString>) -> CommandLine {
    if arguments.first().map(Path::new).and_then(Path::file_name) == Some("cfn-signal".as_ref()) {
        arguments.insert(1, "signal".into());
    }
    CommandLine::try_parse_from(arguments).unwrap_or_else(|error| {
        if !error.use_stderr() {
            error.exit();
        }
        // The error quotes the arguments, which may contain a presigned URL.
        let styled = error.render();
        let text = if has_color(&std::io::stderr()) { styled.ansi().to_string() } else { styled.to_string() };
        eprint(&redact(&text));
        std::process::exit(error.exit_code())
    })
}

/// Runs the command of the command line, and returns the exit code.
///
/// # Errors
/// Wrong usage or input. A failure that a command reports by itself is an exit code.
pub async fn execute(line: CommandLine) -> Result<ExitCode> {
    let log = log::Log { format: line.log_format, verbose: line.verbose };
    match line.command {
        Command::Run { places, dry_run: true } => {
            log.start(None);
            plan::plan(&places.try_into()?, None, Changes::Left, false).await
        }
        Command::Run { places, dry_run: false } => {
            let options = Options::try_from(places)?;
            let host = Host::rooted_at(&options.root);
            log.start(Some(&host));
            Ok(ExitCode::from(run::run(&options).await.code()))
        }
        Command::Plan { places, facts, diff, json } => {
            log.start(None);
            let changes = if diff { Changes::Shown } else { Changes::Left };
            plan::plan(&places.try_into()?, facts, changes, json).await
        }
        Command::Validate(arguments) => validate::validate(arguments),
        Command::Schema => print(&schema()?),
        Command::Facts { places } => {
            log.start(None);
            let instance = run::instance_facts(&places.try_into()?).await?;
            print(&format!("{}\n", serde_json::to_string_pretty(&instance)?))
        }
        Command::Status(arguments) => status::status(arguments).await,
        Command::Doctor { places, image: true, json } => doctor::doctor_image(&places.try_into()?, json).await,
        Command::Doctor { places, image: false, json } => {
            log.start(None);
            doctor::doctor(&places.try_into()?, json).await
        }
        Command::Signal(arguments) => {
            log.start(None);
            match signal::signal(*arguments).await {
                Ok(told) => print(&told.unwrap_or_default()),
                Err(error) => {
                    eprint(&format!("error: {error:#}\n"));
                    Ok(ExitCode::FAILURE)
                }
            }
        }
        #[cfg(feature = "rehearse")]
        Command::Rehearse(arguments) => {
            use crate::streams::paint_for;
            log.start(None);
            let (paint, progress) = (paint_for(&std::io::stdout()), paint_for(&std::io::stderr()));
            Ok(ExitCode::from(crate::rehearse::rehearse(arguments, paint, progress).await?))
        }
    }
}

/// Returns the JSON Schema of the configuration, the same as in `examples/schema.json`.
fn schema() -> Result<String> {
    let packed: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/schema.json.gz"));
    std::io::read_to_string(flate2::bufread::GzDecoder::new(packed)).context("unpack the schema")
}

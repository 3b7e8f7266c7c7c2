//! The command line, the logging and the exit codes of `ecs-firstrun`; the library does the rest.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use ecs_firstrun::host::Host;
use ecs_firstrun::instance::Instance;
use ecs_firstrun::report::{Outcome, Report};
use ecs_firstrun::run::{self, Ending, Options};
use ecs_firstrun::signal;

/// Finishes an Amazon ECS container instance at first boot and signals CloudFormation
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct CommandLine {
    /// How log lines are written
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text", env = "ECS_FIRSTRUN_LOG")]
    log_format: LogFormat,
    /// Log more: every program that is run
    #[arg(short, long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Do the boot job: fetch, plan, apply, wait, signal
    ///
    /// Exit codes: 0 done; 1 failed, and the failure was reported; 2 the configuration was refused, and that was
    /// reported; 3 the outcome could not be reported.
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
    Plan {
        #[command(flatten)]
        places: Places,
        /// Facts of an instance, as `facts` prints them
        #[arg(long, value_name = "FILE")]
        facts: Option<PathBuf>,
        /// Print the plan as JSON
        #[arg(long)]
        json: bool,
    },
    /// Check user data, offline; exit code 2 when something is wrong
    Validate {
        /// The user data; `-` is standard input
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// Print the facts of this instance that a plan depends on, as JSON for `plan --facts`
    Facts {
        #[command(flatten)]
        places: Places,
    },
    /// Show how the last run went, step by step
    Status {
        /// Every path of the host lies under it
        #[arg(long, value_name = "DIR", default_value = "/", env = "ECS_FIRSTRUN_ROOT")]
        root: PathBuf,
        /// Follow the run until it ends
        #[arg(long)]
        wait: bool,
        /// Print the report as JSON
        #[arg(long)]
        json: bool,
    },
    /// Say why this instance isn't a working member of its cluster, and what to do
    ///
    /// Makes every check that it can, in a few seconds, and changes nothing. Exit codes: 0 nothing is wrong; 1 something is.
    Doctor {
        #[command(flatten)]
        places: Places,
        /// Print the findings as JSON
        #[arg(long)]
        json: bool,
    },
    /// Send one signal to CloudFormation by hand, with the options of cfn-signal
    ///
    /// Exit codes, as of cfn-signal: 0 accepted, 1 not, 2 wrong usage. Called by the name `cfn-signal`, this program
    /// is this command.
    Signal(Box<signal::Arguments>),
    /// Run the whole job against an embedded fake cloud, in a scratch folder
    #[cfg(feature = "rehearse")]
    Rehearse(ecs_firstrun::rehearse::Arguments),
}

#[derive(Args)]
struct Places {
    /// Every path that is read or written on the host lies under it
    #[arg(long, value_name = "DIR", default_value = "/", env = "ECS_FIRSTRUN_ROOT")]
    root: PathBuf,
    /// Read the user data from a file (`-` is standard input), not from the instance metadata
    #[arg(long, value_name = "FILE")]
    user_data: Option<PathBuf>,
    /// Where the instance metadata service answers [default: its IPv4, then its IPv6 address]
    #[arg(long, value_name = "URL", env = "AWS_EC2_METADATA_SERVICE_ENDPOINT")]
    imds_endpoint: Option<String>,
    /// Where the ECS agent answers
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:51678", env = "ECS_FIRSTRUN_ECS_ENDPOINT")]
    ecs_endpoint: String,
    /// Where CloudFormation answers [default: by region and partition]
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL_CLOUDFORMATION")]
    cloudformation_endpoint: Option<String>,
}

impl From<Places> for Options {
    fn from(places: Places) -> Self {
        Options {
            root: places.root,
            user_data: places.user_data,
            imds_endpoint: places.imds_endpoint.filter(|url| !url.is_empty()),
            ecs_endpoint: places.ecs_endpoint,
            cloudformation_endpoint: places.cloudformation_endpoint.filter(|url| !url.is_empty()),
        }
    }
}

fn main() -> ExitCode {
    #[cfg(feature = "rehearse")]
    if let Some(code) = {
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_default();
        ecs_firstrun::rehearse::programs::main_if_stub(&name, arguments)
    } {
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    let line = CommandLine::parse_from(arguments());
    // One thread: what is awaited is the network and other programs.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.context("start the runtime").and_then(|runtime| runtime.block_on(execute(line)));
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(Ending::Refused.code())
    })
}

/// The command line. Where this program stands in for cfn-signal, the command is `signal`.
fn arguments() -> Vec<std::ffi::OsString> {
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if arguments.first().map(std::path::Path::new).and_then(std::path::Path::file_name) == Some("cfn-signal".as_ref()) {
        arguments.insert(1, "signal".into());
    }
    arguments
}

async fn execute(line: CommandLine) -> Result<ExitCode> {
    let log = Log { format: line.log_format, verbose: line.verbose };
    match line.command {
        Command::Run { places, dry_run: true } => print_plan(&places.into(), None, false).await,
        Command::Run { places, dry_run: false } => {
            let options = Options::from(places);
            let host = Host::rooted_at(&options.root, &options.ecs_endpoint)?;
            log.start(Some(&host));
            Ok(ExitCode::from(run::run(&options).await?.code()))
        }
        Command::Plan { places, facts, json } => {
            log.start(None);
            print_plan(&places.into(), facts, json).await
        }
        Command::Validate { file } => validate(&file),
        Command::Facts { places } => {
            log.start(None);
            let instance = run::instance_facts(&places.into()).await?;
            print(&format!("{}\n", serde_json::to_string_pretty(&instance)?))
        }
        Command::Status { root, wait, json } => {
            status(&Host::rooted_at(&root, "http://127.0.0.1:51678")?, wait, json).await
        }
        Command::Doctor { places, json } => {
            log.start(None);
            doctor(&places.into(), json).await
        }
        Command::Signal(arguments) => {
            log.start(None);
            match signal::signal(*arguments).await {
                Ok(told) => print(&told.unwrap_or_default()),
                Err(error) => {
                    eprintln!("error: {error:#}");
                    Ok(ExitCode::FAILURE)
                }
            }
        }
        #[cfg(feature = "rehearse")]
        Command::Rehearse(arguments) => {
            log.start(None);
            Ok(ExitCode::from(ecs_firstrun::rehearse::rehearse(arguments).await?))
        }
    }
}

async fn print_plan(options: &Options, facts: Option<PathBuf>, json: bool) -> Result<ExitCode> {
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

fn read_facts(path: &std::path::Path) -> Result<Instance> {
    let text = run::read_user_data(path)?;
    let facts: Instance = serde_json::from_slice(&text)
        .with_context(|| format!("{} does not hold facts; `ecs-firstrun facts` prints them", path.display()))?;
    match facts.version {
        ecs_firstrun::instance::VERSION => Ok(facts),
        other => bail!(
            "{} holds facts of version {other}, this agent reads version {}",
            path.display(),
            ecs_firstrun::instance::VERSION
        ),
    }
}

fn validate(file: &std::path::Path) -> Result<ExitCode> {
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

fn refuse(problems: &[ecs_firstrun::config::problem::Problem]) -> Result<ExitCode> {
    let color = has_color(&std::io::stderr());
    for problem in problems {
        eprintln!("{}\n", problem.render(color));
    }
    eprintln!("{} error{} found.", problems.len(), if problems.len() == 1 { "" } else { "s" });
    Ok(ExitCode::from(Ending::Refused.code()))
}

async fn doctor(options: &Options, json: bool) -> Result<ExitCode> {
    let diagnosis = run::diagnose(options).await?;
    match json {
        true => print(&format!("{}\n", serde_json::to_string_pretty(&diagnosis)?))?,
        false => print(&diagnosis.render(has_color(&std::io::stdout())))?,
    };
    Ok(ExitCode::from(u8::from(diagnosis.cause().is_some())))
}

/// Whether colour is for a person to see, who has not asked to be spared it.
fn has_color(stream: &impl std::io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

async fn status(host: &Host, wait: bool, json: bool) -> Result<ExitCode> {
    let path = host.state_path("report.json");
    loop {
        let text = host.read(&path)?;
        let report =
            text.as_deref().map(Report::parse).transpose().map_err(|error| anyhow::anyhow!("{path}: {error}"))?;
        let running = report.as_ref().is_none_or(|report| report.outcome == Outcome::Running);
        if wait && running {
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
            continue;
        }
        let Some(report) = report else { bail!("there was no run on this host yet: {path} is missing") };
        let failed = !matches!(report.outcome, Outcome::Success | Outcome::Running);
        match json {
            true => print(&text.unwrap_or_default())?,
            false => print(&report.to_string())?,
        };
        return Ok(ExitCode::from(u8::from(failed)));
    }
}

/// Prints to standard output. That nobody reads it to its end, as in `| head`, is no error.
fn print(text: &str) -> Result<ExitCode> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("write to standard output"),
        _ => Ok(ExitCode::SUCCESS),
    }
}

struct Log {
    format: LogFormat,
    verbose: bool,
}

/// The time at the head of a line in the log file, as the log agents are told to read it.
struct Time;

impl tracing_subscriber::fmt::time::FormatTime for Time {
    fn format_time(&self, w: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        write!(w, "{}", humantime::format_rfc3339_seconds(std::time::SystemTime::now()))
    }
}

impl Log {
    /// Sends log lines to standard error, without the time, which journald adds; and, on a host, to the log file.
    fn start(&self, host: Option<&Host>) {
        use tracing_subscriber::filter::{LevelFilter, Targets};
        use tracing_subscriber::prelude::*;
        let level = if self.verbose { LevelFilter::DEBUG } else { LevelFilter::INFO };
        // The libraries' own lines are for their developers.
        let filter = Targets::new().with_default(LevelFilter::WARN).with_target("ecs_firstrun", level);
        let file = host.and_then(|host| {
            let opened = host.open_log(ecs_firstrun::plan::LOG_FILE);
            opened.inspect_err(|error| eprintln!("warning: no log file: {error}")).ok()
        });
        let ansi = has_color(&std::io::stderr());
        let stderr = tracing_subscriber::fmt::layer().with_target(false).with_ansi(ansi).with_writer(std::io::stderr);
        let file = file.map(|file| {
            tracing_subscriber::fmt::layer()
                .with_target(false)
                .with_ansi(false)
                .with_timer(Time)
                .with_writer(std::sync::Mutex::new(file))
        });
        let layers = match self.format {
            LogFormat::Text => {
                vec![stderr.without_time().boxed()].into_iter().chain(file.map(|file| file.boxed())).collect::<Vec<_>>()
            }
            LogFormat::Json => vec![stderr.json().with_timer(Time).boxed()]
                .into_iter()
                .chain(file.map(|file| file.json().boxed()))
                .collect(),
        };
        let started = tracing_subscriber::registry().with(filter).with(layers).try_init();
        if let Err(error) = started {
            eprintln!("warning: no log: {error}");
        }
    }
}

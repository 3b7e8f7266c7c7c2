//! The man pages: one for the program, and one for each command.

use anyhow::Result;
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};
use ecs_firstrun::config::SHELL_VARIABLES;

/// The section of commands for the administrator of a host.
const SECTION: &str = "8";
/// An empty date in roff, so that the same source makes the same page.
const NO_DATE: &str = "\"\"";

/// A term and what it means.
type Entry = (&'static str, &'static str);

/// The sections of a page that the definitions of the command line don't give.
struct More {
    exit_status: &'static [Entry],
    environment: &'static [Entry],
    files: &'static [Entry],
}

/// A command that needs no words of its own.
const PLAIN: More = More {
    exit_status: &[("0", "Done."), ("2", "Wrong usage, or input that can't be read or is refused.")],
    environment: &[],
    files: &[],
};
const NO_COLOR: Entry = ("NO_COLOR", "If set and not empty, nothing is coloured.");
const CA_BUNDLE: Entry = (
    "AWS_CA_BUNDLE",
    "A PEM file of CA certificates that are trusted beside the host's own, such as that of a proxy that inspects TLS.",
);
const VARIANT: Entry = (
    "AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT",
    "If true, FIPS or dual-stack endpoints of AWS are asked, unless the configuration says otherwise.",
);
const CONFIGURATION: Entry =
    ("/etc/ecs-firstrun/conf.d/*.yaml", "Documents of the image, read by name and before the user data.");

const PROGRAM: More = More {
    exit_status: &[
        ("0", "Done."),
        ("2", "Wrong usage, or input that can't be read or is refused."),
        ("others", "See the page of the command."),
    ],
    environment: &[],
    files: &[
        (
            "/usr/lib/systemd/system/ecs-firstrun.service",
            "The boot job, which cloud-init.target pulls in on every boot.",
        ),
        CONFIGURATION,
        ("/var/lib/ecs-firstrun", "The last run and the state of this instance."),
        ("/var/log/ecs-firstrun.log", "The log."),
    ],
};

const RUN: More = More {
    exit_status: &[
        ("0", "Done: the host is as configured, and the success was reported."),
        ("1", "Failed, and the failure was reported."),
        ("2", "Wrong usage, or a configuration that was refused; the latter was reported."),
        (
            "3",
            "The outcome could not be reported, a configuration was refused that names nobody to signal, or the run was \
             stopped, for example by a shutdown, and the next one continues.",
        ),
    ],
    environment: &[CA_BUNDLE, VARIANT],
    files: &[
        CONFIGURATION,
        ("/var/lib/ecs-firstrun/report.json", "The last run, step by step: see ecs-firstrun-status(8)."),
        ("/var/lib/ecs-firstrun/state.json", "The outcome of this instance, and what a reboot without network needs."),
        ("/var/log/ecs-firstrun.log", "The log, which is sent to CloudWatch Logs, too."),
        ("/var/log/ecs-firstrun-runs.log", "One line of JSON for each run, sent there as well."),
        ("/etc/ecs/ecs.config", "A block of lines at the top is written; all other lines stay."),
        ("/etc/docker/daemon.json", "Written whole; the image's daemon.json is merged into it."),
        (
            "/etc/systemd/system",
            "A mount unit for each volume, and drop-ins of Docker, the ECS agent and the SSM agent.",
        ),
    ],
};

const DOCTOR: More = More {
    exit_status: &[("0", "Nothing is wrong."), ("1", "Something is wrong."), ("2", "Wrong usage.")],
    environment: &[
        ("AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_ECS, AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "Endpoints other than AWS's own."),
        NO_COLOR,
        CA_BUNDLE,
    ],
    files: &[
        ("/var/log/ecs/ecs-agent.log", "The ECS agent's own log, which is searched for the cause."),
        CONFIGURATION,
    ],
};

fn more(command: &str) -> More {
    match command {
        "ecs-firstrun" => PROGRAM,
        "run" => RUN,
        "doctor" => DOCTOR,
        "plan" => More {
            exit_status: &[("0", "The plan was printed."), ("2", "Wrong usage, or a configuration that is refused.")],
            files: &[CONFIGURATION],
            ..PLAIN
        },
        "validate" => More {
            exit_status: &[("0", "Nothing is wrong."), ("2", "Something is wrong, or the input can't be read.")],
            environment: &[NO_COLOR],
            ..PLAIN
        },
        "status" => More {
            exit_status: &[
                ("0", "The last run succeeded, or goes on."),
                ("1", "The last run failed."),
                ("2", "Wrong usage, or there was no run yet."),
            ],
            files: &[("/var/lib/ecs-firstrun/report.json", "The report that is shown.")],
            ..PLAIN
        },
        "signal" => More {
            exit_status: &[
                ("0", "The signal was accepted."),
                ("1", "The signal was not accepted."),
                ("2", "Wrong usage."),
            ],
            environment: &[CA_BUNDLE, VARIANT],
            ..PLAIN
        },
        _ => PLAIN,
    }
}

/// Makes the pages, each with its file name and text.
///
/// # Errors
/// No error is expected: the pages are made in memory.
pub fn pages(command: Command) -> Result<Vec<(String, String)>> {
    let mut program = command.disable_help_subcommand(true);
    program.build();
    let commands: Vec<&Command> = std::iter::once(&program).chain(program.get_subcommands()).collect();
    let names: Vec<&str> = commands.iter().map(|command| name(command)).collect();
    commands.iter().map(|command| page(command, &names)).collect()
}

fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn page(command: &Command, names: &[&str]) -> Result<(String, String)> {
    let source = format!("ecs-firstrun {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(without_exit_codes(command.clone()));
    let man = man.section(SECTION).date(NO_DATE).source(source).manual("ecs-firstrun");
    let mut text = Vec::new();
    man.render(&mut text)?;
    let more = more(command.get_name());
    let mut roff = Roff::new();
    entries(&mut roff, "EXIT STATUS", more.exit_status);
    environment(&mut roff, command, more.environment);
    entries(&mut roff, "FILES", more.files);
    see_also(&mut roff, names.iter().copied().filter(|other| *other != name(command)));
    roff.to_writer(&mut text)?;
    Ok((man.get_filename(), String::from_utf8(text)?))
}

/// Removes the exit codes from the end of a command's help: the page has a section for them.
fn without_exit_codes(command: Command) -> Command {
    let Some(about) = command.get_long_about().map(ToString::to_string) else { return command };
    let text = about.split("Exit codes").next().unwrap_or_default().trim().to_owned();
    command.long_about(text)
}

fn environment(roff: &mut Roff, command: &Command, more: &[Entry]) {
    let options = command.get_arguments().filter_map(|argument| {
        let option = argument.get_long()?;
        Some((argument.get_env()?.to_str()?, format!("The value of --{option}, if that option isn't given.")))
    });
    let reads_user_data = command.get_arguments().any(|argument| argument.get_id() == "user_data");
    let variables = SHELL_VARIABLES.iter().filter(|_| reads_user_data).map(|(name, path)| {
        (*name, format!("If set and not empty, {} of the configuration, whatever the user data says.", path.join(".")))
    });
    let more = more.iter().map(|(name, text)| (*name, (*text).to_owned()));
    entries(roff, "ENVIRONMENT", &options.chain(variables).chain(more).collect::<Vec<_>>());
}

/// Adds a section of terms with their meanings, if there are any.
fn entries(roff: &mut Roff, title: &str, entries: &[(&str, impl AsRef<str>)]) {
    if !entries.is_empty() {
        roff.control("SH", [title]);
    }
    for (term, meaning) in entries {
        roff.control("TP", []);
        roff.text([if title == "FILES" { italic(*term) } else { bold(*term) }]);
        roff.text([roman(meaning.as_ref())]);
    }
}

/// Adds the section SEE ALSO: our other pages, and pages of programs that an administrator of ecs-firstrun needs.
fn see_also<'a>(roff: &mut Roff, others: impl Iterator<Item = &'a str>) {
    let of_system = ["cloud-init", "journalctl", "systemctl"].map(|name| (name, "1"));
    let pages = others.map(|name| (name, SECTION)).chain(of_system);
    let inlines = pages.flat_map(|(name, section)| [bold(name), roman(format!("({section})")), roman(", ")]);
    let mut line: Vec<_> = inlines.collect();
    line.pop();
    roff.control("SH", ["SEE ALSO"]);
    roff.text(line);
}

//! The man pages: one of the program, and one of each command.

use anyhow::Result;
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use ecs_firstrun::config::SHELL_VARIABLES;

/// Commands for the administrator of a host.
const SECTION: &str = "8";
/// As roff writes what is empty: the same source makes the same page.
const NO_DATE: &str = "\"\"";

/// A term and what it means.
type Entry = (&'static str, &'static str);

/// What the definitions of the command line don't say of a command.
struct More {
    command: &'static str,
    exit_status: &'static [Entry],
    files: &'static [Entry],
    environment: &'static [Entry],
    see_also: &'static [&'static str],
}

/// Of a command that isn't among [`MORE`], and of all of them.
const EXIT_STATUS: &[Entry] = &[("0", "Done."), ("2", "Wrong usage, or input that can't be read or is refused.")];
const NO_COLOR: Entry = ("NO_COLOR", "If set and not empty, nothing is coloured.");
const CA_BUNDLE: Entry = (
    "AWS_CA_BUNDLE",
    "A PEM file of CA certificates that are trusted beside the host's own, such as that of a proxy that inspects TLS.",
);

const CONFIGURATION: &[Entry] =
    &[("/etc/ecs-firstrun/conf.d/*.yaml", "Documents of the image, read by name and before the user data.")];

const MORE: &[More] = &[
    More {
        command: "run",
        exit_status: &[
            ("0", "Done: what was asked for holds, and CloudFormation was told so."),
            ("1", "Failed, and the failure was reported."),
            ("2", "Wrong usage, or a configuration that was refused; the latter was reported."),
            (
                "3",
                "The outcome could not be reported, a configuration was refused that names nobody to signal, or the run \
                 was stopped, for example by a shutdown, and the next one continues.",
            ),
        ],
        files: &[
            CONFIGURATION[0],
            ("/var/lib/ecs-firstrun/report.json", "The last run, step by step: see ecs-firstrun-status(8)."),
            (
                "/var/lib/ecs-firstrun/state.json",
                "The outcome of this instance, and what a reboot without network needs.",
            ),
            ("/var/log/ecs-firstrun.log", "The log, which is sent to CloudWatch Logs, too."),
            ("/var/log/ecs-firstrun-runs.log", "One line of JSON for each run, sent there as well."),
            (
                "/etc/ecs/ecs.config, /etc/docker/daemon.json",
                "Written whole; the image's daemon.json is merged into it.",
            ),
            (
                "/etc/systemd/system",
                "A mount unit for each volume, and drop-ins of Docker, the ECS agent and the SSM agent.",
            ),
        ],
        environment: &[CA_BUNDLE],
        see_also: &["ecs-firstrun-plan(8)", "ecs-firstrun-status(8)", "ecs-firstrun-doctor(8)"],
    },
    More {
        command: "plan",
        exit_status: &[("0", "The plan was printed."), ("2", "Wrong usage, or a configuration that is refused.")],
        files: CONFIGURATION,
        environment: &[],
        see_also: &["ecs-firstrun-facts(8)", "ecs-firstrun-validate(8)"],
    },
    More {
        command: "validate",
        exit_status: &[("0", "Nothing is wrong."), ("2", "Something is, or the input can't be read.")],
        files: &[],
        environment: &[NO_COLOR],
        see_also: &["ecs-firstrun-plan(8)"],
    },
    More {
        command: "facts",
        exit_status: EXIT_STATUS,
        files: &[],
        environment: &[],
        see_also: &["ecs-firstrun-plan(8)"],
    },
    More {
        command: "status",
        exit_status: &[
            ("0", "The last run succeeded, or goes on."),
            ("1", "It failed."),
            ("2", "Wrong usage, or there was no run yet."),
        ],
        files: &[("/var/lib/ecs-firstrun/report.json", "The report that is shown.")],
        environment: &[],
        see_also: &["ecs-firstrun-doctor(8)", "systemctl(1)", "journalctl(1)"],
    },
    More {
        command: "doctor",
        exit_status: &[("0", "Nothing is wrong."), ("1", "Something is."), ("2", "Wrong usage.")],
        files: &[
            ("/var/log/ecs/ecs-agent.log", "The ECS agent's own log, which is searched for the cause."),
            CONFIGURATION[0],
        ],
        environment: &[
            (
                "AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_ECS, AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
                "Endpoints other than AWS's own.",
            ),
            NO_COLOR,
            CA_BUNDLE,
        ],
        see_also: &["ecs-firstrun-status(8)"],
    },
    More {
        command: "signal",
        exit_status: &[("0", "The signal was accepted."), ("1", "It was not."), ("2", "Wrong usage.")],
        files: &[],
        environment: &[CA_BUNDLE],
        see_also: &["ecs-firstrun-run(8)"],
    },
];

/// The pages' file names and texts.
///
/// # Errors
/// None that is expected: the pages are made in memory.
pub fn pages(mut command: Command) -> Result<Vec<(String, String)>> {
    command = command.disable_help_subcommand(true);
    command.build();
    let names: Vec<_> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let mut pages = vec![page(&command, &program(&names))?];
    for subcommand in command.get_subcommands() {
        let more = MORE.iter().find(|more| more.command == subcommand.get_name());
        pages.push(page(subcommand, &extra(subcommand, more))?);
    }
    Ok(pages)
}

fn page(command: &Command, extra: &Roff) -> Result<(String, String)> {
    let command = without_exit_codes(command.clone());
    let has_subcommands = command.has_subcommands();
    let source = format!("ecs-firstrun {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command).section(SECTION).date(NO_DATE).source(source).manual("ecs-firstrun");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if has_subcommands {
        man.render_subcommands_section(&mut text)?;
    }
    extra.to_writer(&mut text)?;
    Ok((man.get_filename(), String::from_utf8(text)?))
}

/// The help of a command ends with its exit codes, which have a section of their own in a page.
fn without_exit_codes(command: Command) -> Command {
    let Some(about) = command.get_long_about().map(ToString::to_string) else { return command };
    let text = about.split("Exit codes").next().unwrap_or_default().trim().to_owned();
    command.long_about(text)
}

/// What the program's own page has beside the definitions.
fn program(names: &[String]) -> Roff {
    let mut roff = Roff::new();
    entries(&mut roff, "EXIT STATUS", EXIT_STATUS);
    roff.control("PP", []);
    roff.text([roman("The page of a command tells which other ones it has.")]);
    entries(
        &mut roff,
        "FILES",
        &[
            (
                "/usr/lib/systemd/system/ecs-firstrun.service",
                "The boot job, which cloud-init.target pulls in on every boot.",
            ),
            ("/etc/ecs-firstrun/conf.d/*.yaml", "Documents of the image, read by name and before the user data."),
            ("/var/lib/ecs-firstrun", "The last run and the state of this instance."),
            ("/var/log/ecs-firstrun.log", "The log."),
        ],
    );
    let pages: Vec<_> = names.iter().map(|name| format!("ecs-firstrun-{name}({SECTION})")).collect();
    see_also(&mut roff, pages.iter().map(String::as_str).chain(["cloud-init(1)", "systemctl(1)"]));
    roff
}

fn extra(command: &Command, more: Option<&More>) -> Roff {
    let mut roff = Roff::new();
    entries(&mut roff, "EXIT STATUS", more.map_or(EXIT_STATUS, |more| more.exit_status));
    environment(&mut roff, command, more.map_or(&[], |more| more.environment));
    entries(&mut roff, "FILES", more.map_or(&[], |more| more.files));
    let others = more.map_or(&[][..], |more| more.see_also);
    see_also(&mut roff, ["ecs-firstrun(8)"].into_iter().chain(others.iter().copied()));
    roff
}

fn environment(roff: &mut Roff, command: &Command, more: &[Entry]) {
    let options = command.get_arguments().filter_map(|argument| {
        let option = argument.get_long()?;
        Some((argument.get_env()?.to_str()?.to_owned(), format!("What --{option} is, where that isn't given.")))
    });
    let reads_user_data = command.get_arguments().any(|argument| argument.get_id() == "user_data");
    let variables = SHELL_VARIABLES.iter().filter(|_| reads_user_data).map(|(name, path)| {
        (
            (*name).to_owned(),
            format!("If set and not empty, {} of the configuration, whatever the user data says.", path.join(".")),
        )
    });
    let more = more.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let all: Vec<_> = options.chain(variables).chain(more).collect();
    let all: Vec<_> = all.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    entries(roff, "ENVIRONMENT", &all);
}

/// A section of terms with their meanings; none without any.
fn entries(roff: &mut Roff, title: &str, entries: &[(&str, &str)]) {
    if entries.is_empty() {
        return;
    }
    roff.control("SH", [title]);
    for (term, meaning) in entries {
        roff.control("TP", []);
        roff.text([if title == "FILES" { italic(*term) } else { bold(*term) }]);
        roff.text([roman(*meaning)]);
    }
}

fn see_also<'a>(roff: &mut Roff, pages: impl Iterator<Item = &'a str>) {
    roff.control("SH", ["SEE ALSO"]);
    let mut line: Vec<Inline> = Vec::new();
    for page in pages {
        if !line.is_empty() {
            line.push(roman(", "));
        }
        match page.split_once('(') {
            Some((name, section)) => line.extend([bold(name), roman(format!("({section}"))]),
            None => line.push(bold(page)),
        }
    }
    roff.text(line);
}

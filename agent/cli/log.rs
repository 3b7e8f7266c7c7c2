//! The log: standard error for people and journald, and a file that is sent to CloudWatch Logs.

use std::time::SystemTime;

use clap::ValueEnum;

use crate::host::Host;
use crate::streams::{eprint, has_color};

/// The format of the log's lines.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

/// The settings of the log.
pub(super) struct Log {
    pub(super) format: LogFormat,
    pub(super) verbose: bool,
}

/// The time at the head of a log line, in the format that the log agents expect.
struct Time;

impl tracing_subscriber::fmt::time::FormatTime for Time {
    fn format_time(&self, w: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        write!(w, "{}", humantime::format_rfc3339_seconds(SystemTime::now()))
    }
}

impl Log {
    /// Sends log lines to standard error and, on a host, to the log file. Text on standard error has no time, since
    /// journald adds one.
    pub(super) fn start(&self, host: Option<&Host>) {
        use tracing_subscriber::filter::{LevelFilter, Targets};
        use tracing_subscriber::prelude::*;
        let level = if self.verbose { LevelFilter::DEBUG } else { LevelFilter::INFO };
        // The libraries log for their developers; only their warnings and errors are of interest here.
        let filter = Targets::new().with_default(LevelFilter::WARN).with_target("ecs_firstrun", level);
        let file = host.and_then(|host| {
            let opened = host.open_log(crate::well_known::LOG_FILE);
            opened.inspect_err(|error| eprint(&format!("warning: no log file: {error}\n"))).ok()
        });
        let ansi = has_color(&std::io::stderr());
        // A line that can't be written is lost. The library would report this on standard error, and panic if standard
        // error itself can't be written.
        let layer = tracing_subscriber::fmt::layer;
        let stderr = layer().with_target(false).with_ansi(ansi).with_writer(std::io::stderr).log_internal_errors(false);
        let file = file.map(|file| {
            let layer = layer().with_target(false).with_ansi(false).with_writer(std::sync::Mutex::new(file));
            layer.with_timer(Time).log_internal_errors(false)
        });
        let layers = match self.format {
            LogFormat::Text => [Some(stderr.without_time().boxed()), file.map(|file| file.boxed())],
            LogFormat::Json => [Some(stderr.json().with_timer(Time).boxed()), file.map(|file| file.json().boxed())],
        };
        let layers: Vec<_> = layers.into_iter().flatten().collect();
        if let Err(error) = tracing_subscriber::registry().with(filter).with(layers).try_init() {
            eprint(&format!("warning: no log: {error}\n"));
        }
    }
}

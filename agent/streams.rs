//! Standard input, output and error, and the files that a person names in their place.

use std::io::{ErrorKind, IsTerminal, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::text::Paint;

/// Reads a file that a person names, such as user data; `-` is standard input.
///
/// # Errors
/// The file can't be read.
pub fn read_input(path: &Path) -> Result<Vec<u8>> {
    // Longer user data is refused by the decoder, with an error of its own.
    let limit = 2 << 20;
    let mut bytes = Vec::new();
    match path.as_os_str() == "-" {
        true => std::io::stdin().take(limit).read_to_end(&mut bytes).context("read standard input")?,
        false => {
            let file = std::fs::File::open(path).with_context(|| format!("can't read {}", path.display()))?;
            file.take(limit).read_to_end(&mut bytes).with_context(|| format!("can't read {}", path.display()))?
        }
    };
    Ok(bytes)
}

/// Prints to standard output. It is no error if the reader closes the pipe early, as in `| head`.
///
/// # Errors
/// The text can't be written for another reason, such as a full disk.
pub fn print(text: &str) -> Result<ExitCode> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("write to standard output"),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Prints to standard error, and ignores failures. If nothing can be written, the exit code still shows the outcome.
pub fn eprint(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Tells whether a stream is a terminal, and `NO_COLOR` is unset or empty.
pub fn has_color(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Returns the [`Paint`] for text on a stream.
pub fn paint_for(stream: &impl IsTerminal) -> Paint {
    if has_color(stream) { Paint::Colored } else { Paint::Plain }
}

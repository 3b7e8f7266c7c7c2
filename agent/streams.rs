//! Standard input, output and error, and the files that a person names in their place.

use std::io::{ErrorKind, IsTerminal, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::text::Paint;

/// Reads a file of user data; `-` is standard input.
///
/// # Errors
/// A file that can't be read.
pub fn read_input(path: &Path) -> Result<Vec<u8>> {
    // More is refused by the decoder, which says so.
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

/// Prints to standard output. That nobody reads it to its end, as in `| head`, is no error.
///
/// # Errors
/// What can't be written for another reason, such as a full disk.
pub fn print(text: &str) -> Result<ExitCode> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("write to standard output"),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Prints to standard error. Where that can't be written nobody can be told, and the exit code still says how it went.
pub fn eprint(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Whether colour is for a person to see, who has not asked to be spared it.
pub fn has_color(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// How text on a stream is painted.
pub fn paint_for(stream: &impl IsTerminal) -> Paint {
    if has_color(stream) { Paint::Colored } else { Paint::Plain }
}

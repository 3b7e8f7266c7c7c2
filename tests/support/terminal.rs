//! A pseudo-terminal of 80 columns, to see what a person sees.

use std::fs::File;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};

use nix::pty::{Winsize, openpty};

/// A program on a terminal of its own, and what it has written there.
pub struct OnTerminal {
    child: Child,
    screen: File,
}

impl OnTerminal {
    pub fn spawn(mut command: Command) -> Self {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let ends = openpty(Some(&size), None).unwrap();
        let end = || Stdio::from(ends.slave.try_clone().unwrap());
        command.stdin(end()).stdout(end()).stderr(end()).env("TERM", "xterm-256color");
        let child = command.spawn().unwrap();
        OnTerminal { child, screen: ends.master.into() }
    }

    /// All that was written until the program ended, and its exit code.
    pub fn ended(mut self) -> (String, Option<i32>) {
        let mut written = Vec::new();
        // A terminal that nobody writes to any more answers with an error on Linux.
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = self.screen.read(&mut chunk) {
            written.extend_from_slice(&chunk[..read]);
        }
        let code = self.child.wait().unwrap().code();
        (String::from_utf8_lossy(&written).replace("\r\n", "\n"), code)
    }
}

/// The text without the codes that paint it and move the cursor.
pub fn without_codes(text: &str) -> String {
    let mut parts = text.split('\x1b');
    let mut out = parts.next().unwrap_or_default().to_owned();
    parts
        .for_each(|part| out.push_str(part.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest)));
    out
}

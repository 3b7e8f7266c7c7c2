//! A virtual machine: one life of it, from power-on to power-off.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

/// In software a boot takes the better part of a minute, two at a time on a busy machine more.
const BOOT: Duration = Duration::from_secs(300);
/// The longest that a command in the machine may take, if it does not say otherwise.
const COMMAND: Duration = Duration::from_secs(180);

/// A running virtual machine. Its power is cut when it is dropped.
pub struct Machine {
    qemu: Child,
    commands: ChildStdin,
    answers: Receiver<Value>,
    console: PathBuf,
}

impl Machine {
    /// Switches on what QEMU's arguments describe, and waits until commands can be given.
    pub fn start(arguments: &[String], console: PathBuf) -> Result<Self> {
        let mut machine = Self::power_on(arguments, console)?;
        machine.wait_for_shell(BOOT)?;
        Ok(machine)
    }

    /// Switches on, and no more.
    pub fn power_on(arguments: &[String], console: PathBuf) -> Result<Self> {
        // QEMU must not outlive a test that is killed.
        let mut qemu = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "qemu-system-x86_64"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(console.with_extension("qemu"))?)
            .spawn()
            .context("start qemu-system-x86_64")?;
        let commands = qemu.stdin.take().context("QEMU's standard input")?;
        let lines = BufReader::new(qemu.stdout.take().context("QEMU's standard output")?).lines();
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            let parsed = lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok());
            parsed.for_each(|answer: Value| drop(sender.send(answer)));
        });
        Ok(Self { qemu, commands, answers, console })
    }

    /// Waits until the machine takes commands.
    pub fn wait_for_shell(&mut self, patience: Duration) -> Result<()> {
        let ready = self.answer(patience).context("the machine does not take commands")?;
        ensure!(ready.get("ready").is_some(), "the machine's shell says {ready}");
        Ok(())
    }

    fn answer(&self, patience: Duration) -> Result<Value> {
        match self.answers.recv_timeout(patience) {
            Ok(answer) => Ok(answer),
            Err(RecvTimeoutError::Timeout) => bail!("no answer within {patience:?}"),
            Err(RecvTimeoutError::Disconnected) => {
                let said = std::fs::read_to_string(self.console.with_extension("qemu")).unwrap_or_default();
                bail!("the machine went off: {said}")
            }
        }
    }

    /// Runs a command in the machine: its exit status, and what it printed.
    pub fn run(&mut self, command: &str, patience: Duration) -> Result<(i64, String)> {
        writeln!(self.commands, "{}", json!({"command": command})).context("the machine takes no commands")?;
        let answer = self.answer(patience).with_context(|| format!("`{command}`"))?;
        let status = answer.get("status").and_then(Value::as_i64);
        let status = status.with_context(|| format!("`{command}` answered {answer}"))?;
        Ok((status, answer.get("text").and_then(Value::as_str).unwrap_or_default().trim_end().to_owned()))
    }

    /// Runs a command in the machine and returns its output. The command must succeed.
    pub fn sh(&mut self, command: &str) -> Result<String> {
        let (status, text) = self.run(command, COMMAND)?;
        ensure!(status == 0, "`{command}` ended with {status}: {text}");
        Ok(text)
    }

    /// Waits until a command in the machine succeeds.
    pub fn until(&mut self, command: &str, patience: Duration) -> Result<String> {
        let began = Instant::now();
        loop {
            let (status, text) = self.run(command, COMMAND)?;
            if status == 0 {
                return Ok(text);
            }
            ensure!(began.elapsed() < patience, "`{command}` did not come to succeed within {patience:?}: {text}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// Returns the text that the serial console has shown so far.
    pub fn console(&self) -> String {
        console_text(&self.console)
    }

    /// Waits until the console shows a text.
    pub fn until_console_shows(&mut self, text: &str, patience: Duration) -> Result<()> {
        let began = Instant::now();
        while !self.console().contains(text) {
            ensure!(began.elapsed() < patience, "the console did not show `{text}` within {patience:?}");
            ensure!(self.qemu.try_wait()?.is_none(), "the machine went off before its console showed `{text}`");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Shuts the machine down, as `systemctl reboot` and `poweroff` do; the next life is another [`Machine`].
    pub fn shut_down(mut self) -> Result<()> {
        self.run("systemctl --no-block poweroff", COMMAND)?;
        self.goes_off(Duration::from_secs(120)).map(drop)
    }

    /// Waits until the machine is off, and returns the text that its serial console has shown.
    pub fn goes_off(mut self, patience: Duration) -> Result<String> {
        let began = Instant::now();
        while self.qemu.try_wait()?.is_none() {
            ensure!(began.elapsed() < patience, "the machine does not go off within {patience:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(self.console())
    }

    /// Cuts the power.
    pub fn cut_power(mut self) -> Result<()> {
        self.qemu.kill()?;
        self.qemu.wait()?;
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may be off already.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// The text of a console's log, which may hold anything.
pub fn console_text(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).replace('\r', "")
}

//! The things that a user of the machine can read who has no rights and is in no group.

use anyhow::{Result, ensure};

use crate::checks::PATIENCE;
use crate::machine::Machine;

/// Runs a command as a user without rights, as a process of a task's container that broke out would be at best.
const NOBODY: &str = "setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs";
/// The units that get the proxy.
const UNITS: &str = "docker ecs amazon-ssm-agent amazon-cloudwatch-agent ecs-firstrun containerd";
/// Finds the files that this boot or an earlier one has written: systemd made the machine's id before all else at the first one.
const WRITTEN: &str = "find / /run /dev/shm -xdev -type f -cnewer /etc/machine-id -print0";

/// A text that is secret, as an expression that doesn't match itself where it stands in a command.
pub(super) struct Secret {
    expression: String,
}

impl Secret {
    /// Any of these texts.
    pub(super) fn new(texts: &[&str]) -> Self {
        let hide = |text: &&str| {
            let (head, last) = text.split_at(text.len() - 1);
            format!("{head}[{last}]")
        };
        Self { expression: texts.iter().map(hide).collect::<Vec<_>>().join("|") }
    }

    /// Lists where anybody finds it: properties of units, processes, the journal, files.
    pub(super) fn found_by_nobody(&self, machine: &mut Machine) -> Result<Vec<String>> {
        let places = [
            ("properties of units", format!("for unit in {UNITS}; do systemctl show $unit; done")),
            ("properties of any unit", "systemctl show; systemctl show \"*\"".to_owned()),
            ("the manager's environment", "systemctl show-environment".to_owned()),
            ("unit files", format!("systemctl cat {UNITS}")),
            ("processes", "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr \"\\0\" \"\\n\"".to_owned()),
            ("the journal", "journalctl --no-pager --output=export".to_owned()),
            ("the kernel's log", "dmesg".to_owned()),
        ];
        let mut found = Vec::new();
        for (place, command) in places {
            let command =
                format!("{NOBODY} bash -c '{command}' 2>/dev/null | grep -aoE '.{{0,60}}({})'", self.expression);
            if let (0, text) = machine.run(&command, PATIENCE)? {
                found.push(format!("the password is in {place}, for anybody to read:\n{text}"));
            }
        }
        for line in self.files(machine, NOBODY)? {
            found.push(format!("the password is in a file that anybody can read: {line}"));
        }
        Ok(found)
    }

    /// The files that root finds it in: others must have no right to read any, whatever folder it lies in.
    pub(super) fn in_files_for_others(&self, machine: &mut Machine) -> Result<Vec<String>> {
        let files = self.files(machine, "")?;
        // Else the search itself would be wrong.
        ensure!(
            files.iter().any(|file| file.ends_with("env-config.json")),
            "root finds the password in {files:?} only"
        );
        let for_others = files.into_iter().filter(|file| {
            let mode = file.split(' ').next().unwrap_or_default();
            mode.chars().last().is_none_or(|others| others != '0')
        });
        Ok(for_others.map(|file| format!("the password is in a file that others have a right to: {file}")).collect())
    }

    /// Mode, owner and path of each file with it that a user can read.
    fn files(&self, machine: &mut Machine, user: &str) -> Result<Vec<String>> {
        let search = format!("{user} {WRITTEN} 2>/dev/null | {user} xargs -0 -r grep -lasE '{}'", self.expression);
        let text = machine.run(&format!("{search} | xargs -r -d '\\n' stat -c '%a %U:%G %n'"), PATIENCE)?.1;
        Ok(text.lines().map(str::to_owned).collect())
    }
}

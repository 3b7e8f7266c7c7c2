//! Files of other programs that only their owner may access.
//!
//! The owner stays, since the program that writes to them may run as another user than root.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};

use anyhow::{Context as _, Result};

use super::Host;
use super::disk::EndStateRefused;
use crate::report::Change;

const PRIVATE: u32 = 0o600;

impl Host {
    /// Tells whether only the owner can access a file and its older files. A file that is missing, or that is empty although
    /// `initial` is not, is not private yet.
    pub(crate) fn is_private(&self, path: &str, initial: &str) -> Result<bool> {
        let found = match fs::symlink_metadata(self.at(path)) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error).with_context(|| format!("look at {path}")),
        };
        if !found.is_file() {
            let what = if found.is_symlink() { "a symbolic link" } else { "not a regular file" };
            let words = format!("{path} is {what}, so other users might read what is written there; remove it");
            return Err(EndStateRefused(words).into());
        }
        let is_filled = found.len() > 0 || initial.is_empty();
        Ok(is_filled && is_closed(&found) && self.open_backups(path)?.is_empty())
    }

    pub(super) fn ensure_private(&self, path: &str, initial: &str) -> Result<Change> {
        if self.is_private(path, initial)? {
            return Ok(Change::AlreadyDone);
        }
        for backup in self.open_backups(path)? {
            self.close(&backup).with_context(|| format!("set the mode of {backup}"))?;
        }
        if !self.has(path) {
            return self.write(path, initial.as_bytes(), PRIVATE);
        }
        let fill = |mut file: File| match file.metadata()?.len() {
            0 => file.write_all(initial.as_bytes()),
            _ => Ok(()),
        };
        self.close(path).and_then(fill).with_context(|| format!("set the mode of {path}"))?;
        Ok(Change::Made)
    }

    /// Denies all users but the owner access to a regular file. A link is not followed, and a pipe is not waited for.
    fn close(&self, path: &str) -> std::io::Result<File> {
        let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(self.at(path))?;
        match file.metadata()?.is_file() {
            true => file.set_permissions(Permissions::from_mode(PRIVATE)).map(|()| file),
            false => Err(std::io::Error::other("it is not a regular file")),
        }
    }

    /// Lists the older files that others can access. Rotation puts a time between stem and ending, and may add the ending of
    /// an archive.
    fn open_backups(&self, path: &str) -> Result<Vec<String>> {
        let Some((stem, ending)) = path.rsplit_once('.') else { return Ok(Vec::new()) };
        let Some((folder, stem)) = stem.rsplit_once('/') else { return Ok(Vec::new()) };
        let is_backup = |name: &str| {
            let rest = name.strip_prefix(stem).and_then(|rest| rest.strip_prefix('-'));
            rest.is_some_and(|rest| rest.contains(&format!(".{ending}")))
        };
        let is_open = |path: &String| {
            let found = fs::symlink_metadata(self.at(path));
            found.is_ok_and(|found| found.is_file() && !is_closed(&found))
        };
        let names = self.names(folder)?.into_iter().filter(|name| is_backup(name));
        Ok(names.map(|name| format!("{folder}/{name}")).filter(is_open).collect())
    }
}

fn is_closed(found: &fs::Metadata) -> bool {
    found.permissions().mode() & 0o077 == 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;
    use crate::host::scratch;

    const LOG: &str = "/opt/agent/logs/agent.log";
    const JSON: &str = "/opt/agent/etc/env.json";

    fn put(host: &Host, path: &str, text: &str, mode: u32) {
        host.write(path, text.as_bytes(), mode).unwrap();
    }

    fn found(host: &Host, path: &str) -> (String, u32) {
        (fs::read_to_string(host.at(path)).unwrap(), host.mode_of(path).unwrap())
    }

    #[test]
    fn a_missing_file_is_made_and_an_existing_one_keeps_what_it_has() {
        for (before, initial, after, change) in [
            (None, "{}", "{}", Change::Made),
            (None, "", "", Change::Made),
            (Some(("", 0o600)), "{}", "{}", Change::Made),
            (Some(("", 0o644)), "", "", Change::Made),
            (Some(("{\"A\": \"b\"}", 0o644)), "{}", "{\"A\": \"b\"}", Change::Made),
            (Some(("x", 0o640)), "{}", "x", Change::Made),
            (Some(("x", 0o604)), "{}", "x", Change::Made),
            (Some(("x", 0o600)), "{}", "x", Change::AlreadyDone),
            (Some(("", 0o600)), "", "", Change::AlreadyDone),
        ] {
            let (_root, host) = scratch();
            if let Some((text, mode)) = before {
                put(&host, JSON, text, mode);
            }
            assert_eq!(host.is_private(JSON, initial).unwrap(), change == Change::AlreadyDone, "{before:?}");
            assert_eq!(host.ensure_private(JSON, initial).unwrap(), change, "{before:?}");
            assert_eq!(found(&host, JSON), (after.to_owned(), 0o600), "{before:?}");
            assert_eq!(host.ensure_private(JSON, initial).unwrap(), Change::AlreadyDone, "{before:?}");
        }
    }

    #[test]
    fn a_link_is_not_followed_and_what_is_no_file_is_refused() {
        let (_root, host) = scratch();
        put(&host, "/etc/elsewhere", "of others", 0o644);
        put(&host, "/opt/agent/logs/other", "", 0o600);
        symlink(host.at("/etc/elsewhere"), host.at(LOG)).unwrap();
        let refused = |words: &str| {
            let error = host.ensure_private(LOG, "").unwrap_err();
            assert!(
                error.downcast_ref::<EndStateRefused>().is_some_and(|said| said.to_string().contains(words)),
                "{error:#}"
            );
        };
        refused("is a symbolic link");
        assert_eq!(found(&host, "/etc/elsewhere"), ("of others".to_owned(), 0o644));
        // A link that has just taken the file's place.
        assert!(host.close(LOG).is_err());
        assert_eq!(found(&host, "/etc/elsewhere"), ("of others".to_owned(), 0o644));
        host.remove(LOG).unwrap();
        nix::unistd::mkfifo(&host.at(LOG), nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
        refused("is not a regular file");
        assert!(host.close(LOG).is_err());
        host.remove(LOG).unwrap();
        fs::create_dir(host.at(LOG)).unwrap();
        refused("is not a regular file");
        assert!(host.close(LOG).is_err());
    }

    #[test]
    fn what_rotation_has_kept_is_closed_too() {
        let (_root, host) = scratch();
        let backups = ["agent-2026-11-30T00-00-00.000.log", "agent-2026-11-29T00-00-00.000.log.gz"];
        let others = ["agent-2026.txt", "agent.log.txt", "other-2026.log", "configuration-validation.log"];
        let path = |name: &str| format!("/opt/agent/logs/{name}");
        put(&host, LOG, "", 0o600);
        backups.iter().chain(&others).for_each(|name| put(&host, &path(name), "x", 0o644));
        put(&host, "/etc/elsewhere", "x", 0o644);
        symlink(host.at("/etc/elsewhere"), host.at(&path("agent-2026-link.log"))).unwrap();
        assert!(!host.is_private(LOG, "").unwrap());
        assert_eq!(host.ensure_private(LOG, "").unwrap(), Change::Made);
        backups.iter().for_each(|name| assert_eq!(found(&host, &path(name)), ("x".to_owned(), 0o600)));
        others.iter().for_each(|name| assert_eq!(found(&host, &path(name)).1, 0o644, "{name}"));
        assert_eq!(found(&host, "/etc/elsewhere").1, 0o644);
        assert_eq!(host.ensure_private(LOG, "").unwrap(), Change::AlreadyDone);
    }

    #[test]
    fn the_owner_stays() {
        let (_root, host) = scratch();
        put(&host, LOG, "x", 0o644);
        // Only root can give files away.
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(host.at(LOG), Some(65534), Some(65534)).unwrap();
        }
        let owner = || fs::metadata(host.at(LOG)).map(|found| (found.uid(), found.gid())).unwrap();
        let before = owner();
        assert_eq!(host.ensure_private(LOG, "").unwrap(), Change::Made);
        assert_eq!((owner(), host.mode_of(LOG)), (before, Some(0o600)));
    }
}

//! Looks at the machine without changing it, for `doctor` and for the reason of a failed run.

use std::fs;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use nix::sys::statvfs::statvfs;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::Host;
use crate::cloudwatch_agent::{self, Conflict};
use crate::config::Config;
use crate::secrets::redact;
use crate::well_known::{CLOUDWATCH_COMMON, CLOUDWATCH_JSON, DOCKER_SOCKET, DOCKER_SOCKET_OF_CLIENTS};

/// Paths of Docker's socket: `/var/run` is a link to `/run`, but not below every root.
pub(super) const DOCKER_SOCKETS: [&str; 2] = [DOCKER_SOCKET, DOCKER_SOCKET_OF_CLIENTS];
/// Bytes of Docker's answer to a ping that are read; the answer, with its headers, is far shorter.
const PING_LIMIT: u64 = 4096;

/// The most files and folders that are looked at below a folder of configurations.
const MOST_BELOW: usize = 100;

/// The free space of a filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// Equal for paths on the same filesystem.
    pub filesystem: u64,
    /// Bytes that can still be written.
    pub available: u64,
    /// The filesystem's size in bytes.
    pub size: u64,
    /// True if no further file can be made, however much space there is.
    pub out_of_inodes: bool,
}

impl Host {
    /// Reads the end of a file, in whole lines of at most `bytes` in all. None if there is no such file.
    ///
    /// # Errors
    /// A file that can't be read.
    pub fn tail(&self, path: &str, bytes: u64) -> Result<Option<String>> {
        let Some(mut file) = self.open(path)? else { return Ok(None) };
        let mut read = || -> std::io::Result<Vec<u8>> {
            let length = file.metadata()?.len();
            let start = length.saturating_sub(bytes);
            file.seek(SeekFrom::Start(start))?;
            let mut tail = Vec::new();
            (&file).take(bytes).read_to_end(&mut tail)?;
            if start > 0 {
                let first = tail.iter().position(|byte| *byte == b'\n').map_or(tail.len(), |at| at + 1);
                tail.drain(..first);
            }
            Ok(tail)
        };
        let tail = read().with_context(|| format!("read {path}"))?;
        Ok(Some(String::from_utf8_lossy(&tail).into_owned()))
    }

    /// Reads the beginning of a file, at most `bytes`, and tells whether the file is executable. None if there is no such
    /// file.
    ///
    /// # Errors
    /// A file that can't be read.
    pub fn head(&self, path: &str, bytes: u64) -> Result<Option<(Vec<u8>, bool)>> {
        let Some(file) = self.open(path)? else { return Ok(None) };
        let read = || -> std::io::Result<(Vec<u8>, bool)> {
            let executable = file.metadata()?.permissions().mode() & 0o111 != 0;
            let mut head = Vec::new();
            file.take(bytes).read_to_end(&mut head)?;
            Ok((head, executable))
        };
        read().map(Some).with_context(|| format!("read {path}"))
    }

    /// Opens a file to read it; none if there is no such file.
    fn open(&self, path: &str) -> Result<Option<fs::File>> {
        match fs::File::open(self.at(path)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some).with_context(|| format!("read {path}")),
        }
    }

    /// Reads the files below a folder. Returns their paths and bytes. Links that lead nowhere or to a folder are left out,
    /// and so are `.tmp` files, which the CloudWatch agent ignores.
    ///
    /// # Errors
    /// A folder or a file that can't be read, a file larger than 4 MiB, or more than 100 files and folders.
    pub fn files_below(&self, folder: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let mut folders = vec![folder.to_owned()];
        let mut files = Vec::new();
        let mut seen = 0;
        while let Some(below) = folders.pop() {
            for path in self.names(&below)?.into_iter().map(|name| format!("{below}/{name}")) {
                if path.ends_with(".tmp") && !self.at(&path).is_dir() {
                    continue;
                }
                seen += 1;
                if seen > MOST_BELOW {
                    bail!(
                        "there are more than {MOST_BELOW} files below {folder}; move out the files that its program does not need"
                    );
                }
                if fs::symlink_metadata(self.at(&path)).is_ok_and(|found| found.is_dir()) {
                    folders.push(path);
                } else if fs::metadata(self.at(&path)).is_ok_and(|found| found.is_file()) {
                    let bytes = self.read_bytes(&path)?.unwrap_or_default();
                    files.push((path, bytes));
                }
            }
        }
        Ok(files)
    }

    /// Finds conflicts of the host's files with the CloudWatch agent, for this configuration and region. `ours` is the text
    /// of the file that a run would write; if it is none, the file on the host counts.
    ///
    /// # Errors
    /// As [`Host::files_below`].
    pub fn cloudwatch_conflicts(&self, ours: Option<&str>, config: &Config, region: &str) -> Result<Vec<Conflict>> {
        let mut files = self.files_below(cloudwatch_agent::FOLDER)?;
        let main = self.read_bytes(cloudwatch_agent::MAIN_FILE)?;
        files.extend(main.map(|bytes| (cloudwatch_agent::MAIN_FILE.to_owned(), bytes)));
        if let Some(text) = ours {
            files.retain(|(path, _)| path != CLOUDWATCH_JSON);
            files.push((CLOUDWATCH_JSON.to_owned(), text.as_bytes().to_vec()));
        }
        let mut conflicts = cloudwatch_agent::conflicts(&files, region);
        // The image may have a proxy of its own in this file.
        let common = self.read(CLOUDWATCH_COMMON)?;
        if common.is_none() && self.log_agents()?.0.is_some() {
            conflicts.push(cloudwatch_agent::without_common_config());
        }
        let common = common.unwrap_or_default();
        if config.proxy.as_ref().is_some_and(|proxy| proxy.url.0.has_secret()) || names_password(&common) {
            let is_private = |path: &str| self.mode_of(path).is_some_and(|mode| mode & 0o077 == 0);
            conflicts.extend(cloudwatch_agent::leaks(&files, is_private));
        }
        let paths = config.logs.files.iter().map(|file| file.path.as_str());
        conflicts.extend(paths.filter(|path| self.at(path).is_dir()).map(cloudwatch_agent::a_folder));
        Ok(conflicts)
    }

    /// Tells whether a path exists; a link that leads nowhere counts, too.
    pub fn has(&self, path: &str) -> bool {
        fs::symlink_metadata(self.at(path)).is_ok()
    }

    /// Returns the target of a symbolic link, as it is written in the link.
    pub fn link(&self, path: &str) -> Option<String> {
        fs::read_link(self.at(path)).ok()?.into_os_string().into_string().ok()
    }

    /// Lists the names in a folder, sorted; empty if there is no such folder.
    ///
    /// # Errors
    /// A folder that can't be read.
    pub fn names(&self, folder: &str) -> Result<Vec<String>> {
        let entries = match fs::read_dir(self.at(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| format!("read {folder}")),
        };
        let mut names: Vec<_> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Lists the files of a folder whose names have this beginning, the oldest first. Empty if there is no such folder.
    ///
    /// # Errors
    /// A folder that can't be read.
    pub fn by_age(&self, folder: &str, beginning: &str) -> Result<Vec<String>> {
        let names = self.names(folder)?.into_iter().filter(|name| name.starts_with(beginning));
        let aged = names.filter_map(|name| {
            let path = format!("{folder}/{name}");
            Some((fs::symlink_metadata(self.at(&path)).ok()?.modified().ok()?, path))
        });
        let mut aged: Vec<_> = aged.collect();
        aged.sort_unstable();
        Ok(aged.into_iter().map(|(_, path)| path).collect())
    }

    /// Returns the free space of the filesystem that holds a path, or would hold it.
    ///
    /// # Errors
    /// Whatever the filesystem answers.
    pub fn space(&self, path: &str) -> Result<Space> {
        let mut at = self.at(path);
        while !at.exists() && at.pop() {}
        let found = statvfs(&at).with_context(|| format!("ask how full {path} is"))?;
        let unit = found.fragment_size();
        Ok(Space {
            filesystem: found.filesystem_id(),
            available: found.blocks_available() * unit,
            size: found.blocks() * unit,
            out_of_inodes: found.files() > 0 && found.files_available() == 0,
        })
    }

    /// Pings Docker through its socket, which must exist.
    ///
    /// # Errors
    /// No socket, nobody behind it, or another answer than Docker's.
    pub async fn ping_docker(&self) -> Result<()> {
        let Some(path) = DOCKER_SOCKETS.into_iter().find(|path| self.at(path).exists()) else {
            bail!("there is no {}", DOCKER_SOCKETS[0]);
        };
        let mut socket = UnixStream::connect(self.at(path)).await.with_context(|| format!("connect to {path}"))?;
        let ask = async {
            socket.write_all(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n").await?;
            let mut answer = Vec::new();
            socket.take(PING_LIMIT).read_to_end(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        let answer = ask.await.with_context(|| format!("ask Docker at {path}"))?;
        let line = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
        if line.split(' ').nth(1) != Some("200") {
            bail!("the program that listens on {path} answers {:?}", redact(&line));
        }
        Ok(())
    }

    /// Returns the time at which the machine booted, if the kernel tells it.
    pub fn started(&self) -> Option<SystemTime> {
        let stat = self.tail("/proc/stat", 1 << 20).ok()??;
        let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.trim().parse().ok()?))
    }
}

/// Tells whether a file of the CloudWatch agent has a proxy's password. Comments, which take whole lines there, don't count.
fn names_password(common: &str) -> bool {
    let lines = common.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines
        .filter(|line| line.to_ascii_lowercase().contains("proxy"))
        .any(|line| line.contains('@') && redact(line) != line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::scratch;

    #[test]
    fn a_tail_has_whole_lines_only() {
        let (_root, host) = scratch();
        assert_eq!(host.tail("/log", 5).unwrap(), None);
        fs::write(host.at("/log"), "first\nsecond\nthird\n").unwrap();
        for (bytes, tail) in [(100, "first\nsecond\nthird\n"), (14, "second\nthird\n"), (12, "third\n"), (3, "")] {
            assert_eq!(host.tail("/log", bytes).unwrap().as_deref(), Some(tail), "{bytes}");
        }
    }

    #[test]
    fn the_files_below_a_folder_are_bounded_and_temporary_ones_are_not_read() {
        let (_root, host) = scratch();
        fs::create_dir_all(host.at("/etc/x.d/below.tmp")).unwrap();
        assert_eq!(host.files_below("/etc/none").unwrap(), []);
        fs::write(host.at("/etc/x.d/below.tmp/a"), "a").unwrap();
        fs::File::create(host.at("/etc/x.d/large.tmp")).unwrap().set_len(64 << 20).unwrap();
        assert_eq!(host.files_below("/etc/x.d").unwrap(), [("/etc/x.d/below.tmp/a".to_owned(), b"a".to_vec())]);
        for number in 2..MOST_BELOW {
            fs::write(host.at(&format!("/etc/x.d/{number}")), "").unwrap();
            fs::write(host.at(&format!("/etc/x.d/{number}.tmp")), "").unwrap();
        }
        assert_eq!(host.files_below("/etc/x.d").unwrap().len(), MOST_BELOW - 1);
        fs::write(host.at("/etc/x.d/more"), "").unwrap();
        let error = host.files_below("/etc/x.d").unwrap_err().to_string();
        assert!(error.starts_with("there are more than 100 files below /etc/x.d; "), "{error}");
    }

    #[test]
    fn the_space_is_that_of_the_nearest_folder_that_exists() {
        let (_root, host) = scratch();
        assert_eq!(host.space("/var/lib/docker").unwrap().filesystem, host.space("/").unwrap().filesystem);
        assert!(host.space("/").unwrap().size > 0);
    }
}

//! The scratch host that becomes an image: Debian in a chroot, reached over SSH.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::cloud::await_port;
use crate::repository;

/// The host's folder for the test's own files: sshd's configuration and keys.
const OURS: &str = "opt/test";

pub struct Host {
    pub root: PathBuf,
    pub port: u16,
    sshd: Option<Child>,
}

impl Host {
    /// A host that nothing was done to yet: what is changed on it lies in a layer of its own, below `folder`.
    pub fn new(folder: &Path, port: u16) -> Result<Self> {
        let [upper, work, root] = ["upper", "work", "root"].map(|name| folder.join(name));
        for path in [&upper, &work, &root] {
            std::fs::create_dir_all(path)?;
        }
        let lower = repository("target/bake/debian");
        let layers = format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
        mount(Some("overlay"), &root, Some("overlay"), MsFlags::empty(), Some(layers.as_str()))
            .with_context(|| format!("mount {}", root.display()))?;
        Ok(Self { root, port, sshd: None })
    }

    /// Starts sshd, in a process namespace of its own, where the last line of defence is that process 1 ends: then all do.
    pub fn listen(&mut self, key: &Path) -> Result<()> {
        let ours = self.root.join(OURS);
        std::fs::create_dir_all(&ours)?;
        std::fs::copy(key.with_extension("pub"), ours.join("authorized_keys"))?;
        self.run(&format!("ssh-keygen -q -t ed25519 -N '' -f /{OURS}/host_key <<<y; mkdir -p /run/sshd"))?;
        let configuration = format!(
            "Port {}\nListenAddress 127.0.0.1\nHostKey /{OURS}/host_key\nAuthorizedKeysFile /{OURS}/authorized_keys\n\
             StrictModes no\nUsePAM no\nPidFile none\nSubsystem sftp internal-sftp\n",
            self.port
        );
        std::fs::write(ours.join("sshd_config"), configuration)?;
        // A shell stays process 1, outside the chroot: by that systemctl knows that it is in one.
        let script =
            format!("mount -t proc proc \"$0/proc\"; chroot \"$0\" /usr/sbin/sshd -D -e -f /{OURS}/sshd_config; :");
        let log = std::fs::File::create(self.root.with_file_name("sshd.log"))?;
        let sshd = Command::new("unshare")
            .args(["--pid", "--mount", "--fork", "--kill-child", "sh", "-c", &script])
            .arg(&self.root)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.sshd = Some(sshd);
        await_port(self.port, "sshd")
    }

    /// Runs a line of shell on the host, as root; its output, and what it complained of.
    pub fn run(&self, line: &str) -> Result<String> {
        let output = self.try_run(line)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        ensure!(output.status.success(), "`{line}` ended with {}: {}", output.status, text(&output.stderr));
        Ok(text(&output.stdout))
    }

    /// Runs a line of shell on the host, as root, however it ends.
    pub fn try_run(&self, line: &str) -> Result<std::process::Output> {
        let output = Command::new("chroot")
            .arg(&self.root)
            .args(["bash", "-c", line])
            .env("SYSTEMD_OFFLINE", "1")
            .stdin(Stdio::null())
            .output();
        output.context("run chroot")
    }

    pub fn read(&self, path: &str) -> Result<String> {
        std::fs::read_to_string(self.root.join(path)).with_context(|| path.to_owned())
    }

    /// Tells whether the path exists. A link to nowhere exists too.
    pub fn has(&self, path: &str) -> bool {
        self.root.join(path).symlink_metadata().is_ok()
    }

    /// Returns the output of `systemctl is-enabled`.
    pub fn state_of(&self, unit: &str) -> Result<String> {
        let output = self.try_run(&format!("systemctl is-enabled {unit}"))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Every path that the bake may have changed, with its mode, owner and content.
    pub fn tree(&self) -> Result<BTreeMap<PathBuf, String>> {
        let mut tree = BTreeMap::new();
        let upper = self.root.with_file_name("upper");
        walk(&upper, &upper, &mut tree)?;
        tree.retain(|path, _| !path.starts_with(OURS));
        Ok(tree)
    }
}

fn walk(top: &Path, folder: &Path, tree: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    for entry in folder.read_dir()? {
        let path = entry?.path();
        let metadata = path.symlink_metadata()?;
        let mut about = format!("{:o} {}:{}", metadata.mode(), metadata.uid(), metadata.gid());
        if metadata.is_symlink() {
            about += &format!(" -> {}", path.read_link()?.display());
        } else if metadata.is_file() {
            let mut content = Vec::new();
            std::fs::File::open(&path)?.read_to_end(&mut content)?;
            about += &format!(" {} bytes, {:016x}", content.len(), sum(&content));
        }
        if metadata.is_dir() {
            walk(top, &path, tree)?;
        }
        tree.insert(path.strip_prefix(top)?.to_owned(), about);
    }
    Ok(())
}

fn sum(content: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hasher as _};
    let mut hasher = DefaultHasher::new();
    hasher.write(content);
    hasher.finish()
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut sshd) = self.sshd.take() {
            let _ = sshd.kill();
            let _ = sshd.wait();
        }
        // The mount namespace ends with the test in any case.
        let _ = umount2(&self.root, MntFlags::MNT_DETACH);
    }
}

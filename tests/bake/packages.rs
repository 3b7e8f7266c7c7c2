//! The packages, on the scratch host: each installs what `builder-scripts/install.sh` installs, and little more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::bake::Bench;
use crate::host::Host;
use crate::repository;
use crate::scenarios::{UNITS, installed};

/// Folders in which a package may have more than install.sh installs: documentation, and records of dpkg or rpm.
const BESIDE: [&str; 7] = [
    "usr/share/man",
    "usr/share/bash-completion",
    "usr/share/zsh",
    "usr/share/fish",
    "usr/share/doc",
    "usr/share/licenses",
    "var/lib/dpkg",
];
/// rpm's database, which Debian's keeps in the home of root or below /var/lib, and dpkg's and ldconfig's logs.
const KEPT: [&str; 6] = ["root", "var/lib/rpm", "usr/lib/sysimage", "var/log", "var/cache", "dev"];

/// The newest package that has been built with this ending.
fn package(ending: &str) -> Result<PathBuf> {
    let version = concat!(env!("CARGO_PKG_VERSION"), "-1");
    let built = repository("dist").read_dir()?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let is_it = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.contains(version) && name.ends_with(&format!("{}.{ending}", arch(ending)))
    };
    let found = built.into_iter().find(is_it);
    found.with_context(|| format!("there is no dist/*.{ending} of {version}; `make {ending}` makes it"))
}

/// This machine's processor, as the packages name it.
fn arch(ending: &str) -> &'static str {
    match (ending, std::env::consts::ARCH) {
        ("deb", "x86_64") => "amd64",
        ("deb", "aarch64") => "arm64",
        (_, other) => other,
    }
}

pub fn deb(bench: &Bench) -> Result<()> {
    let package = package("deb")?;
    let control = output(Command::new("dpkg-deb").arg("--field").arg(&package))?;
    for line in ["Package: ecs-firstrun", "Depends: cloud-init, systemd", "Recommends: xfsprogs, e2fsprogs, mdadm"] {
        ensure!(control.lines().any(|found| found == line), "{line} is missing in: {control}");
    }
    std::fs::copy(&package, bench.host.root.join("opt/ecs-firstrun.deb"))?;
    let again = "dpkg -i /opt/ecs-firstrun.deb";
    // As mmdebstrap was told to leave documentation out.
    bench.host.run("rm /etc/dpkg/dpkg.cfg.d/99mmdebstrap")?;
    installs_the_same(bench, again)?;

    let host = &bench.host;
    host.run("systemctl --quiet disable ecs-firstrun.service")?;
    host.run(again)?;
    ensure!(host.state_of("ecs-firstrun.service")? == "disabled", "an upgrade has enabled what somebody has disabled");
    host.run(
        "systemctl --quiet enable ecs-firstrun.service && dpkg --remove ecs-firstrun && dpkg -i /opt/ecs-firstrun.deb",
    )?;
    ensure!(host.state_of("ecs-firstrun.service")? == "enabled", "it is not enabled when it is installed once more");
    host.run("dpkg --purge ecs-firstrun")?;
    is_gone(host)
}

pub fn rpm(bench: &Bench) -> Result<()> {
    let package = package("rpm")?;
    let query = |what: &str| output(Command::new("rpm").args(["-qp", what]).arg(&package));
    let requires = query("--requires")?;
    for name in ["systemd", "cloud-init", "/bin/sh"] {
        ensure!(requires.lines().any(|line| line.trim() == name), "it does not require {name}: {requires}");
    }
    // A static binary has no libraries that a package of them must bring.
    ensure!(!requires.contains(".so"), "{requires}");
    ensure!(query("--configfiles")? == "/etc/cloud/cloud.cfg.d/91-ecs-firstrun.cfg\n", "{}", query("--configfiles")?);
    for path in ["/usr/share/licenses/ecs-firstrun/LICENSE-MIT", "/usr/share/zsh/site-functions/_ecs-firstrun"] {
        ensure!(query("--list")?.lines().any(|line| line == path), "{path} is missing");
    }
    // dnf would bring what it requires; here Debian's packages have, which rpm knows nothing of.
    let install = format!("rpm --root {} --nodeps --install {}", bench.host.root.display(), package.display());
    installs_the_same(bench, &format!("outside: {install}"))?;
    output(Command::new("rpm").arg("--root").arg(&bench.host.root).args(["--nodeps", "--erase", "ecs-firstrun"]))?;
    is_gone(&bench.host)
}

/// Checks a host after the removal of a package: our files are gone, and ECS is disabled.
fn is_gone(host: &Host) -> Result<()> {
    for path in [
        "usr/bin/ecs-firstrun",
        "usr/lib/systemd/system/ecs-firstrun.service",
        "etc/systemd/system/cloud-init.target.wants/ecs-firstrun.service",
        "etc/cloud/cloud.cfg.d/91-ecs-firstrun.cfg",
    ] {
        ensure!(!host.has(path), "{path} is left");
    }
    ensure!(host.state_of("ecs.service")? == "disabled", "ecs.service was enabled");
    Ok(())
}

/// Installs the package, and on another host of the same kind install.sh: but for documentation both have the same files,
/// links and modes.
fn installs_the_same(bench: &Bench, install: &str) -> Result<()> {
    let before = tree(&bench.host)?;
    match install.strip_prefix("outside: ") {
        Some(line) => drop(output(Command::new("bash").args(["-c", line]))?),
        None => drop(bench.host.run(install)?),
    }
    installed(&bench.host)?;
    for (unit, wanted) in UNITS.iter().filter(|(unit, _)| unit.contains("ecs") || unit.contains("docker")) {
        let state = bench.host.state_of(unit)?;
        ensure!(state == *wanted, "{unit} is {state}, not {wanted}");
    }
    for path in ["usr/share/man/man8", "usr/share/bash-completion/completions", "usr/share/fish/vendor_completions.d"] {
        let named = bench.host.run(&format!("find /{path} -name 'ecs-firstrun*'"))?;
        ensure!(!named.is_empty(), "nothing of ours is in {path}");
    }
    let by_package = changes(&before, &tree(&bench.host)?);

    let folder = bench.folder.join("by-script");
    std::fs::create_dir_all(&folder)?;
    let other = Host::new(&folder, 0)?;
    let before = tree(&other)?;
    let script = Command::new(repository("builder-scripts/install.sh")).env("ROOT", &other.root).output()?;
    ensure!(script.status.success(), "install.sh: {}", String::from_utf8_lossy(&script.stderr));
    let by_script = changes(&before, &tree(&other)?);
    ensure!(by_script.len() > 6, "install.sh has changed next to nothing: {by_script:?}");
    let differing: Vec<_> = by_package
        .keys()
        .chain(by_script.keys())
        .filter(|path| by_package.get(*path) != by_script.get(*path))
        .collect();
    ensure!(differing.is_empty(), "the package and install.sh differ in {differing:?}");
    Ok(())
}

fn tree(host: &Host) -> Result<BTreeMap<PathBuf, String>> {
    let mut tree = host.tree()?;
    // A folder that was there before is in the layer when anything below it is.
    let debian = repository("target/bake/debian");
    tree.retain(|path, _| {
        !debian.join(path).is_dir() && !BESIDE.iter().chain(&KEPT).any(|folder| is_beside(path, Path::new(folder)))
    });
    Ok(tree)
}

/// Tells whether a path is below a folder or above the folder.
fn is_beside(path: &Path, folder: &Path) -> bool {
    path.starts_with(folder) || folder.starts_with(path)
}

/// Returns the paths that are new, changed or gone. A path that is gone has an empty text.
fn changes(before: &BTreeMap<PathBuf, String>, after: &BTreeMap<PathBuf, String>) -> BTreeMap<PathBuf, String> {
    let mut changes: BTreeMap<_, _> = after.clone();
    changes.retain(|path, about| before.get(path) != Some(about));
    for path in before.keys().filter(|path| !after.contains_key(*path)) {
        changes.insert(path.clone(), String::new());
    }
    changes
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} ended with {}: {said}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

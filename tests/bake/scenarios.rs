//! Images that are baked, and the results that must come of them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::bake::Bench;
use crate::host::Host;
use crate::{packages, repository};

pub type Scenario = fn(&Bench) -> Result<()>;

pub const ALL: &[(&str, Scenario)] = &[
    ("a_bake_gives_an_image_in_which_the_agent_boots", image),
    ("a_second_bake_on_the_same_host_changes_nothing", second),
    ("an_image_for_arm64_is_made_of_one_for_arm64", arm64),
    ("an_image_is_made_of_the_one_that_is_given_and_shared", given),
    ("an_image_can_have_a_root_volume_alone", root_volume_alone),
    ("a_provisioner_that_fails_leaves_no_image", failing),
    ("a_binary_that_is_not_the_right_one_is_refused", other_binary),
    ("a_package_that_does_not_exist_leaves_no_image", no_package),
    ("a_host_without_cloud_init_is_refused", no_cloud_init),
    ("a_setting_of_the_ecs_agent_stays_in_the_image", baked_setting),
    ("a_unit_that_would_start_too_early_is_refused", early_unit),
    ("an_older_cloudwatch_agent_gets_rsyslog", rsyslog),
    ("the_scripts_run_on_a_host_without_the_optional_parts", bare),
    ("the_deb_installs_what_install_sh_does", packages::deb),
    ("the_rpm_installs_what_install_sh_does", packages::rpm),
];

/// All that a bake enables and disables.
pub const UNITS: &[(&str, &str)] = &[
    ("ecs-firstrun.service", "enabled"),
    ("chrony.service", "enabled"),
    ("docker.service", "disabled"),
    ("docker.socket", "disabled"),
    ("ecs.service", "disabled"),
    ("amazon-cloudwatch-agent.service", "disabled"),
    ("rsyslog.service", "disabled"),
];
/// Paths that the instances of an image must not share.
const GONE: &[&str] = &[
    "var/lib/ecs/data/agent.db",
    "var/log/ecs/ecs-agent.log",
    "etc/docker/key.json",
    "root/.bash_history",
    "home/ec2-user/.ssh/authorized_keys",
    "etc/ssh/ssh_host_ed25519_key",
    "var/lib/cloud/instances",
    "tmp/ecs-firstrun",
];

fn image(bench: &Bench) -> Result<()> {
    let host = &bench.host;
    for path in ["var/lib/ecs/data/agent.db", "etc/ssh/ssh_host_ed25519_key", "var/lib/cloud/instances"] {
        ensure!(host.has(path), "the scratch host has no {path}, so its removal shows nothing");
    }
    host.run("echo ECS_CLUSTER=of-the-builder >/etc/ecs/ecs.config")?;
    let output = bench.bake_well(&[("timezone", "US/Eastern")])?;
    ensure!(output.contains("nothing wrong was found"), "the image was not checked: {output}");
    installed(host)?;
    for (unit, wanted) in UNITS {
        let state = host.state_of(unit)?;
        ensure!(state == *wanted, "{unit} is {state}, not {wanted}");
    }
    for path in GONE {
        ensure!(!host.has(path), "{path} is left");
    }
    let logs = host.run("find /var/log -type f; find /tmp -mindepth 1")?;
    ensure!(logs.is_empty(), "left behind: {logs}");
    for path in ["etc/machine-id", "etc/ecs/ecs.config"] {
        ensure!(host.read(path)?.is_empty(), "{path} has an identity still");
    }
    let zone = host.run("readlink /etc/localtime; date -d 2026-01-01T00:00Z +%Z")?;
    ensure!(zone == "../usr/share/zoneinfo/US/Eastern\nEST\n", "time zone: {zone}");
    registered(bench)
}

/// The agent's files are those of this repository, to the byte.
pub fn installed(host: &Host) -> Result<()> {
    let same = |installed: &Path, ours: &Path| -> Result<()> {
        let (installed, ours) = (host.root.join(installed), std::fs::read(ours)?);
        let found = std::fs::read(&installed).with_context(|| installed.display().to_string())?;
        ensure!(found == ours, "{} is not what was to be installed", installed.display());
        Ok(())
    };
    same(Path::new("usr/bin/ecs-firstrun"), &repository("dist/ecs-firstrun"))?;
    let files = repository("builder-scripts/files");
    let paths = paths_below(&files)?;
    ensure!(paths.len() >= 6, "{paths:?}");
    for path in paths {
        same(&path, &files.join(&path))?;
    }
    let modes = host.run(
        "stat -c '%a %U:%G %n' /usr/bin/ecs-firstrun /usr/lib/systemd/system/ecs-firstrun.service \
         /etc/ecs-firstrun/conf.d; readlink /etc/systemd/system/cloud-init.target.wants/*",
    )?;
    let wanted = "755 root:root /usr/bin/ecs-firstrun\n\
                  644 root:root /usr/lib/systemd/system/ecs-firstrun.service\n\
                  755 root:root /etc/ecs-firstrun/conf.d\n";
    ensure!(modes.starts_with(wanted), "{modes}");
    ensure!(
        modes.contains("/lib/systemd/system/ecs-firstrun.service\n"),
        "cloud-init does not pull the unit in: {modes}"
    );
    Ok(())
}

/// The files below a folder, from there.
fn paths_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in next.read_dir()? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                paths.push(path.strip_prefix(folder)?.to_owned());
            }
        }
    }
    Ok(paths)
}

/// Checks the image in EC2 and in manifest.json.
fn registered(bench: &Bench) -> Result<()> {
    let (images, running) = bench.images()?;
    std::fs::write(bench.folder.join("images.json"), Value::from(images.clone()).to_string())?;
    let [image] = images.as_slice() else { anyhow::bail!("one image was to be made, not {images:?}") };
    ensure!(running == 0, "{running} instances still run");
    let tag = |key: &str| tag(image, key);
    let name = "a_bake_gives_an_image_in_which_the_agent_boots-x86_64";
    let tags = [
        ("Name", name),
        ("SourceAMI", "ami-0aaaaaaaaaaaaaaa2"),
        ("SourceAMIName", "al2023-ami-ecs-hvm-2023.0.20260101-kernel-6.1-x86_64"),
        ("DockerVersion", "25.0.3"),
        ("ECSAgentVersion", "1.105.1"),
        ("Version", "1.2.3"),
        ("Revision", "abcdef"),
    ];
    for (key, value) in tags {
        ensure!(tag(key) == value, "tag {key} is {}, not {value}", tag(key));
    }
    same_volumes(image, &["/dev/xvda", "/dev/xvdcy"])?;
    let manifest: Value = serde_json::from_str(&std::fs::read_to_string(bench.folder.join("manifest.json"))?)?;
    let build = &manifest["builds"][0];
    let artifact = format!("us-east-1:{}", image["ImageId"].as_str().unwrap_or_default());
    ensure!(build["artifact_id"] == artifact, "manifest.json has {}, not {artifact}", build["artifact_id"]);
    let data = json!({"arch": "x86_64", "version": "1.2.3", "revision": "abcdef"});
    ensure!(build["custom_data"] == data, "manifest.json has {}", build["custom_data"]);
    Ok(())
}

fn tag(image: &Value, key: &str) -> Value {
    let tags = image["Tags"].as_array().into_iter().flatten();
    tags.filter(|tag| tag["Key"] == key).map(|tag| tag["Value"].clone()).next().unwrap_or_default()
}

/// The one image that was made.
fn one_image(bench: &Bench) -> Result<Value> {
    let (images, _) = bench.images()?;
    ensure!(images.len() == 1, "one image was to be made, not {images:?}");
    Ok(images[0].clone())
}

/// The host is none, so this is about what Packer asks EC2 for.
fn arm64(bench: &Bench) -> Result<()> {
    let output = bench.bake_well(&[("arch", "arm64")])?;
    let image = one_image(bench)?;
    let source = tag(&image, "SourceAMI");
    ensure!(source == "ami-0aaaaaaaaaaaaaaa3", "it is made of {source}: {output}");
    ensure!(image["Name"].as_str().is_some_and(|name| name.contains("-arm64-")), "{image}");
    Ok(())
}

fn given(bench: &Bench) -> Result<()> {
    bench.bake_well(&[("source_ami", "ami-0aaaaaaaaaaaaaaa1"), ("ami_users", "111122223333,444455556666")])?;
    let image = one_image(bench)?;
    let source = tag(&image, "SourceAMI");
    ensure!(source == "ami-0aaaaaaaaaaaaaaa1", "it is made of {source}");
    let shared = bench.shared_with(&image)?;
    ensure!(shared == ["111122223333", "444455556666"], "it is shared with {shared:?}");
    Ok(())
}

/// The builder has a second volume all the same, so that each image is made on the same host.
fn root_volume_alone(bench: &Bench) -> Result<()> {
    bench.bake_well(&[("root_volume_alone", "true")])?;
    same_volumes(&one_image(bench)?, &["/dev/xvda"])
}

/// The image maps these volumes, and no others.
fn same_volumes(image: &Value, wanted: &[&str]) -> Result<()> {
    let mappings = image["BlockDeviceMappings"].as_array().into_iter().flatten();
    let names: Vec<&str> = mappings.filter_map(|mapping| mapping["DeviceName"].as_str()).collect();
    ensure!(names == wanted, "it maps {names:?}, not {wanted:?}");
    Ok(())
}

fn second(bench: &Bench) -> Result<()> {
    bench.bake_well(&[])?;
    let first = bench.host.tree()?;
    ensure!(first.keys().any(|path| path.ends_with("usr/bin/ecs-firstrun")), "nothing is seen of the bake");
    bench.bake_well(&[])?;
    let second = bench.host.tree()?;
    let differing: Vec<_> =
        first.keys().chain(second.keys()).filter(|path| first.get(*path) != second.get(*path)).collect();
    ensure!(differing.is_empty(), "the second bake changed {differing:?}");
    Ok(())
}

fn failing(bench: &Bench) -> Result<()> {
    bench.bake_badly(&[("timezone", "Mars/Olympus")], "clock: there is no time zone `Mars/Olympus`")
}

fn other_binary(bench: &Bench) -> Result<()> {
    let checksum = "0".repeat(64);
    bench.bake_badly(&[("binary_sha256", &checksum)], &format!("is not the binary with the checksum {checksum}"))
}

fn no_package(bench: &Bench) -> Result<()> {
    bench.host.run("rm -r /usr/local/share/dnf/amazon-cloudwatch-agent")?;
    bench.bake_badly(&[], "Unable to find a match: amazon-cloudwatch-agent")
}

fn no_cloud_init(bench: &Bench) -> Result<()> {
    bench.host.run("rm /lib/systemd/system/cloud-init.target")?;
    bench.bake_badly(&[], "don't bake this: cloud-init is missing")
}

fn baked_setting(bench: &Bench) -> Result<()> {
    bench.host.run("printf 'ECS_CLUSTER=of-the-builder\\nECS_LOGLEVEL=debug\\n' >/etc/ecs/ecs.config")?;
    let output = bench.bake_well(&[])?;
    ensure!(
        output.contains("/etc/ecs/ecs.config sets ECS_LOGLEVEL: that setting stays"),
        "the setting was not told: {output}"
    );
    let kept = bench.host.read("etc/ecs/ecs.config")?;
    ensure!(kept == "ECS_LOGLEVEL=debug\n", "ecs.config: {kept}");
    Ok(())
}

/// As where something of the image enables it again, whatever is asked of systemctl.
fn early_unit(bench: &Bench) -> Result<()> {
    bench.host.run(
        "printf '#!/bin/sh\\n/usr/bin/systemctl \"$@\" && [ \"$1\" != stop ] || /usr/bin/systemctl enable ecs\\n' \
         >/usr/local/bin/systemctl && chmod +x /usr/local/bin/systemctl",
    )?;
    bench.bake_badly(&[], "don't bake this: ecs.service is enabled: multi-user.target pulls it in")
}

fn rsyslog(bench: &Bench) -> Result<()> {
    bench.host.run(
        "echo 1.300069.0b9 >/usr/local/share/dnf/amazon-cloudwatch-agent/opt/aws/amazon-cloudwatch-agent/bin/CWAGENT_VERSION",
    )?;
    let output = bench.bake_well(&[])?;
    ensure!(output.contains("CloudWatch agent 1.300069.0b9 can't read the journal"), "{output}");
    ensure!(bench.host.state_of("rsyslog.service")? == "enabled", "rsyslog is not enabled");
    Ok(())
}

/// No Docker, no ECS agent, no chrony, no cloud-init: as on a host where somebody installs them in another way.
fn bare(bench: &Bench) -> Result<()> {
    bench.host.run(
        "cd /usr/lib/systemd/system && rm -r docker.service docker.socket ecs.service chrony.service && \
         find /etc/systemd/system -xtype l -delete && \
         rm -rf /var/lib/ecs /var/lib/cloud /etc/docker /etc/ecs /etc/ssh/ssh_host_* /home/ec2-user",
    )?;
    let scripts = bench.host.root.join("opt/scripts");
    let copied =
        std::process::Command::new("cp").arg("-r").arg(repository("builder-scripts")).arg(&scripts).status()?;
    ensure!(copied.success(), "cp ended with {copied}");
    std::fs::copy(repository("dist/ecs-firstrun"), bench.host.root.join("opt/ecs-firstrun"))?;
    let clock = bench.host.try_run("/opt/scripts/clock.sh")?;
    let said = String::from_utf8_lossy(&clock.stderr);
    ensure!(clock.status.success() && said.contains("chrony is not installed"), "{}: {said}", clock.status);
    bench.host.run("BINARY=/opt/ecs-firstrun /opt/scripts/install.sh && /opt/scripts/cleanup.sh")?;
    installed(&bench.host)
}

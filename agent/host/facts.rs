//! Facts that the host itself tells: its operating system, the contents of its image, traces of earlier runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use super::Host;
use super::edit::mode_record;
use crate::aws::imds::Identity;
use crate::instance::{Image, Instance, OperatingSystem, Selinux, VERSION};
use crate::plan::{Edit, leftovers};
use crate::text::json_error;
use crate::well_known::{
    AWSLOGS_UNIT, CLOUDWATCH_VERSION, DAEMON_JSON, DNF_CONF, DOCKER_DATA, OS_RELEASE, SSM_AGENT, SSM_AGENT_UNIT,
    SUBSTITUTES, VENDOR_UNITS, WRITTEN_BY_US, YUM_CONF,
};

impl Host {
    /// Gathers the facts of this instance.
    ///
    /// # Errors
    /// A file of the image that can't be read, or a `daemon.json` that is not a JSON object.
    pub fn instance(&self, identity: &Identity) -> Result<Instance> {
        let image = self.image()?;
        Ok(Instance {
            version: VERSION,
            instance_id: identity.instance_id.clone(),
            region: identity.region.clone(),
            account_id: identity.account_id.clone(),
            availability_zone: identity.availability_zone.clone(),
            instance_type: identity.instance_type.clone(),
            partition_domain: identity.partition_domain.clone(),
            tags: identity.tags.clone(),
            launch_index: identity.launch_index,
            target_lifecycle_state: identity.target_lifecycle_state.clone(),
            memory_mib: self.memory_mib(),
            os: self.operating_system()?,
            ours: self.ours_beside(image.selinux.as_ref())?,
            hooks: BTreeSet::new(),
            pulled: BTreeSet::new(),
            image,
        })
    }

    /// Returns the instance id without the network: from the firmware of Nitro, else from cloud-init's data of this boot.
    pub fn local_instance_id(&self) -> Option<String> {
        let places = ["/sys/class/dmi/id/board_asset_tag", "/var/lib/cloud/data/instance-id"];
        places.into_iter().find_map(|path| self.value_in(path).filter(|id| id.starts_with("i-")))
    }

    /// Tells whether the firmware says that this is an EC2 instance.
    pub fn is_ec2_instance(&self) -> bool {
        self.value_in("/sys/class/dmi/id/sys_vendor").is_some_and(|vendor| vendor == "Amazon EC2")
    }

    /// Returns the time since the host booted; zero where the host does not tell it, as in a scratch folder.
    pub fn uptime(&self) -> Duration {
        let text = self.read("/proc/uptime").ok().flatten().unwrap_or_default();
        let seconds = text.split(' ').next().and_then(|seconds| seconds.parse().ok());
        Duration::try_from_secs_f64(seconds.unwrap_or_default()).unwrap_or_default()
    }

    /// Returns the host's memory in MiB, as the ECS agent counts it: `MemTotal` of /proc/meminfo, rounded down.
    pub fn memory_mib(&self) -> Option<u64> {
        let text = self.read("/proc/meminfo").ok()??;
        let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        total.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib >> 10)
    }

    fn operating_system(&self) -> Result<OperatingSystem> {
        let text = match self.read(OS_RELEASE)? {
            Some(text) => text,
            None => self.read("/usr/lib/os-release")?.unwrap_or_default(),
        };
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
        };
        Ok(OperatingSystem { id: value("ID"), version_id: value("VERSION_ID") })
    }

    fn image(&self) -> Result<Image> {
        let has = |path: &str| self.at(path).exists();
        let (cloudwatch_agent, awslogs) = self.log_agents()?;
        let package_manager = [DNF_CONF, YUM_CONF].into_iter().find(|path| has(path));
        Ok(Image {
            cloudwatch_agent,
            awslogs,
            rsyslog: has("/usr/sbin/rsyslogd"),
            ssm_agent: has(SSM_AGENT) || has(&format!("{VENDOR_UNITS}/{SSM_AGENT_UNIT}")),
            package_manager: package_manager.map(str::to_owned),
            daemon_json: self.daemon_json()?,
            docker_data: self.has_docker_data(),
            docker: None,
            containerd_root: self.containerd_root(),
            containerd_data: self.containerd_data().map(str::to_owned),
            selinux: self.selinux(),
        })
    }

    /// Returns the version of the CloudWatch agent, and whether awslogs is installed. The version is none without the
    /// CloudWatch agent, and empty if no file tells it.
    ///
    /// # Errors
    /// A version that can't be read.
    pub fn log_agents(&self) -> Result<(Option<String>, bool)> {
        let has = |path: &str| self.at(path).exists();
        let cloudwatch_agent = match self.read(CLOUDWATCH_VERSION)? {
            Some(version) => Some(version.trim().to_owned()),
            None => has("/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent").then(String::new),
        };
        let awslogs = has("/usr/sbin/awslogsd") || has(&format!("{VENDOR_UNITS}/{AWSLOGS_UNIT}"));
        Ok((cloudwatch_agent, awslogs))
    }

    /// Returns Docker's configuration as the image has it: kept by an earlier run, or still in its place.
    ///
    /// # Errors
    /// A file that can't be read, or is not a JSON object.
    pub fn daemon_json(&self) -> Result<serde_json::Map<String, serde_json::Value>> {
        let kept = leftovers::image_daemon_json();
        for path in [kept.as_str(), DAEMON_JSON] {
            if let Some(text) = self.read(path)?.filter(|text| !text.trim().is_empty()) {
                let remedy = "; correct it in the image, or remove it";
                let read = serde_json::from_str(&text).map_err(|error| anyhow!(json_error(&error)));
                return read.with_context(|| format!("{path} is not a JSON object{remedy}"));
            }
        }
        Ok(serde_json::Map::new())
    }

    /// Tells whether Docker has containers, volumes or images. The folders alone don't count, since Docker makes them at its
    /// first start.
    fn has_docker_data(&self) -> bool {
        let folders = |path: &str| {
            let entries = fs::read_dir(self.at(&format!("{}/{path}", DOCKER_DATA))).into_iter().flatten();
            entries.flatten().map(|entry| entry.path()).collect::<Vec<_>>()
        };
        let has_images = |driver: &PathBuf| {
            fs::read_dir(driver.join("imagedb/content/sha256")).is_ok_and(|mut images| images.next().is_some())
        };
        !folders("containers").is_empty()
            || folders("volumes").iter().any(|volume| volume.is_dir())
            || folders("image").iter().any(has_images)
    }

    /// Returns the files that an earlier run has written outside its own folder. Also returns the files for which a killed
    /// run has left something to do: the drop-in of a unit that still has to be restarted, and a file whose mode is
    /// recorded.
    ///
    /// # Errors
    /// A file that can't be read.
    pub fn ours(&self) -> Result<BTreeSet<String>> {
        self.ours_beside(self.selinux().as_ref())
    }

    fn ours_beside(&self, selinux: Option<&Selinux>) -> Result<BTreeSet<String>> {
        let mut ours = BTreeSet::new();
        for path in leftovers::own_paths() {
            if self.at(&path).exists() {
                ours.insert(path);
            }
        }
        // A restart of this unit is still due, and only its drop-in makes a plan start the unit.
        if self.is_marked(SSM_AGENT_UNIT) {
            ours.insert(leftovers::drop_in_path(SSM_AGENT_UNIT));
        }
        let substitutes = selinux.map(|selinux| format!("{}/{SUBSTITUTES}", selinux.file_contexts()));
        for path in leftovers::shared_paths().chain(substitutes) {
            let is_ours = |text: &String| Edit::is_in(text) || text.starts_with(WRITTEN_BY_US);
            if self.read(&path)?.as_ref().is_some_and(is_ours) || self.at(&mode_record(&path)).exists() {
                ours.insert(path);
            }
        }
        Ok(ours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::scratch;

    #[test]
    fn what_a_killed_run_has_left_to_do_is_ours() {
        let (_root, host) = scratch();
        assert_eq!(host.ours().unwrap(), BTreeSet::new());
        host.write("/run/ecs-firstrun/changed/amazon-ssm-agent.service", b"", 0o600).unwrap();
        host.write("/var/lib/ecs-firstrun/modes/etc/dnf/dnf.conf", b"0644\n", 0o600).unwrap();
        let ours = ["/etc/dnf/dnf.conf", "/etc/systemd/system/amazon-ssm-agent.service.d/ecs-firstrun-proxy.conf"];
        assert_eq!(host.ours().unwrap(), BTreeSet::from(ours.map(str::to_owned)));
    }
}

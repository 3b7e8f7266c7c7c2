//! The array over an instance store of several disks: a RAID 0, named after the label of its filesystem.
//!
//! The array is made if all its disks are blank, as they are on a new instance and after each stop. The array is assembled
//! if all the disks are its members, as after a reboot. Any other state is refused, unless it is a mixture of both that an
//! interrupted run of this agent left.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};

use super::super::Host;
use super::format_intent::Making;
use super::names::kernel_name;
use super::probe::DeviceContents;
use super::remedy::{self, refusal};
use crate::report::Change;

const INSTANCE_STORE: &str = "the instance store";
const END_USE: &str = "end what uses them, or start a new instance, whose disks are blank";

/// The decision on the disks.
#[derive(Debug, PartialEq)]
enum ArrayDecision {
    Create,
    /// The superblocks that an interrupted run wrote on members are erased first.
    CreateAgain,
    Assemble,
    Refuse(String),
}

/// Decides by the state of the disks: all blank, all members of the array, or something else. Each disk comes with its name,
/// for the message.
fn decide(disks: &[(String, DeviceContents)], label: &str, interrupted: bool) -> ArrayDecision {
    let is_member = |found: &DeviceContents| found.array() == Some(label);
    let first = disks.first().and_then(|(_, found)| found.uuid.as_deref());
    if disks.iter().all(|(_, found)| found.is_blank()) {
        ArrayDecision::Create
    } else if disks.iter().all(|(_, found)| is_member(found) && found.uuid.as_deref() == first) {
        ArrayDecision::Assemble
    } else if interrupted && disks.iter().all(|(_, found)| found.is_blank() || is_member(found)) {
        ArrayDecision::CreateAgain
    } else {
        let words: Vec<_> = disks.iter().map(|(name, found)| format!("{name}: {}", found.in_words())).collect();
        let wanted = format!("its disks are neither all blank nor all of one array `{label}`");
        ArrayDecision::Refuse(format!("{wanted} ({})", words.join("; ")))
    }
}

impl Host {
    /// Makes or assembles the array over these disks, unless it runs already. Returns the array's node.
    pub(super) async fn ensure_array(
        &self,
        disks: &[PathBuf],
        label: &str,
        making: &Making,
    ) -> Result<(PathBuf, Change)> {
        // udev assembles arrays by itself while the host boots.
        self.run("udevadm", &["settle", "--timeout=30"]).await?;
        if let Some(node) = self.running_array(disks, label).await? {
            return Ok((node, Change::AlreadyDone));
        }
        let mut looked_at = Vec::new();
        for disk in disks {
            looked_at.push((kernel_name(disk), self.probe(disk).await?));
        }
        let decision = decide(&looked_at, label, self.was_interrupted(making)?);
        let what = if let ArrayDecision::Refuse(what) = &decision { Some(what.as_str()) } else { None };
        for disk in disks {
            self.refuse_used(INSTANCE_STORE, disk, what)?;
        }
        if let Some(what) = what {
            let found: Vec<_> = looked_at.iter().map(|(_, found)| found).collect();
            return Err(refusal(INSTANCE_STORE, &disks[0], what, &remedy::of_array(&found, disks, None)));
        }
        let array = self.at(&format!("/dev/md/{label}")).to_string_lossy().into_owned();
        let members: Vec<_> = disks.iter().map(|disk| disk.to_string_lossy()).collect();
        let members: Vec<&str> = members.iter().map(AsRef::as_ref).collect();
        if decision == ArrayDecision::Assemble {
            let assembled = self.run("mdadm", &[&["--assemble", &array], members.as_slice()].concat()).await;
            assembled.map_err(|error| {
                // mdadm leaves an array behind that it can't start.
                let left = self.holders(&disks[0]).first().map(|name| format!("/dev/{name}"));
                anyhow!("{error:#}; {}", remedy::of_array(&[], disks, left.as_deref()))
            })?;
        } else {
            self.begin_making(making)?;
            for (member, (_, found)) in members.iter().zip(&looked_at) {
                if !found.is_blank() {
                    self.run("mdadm", &["--zero-superblock", member]).await?;
                }
            }
            let (count, name) = (format!("--raid-devices={}", disks.len()), format!("--name={label}"));
            // `--homehost=any` makes the name valid on every host; with `--run`, mdadm asks no question.
            let options = ["--create", &array, "--run", "--level=0", "--metadata=1.2", "--homehost=any", &name, &count];
            self.run("mdadm", &[&options, members.as_slice()].concat()).await?;
        }
        match self.running_array(disks, label).await? {
            Some(node) => Ok((node, Change::Made)),
            None => bail!("mdadm made no array of {}; `cat /proc/mdstat` says more", members.join(" and ")),
        }
    }

    /// Finds the array that already runs over these disks, whatever the kernel calls it. None if no disk is in use; any
    /// other use is refused.
    pub(super) async fn running_array(&self, disks: &[PathBuf], label: &str) -> Result<Option<PathBuf>> {
        let held: Vec<_> = disks.iter().map(|disk| self.holders(disk)).collect();
        if held.iter().all(Vec::is_empty) {
            return Ok(None);
        }
        let refuse = |what: String, remedy: &str| Err(refusal(INSTANCE_STORE, &disks[0], &what, remedy));
        let holders = held.concat().join(", ");
        let [array] = held[0].as_slice() else {
            return refuse(format!("its disks are in use, by {holders}"), END_USE);
        };
        if held.iter().any(|holders| holders != &held[0]) || !array.starts_with("md") {
            return refuse(format!("its disks are not all in one array; they are in use, by {holders}"), END_USE);
        }
        let attribute = |name: &str| -> Result<String> {
            Ok(self.read(&format!("/sys/class/block/{array}/md/{name}"))?.unwrap_or_default().trim().to_owned())
        };
        let (state, wanted) = (attribute("array_state")?, attribute("raid_disks")?);
        if state == "inactive" || state == "clear" || wanted != disks.len().to_string() {
            let count = disks.len();
            let remedy = remedy::of_array(&[], disks, Some(&format!("/dev/{array}")));
            return refuse(format!("its array {array} is {state}, of {wanted} disks, and {count} are there"), &remedy);
        }
        let found = self.probe(&disks[0]).await?;
        if found.array() != Some(label) {
            let remedy = remedy::of_array(&[&found], disks, Some(&format!("/dev/{array}")));
            let words = found.in_words();
            return refuse(format!("its disks are in use by {array}: {words}, not of `{label}`"), &remedy);
        }
        Ok(Some(self.at(&format!("/dev/{array}"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, array: &str, uuid: &str) -> (String, DeviceContents) {
        let some = |text: &str| Some(text.to_owned());
        let found = DeviceContents {
            kind: some("linux_raid_member"),
            label: some(array),
            uuid: some(uuid),
            ..DeviceContents::default()
        };
        (name.to_owned(), found)
    }

    fn blank(name: &str) -> (String, DeviceContents) {
        (name.to_owned(), DeviceContents::default())
    }

    #[test]
    fn an_array_is_made_of_blank_disks_and_assembled_of_its_members() {
        let (a, b) = (member("nvme1n1", "any:docker", "1"), member("nvme2n1", "any:docker", "1"));
        assert_eq!(decide(&[blank("nvme1n1"), blank("nvme2n1")], "docker", false), ArrayDecision::Create);
        assert_eq!(decide(&[a.clone(), b.clone()], "docker", false), ArrayDecision::Assemble);
        assert_eq!(decide(&[a.clone(), b.clone()], "docker", true), ArrayDecision::Assemble);
        assert_eq!(decide(&[a.clone(), blank("nvme2n1")], "docker", true), ArrayDecision::CreateAgain);
        let refused = |disks: &[(String, DeviceContents)], interrupted| {
            matches!(decide(disks, "docker", interrupted), ArrayDecision::Refuse(_))
        };
        assert!(refused(&[a.clone(), blank("nvme2n1")], false));
        assert!(refused(&[a.clone(), member("nvme2n1", "any:docker", "2")], false));
        assert!(refused(&[member("nvme1n1", "any:other", "1"), member("nvme2n1", "any:other", "1")], false));
        for interrupted in [false, true] {
            let other = (
                String::from("nvme2n1"),
                DeviceContents { kind: Some("ext4".to_owned()), ..DeviceContents::default() },
            );
            assert!(refused(&[a.clone(), other.clone()], interrupted));
            assert!(refused(&[blank("nvme1n1"), other], interrupted));
            assert!(refused(&[blank("nvme1n1"), member("nvme2n1", "any:other", "1")], interrupted));
        }
    }

    #[tokio::test]
    async fn disks_in_another_array_or_an_incomplete_one_are_refused() {
        let (_root, host) = crate::host::scratch();
        let disks = ["nvme1n1", "nvme2n1"].map(|name| host.at(&format!("/dev/{name}")));
        assert_eq!(host.running_array(&disks, "docker").await.unwrap(), None);
        let put = |path: &str| host.write(&format!("/sys/class/block/{path}"), b"", 0o644).unwrap();
        let refused = async || host.running_array(&disks, "docker").await.unwrap_err().to_string();
        put("nvme1n1/holders/dm-0");
        assert!(refused().await.contains("its disks are not all in one array; they are in use, by dm-0;"));
        put("nvme2n1/holders/dm-0");
        assert!(refused().await.contains("its disks are not all in one array; they are in use, by dm-0, dm-0;"));
        put("nvme1n1/holders/dm-1");
        assert!(refused().await.contains("its disks are in use, by dm-0, dm-1, dm-0;"));
        std::fs::remove_dir_all(host.at("/sys/class/block")).unwrap();
        put("nvme1n1/holders/md127");
        assert!(refused().await.contains("its disks are not all in one array; they are in use, by md127;"));
        put("nvme2n1/holders/md127");
        for (state, count) in [("inactive", "2"), ("clear", "2"), ("clean", "3")] {
            for (name, value) in [("array_state", state), ("raid_disks", count)] {
                let value = format!("{value}\n");
                host.write(&format!("/sys/class/block/md127/md/{name}"), value.as_bytes(), 0o644).unwrap();
            }
            let expected = format!("its array md127 is {state}, of {count} disks, and 2 are there;");
            assert!(refused().await.contains(&expected), "{expected}");
        }
    }

    #[test]
    fn a_refusal_tells_what_is_on_each_disk() {
        let ArrayDecision::Refuse(what) =
            decide(&[member("nvme1n1", "any:docker", "1"), blank("nvme2n1")], "docker", false)
        else {
            panic!("it is not refused")
        };
        assert_eq!(
            what,
            "its disks are neither all blank nor all of one array `docker` (nvme1n1: it is a member of the RAID array `docker`; nvme2n1: it is blank)"
        );
    }
}

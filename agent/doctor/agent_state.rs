//! The ECS agent's saved state: the instance and the cluster that the state belongs to.
//!
//! The agent's database is a BoltDB file, which the agent locks while it runs. So this module does not open the database,
//! but searches the file's bytes. In a leaf page, a key is followed at once by its value, and the agent's values are JSON. A
//! page that was replaced stays in the file until its space is used again, so one key can have several values. The keys of a
//! page are sorted, so a cluster belongs to the instance that follows it. When the ECS agent starts, it drops the state of
//! another instance, so the cluster in such a state means nothing.

use std::collections::BTreeSet;

use memchr::memmem;

use super::finding::{Check, Finding};
use crate::aws::imds::Identity;
use crate::config::Config;
use crate::ecs_agent::DEFAULT_CLUSTER;
use crate::host::Host;
use crate::well_known::ECS_DATA;

/// The database, in [`ECS_DATA`].
const DATABASE: &str = "agent.db";
/// Bytes of the database that are read. A new instance's database has tens of kilobytes; after thousands of tasks it has
/// some megabytes.
const READ: u64 = 16 << 20;
/// Bytes of the longest value that is looked at; the ARN of a cluster is shorter.
const VALUE: usize = 512;
/// The keys, as the ECS agent's source has them (agent/data/metadata_client.go).
const INSTANCE: &str = "ec2-instance-id";
const CLUSTER: &str = "cluster-name";

/// The most bytes between the value of [`CLUSTER`] and the key [`INSTANCE`] of one page: an ARN and two keys.
const APART: usize = 1024;

const REMEDY: &str =
    "stop ecs.service, delete /var/lib/ecs/data, start ecs.service again; and bake images without that directory";

/// Tells whether the ECS agent's saved state belongs to this instance and its cluster.
pub(super) fn finding(host: &Host, config: Option<&Config>, identity: &Identity) -> Finding {
    let check = Check::State;
    let database = match host.head(&format!("{ECS_DATA}/{DATABASE}"), READ) {
        Ok(Some((bytes, _))) => bytes,
        Ok(None) => return Finding::ok(check, "the ECS agent has saved nothing yet"),
        Err(error) => return Finding::not_made(check, &error),
    };
    let instances = values(&database, INSTANCE);
    let Some(first) = instances.first() else {
        return Finding::ok(check, "the ECS agent has saved nothing yet about an instance");
    };
    let known = Some(identity.instance_id.clone()).filter(|id| !id.is_empty()).or_else(|| host.local_instance_id());
    let Some(instance) = known else {
        return Finding::ok(check, "there is a saved state; whether it belongs to this instance is not known");
    };
    if !instances.contains(&instance) {
        return Finding::problem(
            check,
            format!("the saved state of the ECS agent belongs to another instance, `{first}`"),
            "the state came with the image or a volume; the ECS agent discards it at its start, and has not got that far",
            REMEDY,
        )
        .that_causes_nothing();
    }
    let wanted = configured(host, config);
    let clusters = clusters_of(&database, &instance);
    match (wanted, clusters.first()) {
        (Some(wanted), Some(found)) if !clusters.contains(&wanted.cluster) => Finding::problem(
            check,
            format!("the ECS agent has saved the state of another cluster, `{found}`; {}", wanted.in_words),
            "the ECS agent gives up (exit code 5) unless its saved cluster is exactly the one in /etc/ecs/ecs.config",
            REMEDY,
        )
        // The agent's own log says more about this.
        .ranked(Check::AgentLog),
        _ => Finding::ok(check, "the saved state belongs to this instance"),
    }
}

/// The cluster that the ECS agent is configured for.
struct ConfiguredCluster {
    cluster: String,
    /// The setting, with its place.
    in_words: String,
}

/// Returns the cluster that the ECS agent is configured for. A line of the agent's settings counts first. Else the
/// configuration counts, whose run has not come as far as to write such a line.
fn configured(host: &Host, config: Option<&Config>) -> Option<ConfiguredCluster> {
    if let Some(line) = host.configured_cluster().ok().flatten() {
        let cluster = if line.value.is_empty() { DEFAULT_CLUSTER } else { line.value.as_str() };
        let in_words = format!("it is configured for `{cluster}`: {line}");
        return Some(ConfiguredCluster { cluster: cluster.to_owned(), in_words });
    }
    let cluster = config?.ecs.as_ref()?.cluster()?;
    let in_words = format!("it is configured for `{cluster}`");
    Some(ConfiguredCluster { cluster: cluster.clone(), in_words })
}

/// Returns the clusters in the pages of this instance. If there is no such page, returns all saved clusters.
fn clusters_of(database: &[u8], instance: &str) -> BTreeSet<String> {
    let of_instance = format!("{INSTANCE}\"{instance}\"");
    let at: Vec<usize> = memmem::find_iter(database, CLUSTER).collect();
    let texts = at.iter().enumerate().filter_map(|(number, start)| {
        let end = at.get(number + 1).copied().unwrap_or(database.len());
        let page = &database[*start..end.min(start + VALUE + APART)];
        memmem::find(page, of_instance.as_bytes())?;
        values(page, CLUSTER).into_iter().next()
    });
    let found: BTreeSet<String> = texts.collect();
    if found.is_empty() { values(database, CLUSTER) } else { found }
}

/// Returns all values that a key has in any page.
fn values(database: &[u8], key: &str) -> BTreeSet<String> {
    let at = memmem::find_iter(database, key).map(|at| at + key.len());
    let texts = at.filter_map(|at| {
        let text = database.get(at..)?.strip_prefix(b"\"")?;
        let text = &text[..text.len().min(VALUE)];
        let text = &text[..memchr::memchr(b'"', text)?];
        std::str::from_utf8(text).ok()
    });
    texts.filter(|text| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic())).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_values_of_all_pages_and_nothing_else() {
        let database =
            b"\0cluster-name\"default\"cluster-name\"web\"\x01cluster-name\"\"cluster-name\"a b\"cluster-names";
        assert_eq!(values(database, CLUSTER), ["default", "web"].map(str::to_owned).into());
        assert_eq!(values(b"cluster-name\"never ends", CLUSTER), BTreeSet::new());
        assert_eq!(values(&[b"cluster-name\"".as_slice(), &[b'a'; 600], b"\""].concat(), CLUSTER), BTreeSet::new());
    }

    #[test]
    fn a_cluster_is_that_of_the_instance_in_its_page() {
        let page = |cluster: &str, instance: &str| {
            format!(
                "\x01agent-version\"1.105.1\"cluster-name\"{cluster}\"container-instance-arn\"arn:aws:ecs:eu-west-1:1:container-\
                 instance/{cluster}/0123\"ec2-instance-id\"{instance}\"task-manifest-seq-num0\0\0"
            )
        };
        let database = [page("baked", "i-1"), page("blue", "i-1"), page("blue", "i-2")].concat();
        let of = |instance: &str| clusters_of(database.as_bytes(), instance);
        assert_eq!(of("i-2"), BTreeSet::from(["blue".to_owned()]));
        assert_eq!(of("i-1"), BTreeSet::from(["baked", "blue"].map(str::to_owned)));
        // A page that holds one key without the other.
        let apart = format!("cluster-name\"blue\"{}ec2-instance-id\"i-2\"", "\0".repeat(4096));
        assert_eq!(clusters_of(apart.as_bytes(), "i-2"), BTreeSet::from(["blue".to_owned()]));
    }
}

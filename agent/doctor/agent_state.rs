//! What the ECS agent has saved: of which instance and which cluster it is.
//!
//! The agent's database is BoltDB's, which it holds locked while it runs. So nobody opens it here: its bytes are searched.
//! In a leaf page a key is followed at once by its value, and the agent's values are JSON. A page that was replaced stays
//! in the file until it is used again, so one key can have several values; only where none of them fits is the state that
//! of another.

use std::collections::BTreeSet;

use memchr::memmem;

use super::{Check, Finding};
use crate::config::Config;
use crate::host::Host;
use crate::imds::Identity;
use crate::well_known::ECS_DATA;

/// The database, in [`ECS_DATA`].
const DATABASE: &str = "agent.db";
/// How much of the database is read, in bytes. It has tens of kilobytes on a new instance, and some megabytes after
/// thousands of tasks.
const READ: u64 = 16 << 20;
/// The longest value that is looked at, in bytes: the ARN of a cluster is shorter.
const VALUE: usize = 512;
/// The keys, as the ECS agent's source has them (agent/data/metadata_client.go).
const INSTANCE: &str = "ec2-instance-id";
const CLUSTER: &str = "cluster-name";

const REMEDY: &str =
    "stop ecs.service, delete /var/lib/ecs/data, start it again; and delete that directory when an image is baked";

/// Whether what the ECS agent has saved is of this instance and its cluster.
pub(super) fn finding(host: &Host, config: Option<&Config>, identity: &Identity) -> Finding {
    let check = Check::State;
    let database = match host.head(&format!("{ECS_DATA}/{DATABASE}"), READ) {
        Ok(Some((bytes, _))) => bytes,
        Ok(None) => return Finding::ok(check, "it has saved nothing yet"),
        Err(error) => return Finding::not_made(check, &error),
    };
    if let Some(found) = other(&database, CLUSTER, config.and_then(configured).as_deref()) {
        return Finding::problem(
            check,
            format!("the ECS agent has saved the state of another cluster, {found}"),
            "it gives up (exit code 5) when its saved cluster is not, letter by letter, the one in /etc/ecs/ecs.config",
            REMEDY,
        )
        // The agent's own word on it is the better one.
        .ranked(Check::AgentLog);
    }
    let instance = (!identity.instance_id.is_empty()).then_some(identity.instance_id.as_str());
    if let Some(found) = other(&database, INSTANCE, instance) {
        return Finding::problem(
            check,
            format!("the saved state of the ECS agent is that of another instance, {found}"),
            "it came with the image or a volume; the ECS agent has not dropped it, as it does when it starts",
            REMEDY,
        );
    }
    match values(&database, INSTANCE).is_empty() {
        true => Finding::ok(check, "it has saved nothing yet of an instance"),
        false if instance.is_none() => Finding::ok(check, "there is one; whether it is of this instance is not known"),
        false => Finding::ok(check, "it is of this instance"),
    }
}

/// The cluster as `ecs.config` has it.
fn configured(config: &Config) -> Option<String> {
    config.ecs.as_ref().map(|ecs| ecs.cluster.to_string())
}

/// What is saved under a key, where it is known and not `wanted`.
fn other(database: &[u8], key: &str, wanted: Option<&str>) -> Option<String> {
    let wanted = wanted?;
    let values = values(database, key);
    if values.contains(wanted) {
        return None;
    }
    values.into_iter().next().map(|value| format!("`{value}`"))
}

/// All values that a key has in some page.
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
}

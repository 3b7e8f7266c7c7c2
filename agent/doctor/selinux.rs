//! Finds SELinux labels with which this agent's binary can't be run or no container starts. Where SELinux is off, nothing is
//! found.

use anyhow::Result;
use serde_json::{Map, Value};

use super::finding::{Check, Finding};
use crate::config::Config;
use crate::host::Host;
use crate::instance::Selinux;
use crate::plan::{NO_CONTAINERS, docker_data_root};
use crate::well_known::{BINARY, DAEMON_JSON, DOCKER_DATA, SELINUX_ENABLED};

/// A program that each image has.
const SYSTEMD: &str = "/usr/lib/systemd/systemd";
const CHECK: Check = Check::Selinux;

/// Finds wrong labels on a running host.
pub(super) async fn findings(host: &Host, config: Option<&Config>) -> Result<Vec<Finding>> {
    let Some(selinux) = host.selinux() else { return Ok(Vec::new()) };
    let text = host.read(DAEMON_JSON).ok().flatten().unwrap_or_default();
    let docker: Map<_, _> = serde_json::from_str(&text).unwrap_or_default();
    let of_binary = binary(host).await.map(Finding::that_causes_nothing);
    Ok(together(of_binary, host, &selinux, &docker, config).await)
}

/// Finds wrong labels in an image.
pub(super) async fn of_image(host: &Host, config: Option<&Config>) -> Vec<Finding> {
    let Some(selinux) = host.selinux_of_image() else { return Vec::new() };
    let docker = host.daemon_json().unwrap_or_default();
    together(binary(host).await, host, &selinux, &docker, config).await
}

async fn together(
    of_binary: Option<Finding>,
    host: &Host,
    selinux: &Selinux,
    docker: &Map<String, Value>,
    config: Option<&Config>,
) -> Vec<Finding> {
    let given = config.and_then(|config| config.docker.as_ref()?.daemon.get(SELINUX_ENABLED));
    let is_enabled = given.or(docker.get(SELINUX_ENABLED)) == Some(&true.into());
    let data_root = &docker_data_root(config.unwrap_or(&Config::default()), docker);
    let of_data_root = match is_enabled && !selinux.containers {
        true => Some(no_labels(host, selinux)),
        false => data_root_finding(host, config, data_root, is_enabled).await,
    };
    let found: Vec<_> = of_binary.into_iter().chain(of_data_root).collect();
    if found.is_empty() {
        let words = format!("{BINARY} and {data_root} have the labels of the policy `{}`", selinux.policy);
        return vec![Finding::ok(CHECK, words)];
    }
    found
}

fn no_labels(host: &Host, selinux: &Selinux) -> Finding {
    let finding = Finding::problem(
        CHECK,
        format!(
            "Docker has `{SELINUX_ENABLED}: true`, and the policy `{}` has no labels for containers",
            selinux.policy
        ),
        format!("where SELinux is enforcing, {NO_CONTAINERS}"),
        format!("install container-selinux in the image, or take `{SELINUX_ENABLED}` out"),
    );
    if host.selinux_enforces() { finding } else { finding.that_causes_nothing() }
}

async fn binary(host: &Host) -> Option<Finding> {
    let problem = |found: String| {
        let why = "where SELinux is enforcing, systemd can't run it: 203/EXEC";
        let remedy = format!("`restorecon -v {BINARY}`; install files with install(1): mv(1) keeps the label of /tmp");
        Some(Finding::problem(CHECK, found, why, remedy))
    };
    if !host.has(BINARY) {
        return None;
    }
    if host.selinux().is_none() {
        return problem(impossible(host, BINARY)?);
    }
    match host.wrong_label(BINARY).await {
        Ok(wrong) => problem(wrong.map(|_| has(host, BINARY))? + ", not that of the policy"),
        Err(error) => Some(Finding::not_made(CHECK, &error)),
    }
}

/// Finds a data root that is not labelled as Docker's default one, wherever it is.
async fn data_root_finding(host: &Host, config: Option<&Config>, data_root: &str, is_enabled: bool) -> Option<Finding> {
    let problem = |found: String| {
        let why = match is_enabled {
            true => format!("where SELinux is enforcing, {NO_CONTAINERS}"),
            false => format!("containers run there only as long as Docker has no `{SELINUX_ENABLED}`"),
        };
        let remedy = format!(
            "replace the instance and its volume; or stop Docker, and run `restorecon -R {data_root}`, which \
             relabels the volumes of containers"
        );
        let finding = Finding::problem(CHECK, found, why, remedy);
        Some(if is_enabled && host.selinux_enforces() { finding } else { finding.that_causes_nothing() })
    };
    let has_one_label = config.is_some_and(|config| config.gives_one_label(data_root));
    if !host.has(data_root) || has_one_label {
        return None;
    }
    if host.selinux().is_none() {
        return problem(impossible(host, data_root)?);
    }
    match host.label_in_policy(DOCKER_DATA).await {
        Ok(wanted) if host.label_of(data_root).is_some_and(|found| kind(&found) == kind(&wanted)) => None,
        Ok(wanted) => problem(format!("{}, not `{}` as {DOCKER_DATA}", has(host, data_root), kind(&wanted))),
        Err(error) => Some(Finding::not_made(CHECK, &error)),
    }
}

fn has(host: &Host, path: &str) -> String {
    let label = host.label_of(path).map(|label| format!("the SELinux label `{}`", kind(&label)));
    format!("{path} has {}", label.as_deref().unwrap_or("no SELinux label"))
}

/// Describes the wrong label of a file in an image that is mounted in a folder. The image's policy can't be asked there, so
/// only labels that no such file can have are reported.
fn impossible(host: &Host, path: &str) -> Option<String> {
    let is_impossible = match host.label_of(path) {
        Some(label) => {
            let kind = kind(&label);
            kind == "unlabeled_t" || kind.ends_with("tmp_t") || kind.ends_with("_home_t")
        }
        // The whole image may get its labels at the first boot.
        None => host.label_of(SYSTEMD).is_some(),
    };
    is_impossible.then(|| has(host, path))
}

/// Returns the type in a label, the only part that matters.
fn kind(label: &str) -> &str {
    label.split(':').nth(2).unwrap_or(label)
}

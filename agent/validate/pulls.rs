//! Warnings of `docker.pull`: images that would not stay, that take longer than the run, or that the role may not read.

use std::time::Duration;

use super::template::permissions::{Permissions, covers};
use super::template::surroundings::Surroundings;
use crate::aws::ecr::Registry;
use crate::config::types::TimeSpan;
use crate::config::{Config, Ecs, ImagePull};

/// The permissions on a repository that a pull from it needs.
const OF_REPOSITORY: [&str; 2] = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];
const TOKEN: &str = "ecr:GetAuthorizationToken";
/// The setting of the ECS agent that has it delete images of no task.
const CLEANUP: &str = "ECS_ENABLE_UNTRACKED_IMAGE_CLEANUP";
/// The setting of the ECS agent with the images that are spared, as Docker lists them.
const SPARED: &str = "ECS_EXCLUDE_UNTRACKED_IMAGE";

/// Warns of pulls that the ECS agent undoes, that may take longer than the run, or that the role may not make.
pub(super) fn check(config: &Config, around: &Surroundings, warn: &mut impl FnMut(&[&str], String, &str)) {
    let pulls = config.docker.as_ref().map_or(&[][..], |docker| &docker.pull);
    if pulls.is_empty() {
        return;
    }
    timeouts(config, pulls, warn);
    for (index, pull) in pulls.iter().enumerate() {
        if let Some(remedy) = config.ecs.as_ref().and_then(|ecs| deleted(ecs, pull)) {
            let message =
                format!("the ECS agent deletes {} before a task uses it: `{CLEANUP}` is on", pull.image.listed());
            warn(&["docker", "pull", &index.to_string(), "image"], message, &remedy);
        }
    }
    if let Some(permissions) = &around.permissions {
        permitted(permissions, pulls, warn);
    }
}

/// Warns of pulls that the run waits for, and that may take longer than the run.
fn timeouts(config: &Config, pulls: &[ImagePull], warn: &mut impl FnMut(&[&str], String, &str)) {
    let allowed = config.time_allowed(Duration::ZERO);
    let all: Duration = pulls.iter().filter(|pull| pull.required).map(|pull| pull.timeout.0.0).sum();
    if all > allowed {
        let message = format!(
            "a run gives up after {}, and all required pulls together may take {}",
            TimeSpan(allowed),
            TimeSpan(all)
        );
        let remedy = "make each `timeout` shorter, or `signal.timeout` and the stack's own timeout longer";
        warn(&["docker", "pull"], message, remedy);
    }
}

/// Returns the remedy if the ECS agent would delete an image that no task has used yet. The agent counts the image's age from
/// its build, so that a pull of today does not help.
fn deleted(ecs: &Ecs, pull: &ImagePull) -> Option<String> {
    let setting = |name: &str| ecs.config.0.get(name).map(String::as_str).unwrap_or_default();
    let is_off =
        setting("ECS_DISABLE_IMAGE_CLEANUP") == "true" || setting("ECS_IMAGE_PULL_BEHAVIOR") == "prefer-cached";
    let listed = pull.image.listed();
    if setting(CLEANUP) != "true" || is_off || setting(SPARED).split(',').any(|spared| spared == listed) {
        return None;
    }
    Some(match pull.image.digest() {
        // The agent compares tags, which such an image has none of.
        Some(_) => format!("leave `{CLEANUP}` out, or give the image by a tag and add it to `{SPARED}`"),
        None => format!("add {listed} to `ecs.config.{SPARED}`, or leave `{CLEANUP}` out"),
    })
}

/// Warns of images in Amazon ECR that the role in the template may not pull.
fn permitted(permissions: &Permissions, pulls: &[ImagePull], warn: &mut impl FnMut(&[&str], String, &str)) {
    for (index, pull) in pulls.iter().enumerate() {
        if Registry::of(pull.image.host()).is_none() {
            continue;
        }
        let path = pull.image.repository().split_once('/').map_or("", |(_, path)| path);
        let repository = format!("repository/{path}");
        let of_repository = OF_REPOSITORY.into_iter().filter(|action| !allows(permissions, action, Some(&repository)));
        let token = Some(TOKEN).filter(|action| !allows(permissions, action, None));
        let missing: Vec<_> = token.into_iter().chain(of_repository).collect();
        if !missing.is_empty() {
            let message = format!("no role in this template allows {} for {}", missing.join(", "), pull.image.listed());
            let remedy = "attach the policy AmazonEC2ContainerServiceforEC2Role, or allow them; ecr:GetAuthorizationToken \
                          for `*`";
            warn(&["docker", "pull", &index.to_string(), "image"], message, remedy);
        }
    }
}

/// Tells whether an action is, or may be, allowed for a repository, or for no single one. Values that only the stack knows
/// may allow it.
fn allows(permissions: &Permissions, action: &str, repository: Option<&str>) -> bool {
    let allowed = permissions.allowed(action);
    // An action without a resource needs `*`.
    let allows = |pattern: &str| repository.map_or(pattern == "*", |repository| covers(pattern, "ecr", repository));
    allowed.is_none_or(|allowed| allowed.into_iter().any(allows))
}

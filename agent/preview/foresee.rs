//! The preview of a run: the checks that come before each change, without the changes.

use std::collections::BTreeSet;

use anyhow::Result;

use super::rewrite::{Before, Rewrite};
use super::show::{Foreseen, Foresight};
use crate::config::types::Mode;
use crate::ecs_agent::{EcsAgent, Seen};
use crate::host::{Edited, EndStateRefused, Host, UNIT_FILES, Wanted, is_unit_file};
use crate::plan::{Action, Condition, Contents, Edit, Plan, Wait};
use crate::well_known::{CONFIGURED, DOCKER_UNIT, ECS_UNIT};

/// The changes that the earlier actions of the plan would have made.
#[derive(Default)]
struct Changed {
    /// The units that would have to be restarted, and [`UNIT_FILES`] until systemd would have read them.
    marks: BTreeSet<String>,
    /// Set if systemd would have read the unit files.
    reloaded: bool,
    /// Set if a filesystem would have been mounted.
    mounts: bool,
    /// Set if an earlier action of the same step would have changed anything.
    step: bool,
}

/// Returns the state that a run would find for each action of a plan, in order. Nothing is changed. Without root, some
/// states can't be read and are unknown.
pub async fn foresee(host: &Host, ecs_agent: &EcsAgent, plan: &Plan) -> Vec<Foresight> {
    let mut foresights = Vec::new();
    let mut changed = Changed::default();
    for step in &plan.steps {
        changed.step = false;
        for planned in &step.actions {
            let looked = look_for(host, ecs_agent, &planned.action, &changed).await;
            let mut refusal = None;
            let foreseen = looked.unwrap_or_else(|error| match error.downcast_ref::<EndStateRefused>() {
                Some(error) => {
                    refusal = Some(error.to_string());
                    Foreseen::Refused
                }
                None => {
                    tracing::debug!("not known: {}: {error:#}", planned.action);
                    Foreseen::Unknown
                }
            });
            let is_done = foreseen == Foreseen::AlreadyDone;
            if let Some((path, read_by)) = file_of(&planned.action).filter(|_| !is_done) {
                changed.marks.extend(read_by.iter().cloned());
                changed.marks.extend(is_unit_file(path).then(|| UNIT_FILES.to_owned()));
            }
            if planned.action == Action::ReloadUnits && !is_done {
                changed.marks.remove(UNIT_FILES);
                changed.reloaded = true;
            }
            changed.step |= !is_done;
            changed.mounts |= !is_done && matches!(planned.action, Action::Mount { .. });
            let rewrite = (!is_done).then(|| rewrite(host, &planned.action)).flatten();
            foresights.push(Foresight { foreseen, refusal, rewrite });
        }
    }
    foresights
}

async fn look_for(host: &Host, ecs_agent: &EcsAgent, action: &Action, changed: &Changed) -> Result<Foreseen> {
    let holds = match action {
        Action::WriteFile(file) => host.holds(&file.path, file.contents.reveal().as_bytes(), file.mode.0)?,
        Action::EditFile(edit) => has_edit(host, edit)?,
        Action::RemoveFile { path, .. } => !host.at(path).exists(),
        Action::EnsurePrivateFile { path, initial } => host.is_private(path, initial)?,
        Action::EnsureDirectory { path, owner, mode, .. } => host.has_directory(path, *owner, mode.0),
        Action::EnsureFilesystem { device, filesystem, label, user } => {
            let wanted = Wanted { device, filesystem: *filesystem, label, user: *user };
            match host.has_filesystem(&wanted).await? {
                Some(has) => has,
                None => return Ok(Foreseen::Unknown),
            }
        }
        // Until the filesystem is mounted, another filesystem is found at the path.
        Action::EnsureLabel { .. } if changed.mounts => return Ok(Foreseen::Unknown),
        Action::EnsureFilesystemFillsDevice { .. } if changed.step => return Ok(Foreseen::Unknown),
        Action::EnsureLabel { path } => host.has_label(path).await?,
        Action::EnsureMountPoint { path, .. } => host.at(path).exists(),
        Action::EnsureFilesystemFillsDevice { device, filesystem, mount } => {
            match host.fills_device(device, *filesystem, mount)? {
                Some(fills) => fills,
                None => return Ok(Foreseen::Unknown),
            }
        }
        Action::ReloadUnits => {
            let was_marked = host.is_marked(UNIT_FILES) && !changed.reloaded;
            !was_marked && !changed.marks.contains(UNIT_FILES)
        }
        Action::StartUnit { unit, .. } | Action::Mount { unit, .. } => {
            !changed.marks.contains(unit) && host.is_started(unit, &host.unit_state(unit).await?)
        }
        Action::StopUnits { units, unless } => {
            (!changed.marks.contains(unless) && host.is_started(unless, &host.unit_state(unless).await?))
                || host.are_stopped(units).await?
        }
        Action::NotifyReady => host.holds(CONFIGURED, b"", 0o644)?,
        // Commands that have run already are not in the plan.
        Action::RunHook(_) => false,
        // A connection to its socket would start Docker.
        Action::PullImage(pull) => {
            let begins_anew = changed.mounts || changed.marks.contains(DOCKER_UNIT);
            pull.unless_there
                && !begins_anew
                && host.unit_state(DOCKER_UNIT).await?.is_active()
                && host.has_image(&pull.image).await?
        }
        // The ECS agent that is registered now would be restarted first.
        Action::WaitFor(Wait { condition: Condition::Registered { .. }, .. }) if changed.marks.contains(ECS_UNIT) => {
            false
        }
        Action::WaitFor(wait) => is_met(host, ecs_agent, &wait.condition).await?,
    };
    Ok(if holds { Foreseen::AlreadyDone } else { Foreseen::ToDo })
}

async fn is_met(host: &Host, ecs_agent: &EcsAgent, condition: &Condition) -> Result<bool> {
    Ok(match condition {
        Condition::DevicePresent { device } => !host.find_device(device)?.is_empty(),
        Condition::UnitActive { unit } => host.unit_state(unit).await?.is_active(),
        Condition::Registered { cluster } => {
            let cluster = host.cluster(cluster.as_deref())?;
            matches!(ecs_agent.look(&cluster).await, Seen::Registered { .. })
        }
    })
}

fn has_edit(host: &Host, edit: &Edit) -> Result<bool> {
    match host.edited(edit)? {
        Edited { before, after: None, .. } => Ok(before.is_none()),
        Edited { after: Some(after), mode, .. } => host.holds(&edit.path, after.as_bytes(), mode),
    }
}

/// Returns the change that an action would make to a file; nothing if the action is not about a file.
fn rewrite(host: &Host, action: &Action) -> Option<Rewrite> {
    let (path, _) = file_of(action)?;
    let after = match action {
        Action::WriteFile(file) => Some((file.contents.clone(), file.mode)),
        Action::EditFile(edit) => match host.edited(edit) {
            Ok(edited) => edited.after.map(|text| {
                let contents = if edit.is_private() { Contents::Secret(text) } else { Contents::Open(text) };
                (contents, Mode(edited.mode))
            }),
            Err(_) => return Some(Rewrite::new(path, Before::Unreadable, None)),
        },
        _ => None,
    };
    let before = match host.read(path) {
        Ok(None) => Before::Missing,
        Ok(Some(text)) => Before::Found(text, Mode(host.mode_of(path).unwrap_or(0o600))),
        Err(_) => Before::Unreadable,
    };
    Some(Rewrite::new(path, before, after))
}

/// Returns the file that an action is about, and the units that read the file.
fn file_of(action: &Action) -> Option<(&str, &[String])> {
    match action {
        Action::WriteFile(file) => Some((&file.path, &file.read_by)),
        Action::EditFile(edit) => Some((&edit.path, edit.read_by.as_slice())),
        Action::RemoveFile { path, read_by } => Some((path, read_by)),
        _ => None,
    }
}

//! Warnings: values in user data that are valid but cause trouble.

use std::time::Duration;

use serde_json::Value;

use super::template::policies::{PolicyTimeout, Refresh, WaitingPolicy, Waits};
use super::template::surroundings::Surroundings;
use super::warning::warning;
use super::{log_files, logs, on_failure, pulls, references, volumes};
use crate::config::types::TimeSpan;
use crate::config::{Config, HookPoint, Signal};
use crate::document::decode::Document;
use crate::document::problem::Problem;
use crate::ecs_variables::{holds_secret, is_secret};
use crate::plan::{Exception, exceptions};
use crate::secrets::is_secret_key;
use crate::text::did_you_mean;

/// Most bytes of user data that EC2 takes, counted before encoding.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html>
const MOST_BYTES: usize = 16 * 1024;
/// Bytes of user data from which a warning is given: the stack's values may be longer than the placeholders.
const MANY_BYTES: usize = 15 * 1024;

/// Finds values of a configuration that don't fit each other, or don't fit the template around them.
pub(super) fn misfits(config: &Config, documents: &[Document], around: &Surroundings) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut warn =
        |path: &[&str], message: String, remedy: &str| found.push(warning(documents, path, message).remedy(remedy));
    timeouts(config, documents, around, &mut warn);
    hook_timeouts(config, &mut warn);
    refreshes(config, around, &mut warn);
    volumes::of_the_image(config, around, &mut warn);
    logs::find(config, around, &mut warn);
    on_failure::find(config, around, &mut warn);
    log_files::check(config, &mut warn);
    pulls::check(config, around, &mut warn);
    volumes::options(config, &mut warn);
    references::find(config, around, &mut warn);
    for Exception { path, message, remedy } in exceptions(config, config.logs.agent) {
        warn(&path.iter().map(String::as_str).collect::<Vec<_>>(), message, remedy);
    }
    found
}

/// Returns the warning about the size of user data, as EC2 counts it.
pub(super) fn size(name: &str, bytes: usize) -> Option<Problem> {
    let message = match bytes {
        0..MANY_BYTES => return None,
        MANY_BYTES..=MOST_BYTES => format!("{name}: with {bytes} bytes it is near EC2's limit of {MOST_BYTES}"),
        _ => format!("{name}: with {bytes} bytes it exceeds EC2's limit of {MOST_BYTES}"),
    };
    Some(Problem::general(message).remedy("compress it: `gzip -9 <user-data | base64 -w0`, and leave out `Fn::Base64`"))
}

fn timeouts(
    config: &Config,
    documents: &[Document],
    around: &Surroundings,
    warn: &mut impl FnMut(&[&str], String, &str),
) {
    let Some(signal) = &config.signal else { return };
    let shown = |time: Duration| TimeSpan(time).to_string();
    let resource = signal.resource.as_ref().map(|resource| format!(" of `{resource}`")).unwrap_or_default();
    if let (Waits::NoResource(remedy), Some(resource)) = (&around.waits, &signal.resource) {
        warn(&["signal", "resource"], format!("the template has no resource `{resource}`"), remedy);
    }
    let waits: &[WaitingPolicy] = if let Waits::By(waits, _) = &around.waits { waits } else { &[] };
    if around.timeout_in_stack {
        return;
    }
    let timed = waits.iter().filter_map(|wait| match wait.time {
        PolicyTimeout::Known(time) => Some((wait.key, time)),
        PolicyTimeout::InStack | PolicyTimeout::Wrong => None,
    });
    for (key, time) in timed.filter(|(_, time)| *time < signal.timeout.0.0) {
        warn(
            &["signal", "timeout"],
            format!(
                "the {key}{resource} waits {}, less than the {} of `signal.timeout`: FAILURE may come too late",
                shown(time),
                signal.timeout.0
            ),
            "give both the same time",
        );
    }
    let is_given =
        |document: &Document| document.config.as_ref().is_some_and(|root| root.at(&["wait", "timeout"]).is_some());
    let allowed = config.time_allowed(Duration::ZERO);
    if config.wait.timeout.0 > allowed && documents.iter().any(is_given) {
        warn(
            &["wait", "timeout"],
            format!("a run gives up after {}, before `wait.timeout` is over", shown(allowed)),
            "make `wait.timeout` shorter, or `signal.timeout` and the stack's own timeout longer",
        );
    }
}

/// Warns of hooks that may take longer than the run, each alone or all together.
fn hook_timeouts(config: &Config, warn: &mut impl FnMut(&[&str], String, &str)) {
    let allowed = config.time_allowed(Duration::ZERO);
    let gives_up = format!("a run gives up after {}", TimeSpan(allowed));
    let mut is_one_too_long = false;
    for point in HookPoint::ALL {
        for (index, hook) in config.hooks.at(point).iter().enumerate().filter(|(_, hook)| hook.timeout.0.0 > allowed) {
            is_one_too_long = true;
            let message = format!("{gives_up}, before the time of the hook `{}` is over", hook.name);
            let remedy = "make its `timeout` shorter, or `signal.timeout` and the stack's own timeout longer";
            warn(&["hooks", point.key(), &index.to_string(), "timeout"], message, remedy);
        }
    }
    let all: Duration =
        HookPoint::ALL.iter().flat_map(|point| config.hooks.at(*point)).map(|hook| hook.timeout.0.0).sum();
    if all > allowed && !is_one_too_long {
        let message = format!("{gives_up}, and all hooks together may take {}", TimeSpan(all));
        let remedy =
            "make each `timeout` as short as the hook allows, or `signal.timeout` and the stack's own timeout longer";
        warn(&["hooks"], message, remedy);
    }
}

/// Returns the warning that nothing in the template waits for the signal.
pub(super) fn nobody_waits(config: &Config, documents: &[Document], around: &Surroundings) -> Option<Problem> {
    let signal = config.signal.as_ref()?;
    let remedy = match &around.waits {
        Waits::By(waits, remedy) if waits.is_empty() => remedy,
        _ => return None,
    };
    let (key, who) = match (&signal.wait_handle, &signal.resource) {
        (None, Some(resource)) => ("resource", format!("for a signal to `{resource}`")),
        _ => ("wait_handle", "on this handle".to_owned()),
    };
    let message = format!("nothing in this template waits {who}");
    Some(warning(documents, &["signal", key], message).remedy(remedy))
}

/// Warns of instance refreshes without a matching lifecycle hook: they wait for no signal.
fn refreshes(config: &Config, around: &Surroundings, warn: &mut impl FnMut(&[&str], String, &str)) {
    let Some(signal) = &config.signal else { return };
    for refresh in &around.refreshed {
        refreshes_of(signal, refresh, warn);
    }
}

fn refreshes_of(signal: &Signal, Refresh { group, hooks }: &Refresh, warn: &mut impl FnMut(&[&str], String, &str)) {
    let Some(hook) = &signal.lifecycle_hook else {
        let message = format!(
            "updates of `{group}` are instance refreshes, which know no signals: an update goes on before its instances are ready"
        );
        let remedy =
            "set `signal.lifecycle_hook`, and give the group a lifecycle hook on autoscaling:EC2_INSTANCE_LAUNCHING";
        return warn(&["signal"], message, remedy);
    };
    let Some(hooks) = hooks else { return };
    if hooks.iter().any(|name| name == hook.name.as_str()) {
        return;
    }
    let message =
        format!("`{group}` has no lifecycle hook `{}` on the launch of instances in this template", hook.name);
    let question = did_you_mean(hook.name.as_str(), hooks.iter().map(String::as_str));
    let remedy = question.unwrap_or_else(|| match &hooks[..] {
        [] => "add an `AWS::AutoScaling::LifecycleHook` of this name with the transition autoscaling:EC2_INSTANCE_LAUNCHING".to_owned(),
        names => format!("it has {}", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    });
    warn(&["signal", "lifecycle_hook", "name"], message, &remedy);
}

/// Warns of secrets in a configuration, since user data is no safe place for secrets.
pub(super) fn secrets(config: &Config, documents: &[Document]) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut warn =
        |path: &[&str], message: String, remedy: &str| found.push(warning(documents, path, message).remedy(remedy));
    let remedy =
        "write a reference, as {ssm: NAME}, or put it into a YAML file in /etc/ecs-firstrun/conf.d/ of the image";
    let who =
        "user data can be read by every process on the instance, and by everybody with ec2:DescribeInstanceAttribute";
    let is_written = |keys: &[&str]| !config.has_reference(keys);
    if is_written(&["proxy", "url"]) && config.proxy.as_ref().is_some_and(|proxy| proxy.url.0.has_secret()) {
        warn(&["proxy", "url"], format!("there is a password in it; {who}"), remedy);
    }
    for (name, value) in config.ecs.iter().flat_map(|ecs| &ecs.config.0) {
        let place = ["ecs", "config", name.as_str()];
        let is_plain = match is_written(&place) {
            true => is_secret(name, value),
            false => serde_json::from_str(value).is_ok_and(|json| holds_plain_secret(config, &place, &json)),
        };
        if is_plain {
            warn(&["ecs", "config", name], format!("`{name}` is a secret; {who}"), remedy);
        }
    }
    for (name, value) in config.docker.iter().flat_map(|docker| &docker.daemon) {
        if holds_plain_secret(config, &["docker", "daemon", name], value) {
            warn(&["docker", "daemon", name], format!("`{name}` holds a secret; {who}"), remedy);
        }
    }
    found
}

/// Tells whether a JSON value has a secret that is written out. `place` has the keys above it.
fn holds_plain_secret(config: &Config, place: &[&str], json: &Value) -> bool {
    if !config.has_reference(place) {
        return holds_secret(json);
    }
    match json {
        Value::Object(entries) => entries.iter().any(|(key, value)| {
            let place = [place, &[key.as_str()]].concat();
            (is_secret_key(key) && !config.has_reference(&place)) || holds_plain_secret(config, &place, value)
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .any(|(index, item)| holds_plain_secret(config, &[place, &[&index.to_string()]].concat(), item)),
        _ => false,
    }
}

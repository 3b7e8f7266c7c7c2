//! The pulls of images that go on beside a run, and after its signal.

use super::known::Known;
use super::one_run::Run;
use super::record::Record;
use super::state::State;
use super::supervise::Stop;
use crate::aws::ecr::{Registry, Tokens};
use crate::config::Config;
use crate::config::types::ImageName;
use crate::host::{Host, Pulled, not_pulled};
use crate::report::Outcome;

/// Makes the tokens of a run. The client for AWS, which reads the host's certificates, is made for Amazon ECR alone.
pub(super) fn tokens(run: &Run<'_>, config: &Config) -> Tokens {
    let mut images = config.docker.iter().flat_map(|docker| &docker.pull).map(|pull| &pull.image);
    let client = match images.any(|image| Registry::of(image.host()).is_some()) {
        true => run.client(config),
        false => Err("no image is of Amazon ECR".to_owned()),
    };
    Tokens::new(client, run.options.credentials(), config.aws)
}

/// Keeps in the state that an image was pulled, so that a later boot takes the image that Docker has.
pub(super) fn keep(host: &Host, state: &mut State, image: &ImageName) {
    if state.pulled.insert(image.to_string()) {
        state.save(host);
    }
}

/// Notes the pulls that have ended meanwhile: their failures are warnings of the report.
pub(super) async fn note_ended(run: &Run<'_>, record: &mut Record, known: &mut Known) {
    let Some(pulls) = &mut known.pulls else { return };
    while let Some(pulled) = pulls.take_ended().await {
        let warning = noted(run, &mut record.state, &pulled);
        record.report.warnings.extend(warning);
    }
}

/// Waits for the pulls that go on after a run that has succeeded. A failure or a stop of the run ends them, and the next boot
/// pulls again.
pub(super) async fn wait_for_the_rest(run: &Run<'_>, record: &mut Record, known: &mut Known, stop: &mut Stop) {
    let Some(pulls) = known.pulls.as_mut().filter(|pulls| pulls.left() > 0) else { return };
    if record.report.outcome != Outcome::Success {
        return tracing::warn!("the run has failed, which ends the pulls beside it");
    }
    let line = run.host.status();
    loop {
        let left = pulls.left();
        let images = if left == 1 { "image" } else { "images" };
        run.host.say_status(&format!("{line}; pulling {left} more {images}"));
        match stop.unless_told(pulls.next()).await {
            Some(Some(pulled)) => {
                if let Some(warning) = noted(run, &mut record.state, &pulled) {
                    record.add_warning(run, warning);
                }
            }
            Some(None) => break,
            None => {
                tracing::warn!("the run was stopped: what Docker has not pulled yet, it pulls on the next boot");
                break;
            }
        }
    }
    run.host.say_status(&line);
}

/// Keeps a pull that has succeeded; returns the warning of one that has not.
fn noted(run: &Run<'_>, state: &mut State, pulled: &Pulled) -> Option<String> {
    match &pulled.result {
        Ok(_) => keep(run.host, state, &pulled.image),
        Err(error) => return Some(not_pulled(&pulled.image, error)),
    }
    None
}

//! Images that Docker pulls before tasks ask for them.

use super::action::{Action, Pull};
use super::planned::{Planned, planned};
use crate::config::{Config, ImagePull};
use crate::instance::Instance;

/// Plans the pulls for which the ECS agent's start waits.
pub fn before_ecs(config: &Config, instance: &Instance) -> Vec<Planned> {
    pulls(config, instance, false)
}

/// Plans the pulls that go on beside the rest of the run.
pub fn beside(config: &Config, instance: &Instance) -> Vec<Planned> {
    pulls(config, instance, true)
}

fn pulls(config: &Config, instance: &Instance, beside: bool) -> Vec<Planned> {
    // Auto Scaling stops or hibernates an instance of a warm pool as soon as the run has ended.
    let is_beside = |pull: &&ImagePull| (!pull.required && !instance.is_warming()) == beside;
    let wanted = config.docker.iter().flat_map(|docker| &docker.pull).filter(is_beside);
    wanted.map(|pull| planned(action(pull, instance, beside), why(pull, beside))).collect()
}

fn action(pull: &ImagePull, instance: &Instance, beside: bool) -> Action {
    let ImagePull { image, timeout, required } = pull;
    // A tag may name another image now than when the instance's image was baked; a digest may not.
    let unless_there = image.digest().is_some() || instance.pulled.contains(image.as_str());
    Action::PullImage(Pull { image: image.clone(), timeout: timeout.0.0, required: *required, unless_there, beside })
}

fn why(pull: &ImagePull, beside: bool) -> &'static str {
    match (beside, pull.required) {
        (true, _) => "beside the rest of the run, in turn; a failure is a warning",
        (false, true) => "the ECS agent starts only with it",
        (false, false) => "a warm pool keeps the image for service; a failure is a warning",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::configured;

    #[test]
    fn an_image_is_pulled_again_only_where_its_tag_may_have_moved() {
        let digest = format!("a@sha256:{}", "0a".repeat(32));
        let config = configured(&format!(
            "docker: {{ pull: [ {{ image: a, required: true }}, {{ image: 'b:1' }}, {{ image: '{digest}' }} ] }}"
        ));
        let planned = |pulled: &[&str], state: Option<&str>| {
            let pulled = pulled.iter().map(|name| (*name).to_owned()).collect();
            let state = state.map(str::to_owned);
            let instance = Instance { pulled, target_lifecycle_state: state, ..Instance::example() };
            [before_ecs(&config, &instance), beside(&config, &instance)]
                .map(|planned| planned.iter().map(|planned| planned.action.to_string()).collect::<Vec<_>>())
        };
        let shown = "a@sha256:0a0a0a0a0a0a…";
        let begun = format!("begin to pull {shown} unless Docker has it");
        assert_eq!(planned(&[], None), [vec!["pull a"], vec!["begin to pull b:1", &begun]]);
        let begun = ["begin to pull b:1 unless Docker has it", &begun];
        assert_eq!(planned(&["a", "b:1"], None), [&["pull a unless Docker has it"][..], &begun]);
        let of_digest = format!("pull {shown} unless Docker has it");
        assert_eq!(planned(&[], Some("Warmed:Stopped")), [vec!["pull a", "pull b:1", &of_digest], vec![]]);
    }
}

//! Users' own commands: those that have still to run on the instance.

use super::action::{Action, HookRun};
use super::planned::{Planned, planned};
use super::proxy;
use crate::config::{Config, Hook, HookPoint};
use crate::instance::Instance;

/// Plans the hooks of a point. A hook that has run on the instance is left out, unless it runs on every boot.
pub fn actions(point: HookPoint, config: &Config, instance: &Instance) -> Vec<Planned> {
    // An instance of a warm pool does not register.
    if point == HookPoint::AfterRegistration && instance.is_warming() {
        return Vec::new();
    }
    let hooks = config.hooks.at(point).iter();
    let wanted = hooks.filter(|hook| hook.every_boot || !instance.hooks.contains(hook.name.as_str()));
    wanted.map(|hook| planned(run(hook, config), why(hook))).collect()
}

fn run(hook: &Hook, config: &Config) -> Action {
    Action::RunHook(HookRun {
        name: hook.name.clone(),
        command: hook.run.clone(),
        timeout: hook.timeout.0.0,
        on_failure: hook.on_failure,
        environment: config.proxy.is_some().then_some(proxy::ENVIRONMENT),
    })
}

fn why(hook: &Hook) -> String {
    let arguments = match hook.run.arguments.len() {
        0 => String::new(),
        1 => " with 1 argument".to_owned(),
        several => format!(" with {several} arguments"),
    };
    let often = if hook.every_boot { "on every boot" } else { "once on this instance" };
    format!("{}{arguments}, {often}", hook.run.program)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::configured;

    #[test]
    fn a_hook_that_has_run_is_planned_for_every_boot_only() {
        let config = configured(
            "hooks: { before_docker: [ { name: a, run: [x] }, { name: b, run: 'y z', every_boot: true }, { name: c, run: [z, 1st] } ] }",
        );
        let planned = |ran: &[&str]| {
            let hooks = ran.iter().map(|name| (*name).to_owned()).collect();
            let instance = Instance { hooks, ..Instance::example() };
            let actions = actions(HookPoint::BeforeDocker, &config, &instance);
            actions.iter().map(|planned| format!("{}: {}", planned.action, planned.why)).collect::<Vec<_>>()
        };
        let [a, b, c] = [
            "run the hook a: x, once on this instance",
            "run the hook b: /bin/sh with 2 arguments, on every boot",
            "run the hook c: z with 1 argument, once on this instance",
        ];
        assert_eq!(planned(&[]), [a, b, c]);
        assert_eq!(planned(&["a", "b"]), [b, c]);
    }
}

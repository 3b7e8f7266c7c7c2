//! Values that an earlier boot wrote, found in the files that need them.

use serde_json::Value;

use super::Host;
use crate::config;
use crate::ecs_variables;
use crate::plan::PROXY_ENVIRONMENT;
use crate::text::unescaped;
use crate::well_known::{DAEMON_JSON, ECS_CONFIG};

impl Host {
    /// Returns the text that stands at the place of a configuration's value, in the file that is made of that value. None
    /// where there is no such file, or it can't be read.
    pub fn value_in_place(&self, place: &[String]) -> Option<String> {
        let text_at = |json: &str, keys: &[&str]| {
            let json: Value = serde_json::from_str(json).ok()?;
            let found = keys.iter().try_fold(&json, |json, key| match json {
                Value::Array(items) => items.get(key.parse::<usize>().ok()?),
                json => json.get(key),
            });
            found?.as_str().map(str::to_owned)
        };
        let text = self.read(file_of(place)?).ok()??;
        match &config::keys(place)[..] {
            ["proxy", "url"] => setting(&text, "HTTP_PROXY").map(unquoted),
            ["ecs", "config", name, below @ ..] => {
                let value = ecs_variables::read_back(name, setting(&text, name)?);
                if below.is_empty() { Some(value) } else { text_at(&value, below) }
            }
            ["docker", "daemon", keys @ ..] => text_at(&text, keys),
            _ => None,
        }
    }
}

/// Returns the file that is made of a configuration's value, for the places where references may stand.
pub fn file_of(place: &[String]) -> Option<&'static str> {
    match config::keys(place)[..] {
        ["proxy", "url"] => Some(PROXY_ENVIRONMENT),
        ["ecs", "config", ..] => Some(ECS_CONFIG),
        ["docker", "daemon", ..] => Some(DAEMON_JSON),
        _ => None,
    }
}

/// Returns the value of the first line that sets `name`. Our lines are the first of a file.
fn setting<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut settings = text.lines().filter_map(|line| line.split_once('='));
    settings.find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// Takes quotes and backslashes away, as systemd does in a file for `EnvironmentFile=`.
fn unquoted(value: &str) -> String {
    unescaped(value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use crate::config::tests::configured;
    use crate::ecs_agent::EcsAgent;
    use crate::host::scratch;
    use crate::instance::Instance;
    use crate::plan::{Action, plan};
    use crate::well_known::ECS_ENDPOINT;

    /// Proves that each value is found again in the files of a plan.
    #[tokio::test]
    async fn what_a_plan_writes_is_found_in_its_place() {
        let config = configured(
            "proxy: {url: 'http://me:p%40ss%22@proxy:3128'}\n\
             ecs: {cluster: c, config: {ECS_ENGINE_AUTH_DATA: '{\"r\":{\"auth\":\"sh=h\"}}', ECS_LOG_OPTS: {token: 'a\\b'}}}\n\
             docker: {daemon: {log-opts: {splunk-token: shh}, registry-mirrors: ['https://m.internal']}}\n",
        );
        let (_root, host) = scratch();
        for planned in plan(&config, &Instance::example()).steps.iter().flat_map(|step| &step.actions) {
            if matches!(planned.action, Action::WriteFile(_) | Action::EditFile(_)) {
                let soon = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
                let ecs_agent = EcsAgent::new(ECS_ENDPOINT).unwrap();
                host.perform(&planned.action, &ecs_agent, soon).await.unwrap();
            }
        }
        for (place, expected) in [
            ("proxy.url", "http://me:p%40ss%22@proxy:3128"),
            ("ecs.config.ECS_ENGINE_AUTH_DATA", "{\"r\":{\"auth\":\"sh=h\"}}"),
            ("ecs.config.ECS_LOG_OPTS.token", "a\\b"),
            ("docker.daemon.log-opts.splunk-token", "shh"),
            ("docker.daemon.registry-mirrors.0", "https://m.internal"),
        ] {
            let keys: Vec<String> = place.split('.').map(str::to_owned).collect();
            assert_eq!(host.value_in_place(&keys).as_deref(), Some(expected), "{place}");
        }
        for place in ["proxy", "ecs.config.ECS_LOGLEVEL", "docker.daemon.log-opts.tag", "signal.stack"] {
            let keys: Vec<String> = place.split('.').map(str::to_owned).collect();
            assert_eq!(host.value_in_place(&keys), None, "{place}");
        }
    }
}

//! The lines of `ecs.config`, which two programs read by different rules.

use crate::text::unescaped;

/// Variables that only ecs-init reads, from the environment that systemd made of the file: `ecs-init/config/common.go`.
const OF_ECS_INIT: [&str; 5] = [
    "ECS_AGENT_APPARMOR_PROFILE",
    "ECS_INIT_DOCKER_LOG_FILE_NUM",
    "ECS_INIT_DOCKER_LOG_FILE_SIZE",
    "ECS_LOG_DRIVER",
    "ECS_LOG_OPTS",
];
/// Variables that both the agent and ecs-init read. The agent takes the line as it stands, ecs-init as systemd reads the
/// line.
const OF_BOTH: [&str; 2] = ["CREDENTIALS_FETCHER_HOST", "DOCKER_HOST"];
/// The limit for the length of a line, in bytes: Docker's readers of such files take no longer lines.
const LONGEST_LINE: usize = 64 * 1024;

/// Returns the text behind the `=` of a variable's line in `ecs.config`, from which its reader gets the value back.
///
/// ecs-init gives the agent the text behind the `=`, letter by letter. ecs-init gets its own variables from systemd, which
/// takes backslashes and quotes for syntax: systemd.exec(5), `EnvironmentFile=`.
pub fn written(name: &str, value: &str) -> String {
    if !OF_ECS_INIT.contains(&name) {
        return value.to_owned();
    }
    let quote = if value.starts_with(['"', '\'']) { "\\" } else { "" };
    format!("{quote}{}", value.replace('\\', "\\\\"))
}

/// Returns the value of a variable from the text behind the `=` of its line, as [`written`] made it.
pub fn read_back(name: &str, text: &str) -> String {
    if OF_ECS_INIT.contains(&name) { unescaped(text) } else { text.to_owned() }
}

/// Refuses a value that one of the readers would not get back, or that makes systemd misread the following lines.
pub(super) fn check(name: &str, value: &str) -> Result<(), String> {
    let open = value.len() - value.trim_end_matches('\\').len();
    let swallows = value.starts_with(['"', '\'']) || open % 2 == 1;
    let differs = OF_BOTH.contains(&name) && (swallows || value.contains('\\'));
    if differs || swallows && !OF_ECS_INIT.contains(&name) {
        return Err("systemd, which also reads /etc/ecs/ecs.config, would misread the value and the lines after it\n\
            the value must not begin with a quote or end with a backslash"
            .to_owned());
    }
    match name.len() + 1 + value.len() < LONGEST_LINE {
        true => Ok(()),
        false => Err(format!(
            "the value is longer than a line of /etc/ecs/ecs.config may be\nshorten it to less than {LONGEST_LINE} bytes"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_a_reader_would_not_get_back_is_refused() {
        for (name, value, refused) in [
            ("ECS_BACKEND_HOST", r"a\b\\", false),
            ("ECS_BACKEND_HOST", r"ends in one\", true),
            ("ECS_BACKEND_HOST", "\"quoted\"", true),
            ("ECS_BACKEND_HOST", "'", true),
            ("ECS_BACKEND_HOST", "it's", false),
            ("ECS_AGENT_APPARMOR_PROFILE", r"'a\", false),
            ("DOCKER_HOST", r"unix:///run/a\b", true),
            ("DOCKER_HOST", "unix:///run/docker.sock", false),
            ("ECS_BACKEND_HOST", &"x".repeat(LONGEST_LINE), true),
        ] {
            assert_eq!(check(name, value).is_err(), refused, "{name}={value}");
        }
    }
}

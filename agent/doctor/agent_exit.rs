//! The exit code of the ECS agent, which ecs-init logs, and by which it decides how to go on.

use super::agent_log::time;

/// The words before the code, in a line of ecs-init.log.
const EXITED: &str = "Agent exited with code ";
/// The code with which the ECS agent asks for its update. ecs-init then loads the new version and starts it at once.
const UPDATE: &str = "42";
/// The codes whose meaning is known, and that meaning.
const MEANINGS: [(&str, &str); 4] = [
    ("0", "the ECS agent ended by itself, and neither ecs-init nor systemd starts it again"),
    ("2", "its container failed, and ecs-init starts it again and again; ecs-init.log has the container's last lines"),
    ("5", "it gave up for good, and neither ecs-init nor systemd starts it again"),
    ("137", "it was killed, by hand or because memory ran out (`journalctl -k`)"),
];

/// Describes the last end of the ECS agent that ecs-init logged on this boot. None if there is no such end, or if the agent
/// ended for its update.
pub(super) fn last(log: &str, since: &str) -> Option<String> {
    let line = log.lines().rev().find(|line| line.contains(EXITED))?;
    let (_, rest) = line.split_once(EXITED)?;
    let code = &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())];
    if code == UPDATE || time(line).is_some_and(|time| time < since) {
        return None;
    }
    let meaning = MEANINGS.iter().find(|(known, _)| *known == code);
    let meaning = meaning.map_or("ecs-init starts it again and again", |(_, meaning)| meaning);
    Some(format!("the ECS agent ended with exit code {code}: {meaning}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_code_of_this_boot_counts_and_an_update_is_no_end() {
        let log = |codes: &[u32]| -> String {
            codes
                .iter()
                .map(|code| format!("level=info time=2026-11-29T14:35:04Z msg=\"Agent exited with code {code}\"\n"))
                .collect()
        };
        let last = |codes: &[u32]| last(&log(codes), "2026-11-29T14:00:00Z").unwrap_or_default();
        for (codes, words) in [
            (&[1, 0][..], "exit code 0: the ECS agent ended by itself"),
            (&[0, 1], "exit code 1: ecs-init starts it again and again"),
            (&[2], "exit code 2: its container failed"),
            (&[5], "exit code 5: it gave up for good"),
            (&[1, 137], "exit code 137: it was killed"),
        ] {
            assert!(last(codes).contains(words), "{codes:?}: {}", last(codes));
        }
        assert_eq!(last(&[1, 42]), "");
        assert_eq!(super::last(&log(&[1]), "2026-11-29T15:00:00Z"), None);
    }
}

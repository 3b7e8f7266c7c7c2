//! The rules for a variable's value beyond its kind: ranges, and the items of lists.
//!
//! From the agent's `agent/config/config.go` and `parse.go`, version 1.105. With a logging driver, a network or a PID limit
//! that the agent does not know, it ends at once and is restarted for ever. Any other value that the agent does not
//! understand is replaced by the default, with a line in the agent's log that nobody reads.

use ipnet::IpNet;
use serde_json::Value;

use super::form::{EVER, Items, VariableKind};

/// Checks a value of the right kind.
///
/// # Errors
/// The fault of the value and, on a second line, the remedy.
pub fn check(kind: VariableKind, text: &str) -> Result<(), String> {
    match kind {
        VariableKind::Number(least, most) => {
            match text.parse().is_ok_and(|number: u64| (least..=most).contains(&number)) {
                true => Ok(()),
                false => Err(format!("`{text}` is out of range\nwrite a number from {least} to {most}")),
            }
        }
        VariableKind::Duration(least, most) => match seconds(text).is_some_and(|span| (least..=most).contains(&span)) {
            true => Ok(()),
            false if most == EVER => Err(format!("`{text}` is too short\nwrite {} or more", span(least))),
            false => Err(format!("`{text}` is out of range\nwrite {} to {}", span(least), span(most))),
        },
        VariableKind::List(Items::SomeOf(words)) => {
            let is_known = |item: &Value| item.as_str().is_some_and(|word| words.contains(&word));
            let fault = |item| format!("the ECS agent doesn't know {item} here\nit knows {}", words.join(", "));
            each_item(text, is_known, fault)
        }
        VariableKind::List(Items::Texts) => {
            each_item(text, Value::is_string, |item| format!("{item} is not text\nwrite a list of texts"))
        }
        VariableKind::List(Items::Ports) => {
            let is_port = |item: &Value| item.as_u64().is_some_and(|port| port <= u64::from(u16::MAX));
            each_item(text, is_port, |item| format!("{item} is not a port\nwrite numbers from 0 to 65535"))
        }
        VariableKind::List(Items::Networks) => {
            let is_network = |item: &Value| item.as_str().is_some_and(|text| text.parse::<IpNet>().is_ok());
            let remedy = "write an address and its prefix, as 10.1.0.0/16";
            each_item(text, is_network, |item| format!("{item} is not a network\n{remedy}"))
        }
        VariableKind::Object => match entries(text).into_iter().find(|(_, value)| !value.is_string()) {
            // The value may be a secret: it is not shown.
            Some((key, _)) => Err(format!("the value of `{key}` is not text\nput it in quotes")),
            None => Ok(()),
        },
        VariableKind::RateAndBurst => match pair(text, ',').is_some_and(|(rate, burst)| rate > 0 && burst > 0) {
            true => Ok(()),
            false => Err(format!("`{text}` is not a rate and a burst\nwrite two numbers, as 40,60")),
        },
        VariableKind::PortRange => {
            match pair(text, '-').is_some_and(|(first, last)| 0 < first && first <= last && last <= 65535) {
                true => Ok(()),
                false => Err(format!("`{text}` is not a range of ports\nwrite the first and the last, as 32768-60999")),
            }
        }
        _ => Ok(()),
    }
}

/// Checks each item of the JSON list. `fault` gets the first wrong item as JSON, but text without its quotes.
fn each_item(text: &str, fits: impl Fn(&Value) -> bool, fault: impl Fn(String) -> String) -> Result<(), String> {
    let items: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
    let shown = |item: &Value| format!("`{}`", item.as_str().map_or_else(|| item.to_string(), str::to_owned));
    items.iter().find(|item| !fits(item)).map_or(Ok(()), |item| Err(fault(shown(item))))
}

fn entries(text: &str) -> serde_json::Map<String, Value> {
    serde_json::from_str(text).unwrap_or_default()
}

/// Reads two whole numbers with the character `between` between them.
fn pair(text: &str, between: char) -> Option<(u32, u32)> {
    let (first, second) = text.split_once(between)?;
    let number = |text: &str| text.trim().parse().ok().filter(|_| !text.contains('+'));
    number(first).zip(number(second))
}

/// Reads the seconds of Go's `time.ParseDuration`, without signs: decimal numbers, each with its unit.
pub fn seconds(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 7] =
        [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        // Longest first: `ms` begins with `m`.
        let (unit, factor) =
            UNITS.iter().filter(|(unit, _)| rest.starts_with(unit)).max_by_key(|(unit, _)| unit.len())?;
        sum += number * factor;
        rest = &rest[unit.len()..];
    }
    (!text.is_empty()).then_some(sum)
}

/// Formats seconds as a person writes a duration, such as `1m 30s`.
fn span(seconds: f64) -> String {
    humantime::format_duration(std::time::Duration::from_secs_f64(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use crate::ecs_variables::kind;

    fn check(name: &str, text: &str) -> Result<(), String> {
        super::check(kind(name).unwrap(), text)
    }

    #[test]
    fn what_is_wrong_is_shown_with_what_is_right() {
        for (name, text, wanted) in [
            ("ECS_TASK_PIDS_LIMIT", "0", "`0` is out of range\nwrite a number from 1 to 4194304"),
            ("ECS_CONTAINER_CREATE_TIMEOUT", "59s", "`59s` is too short\nwrite 1m or more"),
            ("ECS_CGROUP_CPU_PERIOD", "7ms", "`7ms` is out of range\nwrite 8ms to 100ms"),
            ("ECS_VOLUME_PLUGIN_CAPABILITIES", "[[1]]", "`[1]` is not text\nwrite a list of texts"),
            ("ECS_RESERVED_PORTS", r#"["22"]"#, "`22` is not a port\nwrite numbers from 0 to 65535"),
        ] {
            assert_eq!(check(name, text), Err(wanted.to_owned()), "{name}={text}");
        }
    }

    #[test]
    fn each_grammar_accepts_and_refuses() {
        let table: [(&str, &[&str], &[&str]); 12] = [
            ("ECS_TASK_PIDS_LIMIT", &["1", "4194304"], &["0", "4194305", "99999999999999999999999"]),
            ("ECS_RESERVED_MEMORY", &["0", "65535"], &["65536"]),
            ("ECS_CONTAINER_START_TIMEOUT", &["45s", "3m", "100h"], &["44s", "44999ms", "0.5m"]),
            ("ECS_CGROUP_CPU_PERIOD", &["8ms", "100ms", "0.1s"], &["7ms", "101ms"]),
            ("ECS_AVAILABLE_LOGGING_DRIVERS", &["[]", r#"["none","json-file"]"#], &[r#"["json"]"#, "[1]", "[null]"]),
            ("ECS_VOLUME_PLUGIN_CAPABILITIES", &[r#"["efsAuth"]"#], &["[1]"]),
            ("ECS_RESERVED_PORTS", &["[0,65535]"], &["[65536]", "[-1]", "[1.5]", r#"["22"]"#]),
            (
                "ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES",
                &[r#"["10.0.0.0/8","fd00::/64"]"#],
                &[r#"["10.0.0.0"]"#, r#"["10.0.0.0/33"]"#, r#"["10.0.0.0/+8"]"#, r#"["::/129"]"#, r#"["x/8"]"#, "[10]"],
            ),
            ("ECS_LOG_OPTS", &["{}", r#"{"max-file":"3"}"#], &[r#"{"max-file":3}"#]),
            ("ECS_TASK_METADATA_RPS_LIMIT", &["40,60", "1, 1"], &["40", "0,60", "40,0", "40,60,80", "a,b", "+1,2"]),
            ("ECS_DYNAMIC_HOST_PORT_RANGE", &["32768-60999", "1-1"], &["32768", "2-1", "0-9", "1-65536", "a-b"]),
            ("ECS_BACKEND_HOST", &["anything"], &[]),
        ];
        for (name, good, bad) in table {
            good.iter().for_each(|text| assert_eq!(check(name, text), Ok(()), "{name}={text}"));
            bad.iter().for_each(|text| assert!(check(name, text).is_err(), "{name}={text} is accepted"));
        }
    }
}

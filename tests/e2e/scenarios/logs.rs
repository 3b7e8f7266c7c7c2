//! The events that reach CloudWatch Logs, from an instance in a time zone of its own, through a proxy with a password.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ecs_firstrun::rehearse::cloud::{CloudOptions, ProxyCredentials, Server};
use serde_json::Value;

use super::private::Secret;
use crate::checks::{Ended, PATIENCE, contains, same};
use crate::lab::{Lab, Life, PROXY, Stage};
use crate::machine::Machine;

const USER: &str = "instance";
/// A password of signs that have a meaning in a drop-in, a shell, a URL or JSON.
const PASSWORD: &str = "pa#ss%w/$Zq7xVbn4T&";
const ENCODED: &str = "pa%23ss%25w%2F%24Zq7xVbn4T%26";
/// The part of the password that is in each spelling of it, but for base64.
const CORE: &str = "Zq7xVbn4T";

const CLOUDWATCH_LOG: &str = "/opt/aws/amazon-cloudwatch-agent/logs/amazon-cloudwatch-agent.log";
/// The units that have the proxy in their environment.
const UNITS: [&str; 3] = ["docker", "ecs", "amazon-ssm-agent"];
/// Prints what the CloudWatch agent's double has sent.
const SENT: &str = "/usr/local/lib/e2e/sent-logs";
/// Logs that programs write in local time and in UTC, without saying so.
const LOCAL_LOG: &str = "/var/log/app-local.log";
const UTC_LOG: &str = "/var/log/app-utc.log";

fn user_data() -> String {
    format!(
        "#cloud-config
bootcmd:
  - [ln, -sf, /usr/share/zoneinfo/US/Eastern, /etc/localtime]
  - [mkdir, -p, /etc/dnf]
  - [sh, -c, 'test -e /etc/dnf/dnf.conf || echo \"[main]\" >/etc/dnf/dnf.conf']
ecs_firstrun:
  signal: {{stack: web, resource: Instances}}
  proxy: {{url: 'http://{USER}:{ENCODED}@{PROXY}'}}
  logs:
    retention_days: 3
    files:
      - {{path: {LOCAL_LOG}, timestamp_format: '%Y-%m-%d %H:%M:%S'}}
      - {{path: {UTC_LOG}, timestamp_format: '%Y-%m-%d %H:%M:%S', timezone: utc}}
      - {{path: {CLOUDWATCH_LOG}}}
  ecs: {{cluster: production}}
"
    )
}

/// A first boot, a restart of the CloudWatch agent, and a reboot with what an older release left.
pub fn with_their_times_and_without_the_password(stage: &Stage) -> Result<()> {
    let credentials = ProxyCredentials { user: USER.to_owned(), password: PASSWORD.to_owned() };
    let user_data = Some(user_data().into_bytes());
    let lab =
        Lab::with(stage, CloudOptions { user_data, proxy_credentials: Some(credentials), ..CloudOptions::default() })?;
    let proxy = lab.cloud.proxy_endpoint();
    let life = Life { proxy: Some(proxy.trim_start_matches("http://")), ..Life::default() };
    let secret = Secret::new(&[CORE, &STANDARD.encode(format!("{USER}:{PASSWORD}"))]);
    let mut wrong = Vec::new();

    let mut machine = lab.boot(&life)?;
    same("the agent ended", machine.settled()?, Ended::Well)?;
    machine.is_member_of("production")?;
    machine.is_healthy_but_for(&[])?;
    same("the time zone", machine.sh("date -d @1700000000 +%Z")?.as_str(), "EST")?;
    let write = format!("date +%s; date '+%F %T hello' >>{LOCAL_LOG}; date --utc '+%F %T hello' >>{UTC_LOG}");
    let written = machine.sh(&write)?.parse()?;
    let first = Boot::of(&mut machine, 1)?;
    let sent = first.arrives(&mut machine, stage, &mut wrong)?;
    times(&mut machine, &sent, written, &mut wrong)?;
    is_well_sent(&sent, &mut wrong);
    is_private(&mut machine, &secret, &mut wrong)?;

    machine.sh("systemctl restart amazon-cloudwatch-agent")?;
    let restarted = Boot::of(&mut machine, 2)?;
    restarted.arrives(&mut machine, stage, &mut wrong)?;
    same("signals", lab.statuses(), vec!["SUCCESS".to_owned()])?;
    let through = lab.requests(Server::Proxy);
    for service in ["cloudformation", "logs"] {
        let url = format!("http://{service}.{}.amazonaws.com/", lab.identity.region);
        let passed = through.iter().any(|request| request.path_and_query.starts_with(&url) && request.status != 407);
        ensure!(passed, "nothing for {url} has come through the proxy with its password");
    }
    leave_as_an_older_release(&mut machine)?;
    machine.shut_down()?;

    let mut machine = lab.boot(&life)?;
    same("the agent ended after a reboot", machine.settled()?, Ended::Well)?;
    let mut second = Boot::of(&mut machine, 3)?;
    // With a cursor of an earlier boot, journalctl begins at this boot's first entry, and skips it as if it were the cursor's.
    second.journal.remove(0);
    let sent = second.arrives(&mut machine, stage, &mut wrong)?;
    is_well_sent(&sent, &mut wrong);
    is_private(&mut machine, &secret, &mut wrong)?;
    stage.remark.set(format!("{} events of {} entries", sent.len(), second.journal.len()));
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// An event that CloudWatch Logs got.
struct Event {
    group: String,
    stream: String,
    retention: i64,
    milliseconds: i64,
    message: String,
    /// The entry of the journal that it is.
    cursor: Option<String>,
}

impl Event {
    fn parse(line: &str) -> Result<Self> {
        let event: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let text = |name: &str| event.get(name).and_then(Value::as_str).map(str::to_owned).context(line.to_owned());
        let number = |name: &str| event.get(name).and_then(Value::as_i64).context(line.to_owned());
        let (group, stream, message) = (text("group")?, text("stream")?, text("message")?);
        let cursor = text("cursor").ok();
        Ok(Self { group, stream, retention: number("retention")?, milliseconds: number("timestamp")?, message, cursor })
    }
}

fn sent(machine: &mut Machine) -> Result<Vec<Event>> {
    machine.sh(SENT)?.lines().map(Event::parse).collect()
}

/// The boot's journal as it was when the CloudWatch agent had started so many times, over all boots.
struct Boot {
    start: usize,
    /// Cursor and text of each entry.
    journal: Vec<(String, String)>,
}

impl Boot {
    /// Waits until the CloudWatch agent has said its variables for the second time, and looks at the journal.
    fn of(machine: &mut Machine, start: usize) -> Result<Self> {
        let said = format!("[[ $(grep -c 'HTTPS_PROXY is set to' {CLOUDWATCH_LOG}) -ge {start} ]]");
        machine.until(&said, PATIENCE)?;
        let entries = machine.sh("journalctl --boot --output=json --output-fields=MESSAGE --no-pager")?;
        let journal = entries.lines().map(|line| {
            let entry: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
            let text = |name: &str| entry.get(name).map(|text| text.as_str().map_or(text.to_string(), str::to_owned));
            Ok((text("__CURSOR").context("no cursor")?, text("MESSAGE").unwrap_or_default()))
        });
        Ok(Self { start, journal: journal.collect::<Result<_>>()? })
    }

    /// Waits until all is sent, or nothing more comes; each entry must be there once.
    fn arrives(&self, machine: &mut Machine, stage: &Stage, wrong: &mut Vec<String>) -> Result<Vec<Event>> {
        let began = Instant::now();
        let (mut events, mut missing) = (Vec::new(), Vec::new());
        // Some seconds at least: what is sent twice comes with the start.
        while began.elapsed() < Duration::from_secs(10)
            || !missing.is_empty() && began.elapsed() < Duration::from_secs(60)
        {
            std::thread::sleep(Duration::from_secs(5));
            events = sent(machine)?;
            missing = self.missing(&events);
        }
        let start = self.start;
        std::fs::write(stage.folder.join(format!("sent-{start}.log")), machine.sh(SENT)?)?;
        if let (Some((_, first)), Some((_, last))) = (missing.first(), missing.last()) {
            let (count, all) = (missing.len(), self.journal.len());
            wrong.push(format!(
                "start {start}: {count} of {all} entries of the journal are missing, from `{first}` to `{last}`"
            ));
        }
        let mut times: HashMap<_, usize> = HashMap::new();
        // The agent's own log may say a thing twice.
        let unlike = |event: &&Event| event.cursor.is_some() || !event.group.ends_with(CLOUDWATCH_LOG);
        for event in events.iter().filter(unlike) {
            *times.entry((&event.group, event.cursor.as_ref().unwrap_or(&event.message))).or_default() += 1;
        }
        let twice = times
            .iter()
            .filter(|(_, times)| **times > 1)
            .map(|((group, what), times)| format!("{group}: {times} times {what}"));
        let twice: Vec<_> = twice.collect();
        if let Some(example) = twice.first() {
            wrong.push(format!("start {start}: {} events were sent more than once, such as {example}", twice.len()));
        }
        Ok(events)
    }

    /// The entries that no log group has. Those with the password must not arrive.
    fn missing(&self, events: &[Event]) -> Vec<&(String, String)> {
        let arrived: HashSet<_> = events.iter().filter_map(|event| event.cursor.as_deref()).collect();
        self.journal
            .iter()
            .filter(|(cursor, text)| !arrived.contains(cursor.as_str()) && !text.contains("_PROXY is set to"))
            .collect()
    }
}

/// Each line of a log has the time that it says itself.
fn times(machine: &mut Machine, sent: &[Event], written: i64, wrong: &mut Vec<String>) -> Result<()> {
    for (path, group) in [
        ("/var/log/ecs-firstrun.log", "/var/log/ecs-firstrun"),
        ("/var/log/ecs/ecs-agent.log", "/var/log/ecs/ecs-agent"),
    ] {
        let text = machine.sh(&format!("cat {path}"))?;
        let said: Vec<_> = text.lines().map(|line| (time_of(line), line)).collect();
        ensure!(said.iter().filter(|(time, _)| time.is_some()).count() > 0, "no line of {path} has a time:\n{text}");
        let events: Vec<_> = sent.iter().filter(|event| event.group.ends_with(group)).collect();
        let arrived: Vec<_> = events.iter().flat_map(|event| event.message.lines()).collect();
        let lost = said.iter().filter(|(_, line)| !arrived.contains(line)).count();
        if lost > 0 {
            wrong.push(format!("{lost} of {} lines of {path} did not arrive", said.len()));
        }
        for event in events {
            let time = event.milliseconds / 1000;
            if time_of(&event.message).is_some_and(|said| said != time) {
                wrong.push(format!("{path}: at {time} arrived `{}`", event.message));
            }
        }
    }
    for path in [LOCAL_LOG, UTC_LOG] {
        let event = sent.iter().find(|event| event.group.ends_with(path) && event.message.ends_with("hello"));
        let time = event.map(|event| event.milliseconds / 1000);
        if time.is_none_or(|time| (time - written).abs() > 2) {
            wrong.push(format!("{path}: written at {written}, arrived with {time:?}"));
        }
    }
    Ok(())
}

/// The seconds since 1970 of a time in UTC in a line.
fn time_of(line: &str) -> Option<i64> {
    let mut words = line.split([' ', '=']);
    let time = words.find_map(|word| humantime::parse_rfc3339(word).ok())?;
    Some(time.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs().cast_signed())
}

/// No event has the password, and each is in a group and a stream as they were asked for.
fn is_well_sent(sent: &[Event], wrong: &mut Vec<String>) {
    let told: Vec<_> = sent.iter().filter(|event| event.message.contains(CORE)).collect();
    if let Some(event) = told.first() {
        wrong.push(format!("{} events have the password, such as in {}: {}", told.len(), event.group, event.message));
    }
    for event in sent {
        if !event.group.starts_with("web/ec2/Instances/") || event.stream.contains(['{', ':']) || event.retention != 3 {
            let Event { group, stream, retention, message, .. } = event;
            wrong.push(format!("`{message}` is in {group}, {stream}, which keeps it for {retention} days"));
            break;
        }
    }
}

/// The programs have the proxy, and nobody else has its password.
fn is_private(machine: &mut Machine, secret: &Secret, wrong: &mut Vec<String>) -> Result<()> {
    for unit in UNITS {
        machine.until(&format!("systemctl is-active {unit}"), PATIENCE)?;
        let has = machine.sh(&format!("tr '\\0' '\\n' </proc/$(systemctl show -P MainPID {unit})/environ"))?;
        let mut lines = has.lines().filter_map(|line| line.split_once('='));
        let (_, url) = lines
            .find(|(name, _)| name.eq_ignore_ascii_case("https_proxy"))
            .with_context(|| format!("{unit} has no proxy"))?;
        let url = percent_encoding::percent_decode_str(url).decode_utf8()?;
        same(unit, url.as_ref(), &format!("http://{USER}:{PASSWORD}@{PROXY}"))?;
    }
    contains(&machine.sh("cat /etc/dnf/dnf.conf")?, CORE)?;
    wrong.extend(secret.found_by_nobody(machine)?);
    wrong.extend(secret.in_files_for_others(machine)?);
    Ok(())
}

/// Puts drop-ins where releases before this one had them, with the password among the properties of the units.
fn leave_as_an_older_release(machine: &mut Machine) -> Result<()> {
    for unit in UNITS {
        let folder = format!("/etc/systemd/system/{unit}.service.d");
        let text =
            format!("[Service]\\nEnvironment=\"HTTP_PROXY=http://{USER}:{}@{PROXY}\"\\n", ENCODED.replace('%', "%%%%"));
        machine.sh(&format!("printf '{text}' >{folder}/ecs-firstrun-proxy.conf"))?;
    }
    Ok(())
}

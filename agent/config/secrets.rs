//! What is hidden of a document beside what the names of its keys call a secret.
//!
//! A mistake is shown with its line, and it may be the very mistake that makes a secret look like something else.

use std::ops::Range;
use std::sync::Arc;

use super::ecs_variables::{Kind, kind};
use super::problem::Source;
use super::yaml::{Entry, Node, Value};

/// The keys of `proxy` whose values may be shown, but for what of them looks like a secret by itself.
const OF_PROXY: [&str; 2] = ["url", "no_proxy"];

/// Hides values that may be secrets in the wrong place, or in another form than theirs.
pub(super) fn hide_misplaced(config: &Node) {
    let whole = [&["ecs", "config"][..], &["docker", "daemon"]].into_iter().filter_map(|path| config.at(path));
    let whole = whole.filter(|node| !matches!(node.value, Value::Mapping(_)));
    // It may be given in base64, as cfn-signal takes it; of a URL the query is hidden anyway.
    let handle = config.at(&["signal", "wait_handle"]);
    let handle = handle.filter(|node| node.text().is_some_and(|text| !text.contains("://")));
    let of_proxy = entries(config, &["proxy"]).iter().filter(|entry| !OF_PROXY.contains(&entry.key.as_str()));
    let variables = entries(config, &["ecs", "config"]).iter().filter(|entry| !is_as_it_should_be(entry));
    for node in whole.chain(handle).chain(of_proxy.chain(variables).map(|entry| &entry.value)) {
        node.span.source.hide(node.span.start..node.span.end);
    }
}

fn entries<'a>(config: &'a Node, path: &[&str]) -> &'a [Entry] {
    match config.at(path).map(|node| &node.value) {
        Some(Value::Mapping(entries)) => entries,
        _ => &[],
    }
}

/// Whether a variable of the ECS agent exists, and has a value of such a form that its keys tell what in it is secret.
fn is_as_it_should_be(variable: &Entry) -> bool {
    let value = &variable.value.value;
    match kind(&variable.key) {
        None | Some(Kind::Elsewhere("proxy.url")) => matches!(value, Value::Bool(_) | Value::Int(_) | Value::Null),
        Some(Kind::Object) => matches!(value, Value::Mapping(_)),
        Some(_) => true,
    }
}

/// Hides what stands around our part of a document, which is somebody else's: nobody knows what in it is secret.
pub(super) fn hide_surroundings(source: &Arc<Source>, ours: Option<&Entry>, key: &str) {
    let text = &source.text;
    // The parser may have given up before our part, or within.
    let begins = ours.map(|entry| entry.key_span.start).or_else(|| line_of(text, key));
    let ends = ours.map(|entry| entry.value.span.end);
    let ours = begins.map_or(0..0, |begins| begins..ends.unwrap_or(begins).max(block_end(text, begins)));
    source.hide(0..ours.start);
    source.hide(ours.end..text.len());
}

/// Where the line begins that has this key, of a mapping that is not in another.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let mut lines = lines(text);
    lines
        .find(|line| text[line.clone()].strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))
        .map(|line| line.start)
}

/// The end of a block that begins here: of its last line before one that is not indented.
fn block_end(text: &str, begins: usize) -> usize {
    let mut lines = lines(text).skip_while(|line| line.start < begins).peekable();
    let Some(first) = lines.next_if(|line| line.start == begins) else { return begins };
    let indented = |line: &Range<usize>| text[line.clone()].starts_with([' ', '\t', '\r', '\n']);
    lines.take_while(indented).last().map_or(first.end, |line| line.end)
}

fn lines(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        at += line.len();
        at - line.len()..at
    })
}

#[cfg(test)]
mod tests {
    use crate::config::decode::decode;
    use crate::config::parse;

    fn shown(user_data: &str) -> String {
        let parsed = parse(&decode("user data", user_data.as_bytes()).documents);
        assert!(!parsed.problems.is_empty(), "{user_data}");
        parsed.problems.iter().map(|problem| format!("{}\n{problem}\n", problem.render(false))).collect()
    }

    #[test]
    fn a_secret_in_the_wrong_place_or_form_is_not_shown() {
        for line in [
            "proxy: {url: 'http://p:1', user: canary, pass: canary}",
            "ecs: {cluster: x, config: {ECS_ENGINE_AUTHDATA: canary, AWS_ACCES_KEY_ID: canary}}",
            "ecs: {cluster: x, config: {ECS_AUTH_DATA: {r: {auth: canary}}, HTTP_PROXY: canary}}",
            "ecs: {cluster: x, config: {ECS_LOG_OPTS: [splunk, canary]}}",
            "ecs: {cluster: x, config: 'ECS_ENGINE_AUTHDATA=canary'}",
            "ecs: {cluster: x, config: [canary]}",
            "docker: {daemon: '{\"log-opts\": {\"splunk\": \"canary\"}}'}",
            "signal: {wait_handle: aHR0cHM6Ly9oL3canary=}",
        ] {
            let shown = shown(&format!("#ecs-firstrun\n{line}\n"));
            assert!(!shown.contains("canary") && shown.contains("***"), "{shown}");
        }
    }

    #[test]
    fn what_stands_around_our_part_is_not_shown() {
        let ours = "ecs_firstrun:\n  ecs:\n\n    clusterr: blue\n";
        for (before, after) in [
            ("runcmd: [a canary\n", ""),
            ("write_files:\n- content: \"canary\n", ""),
            ("runcmd:\n- a canary: canary: x\n", ""),
            ("runcmd: [a canary, *canary]\n", ""),
            ("runcmd: [!Sub \"canary\"]\n", ""),
            ("", "runcmd: [a canary: {\n"),
            ("", "canary\n"),
        ] {
            let shown = shown(&format!("#cloud-config\n{before}{ours}{after}"));
            assert!(!shown.contains("canary"), "{shown}");
            assert!(!shown.contains("clusterr") || shown.contains("clusterr: blue"), "{shown}");
        }
        let shown = shown(
            "#cloud-config\n{\"runcmd\": [\"canary\"], \"ecs_firstrun\": {\"ecs\": {\"clusterr\": 1}}, \"users\": [\"canary\"]}",
        );
        assert!(
            !shown.contains("canary") && shown.contains("***\"ecs_firstrun\": {\"ecs\": {\"clusterr\": 1}}***"),
            "{shown}"
        );
    }

    #[test]
    fn of_our_part_the_line_that_broke_it_is_shown() {
        let shown = shown(
            "#cloud-config\nruncmd: [canary]\necs_firstrun:\n  ecs: {cluster: blue\n  wait: {}\nusers: [canary]\n",
        );
        assert!(!shown.contains("canary") && shown.contains("wait: {}"), "{shown}");
        // So much so that it has no value.
        let shown = self::shown("#cloud-config\nruncmd: [canary]\necs_firstrun: @b\nusers: [canary]\n");
        assert!(!shown.contains("canary") && shown.contains("3 | ecs_firstrun: @b\n"), "{shown}");
    }
}

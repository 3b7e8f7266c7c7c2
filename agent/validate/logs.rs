//! Warnings of `logs` settings that the role of the instances does not allow.

use super::template::functions::STACK;
use super::template::permissions::Permissions;
use super::template::surroundings::Surroundings;
use crate::config::types::Placeholder;
use crate::config::{Config, LogAgent, LogNames};
use crate::instance::Instance;
use crate::text::is_match;

/// The end of the ARN that IAM checks for `logs:DescribeLogGroups`, after `:log-group:`. The name of a log group would come
/// first; there is none, since the action lists all groups.
const NO_GROUP: &str = ":log-stream:";

/// Warns of log groups that the instances can't make, and of a retention that they can't set.
pub(super) fn find(config: &Config, around: &Surroundings, warn: &mut impl FnMut(&[&str], String, &str)) {
    if config.logs.agent == LogAgent::Awslogs && around.tokens_required {
        let message =
            "the awslogs agent gets no credentials here: it knows IMDSv1 only, and `HttpTokens` is `required`";
        warn(&["logs", "agent"], message.to_owned(), "use the CloudWatch agent");
    }
    // With `logs.role_arn` the permissions of another role count, which the template may not have.
    let sends_as_itself = config.logs.agent != LogAgent::None && config.logs.role_arn.is_none();
    let Some(permissions) = around.permissions.as_ref().filter(|_| sends_as_itself) else { return };
    // A template without any statement on log groups leaves the permission to somebody else.
    if permissions.allowed("logs:CreateLogGroup").is_none_or(|allowed| allowed.is_empty()) {
        return;
    }
    let Instance { region, account_id, .. } = Instance::example();
    let names = LogNames::new(config, (&region, &account_id), &Placeholder::text);
    let group = names.group("messages");
    let prefix = group.trim_end_matches("/messages");
    let own = config.logs.files.iter().enumerate().filter(|(_, file)| file.group.is_some());
    for (index, group) in own.map(|(index, file)| (index.to_string(), names.group_of(file))) {
        if !allows(permissions, "logs:CreateLogGroup", &group) {
            let message = format!("no role in this template allows logs:CreateLogGroup for {group}");
            warn(&["logs", "files", &index, "group"], message, CREATE);
        }
    }
    if !allows(permissions, "logs:CreateLogGroup", &group) {
        let message = format!("no role in this template allows logs:CreateLogGroup for the log groups under {prefix}/");
        return warn(&["logs", "group"], message, CREATE);
    }
    if config.logs.agent == LogAgent::Awslogs {
        // awslogs sets no retention.
        return;
    }
    if config.logs.retention_days.is_some() {
        if let Some((message, remedy)) = retention(permissions, prefix, &group) {
            warn(&["logs", "retention_days"], message, remedy);
        }
    } else if let Some(index) = config.logs.files.iter().position(|file| file.retention_days.is_some())
        && let Some((message, remedy)) = retention(permissions, prefix, &names.group_of(&config.logs.files[index]))
    {
        warn(&["logs", "files", &index.to_string(), "retention_days"], message, remedy);
    }
}

const CREATE: &str = "let the statement on `logs:CreateLogGroup` cover them, or choose another `logs.group`";

/// Returns a warning, with its remedy, if the role can't set a retention. The CloudWatch agent reads a log group's retention,
/// and sets it only if it differs.
fn retention(permissions: &Permissions, prefix: &str, group: &str) -> Option<(String, &'static str)> {
    let sets = allows(permissions, "logs:PutRetentionPolicy", group);
    let lists = allows(permissions, "logs:DescribeLogGroups", NO_GROUP);
    let (what, remedy) = match (sets, lists) {
        (true, true) => return None,
        (true, false) => (
            "logs:DescribeLogGroups, so log groups that exist don't get `retention_days`".to_owned(),
            "allow `logs:DescribeLogGroups` for `*`: IAM checks this action for no single log group",
        ),
        (false, false) => (
            "logs:PutRetentionPolicy and logs:DescribeLogGroups, so log groups don't get `retention_days`".to_owned(),
            "allow `logs:PutRetentionPolicy` in the statement with `logs:CreateLogGroup`, and `logs:DescribeLogGroups` for `*`",
        ),
        (false, true) => (
            format!("logs:PutRetentionPolicy for those under {prefix}/, so log groups don't get `retention_days`"),
            "let the statement on `logs:CreateLogGroup` allow it, too",
        ),
    };
    Some((format!("the role in this template that makes the log groups lacks {what}"), remedy))
}

/// Tells whether an action is, or may be, allowed for a log group. Values that only the stack knows may allow it.
fn allows(permissions: &Permissions, action: &str, group: &str) -> bool {
    permissions.allowed(action).is_none_or(|allowed| allowed.iter().any(|pattern| covers(pattern, group)))
}

/// Tells whether an ARN pattern covers a log group. Policies name a log group with or without a suffix for its streams. The
/// region and the account of the stack are not known here, so they are not compared.
fn covers(pattern: &str, group: &str) -> bool {
    let Some((_, pattern)) = pattern.split_once(":log-group:") else { return covers_all_of_logs(pattern) };
    // The name of the stack is not known, either: a star before the first slash may match it.
    let is_of_stack = group.starts_with(STACK) && !pattern.starts_with(STACK);
    let may_be_stack = is_of_stack && pattern.split(['/', ':']).next().is_some_and(|name| name.contains(['*', '?']));
    may_be_stack || is_match(pattern, group) || is_match(pattern, &format!("{group}:*"))
}

/// Tells whether a pattern that names no log group covers each: `*`, or `arn:aws:logs:*:*:*`.
fn covers_all_of_logs(pattern: &str) -> bool {
    let mut parts = pattern.splitn(6, ':').skip(2);
    let service = parts.next().unwrap_or("*");
    pattern.ends_with('*') && is_match(service, "logs") && parts.nth(2).is_none_or(|rest| is_match(rest, "log-group:x"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_log_groups_as_those_of_iam() {
        for (pattern, group, expected) in [
            ("*", "stack/x", true),
            ("arn:aws:logs:*:*:*", "stack/x", true),
            ("arn:aws-cn:logs:*", NO_GROUP, true),
            ("arn:aws:logs:eu-west-1:123456789012:*", NO_GROUP, true),
            ("arn:aws:s3:::*", "stack/x", false),
            ("arn:aws:s3*", "stack/x", false),
            ("arn:aws:logs:*:*:destination:*", "stack/x", false),
            ("arn:aws:logs:*:*:log-group:*", NO_GROUP, true),
            ("arn:aws:logs:*:*:log-group:*:*", NO_GROUP, true),
            ("arn:aws:logs:*:*:log-group::log-stream:*", NO_GROUP, true),
            ("arn:aws:logs:*:*:log-group:stack/*", NO_GROUP, false),
            ("arn:aws:logs:*:*:log-group:stack/*", "stack/x", true),
            ("arn:aws:logs:*:*:log-group:*-web/*", "stack/x", true),
            ("arn:aws:logs:*:*:log-group:other/*", "stack/x", false),
            ("arn:aws:logs:*:*:log-group:other:*", "stack/x", false),
            ("arn:aws:logs:*:*:log-group:stack/x:*", "stack/x", true),
        ] {
            assert_eq!(covers(pattern, group), expected, "{pattern} {group}");
        }
    }
}

//! The texts of unit files and drop-ins, and the path of a drop-in that two features write.

use crate::well_known::UNITS;

/// Writes a value in double quotes, as systemd reads it: systemd.syntax(7). `%` is doubled, so that it begins no specifier:
/// systemd.unit(5).
pub fn quoted(value: &str) -> String {
    format!("\"{}\"", with_backslashes(value, "\\\"").replace('%', "%%"))
}

/// Writes a line of a file for `EnvironmentFile=`, with its value in double quotes as in a shell. `%` begins no specifier
/// there.
pub fn assignment(name: &str, value: &str) -> String {
    format!("{name}=\"{}\"\n", with_backslashes(value, "\\\"`$"))
}

/// Puts a backslash before each of these characters.
fn with_backslashes(value: &str, special: &str) -> String {
    value.chars().flat_map(|c| special.contains(c).then_some('\\').into_iter().chain([c])).collect()
}

/// Names the unit that mounts a path.
pub fn mount_unit(path: &str) -> String {
    format!("{}.mount", escaped_path(path))
}

/// Returns the path as a unit's name has it, escaped as by `systemd-escape --path`.
pub fn escaped_path(path: &str) -> String {
    let trimmed = path.trim_matches('/');
    if trimmed.is_empty() {
        return "-".to_owned();
    }
    let mut out = String::new();
    for (index, byte) in trimmed.bytes().enumerate() {
        match byte {
            b'/' => out.push('-'),
            b'.' if index == 0 => out.push_str("\\x2e"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' | b'_' | b'.' => out.push(char::from(byte)),
            other => out.push_str(&format!("\\x{other:02x}")),
        }
    }
    out
}

/// Writes a path for a setting that takes the rest of the line, as `Where=`. systemd knows specifiers there, but no quotes.
pub fn path(path: &str) -> String {
    path.replace('%', "%%")
}

/// Writes a path in a list, as in `RequiresMountsFor=`. A path with characters of systemd's syntax gets quotes.
pub fn path_in_list(path: &str) -> String {
    match path.contains(|c: char| c.is_whitespace() || "\"'\\;".contains(c)) {
        true => quoted(path),
        false => self::path(path),
    }
}

/// Returns the path of a unit's drop-in for the volumes.
pub fn mounts_path(unit: &str) -> String {
    format!("{UNITS}/{unit}.d/ecs-firstrun-mounts.conf")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_as_systemd_escape_does() {
        // Checked against `systemd-escape --path`.
        for (path, escaped) in [
            ("/", "-"),
            ("/data", "data"),
            ("/data/docker", "data-docker"),
            ("/my-data", "my\\x2ddata"),
            ("/.x/é", "\\x2ex-\\xc3\\xa9"),
            ("/a.b/.c", "a.b-.c"),
        ] {
            assert_eq!(escaped_path(path), escaped, "{path}");
        }
    }

    #[test]
    fn values_are_quoted_as_systemd_wants() {
        assert_eq!(quoted(r#"A=b%40"c\"#), r#""A=b%%40\"c\\""#);
        assert_eq!(assignment("A", r#"b%40"c\$`'"#), "A=\"b%40\\\"c\\\\\\$\\`'\"\n");
        assert_eq!(path("/my data/100%"), "/my data/100%%");
        assert_eq!(path_in_list("/data/100%"), "/data/100%%");
        assert_eq!(path_in_list("/my data/100%"), "\"/my data/100%%\"");
    }
}

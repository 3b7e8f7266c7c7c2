//! The texts of unit files and drop-ins.

/// A value in double quotes, as systemd reads it: systemd.syntax(7), and `%` doubled against specifiers, systemd.unit(5).
pub fn quoted(value: &str) -> String {
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '%' => out.push_str("%%"),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The name of the unit for a path, as systemd-escape(1) `--path` makes it.
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

/// A path in a list of paths or a setting, with what systemd would take for syntax escaped.
pub fn path_setting(path: &str) -> String {
    quoted(path).trim_matches('"').replace(' ', "\\x20")
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
        assert_eq!(path_setting("/my data/100%"), "/my\\x20data/100%%");
    }
}

//! The files of an SELinux policy in which administrators give paths a label, as semanage(8) writes them.

/// Ends of a regular expression for a directory, the longer one before the shorter one.
const ENDINGS: [&str; 7] = ["(/.*)?", "(/.*)", "/.*", "/?", ".*", "/", "$"];

/// Tells whether a line of `file_contexts.subs` or `file_contexts.local` is about this directory.
///
/// The line's first word is then the path, or the usual regular expression for the path and everything below it.
pub fn is_about(line: &str, path: &str) -> bool {
    let word = line.split_ascii_whitespace().next().unwrap_or_default();
    let word = word.strip_prefix('^').unwrap_or(word);
    let mut stem = word;
    // One ending may follow another, as in `/data/docker/?$`.
    while let Some(shorter) = ENDINGS.iter().find_map(|ending| stem.strip_suffix(ending)) {
        stem = shorter;
    }
    !stem.is_empty() && (word == path || stem.replace('\\', "") == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_about_a_directory_however_its_expression_is_written() {
        for line in [
            "/srv/my.data /var/lib/docker",
            "/srv/my.data/ /var/lib/docker",
            "  /srv/my.data\t/var/lib/other",
            "/srv/my\\.data(/.*)?    system_u:object_r:container_var_lib_t:s0",
            "/srv/my\\.data(/.*)?  -d  system_u:object_r:container_var_lib_t:s0",
            "/srv/my.data/.* system_u:object_r:var_t:s0",
            "/srv/my.data.* system_u:object_r:var_t:s0",
            "^/srv/my\\.data/?$ system_u:object_r:var_t:s0",
        ] {
            assert!(is_about(line, "/srv/my.data"), "{line}");
        }
        for line in [
            "",
            "# /srv/my.data /x",
            "#/srv/my.data /x",
            "/srv /var/lib",
            "/srv(/.*)? system_u:object_r:var_t:s0",
            "/srv/my.data2 /x",
            "/srv/my\\.data/volumes(/.*)? system_u:object_r:var_t:s0",
            "/.* system_u:object_r:default_t:s0",
            "/x /srv/my.data",
        ] {
            assert!(!is_about(line, "/srv/my.data"), "{line}");
        }
    }
}

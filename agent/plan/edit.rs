//! Lines of ours in a file of somebody else's, put in and taken out again without a trace.
//!
//! The files are those of programs that read one file only (`dnf.conf`, the CloudWatch agent's `common-config.toml`).
//! Our lines stand between two markers; a line of the same key that was there before is kept as a comment.

use std::fmt::Write as _;

use serde::Serialize;

use super::Contents;

const BEGIN: &str = "# BEGIN ecs-firstrun";
const END: &str = "# END ecs-firstrun";
const SET_ASIDE: &str = "#ecs-firstrun# ";

/// Lines `key = value` that a section of a file must have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Edit {
    /// The file.
    pub path: String,
    /// The section, as in `[section]`; none in a file without sections.
    pub section: Option<&'static str>,
    /// The lines; none takes out what an earlier run put in.
    pub lines: Vec<(&'static str, Contents)>,
    /// Other keys of the section, whose lines are set aside too: they would change what ours mean.
    #[serde(skip)]
    pub set_aside: &'static [&'static str],
    /// What stands between key and value.
    pub separator: &'static str,
    /// The unit that must be restarted when the file changes.
    pub read_by: Option<String>,
}

impl Edit {
    /// The keys of the lines.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.lines.iter().map(|(key, _)| *key)
    }

    /// Whether a line must be kept from other users of the host.
    pub fn has_secret(&self) -> bool {
        self.lines.iter().any(|(_, value)| matches!(value, Contents::Secret(_)))
    }

    /// Whether a text holds lines of ours.
    pub fn is_in(text: &str) -> bool {
        text.lines().any(|line| line == BEGIN)
    }

    /// The text with these lines in place of those of an earlier run.
    pub fn applied_to(&self, text: &str) -> String {
        let original = without_ours(text);
        if self.lines.is_empty() {
            return original;
        }
        let mut block = String::new();
        for (key, value) in &self.lines {
            // Writing to a String can't fail.
            let _ = writeln!(block, "{key}{}{}", self.separator, value.reveal());
        }
        let mut out = String::new();
        let mut inside = self.section.is_none();
        let mut placed = false;
        for line in original.split_inclusive('\n') {
            if let (Some(section), Some(header)) = (self.section, header_of(line)) {
                inside = header == section;
                out.push_str(line);
                if inside && !placed {
                    end_line(&mut out);
                    let _ = write!(out, "{BEGIN}\n{block}{END}\n");
                    placed = true;
                }
                continue;
            }
            let key = line.split('=').next().unwrap_or_default().trim();
            if inside && (self.keys().any(|ours| ours == key) || self.set_aside.contains(&key)) {
                out.push_str(SET_ASIDE);
            }
            out.push_str(line);
        }
        if !placed {
            // The marker stands alone on its line; a line break that was missing goes with it when it is taken out.
            let gap = if out.is_empty() || out.ends_with('\n') { "" } else { "\n" };
            let header = self.section.map(|section| format!("[{section}]\n")).unwrap_or_default();
            let _ = write!(out, "{gap}{BEGIN}\n{header}{block}{END}\n");
        }
        out
    }
}

fn end_line(out: &mut String) {
    if !out.ends_with('\n') {
        out.push('\n');
    }
}

fn header_of(line: &str) -> Option<&str> {
    line.trim().strip_prefix('[')?.strip_suffix(']')
}

fn without_ours(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for line in text.split_inclusive('\n') {
        match line.trim_end_matches('\n') {
            BEGIN => inside = true,
            END => inside = false,
            _ if inside => {}
            _ => out.push_str(line.strip_prefix(SET_ASIDE).unwrap_or(line)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edit(section: Option<&'static str>, lines: &[(&'static str, &str)]) -> Edit {
        let lines = lines.iter().map(|(key, value)| (*key, Contents::Open((*value).to_owned()))).collect();
        Edit {
            path: "/etc/x.conf".to_owned(),
            section,
            lines,
            set_aside: &["proxy_user"],
            separator: "=",
            read_by: None,
        }
    }

    #[test]
    fn the_lines_stand_in_their_section_and_replace_those_of_the_image() {
        let text = "[main]\ngpgcheck=1\nproxy=http://old\nproxy_user=me\n[other]\nproxy=kept\n";
        let edited = edit(Some("main"), &[("proxy", "http://new")]).applied_to(text);
        assert_eq!(
            edited,
            "[main]\n# BEGIN ecs-firstrun\nproxy=http://new\n# END ecs-firstrun\ngpgcheck=1\n#ecs-firstrun# proxy=http://old\n#ecs-firstrun# proxy_user=me\n[other]\nproxy=kept\n"
        );
    }

    #[test]
    fn lines_of_ours_are_known_and_those_that_are_secret() {
        let mut with = edit(None, &[("user", "x")]);
        assert!(!with.has_secret() && Edit::is_in(&with.applied_to("")) && !Edit::is_in("user=x\n"));
        with.lines.push(("password", Contents::Secret("y".to_owned())));
        assert!(with.has_secret());
    }

    #[test]
    fn a_section_that_is_missing_is_added() {
        let edited = edit(Some("proxy"), &[("http_proxy", "x")]).applied_to("# a comment\n");
        assert_eq!(edited, "# a comment\n# BEGIN ecs-firstrun\n[proxy]\nhttp_proxy=x\n# END ecs-firstrun\n");
    }

    #[test]
    fn a_section_is_found_behind_another_and_where_it_is_there_twice_the_lines_are_not() {
        let edited = edit(Some("main"), &[("proxy", "x")]).applied_to("[other]\nproxy=kept\n[main]");
        assert_eq!(edited, "[other]\nproxy=kept\n[main]\n# BEGIN ecs-firstrun\nproxy=x\n# END ecs-firstrun\n");
        let edited = edit(Some("main"), &[("proxy", "x")]).applied_to("[main]\n[main]\nproxy=old\n");
        assert_eq!(
            edited,
            "[main]\n# BEGIN ecs-firstrun\nproxy=x\n# END ecs-firstrun\n[main]\n#ecs-firstrun# proxy=old\n"
        );
    }

    proptest! {
        #[test]
        fn what_was_put_in_is_taken_out_again(lines in proptest::collection::vec("(\\[main\\]|proxy=.{0,5}|[a-z =#\\[\\]]{0,12})", 0..12)) {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            for section in [None, Some("main")] {
                let with = edit(section, &[("proxy", "http://new")]);
                let edited = with.applied_to(&text);
                prop_assert_eq!(with.applied_to(&edited), edited.clone());
                prop_assert_eq!(edit(section, &[]).applied_to(&edited), text.clone());
            }
        }
    }
}

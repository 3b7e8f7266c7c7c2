//! The launch index, which selects one of the instances that were launched together for a part of the user data.
//!
//! The rules are cloud-init's (cloudinit/filters/launch_index.py, cloudinit/user_data.py). A part's header `Launch-Index` or
//! the key `launch-index` of an archive's item, else that of a `#cloud-config` document, must be the `ami-launch-index` of
//! the instance metadata. The headers of a multipart and of an archive say nothing about the parts in them.

use std::borrow::Cow;

use super::decoded::{Decoded, Note};
use super::mime::Entity;
use super::recognise::{OUR_TYPE, Recognised};
use crate::document::yaml::{Loaded, Node, Value};

/// The key of a `#cloud-config` document, and of an item of an archive.
pub const KEY: &str = "launch-index";

/// An index that no launch reaches: cloud-init drops a part with this index, without a warning.
///
/// A document of ours with this index is read on each instance, so that it can be kept from cloud-init.
const HIDDEN: u32 = 65_535;

impl Decoded {
    /// Tells whether a part is for the instance with this launch index, and notes a part that isn't.
    pub(super) fn takes(
        &mut self,
        launch_index: Option<u32>,
        label: &str,
        entity: &Entity<'_>,
        recognised: Option<&Recognised>,
    ) -> bool {
        let loaded = match recognised {
            Some(Recognised::Ours { loaded, embedded: true }) => Some(loaded),
            _ => None,
        };
        let of_document = || loaded.filter(|_| may_be_cloud_config(entity)).and_then(of_document);
        let Some(given) = entity.launch_index.as_deref().map(Cow::from).or_else(of_document) else { return true };
        let index: Option<u32> = given.trim().parse().ok();
        let is_ours = match recognised {
            // Content that can't be read is ours by its type alone.
            None => entity.content_type.as_deref() == Some(OUR_TYPE),
            Some(recognised) => !matches!(recognised, Recognised::Others(_)),
        };
        let is_here = match (index, launch_index) {
            (Some(HIDDEN), _) => is_ours,
            (_, None) => {
                self.launch_indices.insert(index);
                true
            }
            (index, own) => index == own,
        };
        if !is_here {
            let given = given.trim();
            self.names_us |= index.is_none() && is_ours;
            self.notes.push(match index {
                None if is_ours => {
                    Note::Missed(format!("{label} has the launch index `{given}`, which no instance has"))
                }
                _ => Note::Elsewhere(format!("{label} is for the launch index {given}, and not read here")),
            });
        }
        is_here
    }
}

/// Tells whether cloud-init may take a part for `#cloud-config`, by its type or by its first line.
fn may_be_cloud_config(entity: &Entity<'_>) -> bool {
    entity.content_type.as_deref().is_none_or(|declared| {
        ["text/cloud-config", "text/plain", "text/x-not-multipart", "text/x-shellscript"].contains(&declared)
            || ["gzip", "gunzip", "compress"].iter().any(|word| declared.contains(word))
    })
}

/// Returns the index of an archive's item, as Python writes it into a header. Other values give an empty text.
pub(super) fn of_item(index: &Node) -> String {
    match &index.value {
        Value::Int(index) => index.to_string(),
        Value::String(index) => index.clone(),
        _ => String::new(),
    }
}

/// Returns the index of a `#cloud-config` document, as Python's `int` gives it; none where `int` gives none.
fn of_document(loaded: &Loaded) -> Option<Cow<'static, str>> {
    let index = match loaded.root.as_ref()?.get(KEY)?.value {
        Value::Bool(index) => i64::from(index),
        Value::Int(index) => index,
        #[expect(clippy::cast_possible_truncation, reason = "a larger number is the index of no instance")]
        Value::Float(index) if index.is_finite() => index as i64,
        Value::String(ref index) => index.trim().parse().ok()?,
        _ => return None,
    };
    Some(index.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::super::{Document, decode_for};

    const OURS: &str = "Content-Type: application/vnd.ecs-firstrun+yaml";

    /// Returns the clusters that three instances read: with the index 0, with the index 1, and without a known index.
    fn read(user_data: &str) -> [String; 3] {
        [Some(0), Some(1), None].map(|index| {
            let decoded = decode_for("user data", user_data.as_bytes(), index);
            assert_eq!(decoded.problems, [], "{user_data}");
            let cluster =
                |document: &Document| document.config.as_ref()?.at(&["ecs", "cluster"])?.text().map(str::to_owned);
            decoded.documents.iter().map(|document| cluster(document).unwrap()).collect()
        })
    }

    fn message(parts: &[(&str, &str)]) -> String {
        let part = |(headers, body): &(&str, &str)| format!("--b\n{headers}\n\n{body}\n");
        let parts: String = parts.iter().map(part).collect();
        // The index of the whole message has no effect.
        format!("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nLaunch-Index: 9\n\n{parts}--b--\n")
    }

    #[test]
    fn a_part_is_read_by_the_instance_that_its_header_names() {
        for (header, wanted) in [
            ("Launch-Index: 1", ["", "x", "x"]),
            ("launch-INDEX:  +01 ", ["", "x", "x"]),
            ("Launch-Index:\n 0", ["x", "", "x"]),
            ("Launch-Index: 1\nLaunch-Index: 0", ["", "x", "x"]),
            ("Launch-Index: 0x0", ["", "", "x"]),
            ("Launch-Index: 0.0", ["", "", "x"]),
            ("Launch-Index: -1", ["", "", "x"]),
            ("Launch-Index: 99999999999999999999", ["", "", "x"]),
            ("Launch-Index:", ["", "", "x"]),
            ("X-Launch-Index: 7", ["x", "x", "x"]),
            // This index hides a part from cloud-init; every instance reads it.
            ("Launch-Index: 65535", ["x", "x", "x"]),
        ] {
            let part = format!("{header}\n{OURS}");
            assert_eq!(read(&message(&[(&part, "ecs: {cluster: x}")])), wanted, "{header}");
            // A message that is not a multipart is itself a part.
            assert_eq!(read(&format!("MIME-Version: 1.0\n{part}\n\necs: {{cluster: x}}\n")), wanted, "{header}");
        }
    }

    #[test]
    fn a_cloud_config_document_can_name_its_instance_too() {
        for (value, wanted) in [
            ("1", ["", "x", "x"]),
            ("'0'", ["x", "", "x"]),
            ("true", ["", "x", "x"]),
            ("0.9", ["x", "", "x"]),
            ("-1", ["", "", "x"]),
            ("65535", ["x", "x", "x"]),
            // A value that is not a number has no effect.
            ("first", ["x", "x", "x"]),
            ("null", ["x", "x", "x"]),
            ("[1]", ["x", "x", "x"]),
        ] {
            let document = format!("#cloud-config\nlaunch-index: {value}\necs_firstrun: {{ecs: {{cluster: x}}}}\n");
            assert_eq!(read(&document), wanted, "{value}");
            assert_eq!(read(&message(&[("Content-Type: text/plain", &document)])), wanted, "{value}");
            // The part's header outweighs the key, and cloud-init looks for no key in a part of another type.
            let [here, there] = [("text/cloud-config\nLaunch-Index: 0", ["x", "", "x"]), ("text/yaml", ["x"; 3])];
            for (header, wanted) in [here, there] {
                assert_eq!(
                    read(&message(&[(&format!("Content-Type: {header}"), &document)])),
                    wanted,
                    "{value} {header}"
                );
            }
        }
    }

    #[test]
    fn the_items_of_an_archive_name_their_instance_and_the_archive_names_none() {
        let item = |index: &str| {
            let kind = "type: application/vnd.ecs-firstrun+yaml";
            format!("- {kind}\n  {index}\n  content: 'ecs: {{cluster: x}}'\n")
        };
        for (index, wanted) in [
            ("launch-index: 1", ["", "x", "x"]),
            ("launch-index: '0'", ["x", "", "x"]),
            ("launch-index: 65535", ["x", "x", "x"]),
            ("launch-index: true", ["", "", "x"]),
            ("launch-index: null", ["", "", "x"]),
            ("Launch-Index: 7", ["x", "x", "x"]),
        ] {
            let archive = format!("#cloud-config-archive\n{}", item(index));
            assert_eq!(read(&archive), wanted, "{index}");
            let header = "Content-Type: text/cloud-config-archive\nLaunch-Index: 7";
            assert_eq!(read(&message(&[(header, &archive)])), wanted, "{index}");
        }
    }

    #[test]
    fn what_another_instance_reads_has_no_mistakes_here() {
        let bad = "Content-Type: application/gzip\nContent-Transfer-Encoding: base64\nLaunch-Index: 1";
        let script = "Content-Type: text/x-shellscript\nLaunch-Index: 1";
        let user_data =
            message(&[(bad, "H4sIAAAA"), (script, "#!/bin/sh\necs-firstrun run"), (OURS, "ecs: {cluster: x}")]);
        let here = decode_for("user data", user_data.as_bytes(), Some(0));
        assert_eq!((here.problems.len(), here.names_us, here.documents.len()), (0, false, 1));
        let there = decode_for("user data", user_data.as_bytes(), Some(1));
        assert_eq!((there.problems.len(), there.names_us, there.documents.len()), (1, true, 1));
        // A script with the index that hides our documents from cloud-init runs nowhere.
        let hidden = user_data.replace("Launch-Index: 1", "Launch-Index: 65535");
        let hidden = decode_for("user data", hidden.as_bytes(), Some(0));
        assert_eq!((hidden.problems.len(), hidden.names_us), (0, false));
    }

    #[test]
    fn a_document_of_ours_that_is_damaged_or_for_nobody_is_no_user_data_of_others() {
        let damaged = format!("{OURS}\nContent-Transfer-Encoding: base64\nLaunch-Index: 65535");
        let decoded = decode_for("user data", message(&[(&damaged, "H4sIAAAA")]).as_bytes(), Some(0));
        assert_eq!(decoded.problems.len(), 1);
        let for_nobody = message(&[(&format!("{OURS}\nLaunch-Index: one"), "ecs: {cluster: x}")]);
        assert!(decode_for("user data", for_nobody.as_bytes(), Some(0)).names_us);
    }
}

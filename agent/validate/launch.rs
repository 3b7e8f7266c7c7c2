//! User data as EC2 takes them, and as each instance of a launch has them.

use crate::document::decode::{self, Decoded, Note, decode, decode_for};

/// Decodes the user data for each launch index that a part names, and for one other instance.
pub(super) fn of_launch(name: &str, bytes: &[u8]) -> Vec<Decoded> {
    let all = decode(name, bytes);
    if all.launch_indices.is_empty() {
        return vec![all];
    }
    let any_other = (0..).find(|index| !all.launch_indices.contains(&Some(*index)));
    let indices = all.launch_indices.iter().flatten().copied().chain(any_other);
    let mut launch: Vec<_> = indices.map(|index| decode_for(name, bytes, Some(index))).collect();
    // An instance may be without configuration on purpose.
    if !launch.iter().all(is_empty) {
        launch.retain(|decoded| !is_empty(decoded));
    }
    for decoded in &mut launch {
        decoded.notes.retain(|note| !matches!(note, Note::Elsewhere(_)));
        let note = format!("{name}: parts with a launch index are checked for each instance that they are for");
        decoded.notes.push(Note::Elsewhere(note));
    }
    launch
}

/// Tells whether decoded user data has nothing for ecs-firstrun.
pub(super) fn is_empty(decoded: &Decoded) -> bool {
    decoded.documents.is_empty() && decoded.problems.is_empty()
}

/// Returns the size of user data as EC2 counts it, in bytes. User data that is base64 as a whole is decoded first.
pub(super) fn size_for_ec2(bytes: &[u8]) -> usize {
    decode::base64_wrapped(bytes).map_or(bytes.len(), |decoded| decoded.len())
}

//! The progress of a pull, in layers and bytes.

use std::fmt;

use serde_json::Value;

/// The most layers that are counted. An image has at most 127.
const MOST_LAYERS: usize = 256;
const MEGABYTE: u64 = 1_000_000;

/// The progress of a pull.
#[derive(Debug, Default)]
pub(super) struct Progress {
    layers: Vec<Layer>,
}

#[derive(Debug, Default)]
struct Layer {
    id: String,
    is_done: bool,
    current: u64,
    total: u64,
}

impl Progress {
    /// Notes a value of the stream.
    pub fn note(&mut self, event: &Value) {
        let (Some(id), Some(status)) = (event["id"].as_str(), event["status"].as_str()) else { return };
        // That value has the tag in the place of a layer.
        if status.starts_with("Pulling from") {
            return;
        }
        let at = self.layers.iter().position(|layer| layer.id == id).unwrap_or(self.layers.len());
        if at == MOST_LAYERS {
            return;
        }
        if at == self.layers.len() {
            self.layers.push(Layer { id: id.to_owned(), ..Layer::default() });
        }
        let layer = &mut self.layers[at];
        let bytes = |key: &str| event["progressDetail"][key].as_u64().unwrap_or_default();
        match status {
            "Pull complete" | "Already exists" => layer.is_done = true,
            "Download complete" => layer.current = layer.total,
            "Downloading" => (layer.current, layer.total) = (bytes("current"), bytes("total").max(bytes("current"))),
            _ => {}
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers = self.layers.iter();
        write!(f, "{} of {} layers", layers.clone().filter(|layer| layer.is_done).count(), layers.len())?;
        let sum = |bytes: fn(&Layer) -> u64| layers.clone().map(bytes).fold(0, u64::saturating_add) / MEGABYTE;
        match sum(|layer| layer.total) {
            0 => Ok(()),
            total => write!(f, ", {} of {total} MB", sum(|layer| layer.current)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_and_bytes_are_counted() {
        let mut progress = Progress::default();
        for (event, expected) in [
            (r#"{"status":"Pulling from base","id":"7"}"#, "0 of 0 layers"),
            (r#"{"status":"Already exists","id":"a"}"#, "1 of 1 layers"),
            (r#"{"status":"Pulling fs layer","progressDetail":{},"id":"b"}"#, "1 of 2 layers"),
            (
                r#"{"status":"Downloading","progressDetail":{"current":5000000,"total":9000000},"id":"b"}"#,
                "1 of 2 layers, 5 of 9 MB",
            ),
            (r#"{"status":"Download complete","progressDetail":{},"id":"b"}"#, "1 of 2 layers, 9 of 9 MB"),
            (
                r#"{"status":"Extracting","progressDetail":{"current":1,"total":9000000},"id":"b"}"#,
                "1 of 2 layers, 9 of 9 MB",
            ),
            (r#"{"status":"Pull complete","progressDetail":null,"id":"b"}"#, "2 of 2 layers, 9 of 9 MB"),
            (r#"{"status":"Digest: sha256:1"}"#, "2 of 2 layers, 9 of 9 MB"),
        ] {
            progress.note(&serde_json::from_str(event).unwrap());
            assert_eq!(progress.to_string(), expected);
        }
    }
}

//! A document of ours: its text, and the configuration in it.

use std::sync::Arc;

use super::recognise::OUR_KEY;
use crate::document::problem::{Extent, Problem, Source};
use crate::document::secret_places::{self, Part};
use crate::document::yaml::{self, Loaded, Node};

/// A document of ours, read.
#[derive(Clone, Debug)]
pub struct Document {
    /// The document's text, which knows its secrets; lines are counted from the document's own beginning.
    pub source: Arc<Source>,
    /// True if the configuration is the value of the key `ecs_firstrun`, rather than the whole.
    pub embedded: bool,
    /// The configuration in it, as far as the document could be read.
    pub config: Option<Node>,
    /// The problems of the document as YAML.
    pub problems: Vec<Problem>,
}

impl Document {
    /// Reads a document. Ours is the whole, or with `embedded` the value of the key `ecs_firstrun`.
    pub fn read(name: impl Into<String>, text: impl Into<Arc<str>>, embedded: bool) -> Self {
        let source = Source::new(name, text);
        let loaded = yaml::load(&source);
        Self::of(&source, loaded, embedded)
    }

    /// Reads a file of `conf.d`, which is ours whatever its first line says.
    pub fn of_conf_d(name: impl Into<String>, text: &str) -> Self {
        let embedded = text.lines().any(|line| line.starts_with("ecs_firstrun:"));
        Self::read(name, text, embedded)
    }

    /// Keeps only these keys of the document's configuration.
    #[must_use]
    pub fn only(self, keys: &[&str]) -> Self {
        Self { config: self.config.map(|config| config.only(keys)), problems: Vec::new(), ..self }
    }

    /// Makes a document of loaded text. Keeps only the problems of our part, and those that end the reading.
    pub(super) fn of(source: &Arc<Source>, loaded: Loaded, embedded: bool) -> Self {
        let part = if embedded { Part::Under(OUR_KEY) } else { Part::Whole };
        source.set_secrets(secret_places::find(&source.text, &loaded, part));
        let (source, Loaded { root, problems, .. }) = (source.clone(), loaded);
        if !embedded {
            return Self { source, embedded, config: root, problems };
        }
        let entry = root.as_ref().and_then(|root| root.entry(OUR_KEY));
        let ours = entry.map(|entry| entry.key_span.start..entry.value.span.end).unwrap_or_default();
        let is_second = |start: usize| source.text[start..].starts_with(OUR_KEY) && entry.is_some();
        let concerns_us = |problem: &Problem| {
            let start = problem.span.as_ref().map_or(0, |span| span.start);
            problem.extent == Extent::Document || ours.contains(&start) || is_second(start)
        };
        let problems = problems.into_iter().filter(concerns_us).collect();
        let config = entry.map(|entry| entry.value.clone());
        Self { source, embedded, config, problems }
    }
}

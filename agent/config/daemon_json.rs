//! Checks `docker.daemon` by the rules of dockerd, which reads `/etc/docker/daemon.json` and ends if it does not understand
//! it.
//!
//! dockerd checks the file twice: each directive must be one of its flags and must not be given as a flag by its unit too,
//! and each value must fit the type of a Go structure. Warnings are for values that dockerd accepts and ignores, and for
//! mistakes that `dockerd --validate` does not see.

pub(crate) mod directives;
mod values;

use self::directives::{DIRECTIVES, LOG_DRIVERS, NEWER, Type, of};
use crate::document::problem::{self, Problem};
use crate::document::yaml::{Entry, Node, Value};
use crate::text::did_you_mean;

/// The keys of `docker.daemon` in a document.
const PATH: [&str; 2] = ["docker", "daemon"];
/// The options of the log driver.
const LOG_OPTIONS: &str = "log-opts";
/// The Docker of the ECS-optimized images.
const STOCK: &str = "25.0";

/// Writes numbers and booleans of `log-opts` as the text that Docker wants, as the documents spell them.
pub fn options_as_text(daemon: &mut serde_json::Map<String, serde_json::Value>, root: &Node) {
    let Some(serde_json::Value::Object(options)) = daemon.get_mut(LOG_OPTIONS) else { return };
    for entry in root.at(&[PATH[0], PATH[1], LOG_OPTIONS]).map_or(&[][..], Node::entries) {
        if let (Some(text), Some(value)) = (entry.value.text(), options.get_mut(&entry.key)) {
            *value = text.into();
        }
    }
}

/// Examines `docker.daemon` of a document, or of the merged documents.
pub fn examined(root: &Node) -> Findings {
    let mut findings = Findings::default();
    let entries = root.at(&PATH).map_or(&[][..], Node::entries);
    findings.directives(entries);
    findings.together(entries);
    findings
}

/// The findings about `docker.daemon`.
#[derive(Default)]
pub struct Findings {
    /// The directives and values that dockerd refuses.
    pub errors: Vec<Problem>,
    /// The directives and values that dockerd ignores, or refuses in some versions.
    pub warnings: Vec<Problem>,
}

impl Findings {
    fn error(&mut self, problem: Problem) {
        if self.errors.len() <= problem::MOST {
            self.errors.push(problem);
        }
    }

    fn warn(&mut self, node: &Node, message: impl Into<String>, remedy: impl Into<String>) {
        if self.warnings.len() <= problem::MOST {
            self.warnings.push(Problem::at(&node.span, message).remedy(remedy));
        }
    }

    fn directives(&mut self, entries: &[Entry]) {
        for entry in entries {
            match (of(&entry.key), &entry.value.value) {
                // dockerd looks for directives in such a mapping.
                (None | Some(Type::FlagOnly(_)), Value::Mapping(below)) => self.without_effect(entry, below),
                (Some(kind), _) => self.value(&entry.key, kind, &entry.value),
                (None, _) => self.unknown(entry),
            }
            if let Some((name, since)) = NEWER.iter().find(|(name, _)| *name == entry.key) {
                let message = format!(
                    "Docker has `{name}` from version {since} on, and refuses to start with it before; the ECS-optimized images have Docker {STOCK}"
                );
                self.warn(&entry.value, message, "leave it out, unless the image has such a version");
            }
        }
    }

    /// Judges a mapping that is not a directive of Docker: dockerd accepts it if all keys in it are directives.
    fn without_effect(&mut self, entry: &Entry, below: &[Entry]) {
        if below.iter().any(|below| of(&below.key).is_none()) {
            return self.unknown(entry);
        }
        let name = entry.key_span.shown(&entry.key);
        let message = format!("Docker ignores `{name}`, which is not a directive of daemon.json");
        self.warn(&entry.value, message, "move its contents up one level");
    }

    fn unknown(&mut self, entry: &Entry) {
        let names = || DIRECTIVES.iter().filter(|(_, kind)| !matches!(kind, Type::FlagOnly(_))).map(|(name, _)| *name);
        let remedy = match (entry.key.as_str(), of(&entry.key)) {
            ("graph", _) => "write `docker.data_root`".to_owned(),
            ("oom-score-adjust", _) => "leave it out: Docker's unit has `OOMScoreAdjust=`".to_owned(),
            ("default-init", _) => "write `init-path`".to_owned(),
            (_, Some(Type::FlagOnly(right))) if !right.is_empty() => format!("write `{right}`"),
            (key, _) => did_you_mean(key, names())
                .unwrap_or_else(|| "Docker's documentation of dockerd lists its directives".to_owned()),
        };
        let message = format!("Docker has no directive `{}`", entry.key_span.shown(&entry.key));
        self.error(Problem::at(&entry.key_span, message).remedy(remedy));
    }

    fn value(&mut self, name: &str, kind: Type, node: &Node) {
        match (kind, &node.value) {
            (Type::OfUnit(flag, remedy), _) => {
                let message =
                    format!("Docker refuses `{name}` in daemon.json, since its unit gives it as a flag (`{flag}`)");
                self.error(Problem::at(&node.span, message).remedy(remedy));
            }
            (Type::FlagOnly(right), _) => {
                let remedy = if right.is_empty() { "leave it out".to_owned() } else { format!("write `{right}`") };
                self.warn(node, format!("Docker ignores `{name}` in daemon.json: it is the name of a flag"), remedy);
            }
            // Go keeps its default for null, but takes null in a list for empty text.
            (Type::Any, _) => {}
            (kind, Value::Null) if !matches!(kind, Type::Syntax(_)) => {}
            (Type::List(item), Value::Sequence(items)) => items.iter().for_each(|node| self.value(name, *item, node)),
            (Type::Map(below), Value::Mapping(entries)) => {
                entries.iter().for_each(|entry| self.value(&below_of(name, entry), *below, &entry.value));
            }
            (Type::Fields(fields), Value::Mapping(entries)) => {
                entries.iter().for_each(|entry| self.field(name, fields, entry));
            }
            (Type::Directives(fields), Value::Mapping(entries)) => {
                entries.iter().for_each(|entry| self.inner_directive(name, fields, entry));
            }
            _ => self.scalar(name, kind, node),
        }
    }

    fn field(&mut self, name: &str, fields: &[(&'static str, Type)], entry: &Entry) {
        let place = below_of(name, entry);
        if let Some((_, kind)) = fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(&entry.key)) {
            return self.value(&place, *kind, &entry.value);
        }
        let remedy = did_you_mean(&entry.key, fields.iter().map(|(field, _)| *field));
        let remedy = remedy.unwrap_or_else(|| "leave it out".to_owned());
        self.warn(&entry.value, format!("Docker ignores `{place}`"), remedy);
    }

    fn inner_directive(&mut self, name: &str, fields: &[(&'static str, Type)], entry: &Entry) {
        let place = below_of(name, entry);
        if let Some((_, kind)) = fields.iter().find(|(field, _)| *field == entry.key) {
            return self.value(&place, *kind, &entry.value);
        }
        if of(&entry.key).is_some() {
            return self.warn(&entry.value, format!("Docker ignores `{place}`"), format!("put it beside `{name}`"));
        }
        let names: Vec<&str> = fields.iter().map(|(field, _)| *field).collect();
        let remedy =
            did_you_mean(&entry.key, names.iter().copied()).unwrap_or_else(|| format!("it has {}", names.join(", ")));
        let message = format!("Docker has no directive `{place}`");
        self.error(Problem::at(&entry.key_span, message).remedy(remedy));
    }

    fn scalar(&mut self, name: &str, kind: Type, node: &Node) {
        if !values::fits(kind, &node.value) {
            let message = format!("Docker refuses `{name}`: {}", values::mismatch(kind, node));
            self.error(Problem::at(&node.span, message).remedy(values::remedy(kind, &node.value)));
        }
    }

    /// Finds mistakes in several directives together, and mistakes that only a starting Docker sees.
    fn together(&mut self, entries: &[Entry]) {
        let get = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
        let is = |key: &str, wanted: bool| get(key).filter(|node| node.value == Value::Bool(wanted));
        let is_text = |key: &str| matches!(get(key).map(|node| &node.value), Some(Value::String(_)));
        for (key, node) in ["tls", "tlsverify"].into_iter().filter_map(|key| Some((key, is(key, true)?))) {
            if let Some(missing) = ["tlscert", "tlskey"].into_iter().find(|key| !is_text(key)) {
                let message = format!("Docker refuses `{key}` without `{missing}`");
                self.error(Problem::at(&node.span, message).remedy("give the paths of certificate and key"));
            }
        }
        if let (Some(_), Some(node)) = (get("bridge"), get("bip")) {
            self.warn(node, "Docker does not start with both `bridge` and `bip`", "keep one of them");
        }
        if let (Some(node), Some(_)) = (is("icc", false), is("iptables", false)) {
            let message = "Docker does not start with both `icc: false` and `iptables: false`";
            self.warn(node, message, "leave `iptables` out: `icc: false` needs it");
        }
        if let Some(node) = get("log-driver") {
            self.log_driver(node);
        }
        let options = get("exec-opts").map_or(&[][..], Node::items);
        for node in options.iter().filter(|node| !values::is_cgroup_driver(&node.value)) {
            let message =
                "Docker ignores `exec-opts` other than `native.cgroupdriver`, and refuses them from version 29 on";
            self.warn(node, message, "write it as `native.cgroupdriver=systemd`, or leave it out");
        }
    }

    fn log_driver(&mut self, node: &Node) {
        let Value::String(driver) = &node.value else { return };
        // A plugin may have the name of an image, or any other name.
        if !driver.contains([':', '/']) && !LOG_DRIVERS.contains(&driver.as_str()) {
            let driver = node.span.shown(driver);
            let message =
                format!("Docker has no log driver `{driver}`: without a plugin of this name no container starts");
            let remedy = did_you_mean(&driver, LOG_DRIVERS.iter().copied());
            self.warn(node, message, remedy.unwrap_or_else(|| format!("it has {}", LOG_DRIVERS.join(", "))));
        }
    }
}

/// Names a key below a directive, without the secrets in the key.
fn below_of(name: &str, entry: &Entry) -> String {
    format!("{name}.{}", entry.key_span.shown(&entry.key))
}

#[cfg(test)]
mod tests;

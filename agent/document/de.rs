//! Deserialises the tree with serde, and finds all mistakes at once, each in its place.
//!
//! serde stops at the first mistake. So a refused value is left out and the rest is tried again, until nothing is refused.

mod error;

pub(crate) use self::error::{COMMAND_REMEDY, DURATION_REMEDY, NOT_RESOLVED, in_place_of_dynamic_reference};

use std::collections::{HashMap, HashSet};

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::{Deserialize as _, forward_to_deserialize_any};

use super::problem::{self, Problem};
use super::yaml::{Entry, Node, NodeId, Value};
use crate::text::are_alike;
use error::Error;

/// The most values that are visited to find all problems; each problem costs a pass over the whole tree.
const MAX_VISITS: usize = 100_000;

/// The value that a tree gives, and its problems.
#[derive(Debug, Default)]
pub struct Deserialized<T> {
    /// The value, without its rejected parts; the default if no value can be made of the rest.
    pub value: T,
    /// The problems of the rejected parts.
    pub problems: Vec<Problem>,
    /// The refused values and keys, which are left out of the value.
    pub refused: HashSet<NodeId>,
}

/// Deserialises a tree. Each refused value becomes one problem and is left out of the result.
///
/// An error made by `serde::de::Error::custom` is a message, and after a line break its remedy. Quotes of the value stand in
/// backticks, so that secrets in them can be masked.
pub fn from_node<T: DeserializeOwned + Default>(node: &Node) -> Deserialized<T> {
    let most = (MAX_VISITS / node.size().nodes).clamp(1, problem::MOST);
    let mut refused = Refused::default();
    let mut problems: Vec<Problem> = Vec::new();
    let value = loop {
        let error = match T::deserialize(NodeDeserializer { node, refused: &refused }) {
            Ok(value) => break value,
            Err(error) => error.at(node.id, &node.span, node.cut),
        };
        let Some((id, span)) = &error.place else {
            break T::default();
        };
        if !refused.explains(&error, *id) {
            if problems.len() == most {
                problems.push(Problem::too_many());
                break T::default();
            }
            let problem = error.problem(span);
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        if *id == node.id || !refused.ids.insert(*id) {
            break T::default();
        }
        refused.tainted.extend(&error.above);
        refused.tainted.insert(node.id);
        if let (Some(parent), Some(key)) = (error.above.first(), error.key) {
            refused.keys.entry(*parent).or_default().push(key);
        }
    };
    Deserialized { value, problems, refused: refused.ids }
}

/// The parts of the tree that the next pass leaves out.
#[derive(Default)]
struct Refused {
    /// Refused values and keys.
    ids: HashSet<NodeId>,
    /// The values around them.
    tainted: HashSet<NodeId>,
    /// The refused keys of a mapping, and those of its refused values.
    keys: HashMap<NodeId, Vec<String>>,
}

impl Refused {
    fn entry(&self, entry: &Entry) -> bool {
        self.ids.contains(&entry.key_id) || self.ids.contains(&entry.value.id)
    }

    /// Tells whether an error only follows from a refused value or from cut text.
    fn explains(&self, error: &Error, id: NodeId) -> bool {
        match error.missing_key() {
            _ if error.cut => true,
            // The key's own value was refused, or the key was misspelt.
            Some(missing) => self
                .keys
                .get(&id)
                .is_some_and(|refused| refused.iter().any(|key| key == missing || are_alike(key, missing))),
            None => self.tainted.contains(&id),
        }
    }
}

/// A node without its refused parts.
#[derive(Clone, Copy)]
struct NodeDeserializer<'a> {
    node: &'a Node,
    refused: &'a Refused,
}

impl<'de> Deserializer<'de> for NodeDeserializer<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::String(value) => visitor.visit_str(value),
            Value::Sequence(items) => {
                visitor.visit_seq(Items { items: items.iter().enumerate(), refused: self.refused })
            }
            Value::Mapping(entries) => {
                visitor.visit_map(Entries { entries: entries.iter(), current: None, refused: self.refused })
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::String(text) => visitor.visit_enum(StrDeserializer::<Error>::new(text)),
            // Only for its words: an enum's visitor takes nothing but enums.
            _ => String::deserialize(self).and(Err(de::Error::custom("text is expected"))),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.node.value {
            // serde's derive would take a list's items for the fields, in their order.
            Value::Sequence(_) => Err(de::Error::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier
    }
}

struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    refused: &'a Refused,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let refused = self.refused;
        let Some((index, node)) = self.items.find(|(_, item)| !refused.ids.contains(&item.id)) else {
            return Ok(None);
        };
        let item = seed.deserialize(NodeDeserializer { node, refused });
        item.map(Some).map_err(|error| error.at(node.id, &node.span, node.cut).under(&format!("[{index}]")))
    }
}

struct Entries<'a> {
    entries: std::slice::Iter<'a, Entry>,
    current: Option<&'a Entry>,
    refused: &'a Refused,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.current = self.entries.find(|entry| !self.refused.entry(entry));
        let Some(entry) = self.current else {
            return Ok(None);
        };
        let key: StrDeserializer<'_, Error> = entry.key.as_str().into_deserializer();
        let named = |error: Error| error.of_key(&entry.key).at(entry.key_id, &entry.key_span, false);
        seed.deserialize(key).map(Some).map_err(named)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some(entry) = self.current.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        let node = &entry.value;
        let value = seed.deserialize(NodeDeserializer { node, refused: self.refused });
        let key = entry.key_span.shown(&entry.key);
        value.map_err(|error| error.of_key(&entry.key).at(node.id, &node.span, node.cut).under(&key))
    }
}

#[cfg(test)]
mod tests;

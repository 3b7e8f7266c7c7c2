//! YAML (and so JSON) as a tree in which every value knows its place in the text.
//!
//! Loading goes on after a refused value, and returns the understood part of a document that breaks off. The author of a
//! document wants all mistakes at once, and the signal's target must be found even in a document that is wrong elsewhere.

mod load;
mod node;
mod scalar;

pub(super) use load::{NOT_FILLED_IN, odd_space_remedy};
pub use load::{load, load_template, loader::Loaded};
pub use node::{Entry, Node, NodeId, Value, merge};

#[cfg(test)]
mod tests;

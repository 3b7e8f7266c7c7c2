//! Documents as JSON: the published schema and `validate` say the same of each. They are changed value by value, as the
//! properties of `tests/schema.rs` change theirs, and kept where that leads to something new.
#![no_main]

use ecs_firstrun_fuzz::agreement::{Change, apply, change, same};
use ecs_firstrun_fuzz::documents::document;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use proptest::collection::vec;
use proptest::sample::Index;
use proptest::strategy::{BoxedStrategy, Strategy, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;

thread_local! {
    // Made once each.
    static DOCUMENTS: BoxedStrategy<String> = document().boxed();
    static CHANGES: BoxedStrategy<Vec<(Index, Change)>> = vec(change(), 1..4).boxed();
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = serde_json::from_slice::<Value>(bytes) else { return };
    if document.is_object() {
        same(&document).unwrap_or_else(|difference| panic!("{difference}"));
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let given = serde_json::from_slice::<Value>(&data[..size]).ok().filter(Value::is_object);
    let mutated = match (given, seed % 8) {
        (_, 0) => return fuzzer_mutate(data, size, max_size),
        (Some(mut document), 1..8) => {
            let changes = CHANGES.with(|changes| drawn(changes, seed)).unwrap_or_default();
            changes.into_iter().for_each(|(place, change)| apply(&mut document, &place, change));
            document.to_string()
        }
        _ => {
            let text = DOCUMENTS.with(|documents| drawn(documents, seed)).unwrap_or_default();
            text.split_once('\n').map(|(_, json)| json.to_owned()).unwrap_or_default()
        }
    };
    let length = mutated.len().min(max_size);
    data[..length].copy_from_slice(&mutated.as_bytes()[..length]);
    length
});

fn drawn<T: std::fmt::Debug>(strategy: &BoxedStrategy<T>, seed: u32) -> Option<T> {
    let seed: Vec<u8> = seed.to_le_bytes().into_iter().cycle().take(32).collect();
    let dice = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), dice);
    strategy.new_tree(&mut runner).ok().map(|tree| tree.current())
}

//! Panics: caught where a run must go on to tell of them, and printed without values.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;

use crate::report::BUG;
use crate::secrets::redact;

/// Waits for a future. A panic in it becomes an error.
pub(super) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    std::future::poll_fn(move |context| {
        match std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => std::task::Poll::Ready(Err(words_of(&*panic))),
        }
    })
    .await
}

/// Calls a function. A panic in it becomes an error.
pub(super) fn caught_call<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(AssertUnwindSafe(call)).map_err(|panic| words_of(&*panic))
}

/// Gives the reason of a run that ended in a panic.
pub(super) fn reason_of_panic(panic: &str) -> String {
    format!("{BUG}: {panic}")
}

/// Makes panics print without the values that their messages quote, such as a text with a wrong index.
pub fn print_panics_without_values() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
        crate::streams::eprint(&format!("panicked{place}: {}\n", words_of(panic.payload())));
    }));
}

/// Gives the message of a panic without the values that it quotes: they may be secrets.
fn words_of(panic: &dyn Any) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
    match text.find(['`', '"']) {
        Some(at) => format!("{}***", &text[..at]),
        None => redact(text),
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn a_panic_becomes_an_error() {
        let result: Result<(), String> = super::caught(async { panic!("no {}", "way") }).await;
        assert_eq!(result.unwrap_err(), "no way");
        // Rust's own message has the text in which the index is wrong.
        let (text, at) = ("\u{e9}hunter2", 1);
        let words = super::caught_call(|| text[at..].len()).unwrap_err();
        assert!(words.contains("1 is not a char boundary") && !words.contains("hunter2"), "{words}");
    }
}

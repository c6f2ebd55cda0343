//! Flow logs in Parquet; what must hold is in `corpus_checks`.

#![no_main]

#[path = "../../tests/it/corpus_checks.rs"]
mod corpus_checks;

use std::panic::{set_hook, take_hook};

/// The fuzzer ends at any panic, but the decoder catches those of the Parquet reader: only ours end it here. One that is not
/// caught ends it too, where it would leave the target.
fn let_the_reader_panic() {
    let hook = take_hook();
    set_hook(Box::new(move |panic| {
        let is_ours = panic.location().is_none_or(|place| {
            let file = place.file();
            file.ends_with("corpus_checks.rs") || file.contains("formats/src/") || file.contains("model/src/")
        });
        if is_ours {
            hook(panic);
        }
    }));
}

libfuzzer_sys::fuzz_target!(init: let_the_reader_panic(), |input: &[u8]| {
    corpus_checks::check("parquet", input);
});

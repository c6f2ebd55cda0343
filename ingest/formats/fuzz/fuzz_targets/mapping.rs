//! The format `mapping`; what must hold is in `corpus_checks`.

#![no_main]

#[path = "../../tests/it/corpus_checks.rs"]
mod corpus_checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    corpus_checks::check("mapping", input);
});

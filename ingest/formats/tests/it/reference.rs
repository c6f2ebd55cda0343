//! The reference of formats is made of the pages beside the mappings, committed, and compared here.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use tradewind_formats::families;

/// `docs/reference/formats.md` as it must be.
fn reference() -> String {
    let mut text = String::from(
        "# Input formats\n\nGenerated from the code; run the test `reference` of `tradewind-formats` with `UPDATE_REFERENCE=1` to \
         write it anew. `tradewind formats NAME` prints one of the sections.\n\nEvery row has `source` (the name of its format), \
         `position`, `position_offset` (byte offset of its record in the unpacked object), `position_index` where one record has \
         several rows, `outcome`, made of `verdict` and `result`, and `normaliser_version`. What is not listed is null. Texts \
         that are kept lose query strings, tokens and addresses of persons.\n\n",
    );
    for family in families() {
        writeln!(text, "- [`{0}`](#{0}): {1}", family.name, family.summary).unwrap();
    }
    for family in families() {
        write!(text, "\n{}", family.page.markdown(family.name, 2)).unwrap();
    }
    text
}

#[test]
fn the_reference_is_up_to_date() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/formats.md");
    let expected = reference();
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "docs/reference/formats.md is out of date: run this test with UPDATE_REFERENCE=1");
}

//! Holds the cookbook of mappings to what it shows: each mapping, the lines below it, and what their rows are said to hold.

use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use tradewind_formats::framing::{ChunkSizes, Chunks, Piece};
use tradewind_formats::{Decoded, FormatChoice, Framing, choose};

/// Language and text of each block of the page.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => open = Some((language.to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

#[test]
fn the_cookbook_is_true() {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/mapping-cookbook.md");
    let blocks = blocks(&fs::read_to_string(page).unwrap());
    let mut examples = 0;
    for (index, (_, mapping)) in blocks.iter().enumerate().filter(|(_, (language, _))| language == "toml") {
        let (log, expected) = (&blocks[index + 1].1, &blocks[index + 2].1);
        let wanted: FormatChoice = format!("mapping:{mapping}").parse().unwrap();
        let chosen = choose(log.as_bytes(), &wanted).unwrap();
        let Framing::Text(records) = chosen.framing else { panic!("text is expected") };
        let mut chunks = Chunks::new(log.as_bytes(), records, ChunkSizes::default());
        chunks.head(tradewind_formats::detect::HEAD_BYTES);
        chunks.skip(chosen.skip);
        let (mut buffer, mut out) = (Vec::new(), Decoded::default());
        while let Some(piece) = chunks.next(&mut buffer).unwrap() {
            let Piece::Records { offset } = piece else { panic!("no record is too long") };
            chosen.format.decode(&buffer, offset, &mut out);
        }
        assert!(out.rejects.is_empty(), "{:?}", out.rejects);
        let expected: Vec<Value> = expected.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(out.flows.len(), expected.len());
        for (row, expected) in expected.iter().enumerate() {
            let found = Value::Object(out.flows.row_json(row));
            for (column, value) in expected.as_object().unwrap() {
                assert_eq!(found.get(column), Some(value), "{column} of {found}");
            }
        }
        examples += 1;
    }
    assert_eq!(examples, 3);
}

//! The lake as its users meet it: rows in once, out by SQL, whatever happens in between.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap
)]

mod columns;
mod commit;
mod controls;
mod cost;
mod faults;
mod query;
mod s3;
mod stream;
mod upkeep;

use std::path::Path;
use tokio::runtime::Handle;
use tradewind_model::{FlowBatch, flow, time};
use tradewind_storage::{Import, ImportedObject, Lake, StagedFile};

/// Rows of `src -> dst`, one a second from `start`, as normalise leaves them.
fn flows(position: &str, start: i64, rows: i64) -> FlowBatch {
    let mut batch = FlowBatch::default();
    for row in 0..rows {
        let begin = start + row * time::SECOND;
        batch.set_num(flow::START_TIME, begin);
        batch.set_num(flow::END_TIME, begin + 60 * time::SECOND);
        batch.set_num(flow::DATE, time::day_of(begin + 60 * time::SECOND));
        batch.set_num(flow::INGEST_TIME, start);
        batch.set_text(flow::SRC_IP, &format!("10.0.0.{}", row % 200));
        batch.set_text(flow::DST_IP, "10.1.0.1");
        batch.set_num(flow::DST_PORT, 40_000);
        for (column, text) in [
            (flow::SRC_ENTITY, "-/shop/service/web"),
            (flow::SRC_KIND, "service"),
            (flow::SRC_ENTITY_SOURCE, "inventory"),
            (flow::DST_ENTITY, "-/shop/service/cart"),
            (flow::DST_KIND, "service"),
            (flow::DST_ENTITY_SOURCE, "inventory"),
            (flow::OUTCOME, "allowed"),
            (flow::RECORD_KIND, "interval"),
            (flow::SOURCE, "aws_vpc"),
            (flow::POSITION, position),
        ] {
            batch.set_text(column, text);
        }
        if row % 2 == 0 {
            batch.set_num(flow::BYTES_OUT, row);
        }
        batch.set_num(flow::IS_SRC_DST_ASSIGNMENT_KNOWN, 1);
        batch.set_num(flow::POSITION_OFFSET, row * 100);
        batch.set_num(flow::NORMALISER_VERSION, 1);
        batch.end_row();
    }
    batch
}

async fn stage(lake: &Lake, batch: FlowBatch) -> Vec<StagedFile> {
    let stager = lake.stager(Handle::current()).await.unwrap();
    tokio::task::spawn_blocking(move || {
        let order: Vec<u32> = (0..batch.len() as u32).collect();
        stager.stage(&batch, &order).unwrap()
    })
    .await
    .unwrap()
}

fn object(hash: &str, flows: i64) -> ImportedObject {
    ImportedObject {
        content_hash: hash.to_owned(),
        import_time: 1_700_000_000_000_000,
        path: format!("/logs/{hash}"),
        source: Some("aws_vpc".to_owned()),
        format_reason: None,
        bytes_in: 1,
        records: flows,
        flows,
        rejected: 0,
        gaps: 0,
    }
}

async fn import(lake: &Lake, hash: &str, rows: i64) -> Import {
    let files = stage(lake, flows(hash, 1_700_000_000_000_000, rows)).await;
    Import { objects: vec![object(hash, rows)], files, ..Import::default() }
}

async fn lake(folder: &Path) -> Lake {
    Lake::open_or_create(folder).await.unwrap()
}

/// The answer as lines of `a|b`, nulls empty.
async fn ask(lake: &Lake, sql: &str) -> Vec<String> {
    use futures::TryStreamExt as _;
    let batches: Vec<_> = lake.query(sql).await.unwrap().try_collect().await.unwrap();
    let mut lines = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = batch
                .columns()
                .iter()
                .map(|column| arrow::util::display::array_value_to_string(column, row).unwrap())
                .collect();
            lines.push(cells.join("|"));
        }
    }
    lines
}

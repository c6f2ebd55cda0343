//! `tradewind sql`: questions to the lake, from an argument, from standard input or at a prompt.

mod explain;
mod prompt;
mod statements;

use crate::context::Context;
use crate::failure::usage;
use crate::output::{self, OutputFormat};
use anyhow::Context as _;
use clap::Args;
use std::io::{IsTerminal as _, Read as _};
use tradewind_storage::Lake;

/// Ask the lake in SQL, or open a prompt
///
/// The lake is read only: SELECT, WITH, EXPLAIN, SHOW and DESCRIBE are understood. Tables: flows, findings, incidents,
/// controls, dead_letters, imports and coverage. Beside the usual functions there are cidr_contains(cidr, ip),
/// is_private(ip) and ip_family(ip). Without a query a prompt opens; `\?` lists what it understands. When standard input is
/// no terminal, the query is read from it.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    tradewind sql \"SELECT outcome, count(*) FROM flows GROUP BY outcome\"\n  \
    tradewind sql -o csv \"SELECT * FROM flows WHERE cidr_contains('10.1.0.0/16', src_ip)\" > flows.csv\n  \
    echo 'SELECT count(*) FROM flows' | tradewind sql")]
pub(crate) struct SqlArgs {
    /// The query; several are separated by `;`
    query: Option<String>,
}

pub(crate) fn run(args: SqlArgs, context: &Context) -> anyhow::Result<()> {
    let format = context.output.unwrap_or(OutputFormat::Table);
    let text = match args.query {
        Some(query) => query,
        None if std::io::stdin().is_terminal() => return prompt::run(context, format),
        None => from_standard_input()?,
    };
    let (mut queries, rest) = statements::split(&text);
    queries.extend(Some(rest).filter(|rest| !statements::is_blank(rest)));
    if queries.is_empty() {
        return Err(usage("there is no query"));
    }
    if queries.len() > 1 && matches!(format, OutputFormat::Parquet | OutputFormat::Json) {
        return Err(usage("one file holds the answer to one query: give one query, or another format with -o"));
    }
    let lake = context.runtime.block_on(Lake::open(context.lake_location()?))?;
    for query in queries {
        context.runtime.block_on(answer(&lake, &query, format))?;
    }
    Ok(())
}

/// Runs one query and writes its rows.
async fn answer(lake: &Lake, query: &str, format: OutputFormat) -> anyhow::Result<()> {
    let rows = match lake.query(query).await {
        Ok(rows) => rows,
        Err(error) => return Err(explain::with_position(query, error)),
    };
    let schema = rows.schema();
    output::write_stream(format, &schema, Box::pin(rows)).await?;
    Ok(())
}

fn from_standard_input() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text).context("failed to read the query from standard input")?;
    Ok(text)
}

//! Made VPC flow logs, the same ones every time, and what must be in the lake after they were imported.

use super::{Program, ask};
use std::fmt::Write as _;
use std::path::Path;

/// The fields of the default format, as AWS writes them above the rows.
pub(super) const HEADER: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes \
     start end action log-status\n";

/// A row of the default format that is accepted: 40 bytes.
pub(super) const ROW: &str =
    "2 123456789010 eni-1 10.0.0.1 10.0.0.2 40000 443 6 1 40 1700000000 1700000060 ACCEPT OK\n";

/// What is in some logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) files: u64,
    pub(super) flows: u64,
    pub(super) rejected: u64,
    pub(super) gaps: u64,
    pub(super) bytes_out: u64,
}

/// How many lines make one reject, at most, and how many a gap.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mix {
    pub(super) reject_every: u64,
    pub(super) gap_every: u64,
}

/// Few rejects and gaps, as in a healthy log.
pub(super) const HEALTHY: Mix = Mix { reject_every: 1_000, gap_every: 700 };

/// Writes a log of `lines` lines. Logs with different numbers have no line in common.
pub(super) fn write(path: &Path, number: u64, lines: u64, mix: Mix, expected: &mut Expected) {
    let mut text = HEADER.to_owned();
    for line in 1..=lines {
        let start = 1_700_000_000 + line / 200;
        let end = start + 60;
        let interface = format!("eni-{number:04}{:04}", line % 40);
        if line % mix.reject_every == 0 {
            writeln!(text, "2 123456789010 {interface} nowhere 10.1.0.1 1 443 6 1 40 {start} {end} ACCEPT OK").unwrap();
            expected.rejected += 1;
        } else if line % mix.gap_every == 0 {
            writeln!(text, "2 123456789010 {interface} - - - - - - - {start} {end} - NODATA").unwrap();
            expected.gaps += 1;
        } else {
            let (bytes, port) = (40 + line % 1460, 32_768 + line % 20_000);
            let action = if line % 11 == 0 { "REJECT" } else { "ACCEPT" };
            let (source, target) = (line % 250, line % 31);
            writeln!(
                text,
                "2 123456789010 {interface} 10.0.{}.{source} 10.1.0.{target} {port} 443 6 3 {bytes} {start} {end} \
                 {action} OK",
                number % 200
            )
            .unwrap();
            expected.flows += 1;
            expected.bytes_out += bytes;
        }
    }
    std::fs::write(path, text).unwrap();
    expected.files += 1;
}

/// Writes `files` logs into a folder.
pub(super) fn write_folder(folder: &Path, files: u64, lines: u64, mix: Mix) -> Expected {
    std::fs::create_dir_all(folder).unwrap();
    let mut expected = Expected::default();
    for number in 0..files {
        write(&folder.join(format!("{number}.log")), number, lines, mix, &mut expected);
    }
    expected
}

/// Checks that the lake holds each record of the logs exactly once, in whichever table it belongs to.
pub(super) fn assert_each_once(program: &Program, expected: &Expected) {
    let check = |query: &str, wanted: &[(&str, u64)]| {
        let rows = ask(program, query);
        for (column, number) in wanted {
            assert_eq!(rows[0][column].as_u64().unwrap_or_default(), *number, "{column} of {query}: {rows:?}");
        }
    };
    check(
        "SELECT count(*) AS rows, count(DISTINCT position || '/' || position_offset) AS records, \
         sum(bytes_out) AS bytes_out FROM flows",
        &[("rows", expected.flows), ("records", expected.flows), ("bytes_out", expected.bytes_out)],
    );
    check(
        "SELECT count(*) AS rows, count(DISTINCT position || '/' || position_offset) AS records FROM dead_letters",
        &[("rows", expected.rejected), ("records", expected.rejected)],
    );
    check(
        "SELECT sum(flows) AS flows, sum(gaps) AS gaps FROM coverage",
        &[("flows", expected.flows), ("gaps", expected.gaps)],
    );
    check(
        "SELECT count(*) AS rows, count(DISTINCT content_hash) AS objects, sum(flows) AS flows, \
         sum(rejected) AS rejected, sum(gaps) AS gaps FROM imports",
        &[
            ("rows", expected.files),
            ("objects", expected.files),
            ("flows", expected.flows),
            ("rejected", expected.rejected),
            ("gaps", expected.gaps),
        ],
    );
}

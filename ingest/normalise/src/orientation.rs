//! Decides which end opened the connection, for records that do not say. Not from the other half of a connection: halves
//! meet later, where connections are put together.

use crate::port::{PortOrientation, port_orientation};
use crate::swap;
use tradewind_model::FlowBatch;
use tradewind_model::flow::{
    BYTES_IN, DST_PORT, IS_SRC_DST_ASSIGNMENT_KNOWN, ORIENTATION, PACKETS_IN, SRC_PORT, TCP_FLAGS,
};
use tradewind_model::protocol::tcp::{ACK, SYN};
use tradewind_model::{NULL_CODE, NULL_NUM};

/// TCP flags that only a source sets which records every packet's flags: PSH and URG (RFC 9293 section 3.1).
const EVERY_PACKET: i64 = 8 | 32;

/// Orients all rows and exchanges the ends of those that are the wrong way round; `swapped` is memory for their numbers.
///
/// A row that knows its ends keeps them, with `orientation` = `log` where the decoder set none. For any other it is
/// `tcp_flags`, `port` or `unknown`, and `is_src_dst_assignment_known` is true unless it is `unknown`.
pub(crate) fn orient(batch: &mut FlowBatch, swapped: &mut Vec<u32>) {
    let rows = batch.len();
    let column = batch.text_mut(ORIENTATION);
    let [by_log, by_flags, by_port, unknown] = ["log", "tcp_flags", "port", "unknown"].map(|word| column.intern(word));
    swapped.clear();
    let mut codes = batch.text(ORIENTATION).codes(rows).into_owned();
    let mut known = batch.num(IS_SRC_DST_ASSIGNMENT_KNOWN).values(rows).into_owned();
    let [src_ports, dst_ports] = [SRC_PORT, DST_PORT].map(|column| batch.num(column).values(rows));
    let [flags, bytes_in, packets_in] = [TCP_FLAGS, BYTES_IN, PACKETS_IN].map(|column| batch.num(column));
    for (row, ((code, known), (&src_port, &dst_port))) in
        codes.iter_mut().zip(&mut known).zip(src_ports.iter().zip(&*dst_ports)).enumerate()
    {
        if *known == 1 {
            *code = if *code == NULL_CODE { by_log } else { *code };
            continue;
        }
        let saw_one_way = || bytes_in.raw(row) == NULL_NUM && packets_in.raw(row) == NULL_NUM;
        let (decision, by) = match flags_orientation(flags.raw(row), saw_one_way) {
            PortOrientation::Unknown => (port_orientation(src_port, dst_port), by_port),
            decision => (decision, by_flags),
        };
        *code = if decision == PortOrientation::Unknown { unknown } else { by };
        *known = i64::from(decision != PortOrientation::Unknown);
        if decision == PortOrientation::Swap {
            swapped.push(u32::try_from(row).expect("a batch has fewer than 4 G rows"));
        }
    }
    drop((src_ports, dst_ports));
    batch.text_mut(ORIENTATION).replace_codes(codes);
    batch.num_mut(IS_SRC_DST_ASSIGNMENT_KNOWN).replace_values(known);
    swap::swap_rows(batch, swapped);
}

/// What the flags of a record tell, ORed over its packets.
///
/// SYN without ACK: `src` opened. SYN with ACK: `src` answered, where the record is of one way and its source leaves out
/// plain ACKs, as VPC flow logs do; a source that ORs the flags of every packet shows SYN and ACK for both ends alike, and
/// PSH with them as soon as data was sent.
fn flags_orientation(flags: i64, saw_one_way: impl FnOnce() -> bool) -> PortOrientation {
    if flags == NULL_NUM || flags & SYN == 0 {
        PortOrientation::Unknown
    } else if flags & ACK == 0 {
        PortOrientation::Keep
    } else if flags & EVERY_PACKET == 0 && saw_one_way() {
        PortOrientation::Swap
    } else {
        PortOrientation::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tradewind_model::flow::{DST_IP, SRC_IP};

    /// Known, ports, flags and bytes in, in; source address after orientation, known and rule out.
    fn check(
        known: Option<i64>,
        ports: (i64, i64),
        flags: Option<i64>,
        bytes_in: Option<i64>,
        expected: (&str, i64, &str),
    ) {
        let mut batch = FlowBatch::default();
        batch.set_text(SRC_IP, "10.0.0.1");
        batch.set_text(DST_IP, "10.0.0.2");
        batch.set_num(SRC_PORT, ports.0);
        batch.set_num(DST_PORT, ports.1);
        for (column, value) in [(IS_SRC_DST_ASSIGNMENT_KNOWN, known), (TCP_FLAGS, flags), (BYTES_IN, bytes_in)] {
            value.into_iter().for_each(|value| batch.set_num(column, value));
        }
        batch.end_row();
        orient(&mut batch, &mut Vec::new());
        let found = (
            batch.text(SRC_IP).get(0).unwrap_or("-"),
            batch.num(IS_SRC_DST_ASSIGNMENT_KNOWN).raw(0),
            batch.text(ORIENTATION).get(0).unwrap_or("-"),
        );
        assert_eq!(found, expected, "{known:?} {ports:?} {flags:?} {bytes_in:?}");
    }

    #[test]
    fn the_log_outranks_flags_and_flags_outrank_ports() {
        let (kept, swapped) = ("10.0.0.1", "10.0.0.2");
        check(Some(1), (443, 50_100), Some(18), None, (kept, 1, "log"));
        check(None, (50_100, 443), None, None, (kept, 1, "port"));
        check(Some(0), (443, 50_100), None, None, (swapped, 1, "port"));
        check(Some(0), (50_100, 50_101), None, None, (kept, 0, "unknown"));
        check(Some(0), (0, 0), None, None, (kept, 0, "unknown"));
        check(Some(0), (443, 50_100), Some(0), None, (swapped, 1, "port"));
        check(Some(0), (443, 50_100), Some(2), None, (kept, 1, "tcp_flags"));
        check(Some(0), (443, 50_100), Some(3), None, (kept, 1, "tcp_flags"));
        check(Some(0), (50_100, 50_101), Some(18), None, (swapped, 1, "tcp_flags"));
        check(Some(0), (50_100, 443), Some(19), None, (swapped, 1, "tcp_flags"));
        check(Some(0), (50_100, 443), Some(27), None, (kept, 1, "port"));
        check(Some(0), (50_100, 443), Some(18), Some(1), (kept, 1, "port"));
        check(Some(0), (50_100, 443), Some(4), None, (kept, 1, "port"));
    }

    #[test]
    fn a_rule_that_the_decoder_set_stays() {
        let mut batch = FlowBatch::default();
        batch.set_num(IS_SRC_DST_ASSIGNMENT_KNOWN, 1);
        batch.set_text(ORIENTATION, "other_half");
        batch.end_row();
        orient(&mut batch, &mut Vec::new());
        assert_eq!(batch.text(ORIENTATION).get(0), Some("other_half"));
    }
}

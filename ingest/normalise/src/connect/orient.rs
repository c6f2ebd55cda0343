//! Writes what other rows of a connection tell of who opened it. Not the decision.

use super::scratch::ConnectScratch;
use crate::{Direction, swap};
use tradewind_model::FlowBatch;
use tradewind_model::flow::{DIRECTION, IS_SRC_DST_ASSIGNMENT_KNOWN, ORIENTATION};

/// Marks the oriented rows, exchanges the ends of the swapped ones; gives how many of each there are. A row whose ports
/// told the same keeps its word.
pub(super) fn apply(flows: &mut FlowBatch, scratch: &mut ConnectScratch) -> (u64, u64) {
    let ConnectScratch { swapped, oriented, .. } = scratch;
    if oriented.is_empty() {
        return (0, 0);
    }
    swapped.sort_unstable();
    let column = flows.text_mut(ORIENTATION);
    let [by_port, by_other_half] = ["port", "other_half"].map(|word| column.intern(word));
    oriented.retain(|&row| column.code(row as usize) != by_port || swapped.binary_search(&row).is_ok());
    for &row in oriented.iter() {
        column.set(row as usize, by_other_half);
    }
    let known = flows.num_mut(IS_SRC_DST_ASSIGNMENT_KNOWN);
    for &row in oriented.iter() {
        known.set(row as usize, 1);
    }
    swap::swap_rows(flows, swapped);
    exchange_direction(flows, swapped);
    (oriented.len() as u64, swapped.len() as u64)
}

/// What came in goes out once the ends are exchanged.
fn exchange_direction(flows: &mut FlowBatch, swapped: &[u32]) {
    let column = flows.text_mut(DIRECTION);
    let [inbound, outbound] = [Direction::Inbound, Direction::Outbound].map(|word| column.intern(word.as_str()));
    for &row in swapped {
        let code = column.code(row as usize);
        if code == inbound {
            column.set(row as usize, outbound);
        } else if code == outbound {
            column.set(row as usize, inbound);
        }
    }
}

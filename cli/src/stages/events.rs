//! Flows as detectors see them.

use tradewind_detect::FlowEvent;
use tradewind_model::flow::{
    BYTES_IN, BYTES_OUT, DECLARED_RULE, DECLARED_VERDICT, DST_ENTITY, DST_KIND, DST_PORT, END_TIME, FLOW_COUNT,
    IS_LEAD, IS_SRC_DST_ASSIGNMENT_KNOWN, OPENS, OUTCOME, PROTOCOL_NUM, SRC_ENTITY, SRC_KIND,
};
use tradewind_model::{FlowBatch, Outcome};

/// One row of a batch that connect and the policy have completed.
pub(super) fn event(flows: &FlowBatch, row: usize) -> FlowEvent<'_> {
    let text = |column| flows.text(column).get(row);
    let number = |column| flows.num(column).get(row);
    // Bytes count where the row leads its connection.
    let leads = number(IS_LEAD).unwrap_or(1) == 1;
    FlowEvent {
        time: number(END_TIME).unwrap_or_default(),
        src_entity: text(SRC_ENTITY).unwrap_or_default(),
        src_kind: text(SRC_KIND).unwrap_or_default(),
        dst_entity: text(DST_ENTITY).unwrap_or_default(),
        dst_kind: text(DST_KIND).unwrap_or_default(),
        dst_port: number(DST_PORT).and_then(|port| i32::try_from(port).ok()),
        protocol_num: number(PROTOCOL_NUM).and_then(|protocol| i16::try_from(protocol).ok()),
        outcome: text(OUTCOME).and_then(Outcome::from_word).unwrap_or(Outcome::Unknown),
        is_src_dst_assignment_known: number(IS_SRC_DST_ASSIGNMENT_KNOWN) == Some(1),
        opens: number(OPENS).map(|opens| opens == 1),
        flow_count: number(FLOW_COUNT).unwrap_or(1),
        bytes_out: number(BYTES_OUT).filter(|_| leads),
        bytes_in: number(BYTES_IN).filter(|_| leads),
        declared_verdict: text(DECLARED_VERDICT),
        declared_rule: text(DECLARED_RULE),
    }
}

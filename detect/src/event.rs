//! What a detector sees of a flow. Not the flow record itself: only what baselines are made of.

use tradewind_model::Outcome;

/// One flow row, borrowed from wherever it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowEvent<'a> {
    /// `end_time`: microseconds UTC.
    pub time: i64,
    /// Entity of the initiator.
    pub src_entity: &'a str,
    /// Kind of the initiator: the word of `src_kind`.
    pub src_kind: &'a str,
    /// Entity of the responder.
    pub dst_entity: &'a str,
    /// Kind of the responder: the word of `dst_kind`.
    pub dst_kind: &'a str,
    /// Port of the responder, where the protocol has one.
    pub dst_port: Option<i32>,
    /// IANA protocol number.
    pub protocol_num: Option<i16>,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether it is known which end opened the connection.
    pub is_src_dst_assignment_known: bool,
    /// Whether the row is the first seen of its connection. `None` counts as yes.
    pub opens: Option<bool>,
    /// How many connections the row stands for; below one counts as one.
    pub flow_count: i64,
    /// Bytes from initiator to responder that the row adds. `None`: not seen, and so not judged; never zero for it.
    pub bytes_out: Option<i64>,
    /// Bytes from responder to initiator that the row adds. `None` as above.
    pub bytes_in: Option<i64>,
    /// The word of `declared_verdict`: what the declared policy says of the flow. `None`: no policy was checked.
    pub declared_verdict: Option<&'a str>,
    /// `declared_rule`: the rule of the declared policy that decided. `None`: no rule did.
    pub declared_rule: Option<&'a str>,
}

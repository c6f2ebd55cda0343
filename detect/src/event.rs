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
    /// What was spoken, and by whom. Most logs say nothing of it.
    pub conversation: Conversation<'a>,
}

/// What a flow's log says of the application's conversation and of who proved to be who. What it does not say is not
/// judged: silence is no news.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conversation<'a> {
    /// `app_protocol`: http, kafka, postgresql, ...
    pub app_protocol: Option<&'a str>,
    /// `operation`: GET, Produce, SELECT.
    pub operation: Option<&'a str>,
    /// `resource`: path, topic, table, share.
    pub resource: Option<&'a str>,
    /// `src_principal`: cryptographic identity that the initiator proved.
    pub src_principal: Option<&'a str>,
    /// `dst_principal`: cryptographic identity that the responder proved.
    pub dst_principal: Option<&'a str>,
    /// The word of `encryption`: tls, mtls, wireguard, ipsec, vnet, none.
    pub encryption: Option<&'a str>,
    /// `src_verified`: whether the initiator proved its identity.
    pub src_verified: Option<bool>,
    /// `dst_verified`: whether the responder proved its identity.
    pub dst_verified: Option<bool>,
}

impl Conversation<'_> {
    /// Whether it says what was asked of the responder.
    pub(crate) const fn has_use(&self) -> bool {
        self.app_protocol.is_some() || self.operation.is_some() || self.resource.is_some()
    }

    /// Whether it says how the connection was protected, or who proved to be who.
    pub(crate) const fn has_credential(&self) -> bool {
        self.encryption.is_some() || self.src_principal.is_some() || self.dst_principal.is_some()
    }
}

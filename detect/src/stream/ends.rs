//! Rows of a batch as flow events; names are looked up once a batch, not once a row.

use crate::edges::EdgeShard;
use crate::event::{Conversation, FlowEvent};
use tradewind_model::entity::EntityKind;
use tradewind_model::flow::{
    APP_PROTOCOL, BYTES_IN, BYTES_OUT, DECLARED_RULE, DECLARED_VERDICT, DST_ENTITY, DST_KIND, DST_PORT, DST_PRINCIPAL,
    DST_VERIFIED, ENCRYPTION, END_TIME, FLOW_COUNT, IS_LEAD, IS_SRC_DST_ASSIGNMENT_KNOWN, OPENS, OPERATION, OUTCOME,
    PROTOCOL_NUM, RESOURCE, SRC_ENTITY, SRC_KIND, SRC_PRINCIPAL, SRC_VERIFIED,
};
use tradewind_model::{FlowBatch, Outcome, TextCol, TextColumn};

/// The ends of a batch's flows.
#[derive(Debug)]
pub(super) struct Ends<'a> {
    flows: &'a FlowBatch,
    /// Of source and destination: by code of the entity its number plus one, zero before it was looked up.
    numbers: [Vec<u32>; 2],
    /// By code of the kind.
    kinds: [Vec<EntityKind>; 2],
    /// By code.
    outcomes: Vec<Outcome>,
    /// Whether any row says something of its conversation.
    has_conversations: bool,
}

/// The columns that say something of a conversation.
const CONVERSATION: [TextCol; 6] = [APP_PROTOCOL, OPERATION, RESOURCE, SRC_PRINCIPAL, DST_PRINCIPAL, ENCRYPTION];

/// By code of a text, what it means; code 0 is no text.
fn by_code<T: Clone>(column: &TextColumn, none: T, meaning: impl Fn(&str) -> Option<T>) -> Vec<T> {
    let dictionary = column.dictionary();
    let codes = 0..=u32::try_from(dictionary.len()).unwrap_or(u32::MAX);
    codes.map(|code| dictionary.get(code).and_then(&meaning).unwrap_or_else(|| none.clone())).collect()
}

impl<'a> Ends<'a> {
    pub(super) fn new(flows: &'a FlowBatch) -> Self {
        let numbers = |column| vec![0; flows.text(column).dictionary().len() + 1];
        let kinds = |column| by_code(flows.text(column), EntityKind::Unknown, EntityKind::from_word);
        Self {
            flows,
            numbers: [numbers(SRC_ENTITY), numbers(DST_ENTITY)],
            kinds: [kinds(SRC_KIND), kinds(DST_KIND)],
            outcomes: by_code(flows.text(OUTCOME), Outcome::Unknown, Outcome::from_word),
            has_conversations: CONVERSATION.iter().any(|&column| !flows.text(column).dictionary().is_empty()),
        }
    }

    /// Numbers and kinds of a row's ends; no number where there are too many.
    pub(super) fn numbers(&mut self, row: usize, shard: &mut EdgeShard) -> ([Option<u32>; 2], [EntityKind; 2]) {
        let kind = |end: usize, column| self.kinds[end][self.flows.text(column).code(row) as usize];
        let kinds = [kind(0, SRC_KIND), kind(1, DST_KIND)];
        let mut numbers = [None; 2];
        for (end, column) in [SRC_ENTITY, DST_ENTITY].into_iter().enumerate() {
            let column = self.flows.text(column);
            let code = column.code(row);
            let known = &mut self.numbers[end][code as usize];
            if *known == 0 {
                let name = column.dictionary().get(code).unwrap_or_default();
                *known = shard.foretell_entity(name, kinds[end]).map_or(0, |number| number + 1);
            }
            numbers[end] = known.checked_sub(1);
        }
        (numbers, kinds)
    }

    /// A row as detectors see it.
    pub(super) fn event(&self, row: usize) -> FlowEvent<'a> {
        let flows = self.flows;
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
            outcome: self.outcomes[flows.text(OUTCOME).code(row) as usize],
            is_src_dst_assignment_known: number(IS_SRC_DST_ASSIGNMENT_KNOWN) == Some(1),
            opens: number(OPENS).map(|opens| opens == 1),
            flow_count: number(FLOW_COUNT).unwrap_or(1),
            bytes_out: number(BYTES_OUT).filter(|_| leads),
            bytes_in: number(BYTES_IN).filter(|_| leads),
            declared_verdict: text(DECLARED_VERDICT),
            declared_rule: text(DECLARED_RULE),
            conversation: if self.has_conversations { self.conversation(row) } else { Conversation::default() },
        }
    }

    fn conversation(&self, row: usize) -> Conversation<'a> {
        let flows = self.flows;
        let text = |column| flows.text(column).get(row);
        let holds = |column| flows.num(column).get(row).map(|value| value == 1);
        Conversation {
            app_protocol: text(APP_PROTOCOL),
            operation: text(OPERATION),
            resource: text(RESOURCE),
            src_principal: text(SRC_PRINCIPAL),
            dst_principal: text(DST_PRINCIPAL),
            encryption: text(ENCRYPTION),
            src_verified: holds(SRC_VERIFIED),
            dst_verified: holds(DST_VERIFIED),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use crate::snapshot::SnapshotWriter;
    use crate::stream::Partition;
    use tradewind_model::flow::{DST_INSTANCE, DST_IP, SRC_INSTANCE, SRC_IP};

    fn sample() -> FlowBatch {
        let mut flows = FlowBatch::default();
        for row in 0..400_i64 {
            let place = usize::try_from(row).unwrap();
            flows.set_text(SRC_ENTITY, &format!("net/shop/service/s{}", place % 7));
            // The same entity, called an agent by some.
            flows.set_text(SRC_KIND, if place % 14 == 0 { "agent" } else { "service" });
            if place % 11 > 0 {
                flows.set_text(DST_ENTITY, &format!("net/shop/service/s{}", place % 5));
                flows.set_text(DST_KIND, "service");
            }
            flows.set_text(OUTCOME, ["allowed", "denied", "failed", "unknown"][place % 4]);
            flows.set_num(END_TIME, 1_700_000_000_000_000 + row * 3_000_000);
            flows.set_num(DST_PORT, 443 + row % 3);
            flows.set_num(PROTOCOL_NUM, 6);
            flows.set_num(IS_SRC_DST_ASSIGNMENT_KNOWN, i64::from(row % 13 > 0));
            flows.set_num(IS_LEAD, row % 2);
            flows.set_num(BYTES_OUT, row * 10);
            if row % 9 == 0 {
                flows.set_text(DECLARED_VERDICT, "denied");
                flows.set_text(DECLARED_RULE, "shop/rule");
            }
            if row % 3 == 1 {
                let texts = [(APP_PROTOCOL, "http"), (OPERATION, "GET"), (RESOURCE, "/a"), (ENCRYPTION, "mtls")];
                texts.into_iter().for_each(|(column, text)| flows.set_text(column, text));
                flows.set_text(SRC_PRINCIPAL, "spiffe://a");
                flows.set_text(DST_PRINCIPAL, "spiffe://b");
                flows.set_num(SRC_VERIFIED, 1);
                flows.set_num(DST_VERIFIED, 0);
            }
            flows.end_row();
        }
        flows
    }

    /// A rollout brings new instances with new addresses: they are the same service, and its edges are no new ones.
    #[test]
    fn instances_of_a_service_are_one() {
        let mut flows = FlowBatch::default();
        for instance in 0..20 {
            flows.set_text(SRC_ENTITY, "-/shop/service/cart");
            flows.set_text(SRC_KIND, "service");
            flows.set_text(SRC_INSTANCE, &format!("cart-{instance}"));
            flows.set_text(SRC_IP, &format!("10.0.0.{instance}"));
            flows.set_text(DST_ENTITY, "-/shop/service/stock");
            flows.set_text(DST_KIND, "service");
            flows.set_text(DST_INSTANCE, &format!("stock-{}", instance % 7));
            flows.set_text(DST_IP, &format!("10.0.1.{}", instance % 7));
            flows.set_text(OUTCOME, "allowed");
            flows.set_num(END_TIME, 1_700_000_000_000_000 + instance * 3_000_000);
            flows.set_num(DST_PORT, 8080);
            flows.set_num(IS_SRC_DST_ASSIGNMENT_KNOWN, 1);
            flows.end_row();
        }
        let mut partition = Partition::new(&Settings::default(), 100).unwrap();
        let mut told = Vec::new();
        partition.flows(&flows, &mut told);
        assert_eq!(told.len(), 1, "one first contact: {told:?}");
    }

    #[test]
    fn a_batch_is_taken_in_as_its_rows_are() {
        let flows = sample();
        let ends = Ends::new(&flows);
        let settings = Settings::default();
        let partition = || Partition::new(&settings, 100).unwrap();
        let (mut one, mut other) = (partition(), partition());
        let (mut told, mut also) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            one.flows(&flows, &mut told);
            (0..flows.len()).for_each(|row| other.event(&ends.event(row), &mut also));
        }
        assert!(told.len() > 20, "{told:?}");
        assert_eq!(format!("{told:?}"), format!("{also:?}"));
        let [one, other] = [one, other].map(|partition| {
            let mut writer = SnapshotWriter::default();
            partition.save(&mut writer);
            writer.finish()
        });
        assert_eq!(one, other);
        assert_eq!(ends.event(0).bytes_out, None);
        assert_eq!(ends.event(1).bytes_out, Some(10));
        assert_eq!(ends.event(0).conversation, Conversation::default());
        let spoken = Conversation {
            app_protocol: Some("http"),
            operation: Some("GET"),
            resource: Some("/a"),
            src_principal: Some("spiffe://a"),
            dst_principal: Some("spiffe://b"),
            encryption: Some("mtls"),
            src_verified: Some(true),
            dst_verified: Some(false),
        };
        assert_eq!(ends.event(1).conversation, spoken);
    }
}

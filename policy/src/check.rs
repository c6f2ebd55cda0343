//! The check of a whole batch: fills `declared_verdict`, `declared_rule` and `declared_policy_version`.
//!
//! Each row is two look-ups: the pair of entities, then the pair with what else decides. The rules themselves are asked
//! once for each different question.

use crate::decision::{DeclaredVerdict, Facts, is_mtls, narrow};
use crate::memo::{Memo, Table};
use crate::set::{PolicySet, Rules, is_second};
use std::borrow::Cow;
use std::net::IpAddr;
use tradewind_model::flow::{
    DECLARED_POLICY_VERSION, DECLARED_RULE, DECLARED_VERDICT, DST_ENTITY, DST_IP, DST_PORT, ENCRYPTION,
    IS_SRC_DST_ASSIGNMENT_KNOWN, OPERATION, PROTOCOL_NUM, RESOURCE, SRC_ENTITY, SRC_IP, SRC_PORT,
};
use tradewind_model::{FlowBatch, NULL_CODE, TextCol};

/// Memory that one thread keeps from batch to batch. It holds nothing that changes an answer.
#[derive(Debug, Default)]
pub struct PolicyScratch {
    memo: Memo,
    /// By code of this batch.
    profiles: [Vec<u32>; 2],
    /// Pairs by profile of `src` and of `dst`, where all are few enough; [`UNSET`] where not asked yet.
    pairs: Vec<u32>,
    pairs_width: usize,
    /// By code of this batch; [`UNSET`] where not asked yet.
    addresses: [Vec<u32>; 2],
    encryption: Vec<u8>,
    /// Answers that depend on texts of this batch.
    by_text: Table<TextKey>,
    /// Code in `declared_rule` by number of the name; [`NULL_CODE`] where it has none in this batch.
    rule_codes: Vec<u32>,
    named: Vec<u32>,
}

/// What decides where operation, resource or addresses do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct TextKey {
    transport: u64,
    application: u64,
    addresses: u64,
}

const UNSET: u32 = u32::MAX;
/// How large the table of pairs may be: emptying it costs less than a nanosecond a row.
const PLACES_PER_ROW: usize = 4;
/// An answer: the verdict above, the number of the name below.
const NAME_BITS: u32 = 30;

impl PolicySet {
    /// Fills the three columns of every row.
    pub fn check(&self, flows: &mut FlowBatch, scratch: &mut PolicyScratch) {
        let rows = flows.len();
        scratch.begin(self, flows);
        let mut answers = Vec::with_capacity(rows);
        scratch.answer(&self.rules, flows, &mut answers);
        scratch.write(self, flows, answers);
    }
}

/// The columns of a batch that the check reads row by row.
struct Columns<'b> {
    flows: &'b FlowBatch,
    entities: [Cow<'b, [u32]>; 2],
    ports: [Cow<'b, [i64]>; 2],
    protocol: Cow<'b, [i64]>,
}

impl Columns<'_> {
    /// Whether the row says what was asked. Most sources see no requests; their rows are alike in that.
    #[inline]
    fn has_request(&self, row: usize) -> bool {
        [OPERATION, RESOURCE].into_iter().any(|column| self.flows.text(column).code(row) != NULL_CODE)
    }
}

impl PolicyScratch {
    fn begin(&mut self, set: &PolicySet, flows: &FlowBatch) {
        self.memo.prepare(set);
        let rules = &*set.rules;
        for (profiles, column) in self.profiles.iter_mut().zip([SRC_ENTITY, DST_ENTITY]) {
            profiles.clear();
            // Null is an entity without a name.
            profiles.push(self.memo.profile(rules, ""));
            profiles.extend(flows.text(column).dictionary().iter().map(|entity| self.memo.profile(rules, entity)));
        }
        self.pairs_width = self.memo.profile_count();
        let places = self.pairs_width * self.pairs_width;
        self.pairs.clear();
        self.pairs.resize(if places <= flows.len().saturating_mul(PLACES_PER_ROW) { places } else { 0 }, UNSET);
        for (addresses, column) in self.addresses.iter_mut().zip([SRC_IP, DST_IP]) {
            addresses.clear();
            addresses.resize(flows.text(column).dictionary().len() + 1, UNSET);
        }
        self.encryption.clear();
        self.encryption.push(0);
        let words = flows.text(ENCRYPTION).dictionary().iter();
        self.encryption.extend(words.map(|word| if is_mtls(Some(word)) == Some(true) { 2 } else { 1 }));
        self.by_text.clear();
        self.rule_codes.resize(rules.names.len(), NULL_CODE);
        for name in self.named.drain(..) {
            if let Some(code) = self.rule_codes.get_mut(name as usize) {
                *code = NULL_CODE;
            }
        }
    }

    fn answer(&mut self, rules: &Rules, flows: &FlowBatch, answers: &mut Vec<u32>) {
        let rows = flows.len();
        let columns = Columns {
            flows,
            entities: [SRC_ENTITY, DST_ENTITY].map(|column| flows.text(column).codes(rows)),
            ports: [SRC_PORT, DST_PORT].map(|column| flows.num(column).values(rows)),
            protocol: flows.num(PROTOCOL_NUM).values(rows),
        };
        let is_known = flows.num(IS_SRC_DST_ASSIGNMENT_KNOWN);
        for row in 0..rows {
            let mut answer = self.answer_row(rules, &columns, row, 0);
            if is_known.raw(row) == 0 {
                let swapped = self.answer_row(rules, &columns, row, 1);
                if answer >> NAME_BITS != swapped >> NAME_BITS {
                    answer = pack(DeclaredVerdict::Unknown, answer & ((1 << NAME_BITS) - 1));
                }
            }
            answers.push(answer);
        }
    }

    /// The answer for a row whose initiator is `src` (0) or `dst` (1).
    #[inline]
    fn answer_row(&mut self, rules: &Rules, columns: &Columns<'_>, row: usize, from: usize) -> u32 {
        let to = 1 - from;
        let pair = self.pair(rules, columns, row, from);
        let needs = self.memo.needs[pair as usize];
        let mut transport = u64::from(pair) << 32;
        if needs.transport {
            // Classes fit 17 bits, protocols 9; 0 is what was not seen.
            let port =
                narrow(Some(columns.ports[to][row])).map_or(0, |port| u64::from(rules.port_classes.class(port)) + 1);
            let protocol = narrow::<u8>(Some(columns.protocol[row])).map_or(0, |protocol| u64::from(protocol) + 1);
            transport |= port << 11 | protocol << 2;
        }
        if needs.encryption {
            transport |= u64::from(self.encryption[columns.flows.text(ENCRYPTION).code(row) as usize]);
        }
        if needs.addresses != [false; 2] || (needs.application && columns.has_request(row)) {
            return self.answer_by_text(rules, columns, row, from, transport);
        }
        if let Some(answer) = self.memo.by_transport.get(&transport) {
            return *answer;
        }
        let answer = self.decide(rules, columns, row, from, pair);
        self.memo.by_transport.insert(transport, answer);
        answer
    }

    /// The pair of a row's entities.
    #[inline]
    fn pair(&mut self, rules: &Rules, columns: &Columns<'_>, row: usize, from: usize) -> u32 {
        let to = 1 - from;
        let src = self.profiles[from][columns.entities[from][row] as usize];
        let dst = self.profiles[to][columns.entities[to][row] as usize];
        // Profiles known at the start of the batch are below the width.
        let place = src as usize * self.pairs_width + dst as usize;
        if let Some(pair) = self.pairs.get(place).filter(|pair| **pair != UNSET) {
            return *pair;
        }
        let pair = self.memo.pair(rules, src, dst);
        if let Some(place) = self.pairs.get_mut(place) {
            *place = pair;
        }
        pair
    }

    fn answer_by_text(&mut self, rules: &Rules, columns: &Columns<'_>, row: usize, from: usize, transport: u64) -> u32 {
        let pair = u32::try_from(transport >> 32).expect("32 bits are left");
        let needs = self.memo.needs[pair as usize];
        let mut key = TextKey { transport, application: 0, addresses: 0 };
        if needs.application {
            let code = |column| u64::from(columns.flows.text(column).code(row));
            key.application = code(OPERATION) << 32 | code(RESOURCE);
        }
        for (end, shift) in [(0, 0), (1, 32)] {
            if needs.addresses[end] {
                let column = if end == from { 0 } else { 1 };
                key.addresses |= u64::from(self.address_class(rules, columns, row, column)) << shift;
            }
        }
        let across = (key.transport, key.addresses);
        let known = if key.application == 0 { self.memo.by_address.get(&across) } else { self.by_text.get(&key) };
        if let Some(answer) = known {
            return *answer;
        }
        let answer = self.decide(rules, columns, row, from, pair);
        if key.application == 0 {
            self.memo.by_address.insert(across, answer);
        } else {
            self.by_text.insert(key, answer);
        }
        answer
    }

    /// The class of a row's address in `src_ip` (0) or `dst_ip` (1).
    fn address_class(&mut self, rules: &Rules, columns: &Columns<'_>, row: usize, column: usize) -> u32 {
        let code = columns.flows.text(ADDRESSES[column]).code(row);
        let class = &mut self.addresses[column][code as usize];
        if *class == UNSET {
            *class = rules.address_classes.class(address(columns.flows, row, column));
        }
        *class
    }

    #[cold]
    fn decide(&self, rules: &Rules, columns: &Columns<'_>, row: usize, from: usize, pair: u32) -> u32 {
        let text = |column: TextCol| columns.flows.text(column).get(row);
        let operation = text(OPERATION).map(str::to_ascii_lowercase);
        let facts = Facts {
            protocol: narrow(Some(columns.protocol[row])),
            port: narrow(Some(columns.ports[1 - from][row])),
            operation: operation.as_deref(),
            resource: text(RESOURCE),
            is_mtls: is_mtls(text(ENCRYPTION)),
        };
        let [src, dst] = [from, 1 - from].map(|column| address(columns.flows, row, column));
        let ends = rules.decide_ends(self.memo.rules_of(pair), &facts, src, dst);
        let end = ends[usize::from(is_second(ends))];
        pack(end.verdict, end.name)
    }

    fn write(&mut self, set: &PolicySet, flows: &mut FlowBatch, mut answers: Vec<u32>) {
        let rules = flows.text_mut(DECLARED_RULE);
        let codes = answers.iter().map(|answer| {
            let name = answer & ((1 << NAME_BITS) - 1);
            let code = &mut self.rule_codes[name as usize];
            if *code == NULL_CODE {
                *code = rules.intern(set.rules.name(name));
                self.named.push(name);
            }
            *code
        });
        let codes: Vec<u32> = codes.collect();
        rules.replace_codes(codes);
        let verdicts = flows.text_mut(DECLARED_VERDICT);
        let codes = DeclaredVerdict::ALL.map(|verdict| verdicts.intern(verdict.as_str()));
        answers.iter_mut().for_each(|answer| *answer = codes[(*answer >> NAME_BITS) as usize]);
        verdicts.replace_codes(answers);
        flows.num_mut(DECLARED_POLICY_VERSION).replace_values(Vec::new());
        flows.fill_num(DECLARED_POLICY_VERSION, 0, set.version());
    }
}

const ADDRESSES: [TextCol; 2] = [SRC_IP, DST_IP];

fn address(flows: &FlowBatch, row: usize, column: usize) -> Option<IpAddr> {
    flows.text(ADDRESSES[column]).get(row).and_then(|text| text.parse().ok())
}

fn pack(verdict: DeclaredVerdict, name: u32) -> u32 {
    (verdict as u32) << NAME_BITS | name
}

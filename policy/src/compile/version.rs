//! The version of a policy: a hash of what it means.

use super::Placed;
use super::groups::Groups;
use crate::document::{Action, EntitySelector, FORMAT_VERSION, KINDS, Peer, Rule};
use crate::pattern::Pattern;

/// Hashes texts and lists with their lengths, so that no two meanings give the same bytes.
struct Meaning(blake3::Hasher);

/// A positive number from the BLAKE3 hash. Names of policies and rules count, because they are stored with each flow;
/// descriptions, places and the order of files, members and peers do not.
pub(super) fn version(defaults: &[Action; KINDS.len()], policies: &[Placed<'_>], groups: &Groups<'_>) -> i64 {
    let mut meaning = Meaning(blake3::Hasher::new());
    meaning.number(usize::try_from(FORMAT_VERSION).unwrap_or(0));
    defaults.iter().for_each(|action| meaning.flag(*action == Action::Allow));
    meaning.number(groups.list.len());
    for placed in &groups.list {
        meaning.text(&placed.group.name);
        meaning.peers(&placed.group.members);
    }
    meaning.number(policies.len());
    for placed in policies {
        meaning.text(&placed.policy.name);
        meaning.peers(std::slice::from_ref(&placed.policy.subject));
        meaning.text(placed.policy.direction.as_str());
        meaning.number(placed.policy.rules.len());
        placed.policy.rules.iter().for_each(|rule| meaning.rule(rule));
    }
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&meaning.0.finalize().as_bytes()[..8]);
    // 53 bits: what every reader of JSON keeps as it is (RFC 8259, section 6).
    (i64::from_be_bytes(bytes) & ((1 << 53) - 1)).max(1)
}

impl Meaning {
    fn number(&mut self, number: usize) {
        self.0.update(&(number as u64).to_le_bytes());
    }

    fn flag(&mut self, flag: bool) {
        self.0.update(&[u8::from(flag)]);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.update(text.as_bytes());
    }

    fn rule(&mut self, rule: &Rule) {
        self.text(&rule.name);
        self.text(rule.direction.as_str());
        self.peers(&rule.peers);
        self.sorted(rule.ports.iter().map(ToString::to_string).collect());
        self.sorted(rule.operations.iter().map(ToString::to_string).collect());
        self.sorted(rule.resources.iter().map(ToString::to_string).collect());
        self.flag(rule.require_mtls);
    }

    fn peers(&mut self, peers: &[Peer]) {
        self.sorted(peers.iter().map(peer).collect());
    }

    fn sorted(&mut self, mut texts: Vec<String>) {
        texts.sort_unstable();
        texts.dedup();
        self.number(texts.len());
        texts.iter().for_each(|text| self.text(text));
    }
}

/// One text for each meaning. A line break parts what neither patterns nor names may hold.
fn peer(peer: &Peer) -> String {
    match peer {
        Peer::Group(name, _) => format!("group\n{name}"),
        Peer::Cidr(cidr) => format!("cidr\n{}\n{:?}", cidr.network, cidr.except),
        Peer::Entity(selector) => {
            let EntitySelector { network, namespace, kind, name, glob, labels } = &**selector;
            let parts: Vec<&str> = [network, namespace, kind, name, glob].map(Pattern::as_str).to_vec();
            format!("entity\n{}\n{labels:?}", parts.join("\n"))
        }
    }
}

//! The check as the specification says it, word for word and without any index: what the real one is compared with.

use std::net::IpAddr;
use tradewind_model::entity::EntityKind;
use tradewind_policy::document::{
    Action, CidrSelector, Direction, Document, EntitySelector, KINDS, Peer, Policy, Rule, kind_index,
};
use tradewind_policy::{DeclaredVerdict, FlowView};

pub(crate) struct Oracle {
    document: Document,
}

/// Verdict, text of `declared_rule`, and whether only a default allowed.
type Answer = (DeclaredVerdict, String, bool);

fn kind(entity: &str) -> EntityKind {
    entity.split('/').nth(2).and_then(EntityKind::from_word).unwrap_or(EntityKind::Unknown)
}

fn takes(selector: &EntitySelector, entity: &str) -> bool {
    let parts: Vec<&str> = entity.split('/').collect();
    let patterns = [&selector.network, &selector.namespace, &selector.kind, &selector.name];
    patterns.iter().zip(&parts).all(|(pattern, part)| pattern.matches(part))
        && selector.glob.matches(entity)
        && selector.labels.is_empty()
}

fn contains(cidr: &CidrSelector, address: IpAddr) -> bool {
    cidr.network.contains(&address) && !cidr.except.iter().any(|range| range.contains(&address))
}

/// Kleene's or, and: none is unknown.
fn or(answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let answers: Vec<_> = answers.collect();
    match (answers.contains(&Some(true)), answers.contains(&None)) {
        (true, _) => Some(true),
        (false, true) => None,
        (false, false) => Some(false),
    }
}

fn and(answers: &[Option<bool>]) -> Option<bool> {
    or(answers.iter().map(|answer| answer.map(|answer| !answer))).map(|answer| !answer)
}

impl Oracle {
    /// Groups and policies of one document without labels.
    pub(crate) fn new(mut document: Document) -> Self {
        document.policies.sort_by(|a, b| a.name.cmp(&b.name));
        Self { document }
    }

    fn is_peer(&self, peer: &Peer, entity: &str, address: Option<&str>) -> Option<bool> {
        match peer {
            Peer::Entity(selector) => Some(takes(selector, entity)),
            Peer::Group(name, _) => {
                let group = self.document.groups.iter().find(|group| group.name == *name).unwrap();
                or(group.members.iter().map(|member| self.is_peer(member, entity, address)))
            }
            Peer::Cidr(_) if !matches!(kind(entity), EntityKind::External | EntityKind::Unknown) => Some(false),
            Peer::Cidr(cidr) => address.and_then(|text| text.parse().ok()).map(|address| contains(cidr, address)),
        }
    }

    /// What a rule says without regard to mutual TLS.
    fn fits(&self, rule: &Rule, flow: &FlowView<'_>, other: (&str, Option<&str>)) -> Option<bool> {
        let peer = or(rule.peers.iter().map(|peer| self.is_peer(peer, other.0, other.1)));
        let protocol = flow.protocol_num.and_then(|number| u8::try_from(number).ok());
        let port = flow.dst_port.and_then(|number| u16::try_from(number).ok());
        let listed = |is_empty: bool, answer: Option<bool>| if is_empty { Some(true) } else { answer };
        let ports = or(rule.ports.iter().map(|ports| ports.matches(protocol, port)));
        let operation = flow.operation.map(str::to_lowercase);
        let operations = or(rule.operations.iter().map(|pattern| operation.as_ref().map(|text| pattern.matches(text))));
        let resource = |text: &str| text.split('/').all(|segment| segment != "..");
        let resources =
            or(rule.resources.iter().map(|pattern| flow.resource.map(|text| pattern.matches(text) && resource(text))));
        and(&[
            peer,
            listed(rule.ports.is_empty(), ports),
            listed(rule.operations.is_empty(), operations),
            listed(rule.resources.is_empty(), resources),
        ])
    }

    fn end(&self, flow: &FlowView<'_>, own: &str, other: (&str, Option<&str>), direction: Direction) -> Answer {
        let governs = |policy: &&Policy| {
            policy.direction.includes(direction) && self.is_peer(&policy.subject, own, None) == Some(true)
        };
        let policies: Vec<&Policy> = self.document.policies.iter().filter(governs).collect();
        let Some(first) = policies.first() else {
            let kind = kind(own);
            let unset = if kind == EntityKind::External { Action::Allow } else { Action::Deny };
            let action = self.document.defaults.get(&kind_index(kind)).map_or(unset, |(action, _)| *action);
            let verdict = if action == Action::Allow { DeclaredVerdict::Allowed } else { DeclaredVerdict::Denied };
            let name = KINDS[kind_index(kind)].as_str();
            return (verdict, format!("default/{name}/{}", direction.as_str()), action == Action::Allow);
        };
        let is_mtls = flow.encryption.map(|word| word == "mtls");
        let rules = || {
            let all = policies.iter().flat_map(|policy| policy.rules.iter().map(move |rule| (policy, rule)));
            all.filter(|(_, rule)| rule.direction.includes(direction)).map(|(policy, rule)| {
                let mtls = if rule.require_mtls { is_mtls } else { Some(true) };
                (format!("{}/{}", policy.name, rule.name), self.fits(rule, flow, other), mtls)
            })
        };
        for (verdict, answer) in [(DeclaredVerdict::Allowed, Some(true)), (DeclaredVerdict::Unknown, None)] {
            if let Some((name, ..)) = rules().find(|(_, fits, mtls)| and(&[*fits, *mtls]) == answer) {
                return (verdict, name, false);
            }
        }
        let plaintext = rules().find(|(_, fits, mtls)| *fits == Some(true) && *mtls == Some(false));
        let name = plaintext.map_or_else(|| format!("{}/none/{}", first.name, direction.as_str()), |(name, ..)| name);
        (DeclaredVerdict::Denied, name, false)
    }

    fn oriented(&self, flow: &FlowView<'_>) -> (DeclaredVerdict, String) {
        let initiator = self.end(flow, flow.src_entity, (flow.dst_entity, flow.dst_ip), Direction::Initiate);
        let responder = self.end(flow, flow.dst_entity, (flow.src_entity, flow.src_ip), Direction::Receive);
        for verdict in [DeclaredVerdict::Denied, DeclaredVerdict::Unknown] {
            for end in [&initiator, &responder] {
                if end.0 == verdict {
                    return (verdict, end.1.clone());
                }
            }
        }
        let is_responder = initiator.2 && !responder.2;
        (DeclaredVerdict::Allowed, if is_responder { responder.1 } else { initiator.1 })
    }

    pub(crate) fn check(&self, flow: &FlowView<'_>) -> (DeclaredVerdict, String) {
        let (verdict, rule) = self.oriented(flow);
        if !flow.is_src_dst_assignment_known && self.oriented(&flow.swapped()).0 != verdict {
            return (DeclaredVerdict::Unknown, rule);
        }
        (verdict, rule)
    }
}

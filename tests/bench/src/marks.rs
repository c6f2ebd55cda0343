//! Flows that a finding must follow at once, among all others: what they are, and what names them afterwards. Nobody sends
//! them here.
//!
//! A *breach* is of an agent that was never seen and has no policy. A *contact* is of a service that has contacted the same two
//! services for hours, and now five that nobody contacts.

use crate::vpc::push_number;
use std::fmt::Write as _;

/// What makes a mark unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Breach,
    Contact,
}

/// One of them: the entity that a finding will name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Mark {
    pub(crate) kind: Kind,
    /// Below a million.
    pub(crate) number: u32,
}

/// Services that a contact reaches.
const REACHED: u32 = 5;
/// Digits of a number in a name: always as many, so that a name in the middle of bytes has an end.
const DIGITS: usize = 6;
/// What comes before the number in the name of an entity.
const NAMES: [(Kind, &str); 2] = [(Kind::Breach, "bench/agent/breach-"), (Kind::Contact, "bench/service/contact-")];

/// Nobody has a policy, so agents may do nothing and others all.
pub(crate) const POLICY: &str = "version = 1\n\n[defaults]\nservice = \"allow\"\n";

impl Mark {
    fn address(self) -> String {
        let network = if self.kind == Kind::Breach { 96 } else { 100 };
        // Both are of 10.96.0.0/12, which no other entity has.
        address(network, self.number)
    }

    /// Adds the lines that a finding must follow.
    pub(crate) fn push(self, text: &mut Vec<u8>, second: u64) {
        match self.kind {
            Kind::Breach => push_conversation(text, &self.address(), &common(0), second),
            Kind::Contact => {
                for place in 0..REACHED {
                    push_conversation(text, &self.address(), &reached(self.number, place), second);
                }
            }
        }
    }

    /// Adds the lines of what it does as long as all is usual.
    pub(crate) fn push_usual(self, text: &mut Vec<u8>, second: u64) {
        if self.kind == Kind::Contact {
            (0..2).for_each(|server| push_conversation(text, &self.address(), &common(server), second));
        }
    }

    /// The mark whose entity this is.
    pub(crate) fn of_entity(entity: &str) -> Option<Self> {
        NAMES.iter().find_map(|&(kind, name)| {
            let (_, number) = entity.split_once(name)?;
            Some(Self { kind, number: number.parse().ok()? })
        })
    }

    /// The marks that these bytes name, whatever else is in them.
    pub(crate) fn named_in(bytes: &[u8]) -> Vec<Self> {
        let mut found = Vec::new();
        for (kind, name) in NAMES {
            let places = bytes.windows(name.len()).enumerate().filter(|(_, window)| *window == name.as_bytes());
            for (place, _) in places {
                let begin = place + name.len();
                let digits = bytes.get(begin..begin + DIGITS).and_then(|digits| std::str::from_utf8(digits).ok());
                found.extend(digits.and_then(|digits| digits.parse().ok()).map(|number| Self { kind, number }));
            }
        }
        found
    }
}

/// Lines of an inventory that names so many breaches and contacts, and whom they reach.
pub(crate) fn inventory(breaches: u32, contacts: u32) -> String {
    let mut text = String::new();
    let mut add = |address: String, name: String, kind: &str| {
        writeln!(text, "{address},{name},{kind},bench,,,,").expect("a string takes all");
    };
    (0..2).for_each(|server| add(common(server), format!("common-{server}"), "service"));
    for number in 0..breaches {
        add(Mark { kind: Kind::Breach, number }.address(), format!("breach-{number:0DIGITS$}"), "agent");
    }
    for number in 0..contacts {
        add(Mark { kind: Kind::Contact, number }.address(), format!("contact-{number:0DIGITS$}"), "service");
        for place in 0..REACHED {
            add(reached(number, place), format!("reached-{number}-{place}"), "service");
        }
    }
    text
}

/// A service that many contact.
fn common(server: u32) -> String {
    format!("10.111.0.{}", server + 1)
}

fn reached(number: u32, place: u32) -> String {
    address(104, number * REACHED + place)
}

/// One of 2^18 addresses from 10.NETWORK.0.0 on.
fn address(network: u32, number: u32) -> String {
    format!("10.{}.{}.{}", network + (number >> 16), number >> 8 & 255, number & 255)
}

/// One connection as both ways of it, as the client's interface saw them.
fn push_conversation(text: &mut Vec<u8>, client: &str, server: &str, second: u64) {
    for (src, dst, ports) in [(client, server, b" 40000 8443 "), (server, client, b" 8443 40000 ")] {
        text.extend_from_slice(b"2 123456789010 eni-0bench ");
        text.extend_from_slice(src.as_bytes());
        text.push(b' ');
        text.extend_from_slice(dst.as_bytes());
        text.extend_from_slice(ports);
        text.extend_from_slice(b"6 10 4000 ");
        push_number(text, second.saturating_sub(1));
        text.push(b' ');
        push_number(text, second);
        text.extend_from_slice(b" ACCEPT OK\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_by_its_name() {
        let check = |text: &str, expected: &[(Kind, u32)]| {
            let found: Vec<_> = Mark::named_in(text.as_bytes()).iter().map(|mark| (mark.kind, mark.number)).collect();
            assert_eq!(found, expected, "{text}");
        };
        check("-/bench/agent/breach-0000127", &[(Kind::Breach, 12)]);
        check("bench/service/contact-000003-/bench/agent/breach-000004", &[(Kind::Breach, 4), (Kind::Contact, 3)]);
        check("bench/agent/breach-00x", &[]);
        let mark = Mark::of_entity("-/bench/service/contact-000042");
        assert_eq!(mark, Some(Mark { kind: Kind::Contact, number: 42 }));
        assert_eq!(Mark::of_entity("-/bench/service/reached-1-2"), None);
    }

    #[test]
    fn the_inventory_knows_every_address() {
        let inventory = inventory(300, 300);
        let mark = Mark { kind: Kind::Contact, number: 299 };
        let mut text = Vec::new();
        mark.push(&mut text, 1_800_000_000);
        mark.push_usual(&mut text, 1_800_000_000);
        Mark { kind: Kind::Breach, number: 299 }.push(&mut text, 1_800_000_000);
        let text = String::from_utf8_lossy(&text);
        assert_eq!(text.lines().count(), 16);
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(words.len(), 14, "{line}");
            for address in &words[3..5] {
                let known = inventory.lines().filter(|known| known.split(',').next() == Some(*address)).count();
                assert_eq!(known, 1, "{address}");
            }
        }
    }
}

//! What the producers tell: AWS VPC flow log records, each with a number of its own, made from the seed and that number alone.
//! Who sends them, and what became of them, is not known here.
//!
//! Event time goes by epochs of a minute. Within it a small network goes about its business, and every 25 minutes one of its
//! services scans, one breaks the policy, and one contacts what it never contacted before.

use crate::random::mixed;
use std::fmt::Write as _;

/// Length of an epoch in event time, seconds.
pub(crate) const EPOCH_S: u64 = 60;
/// 2026-01-05T00:00:00Z: a time of the past, so that nothing depends on the day of the run.
const BEGIN_S: u64 = 1_767_571_200;
/// After so many epochs the same kinds of misbehaviour come again, by others.
const CYCLE: u64 = 25;
const SCAN: (u64, u64) = (18, 40);
const BREACH: (u64, u64) = (21, 6);
const CONTACT: (u64, u64) = (23, 12);
/// Records that an epoch needs at least, so that what is planted fits.
pub(crate) const EPOCH_RECORDS_MIN: u64 = 48;
const CLIENTS: u64 = 24;
const SERVERS: u64 = 12;
/// How many of a thousand records are malformed.
const MALFORMED_PER_THOUSAND: u64 = 10;

/// A record's number: when, by whom, and which of theirs. It travels in the field `account-id`, which has 12 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Number {
    pub(crate) epoch: u64,
    pub(crate) lane: u64,
    pub(crate) index: u64,
}

impl Number {
    const LANES: u64 = 100;
    const INDEXES: u64 = 100_000;

    fn code(self) -> u64 {
        (self.epoch * Self::LANES + self.lane) * Self::INDEXES + self.index
    }

    /// The number in twelve digits.
    pub(crate) fn text(self) -> String {
        format!("{:012}", self.code())
    }

    /// What [`Number::text`] has written; `None` for any other text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_ours = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        let code: u64 = text.parse().ok().filter(|_| is_ours)?;
        let (rest, index) = (code / Self::INDEXES, code % Self::INDEXES);
        Some(Self { epoch: rest / Self::LANES, lane: rest % Self::LANES, index })
    }
}

/// What a well-formed record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) src: String,
    pub(crate) dst: String,
    pub(crate) src_port: u64,
    pub(crate) dst_port: u64,
    pub(crate) bytes: u64,
    start: u64,
    end: u64,
    action: &'static str,
}

/// All records of a seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    pub(crate) seed: u64,
    /// Producers that share an epoch's records evenly.
    pub(crate) lanes: u64,
    /// Records of an epoch.
    pub(crate) epoch_records: u64,
}

impl Traffic {
    /// Whether the record is one that no parser can accept.
    pub(crate) fn is_malformed(&self, number: Number) -> bool {
        self.planted(number).is_none() && self.draw(number, 1) % 1_000 < MALFORMED_PER_THOUSAND
    }

    /// The record as a line without its end.
    pub(crate) fn line(&self, number: Number) -> String {
        let flow = self.flow(number);
        let Flow { src, dst, src_port, dst_port, bytes, start, end, action } = &flow;
        let account = number.text();
        let mut line = format!("2 {account} eni-{:04x} ", dst_port);
        let packets = 1 + bytes / 700;
        let fault = self.is_malformed(number).then(|| self.draw(number, 2) % 4);
        // Each kind of fault leaves the number where it is, so that the dead letter tells whose it was.
        let wrote = match fault {
            None => write!(line, "{src} {dst} {src_port} {dst_port} 6 {packets} {bytes} {start} {end} {action} OK"),
            Some(0) => {
                write!(line, "10.10.0.x {dst} {src_port} {dst_port} 6 {packets} {bytes} {start} {end} {action} OK")
            }
            Some(1) => write!(line, "{src} {dst} 70000 {dst_port} 6 {packets} {bytes} {start} {end} {action} OK"),
            Some(2) => write!(line, "{src} {dst} {src_port} {dst_port} 6 many {bytes} {start} {end} {action} OK"),
            Some(_) => write!(line, "{src} {dst} {src_port} {dst_port} 6 {packets} {bytes} {start} {end} PERHAPS OK"),
        };
        wrote.expect("a string takes all");
        line
    }

    /// What a well-formed record of this number says.
    pub(crate) fn flow(&self, number: Number) -> Flow {
        let place = self.place(number);
        let draw = self.draw(number, 0);
        let client = draw % CLIENTS;
        let (client, dst, dst_port, action) = self.planted(number).unwrap_or_else(|| {
            let server = (client + [0, 1, 3, 7][usize::try_from(draw >> 8 & 3).unwrap_or_default()]) % SERVERS;
            (client, server_address(server), 443 + server, "ACCEPT")
        });
        let begin = BEGIN_S + number.epoch * EPOCH_S;
        let start = begin + (draw >> 16) % (EPOCH_S / 2);
        Flow {
            src: client_address(client),
            dst,
            // No two records that could belong to one connection share it: which of them opens would be a matter of their order.
            src_port: 20_000 + (number.epoch * self.epoch_records + place) % 40_000,
            dst_port,
            bytes: 200 + (draw >> 24) % 1_200,
            start,
            end: start + 1 + (draw >> 40) % (EPOCH_S / 2 - 1),
            action,
        }
    }

    /// Client, destination, port and answer, where the record is part of what is planted.
    fn planted(&self, number: Number) -> Option<(u64, String, u64, &'static str)> {
        let (cycle, epoch, place) = (number.epoch / CYCLE, number.epoch % CYCLE, self.place(number));
        let is = |(at, records): (u64, u64)| epoch == at && place < records;
        if is(SCAN) {
            return Some(((cycle * 5 + 3) % CLIENTS, format!("10.30.{}.{}", cycle % 250, 1 + place), 22, "REJECT"));
        }
        if is(BREACH) {
            return Some(((cycle * 7 + 2) % CLIENTS, VAULT.to_owned(), 8_200, "ACCEPT"));
        }
        let client = (cycle * 11 + 9) % CLIENTS;
        is(CONTACT).then(|| (client, server_address((client + 5) % SERVERS), 443 + (client + 5) % SERVERS, "ACCEPT"))
    }

    /// Which of the epoch's records it is; lanes take turns.
    fn place(&self, number: Number) -> u64 {
        number.index * self.lanes + number.lane
    }

    fn draw(&self, number: Number, purpose: u64) -> u64 {
        mixed(mixed(self.seed ^ purpose.rotate_left(56)) ^ number.code())
    }
}

const VAULT: &str = "10.20.0.100";

fn client_address(client: u64) -> String {
    format!("10.10.0.{}", client + 1)
}

fn server_address(server: u64) -> String {
    format!("10.20.0.{}", server + 1)
}

/// Which service an address stands for: the inventory, in CSV notation.
pub(crate) fn inventory() -> String {
    let mut text = "address,entity,kind,namespace,network,valid_from,valid_to,instance\n".to_owned();
    let mut add = |address: String, name: String| {
        writeln!(text, "{address},{name},service,shop,,,,{name}-1").expect("a string takes all");
    };
    (0..CLIENTS).for_each(|client| add(client_address(client), format!("client-{client}")));
    (0..SERVERS).for_each(|server| add(server_address(server), format!("server-{server}")));
    add(VAULT.to_owned(), "vault".to_owned());
    text
}

/// The communication policy: nobody may contact the vault, and nothing else is said.
pub(crate) const POLICY: &str = r#"version = 1

[defaults]
service = "allow"

[[policy]]
name = "vault"
subject = "shop/vault"
direction = "receive"

[[policy.allow]]
name = "keeper"
from = ["shop/keeper"]
ports = ["8200/tcp"]
"#;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const TRAFFIC: Traffic = Traffic { seed: 7, lanes: 6, epoch_records: 600 };

    fn epoch(epoch: u64) -> impl Iterator<Item = Number> {
        (0..600).map(move |place| Number { epoch, lane: place % 6, index: place / 6 })
    }

    #[test]
    fn numbers_come_back_from_their_text() {
        let check = |text: &str, expected: Option<(u64, u64, u64)>| {
            let expected = expected.map(|(epoch, lane, index)| Number { epoch, lane, index });
            assert_eq!(Number::parse(text), expected, "{text}");
        };
        check("000120300004", Some((12, 3, 4)));
        check("12", None);
        check("0001203000x4", None);
        check("+00120300004", None);
        assert_eq!(Number { epoch: 12, lane: 3, index: 4 }.text(), "000120300004");
    }

    #[test]
    fn a_line_carries_its_number_and_its_fields() {
        for number in epoch(3) {
            let line = TRAFFIC.line(number);
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(Number::parse(words[1]), Some(number));
            let flow = TRAFFIC.flow(number);
            let told = [words[3].to_owned(), words[4].to_owned(), words[5].to_owned(), words[9].to_owned()];
            let is_whole = words.len() == 14
                && words[8] != "many"
                && words[12] != "PERHAPS"
                && told == [flow.src, flow.dst, flow.src_port.to_string(), flow.bytes.to_string()];
            assert_eq!(is_whole, !TRAFFIC.is_malformed(number), "{line}");
        }
    }

    #[test]
    fn some_records_are_malformed_and_none_of_those_planted() {
        let malformed: Vec<Number> = (0..25).flat_map(epoch).filter(|&number| TRAFFIC.is_malformed(number)).collect();
        assert!((75..225).contains(&malformed.len()), "{}", malformed.len());
        assert!(malformed.iter().all(|&number| TRAFFIC.planted(number).is_none()));
    }

    #[test]
    fn connections_of_neighbouring_epochs_differ() {
        let mut seen = HashSet::new();
        for number in (10..20).flat_map(epoch) {
            let flow = TRAFFIC.flow(number);
            assert!(seen.insert((flow.src, flow.src_port, flow.dst, flow.dst_port)));
        }
    }

    #[test]
    fn a_cycle_holds_what_is_planted() {
        let count = |at| epoch(at).filter(|&number| TRAFFIC.planted(number).is_some()).count();
        assert_eq!([count(18), count(21), count(23), count(0)], [40, 6, 12, 0]);
    }
}

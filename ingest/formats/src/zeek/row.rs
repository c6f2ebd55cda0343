//! From a record's values to the columns of a flow. Not the reading of text or JSON.
//!
//! **Ends.** The originator is `src`; who is known to have opened the connection is in `state`. For ICMP, Zeek's ports are
//! type and code; for types that have an answer, such as echo, it writes the answer's type in place of the code.
//!
//! **Size.** `bytes_out` and `bytes_in` are payload (`orig_bytes`, `resp_bytes`), as the sequence numbers of TCP tell it;
//! bytes with headers (`orig_ip_bytes`, `resp_ip_bytes`) and bytes that were not captured (`missed_bytes`) are in
//! `unmapped`.
//!
//! **Time.** A record without `duration` is of one packet: it ends when it starts.

use super::NAME;
use super::field::Field;
use super::record::{Fault, Record};
use super::state::{self, Evidence, Opener, State};
use super::unmapped::Unmapped;
use crate::address_codes::AddressCodes;
use crate::contract::{Decoded, Reason};
use crate::word::Word;
use crate::{decimal, number};
use tradewind_model::flow::{
    APP_PROTOCOL, BYTES_IN, BYTES_OUT, DST_IP, DST_PORT, END_TIME, ICMP_CODE, ICMP_TYPE, IS_SRC_DST_ASSIGNMENT_KNOWN,
    LOGGED_TIME, OBSERVER, ORIENTATION, OUTCOME, PACKETS_IN, PACKETS_OUT, POSITION_OFFSET, PROTOCOL, PROTOCOL_NUM,
    RECORD_KIND, RESULT, SOURCE, SRC_IP, SRC_PORT, START_TIME, STATUS_CODE, VANTAGE,
};
use tradewind_model::outcome::{ConnectionResult, Outcome, outcome};
use tradewind_model::{NumCol, TextCol, protocol, time};

/// The last second of the year 9999.
const SECONDS_MAX: i64 = 253_402_300_799;
/// The last microsecond of the year 9999.
const MICROS_MAX: i64 = SECONDS_MAX * time::SECOND + 999_999;

/// Turns records into rows of one batch. Invariant: the batch is not cleared between [`Rows::new`] and [`Rows::finish`],
/// because codes of the batch are remembered.
#[derive(Debug)]
pub(super) struct Rows {
    from: usize,
    addresses: AddressCodes,
    states: [Word; State::ALL.len()],
    results: [Word; ConnectionResult::ALL.len()],
    outcomes: [Word; Outcome::ALL.len()],
    protocols: [Word; 4],
    by_flags: Word,
    by_port: Word,
    pub(super) unmapped: Unmapped,
}

impl Rows {
    pub(super) fn new(out: &Decoded) -> Self {
        let protocol = |name| Word::new(PROTOCOL, name);
        Self {
            from: out.flows.len(),
            addresses: AddressCodes::default(),
            states: State::ALL.map(|state| Word::new(STATUS_CODE, state.word())),
            results: std::array::from_fn(|index| Word::new(RESULT, ConnectionResult::ALL[index].as_str())),
            outcomes: std::array::from_fn(|index| Word::new(OUTCOME, Outcome::ALL[index].as_str())),
            protocols: ["tcp", "udp", "icmp", "ipv6-icmp"].map(protocol),
            by_flags: Word::new(ORIENTATION, "tcp_flags"),
            by_port: Word::new(ORIENTATION, "port"),
            unmapped: Unmapped::default(),
        }
    }

    /// Gives all rows since [`Rows::new`] what they share.
    pub(super) fn finish(self, out: &mut Decoded) {
        out.flows.fill_text(SOURCE, self.from, NAME);
        out.flows.fill_text(RECORD_KIND, self.from, "connection");
        out.flows.fill_text(VANTAGE, self.from, "network");
    }

    /// Sets the columns of the row being built; `unmapped` holds the record's other values already.
    #[inline]
    pub(super) fn write(&mut self, record: &Record<'_>, offset: u64, out: &mut Decoded) -> Result<(), Fault> {
        times(record, out)?;
        self.end(record, Field::OriginatorAddress, SRC_IP, out)?;
        self.end(record, Field::ResponderAddress, DST_IP, out)?;
        let protocol = self.protocol(record, out)?;
        ports(record, protocol, out)?;
        set(out, BYTES_OUT, count(record, Field::OriginatorBytes)?);
        let responder_bytes = count(record, Field::ResponderBytes)?;
        set(out, BYTES_IN, responder_bytes);
        let originator_packets = count(record, Field::OriginatorPackets)?;
        set(out, PACKETS_OUT, originator_packets);
        let responder_packets = count(record, Field::ResponderPackets)?;
        set(out, PACKETS_IN, responder_packets);
        let history = record.get(Field::History);
        let evidence = Evidence { protocol, history, responder_bytes, originator_packets, responder_packets };
        self.state(record.get(Field::State), &evidence, out);
        set_text(out, APP_PROTOCOL, record.get(Field::Service));
        let (system, node) = (record.get(Field::System), record.get(Field::Node));
        set_text(out, OBSERVER, if system.is_empty() { node } else { system });
        if !system.is_empty() && !node.is_empty() {
            self.unmapped.push_text("\"_node_name\":", node);
        }
        self.unmapped.set(out);
        out.flows.set_num(POSITION_OFFSET, i64::try_from(offset).unwrap_or(i64::MAX));
        Ok(())
    }

    #[inline]
    fn end(&mut self, record: &Record<'_>, field: Field, column: TextCol, out: &mut Decoded) -> Result<(), Fault> {
        let text = record.get(field);
        if text.is_empty() {
            return Ok(());
        }
        let code = self.addresses.code(column, text, &mut out.flows);
        let code =
            code.ok_or_else(|| Fault::value(Reason::BadAddress, field, text, "an IPv4 or IPv6 address without zone"))?;
        out.flows.set_code(column, code);
        Ok(())
    }

    /// Sets number and name. Zeek writes `icmp` for ICMPv6 too, and `unknown_transport` for what it has no name for.
    #[inline]
    fn protocol(&mut self, record: &Record<'_>, out: &mut Decoded) -> Result<Option<i64>, Fault> {
        let is_v6 = || record.get(Field::OriginatorAddress).contains(':');
        let (number, place) = match record.get(Field::Protocol) {
            "tcp" => (protocol::TCP, 0),
            "udp" => (protocol::UDP, 1),
            "icmp" if is_v6() => (protocol::ICMP6, 3),
            "icmp" => (protocol::ICMP, 2),
            other => return self.other_protocol(other, record, out),
        };
        out.flows.set_num(PROTOCOL_NUM, number);
        self.protocols[place].set(out);
        Ok(Some(number))
    }

    #[cold]
    fn other_protocol(&mut self, name: &str, record: &Record<'_>, out: &mut Decoded) -> Result<Option<i64>, Fault> {
        if !matches!(name, "" | "unknown_transport") {
            self.unmapped.push_text("\"proto\":", name);
        }
        let Some(number) = number(record, Field::ProtocolNumber, 255)? else { return Ok(None) };
        out.flows.set_num(PROTOCOL_NUM, number);
        set_text(out, PROTOCOL, protocol::name(number).unwrap_or_default());
        Ok(Some(number))
    }

    #[inline]
    fn state(&mut self, word: &str, evidence: &Evidence<'_>, out: &mut Decoded) {
        let state = State::of(word);
        let result = state.and_then(|state| state::result(state, evidence));
        match state {
            Some(state) => self.states[state as usize].set(out),
            None => set_text(out, STATUS_CODE, word),
        }
        // The lists `ALL` are in declaration order, so a value's number is its place.
        if let Some(result) = result {
            self.results[result as usize].set(out);
        }
        self.outcomes[outcome(None, result) as usize].set(out);
        let opener = state::opener(state, evidence.protocol, evidence.history);
        out.flows.set_num(IS_SRC_DST_ASSIGNMENT_KNOWN, i64::from(opener != Opener::Unknown));
        match opener {
            Opener::TcpFlags => self.by_flags.set(out),
            Opener::Port => self.by_port.set(out),
            // `log` and `unknown` are what a row without a rule gets.
            Opener::Log | Opener::Unknown => {}
        }
    }
}

#[inline]
fn times(record: &Record<'_>, out: &mut Decoded) -> Result<(), Fault> {
    set(out, LOGGED_TIME, time(record, Field::WriteTime)?);
    let Some(start) = time(record, Field::Time)? else { return Ok(()) };
    let duration = record.get(Field::Duration);
    let length = if duration.is_empty() { Some(0) } else { decimal::micros(duration) };
    let end = length.and_then(|length| start.checked_add(length)).filter(|end| (0..=MICROS_MAX).contains(end));
    let end = end.ok_or_else(|| Fault::value(Reason::BadNumber, Field::Duration, duration, "a number of seconds"))?;
    out.flows.set_num(START_TIME, start);
    out.flows.set_num(END_TIME, end);
    Ok(())
}

/// A time in one of the three ways that Zeek has (`LogAscii::json_timestamps`): seconds with a fraction, ISO 8601, or
/// whole milliseconds, which no number of seconds before the year 10000 can be.
#[inline]
fn time(record: &Record<'_>, field: Field) -> Result<Option<i64>, Fault> {
    let text = record.get(field);
    if text.is_empty() {
        return Ok(None);
    }
    match decimal::micros(text) {
        Some(micros) if (0..=MICROS_MAX).contains(&micros) => Ok(Some(micros)),
        _ => other_time(text, field).map(Some),
    }
}

fn other_time(text: &str, field: Field) -> Result<i64, Fault> {
    let millis = number::digits(text.as_bytes()).filter(|&millis| millis > SECONDS_MAX);
    let micros = match millis {
        Some(millis) => millis.checked_mul(1000),
        None => time::parse(text).ok(),
    };
    micros.filter(|micros| (0..=MICROS_MAX).contains(micros)).ok_or_else(|| {
        Fault::value(
            Reason::BadTime,
            field,
            text,
            "seconds or milliseconds since 1970 or ISO 8601, up to the year 9999",
        )
    })
}

/// Ports; where there are none, Zeek writes 0.
#[inline]
fn ports(record: &Record<'_>, protocol: Option<i64>, out: &mut Decoded) -> Result<(), Fault> {
    if matches!(protocol, Some(protocol::ICMP | protocol::ICMP6)) {
        set(out, ICMP_TYPE, number(record, Field::OriginatorPort, 255)?);
        set(out, ICMP_CODE, number(record, Field::ResponderPort, 255)?);
        return Ok(());
    }
    let has_ports = matches!(protocol, None | Some(protocol::TCP | protocol::UDP | 33 | 132 | 136));
    for (field, column) in [(Field::OriginatorPort, SRC_PORT), (Field::ResponderPort, DST_PORT)] {
        let port = number(record, field, i64::from(u16::MAX))?;
        set(out, column, port.filter(|&port| port != 0 || has_ports));
    }
    Ok(())
}

#[inline]
fn count(record: &Record<'_>, field: Field) -> Result<Option<i64>, Fault> {
    number(record, field, i64::MAX)
}

#[inline]
fn number(record: &Record<'_>, field: Field, max: i64) -> Result<Option<i64>, Fault> {
    let text = record.get(field);
    if text.is_empty() {
        return Ok(None);
    }
    match number::digits(text.as_bytes()) {
        Some(number) if number <= max => Ok(Some(number)),
        _ => Err(bad_number(field, text, max)),
    }
}

#[cold]
fn bad_number(field: Field, text: &str, max: i64) -> Fault {
    Fault::value(Reason::BadNumber, field, text, &format!("a whole number from 0 to {max}"))
}

#[inline]
fn set(out: &mut Decoded, column: NumCol, value: Option<i64>) {
    if let Some(value) = value {
        out.flows.set_num(column, value);
    }
}

#[inline]
fn set_text(out: &mut Decoded, column: TextCol, text: &str) {
    if !text.is_empty() {
        out.flows.set_text(column, text);
    }
}

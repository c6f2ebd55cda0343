//! One record's words to the columns of one row. It knows the meaning of the fields, not where the words come from.

use super::answer::Answers;
use super::field::Field;
use super::layout::{ABSENT, Layout};
use super::unmapped::Unmapped;
use crate::address_codes::AddressCodes;
use crate::contract::{Decoded, Reason};
use crate::word::Word;
use crate::{address, number};
use tradewind_model::{NULL_CODE, NULL_NUM, NumCol, TextCol, flow, protocol, time};

/// The words of one record by their place in the layout; the place [`ABSENT`] always holds `-`.
pub(super) type Words<'a> = [&'a str; ABSENT as usize + 1];

/// Words of a record without any field.
pub(super) const fn no_words<'a>() -> Words<'a> {
    ["-"; ABSENT as usize + 1]
}

/// The last second of the year 9999; AWS writes seconds since 1970.
const SECONDS_MAX: i64 = 253_402_300_799;

/// Where a record was found, and what its envelope says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    pub(super) offset: u64,
    pub(super) index: Option<u32>,
    /// When the log service took it, in microseconds, or [`NULL_NUM`].
    pub(super) logged_time: i64,
    /// Account and observer where the layout has none; `-` for none.
    pub(super) account: &'a str,
    pub(super) observer: &'a str,
}

impl Origin<'_> {
    pub(super) const fn line(offset: u64) -> Self {
        Self { offset, index: None, logged_time: NULL_NUM, account: "-", observer: "-" }
    }
}

/// Why a record is rejected.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) reason: Reason,
    pub(super) detail: String,
}

/// The last text of a column whose neighbours mostly agree.
#[derive(Debug, Default)]
pub(super) struct Last {
    text: String,
    code: u32,
}

/// Turns records into rows of one batch. Invariant: the batch is not cleared between [`Rows::new`] and [`Rows::finish`],
/// because codes of the batch are remembered.
#[derive(Debug)]
pub(super) struct Rows<'l> {
    pub(super) layout: &'l Layout,
    from: usize,
    pub(super) answers: Answers,
    protocols: [u32; 256],
    account: Last,
    observer: Last,
    pub(super) src_network: Last,
    pub(super) dst_network: Last,
    pub(super) region: Last,
    pub(super) vantage_source: Word,
    pub(super) vantage_destination: Word,
    pub(super) vantage_network: Word,
    addresses: AddressCodes,
    pub(super) unmapped: Unmapped,
}

impl<'l> Rows<'l> {
    pub(super) fn new(layout: &'l Layout, out: &Decoded) -> Self {
        Self {
            layout,
            from: out.flows.len(),
            answers: Answers::default(),
            protocols: [NULL_CODE; 256],
            account: Last::default(),
            observer: Last::default(),
            src_network: Last::default(),
            dst_network: Last::default(),
            region: Last::default(),
            vantage_source: Word::new(flow::VANTAGE, "source"),
            vantage_destination: Word::new(flow::VANTAGE, "destination"),
            vantage_network: Word::new(flow::VANTAGE, "network"),
            addresses: AddressCodes::default(),
            unmapped: Unmapped::default(),
        }
    }

    /// Gives all rows since [`Rows::new`] what they share.
    pub(super) fn finish(self, out: &mut Decoded) {
        out.flows.fill_text(flow::SOURCE, self.from, super::NAME);
        out.flows.fill_text(flow::RECORD_KIND, self.from, "interval");
        out.flows.fill_num(flow::IS_SRC_DST_ASSIGNMENT_KNOWN, self.from, 0);
    }

    /// Keeps a record as a row or a gap, or says why not; then nothing of it is left in the row at hand.
    #[inline]
    pub(super) fn record(&mut self, words: &Words<'_>, origin: &Origin<'_>, out: &mut Decoded) -> Result<(), Fault> {
        let status = self.word(words, Field::LogStatus);
        if status != "OK" && status != "-" {
            return self.gap(status, words, origin, out);
        }
        match self.flow(words, origin, out) {
            Ok(()) => {
                out.accept();
                Ok(())
            }
            Err(fault) => {
                out.flows.abort_row();
                Err(fault)
            }
        }
    }

    #[inline]
    pub(super) fn word<'a>(&self, words: &Words<'a>, field: Field) -> &'a str {
        words[usize::from(self.layout.place(field))]
    }

    /// NODATA and SKIPDATA state that records are missing. They are no flows, even where test data gives them addresses.
    #[cold]
    fn gap(&self, status: &str, words: &Words<'_>, origin: &Origin<'_>, out: &mut Decoded) -> Result<(), Fault> {
        let reason = match status {
            "NODATA" => "NODATA",
            "SKIPDATA" => "SKIPDATA",
            other => return Err(fault(Reason::BadValue, Field::LogStatus, other, "OK, NODATA or SKIPDATA")),
        };
        let end = self.time(words, Field::End)?;
        let start = self.time(words, Field::Start)?;
        let time = [end, start, origin.logged_time].into_iter().find(|&time| time != NULL_NUM).unwrap_or_default();
        let observer = self.observer_word(words, origin);
        out.gap((observer != "-").then_some(observer), time, reason);
        Ok(())
    }

    #[inline]
    fn flow(&mut self, words: &Words<'_>, origin: &Origin<'_>, out: &mut Decoded) -> Result<(), Fault> {
        self.unmapped.clear();
        let protocol = self.number(words, Field::Protocol, 255)?;
        if protocol != NULL_NUM {
            out.flows.set_num(flow::PROTOCOL_NUM, protocol);
            self.protocol_name(protocol, out);
        }
        self.port(words, Field::Srcport, flow::SRC_PORT, protocol, out)?;
        self.port(words, Field::Dstport, flow::DST_PORT, protocol, out)?;
        for (field, column) in [(Field::Packets, flow::PACKETS_OUT), (Field::Bytes, flow::BYTES_OUT)] {
            let count = self.number(words, field, i64::MAX)?;
            set_num(out, column, count);
        }
        set_num(out, flow::START_TIME, self.time(words, Field::Start)?);
        set_num(out, flow::END_TIME, self.time(words, Field::End)?);
        if self.layout.is_beyond_default() {
            self.beyond_default(words, protocol, origin, out)?;
        } else {
            self.end(words, flow::SRC_IP, Field::Srcaddr, Field::Srcaddr, out)?;
            self.end(words, flow::DST_IP, Field::Dstaddr, Field::Dstaddr, out)?;
        }
        self.answer(words, out)?;
        self.unmapped.set(out);
        let account = or(self.word(words, Field::AccountId), origin.account);
        if account != "-" && account != "unknown" {
            set_last(&mut self.account, flow::ACCOUNT, account, out);
        }
        let observer = self.observer_word(words, origin);
        if observer != "-" {
            set_last(&mut self.observer, flow::OBSERVER, observer, out);
        }
        out.flows.set_num(flow::POSITION_OFFSET, i64::try_from(origin.offset).unwrap_or(i64::MAX));
        if let Some(index) = origin.index {
            out.flows.set_num(flow::POSITION_INDEX, i64::from(index));
        }
        set_num(out, flow::LOGGED_TIME, origin.logged_time);
        Ok(())
    }

    #[inline]
    pub(super) fn observer_word<'a>(&self, words: &Words<'a>, origin: &Origin<'a>) -> &'a str {
        if self.layout.is_transit_gateway() {
            let attachment = or(self.word(words, Field::TgwAttachmentId), self.word(words, Field::TgwId));
            return or(attachment, origin.observer);
        }
        or(or(self.word(words, Field::InterfaceId), self.word(words, Field::ResourceId)), origin.observer)
    }

    #[inline]
    fn answer(&mut self, words: &Words<'_>, out: &mut Decoded) -> Result<(), Fault> {
        let reason = self.word(words, Field::RejectReason);
        match self.word(words, Field::Action) {
            "ACCEPT" => self.answers.accept.set(out),
            "REJECT" => self.answers.reject.set(out),
            "-" if self.layout.is_transit_gateway() => return self.forwarded_or_lost(words, out),
            "-" => self.answers.unstated.set(out),
            other => return Err(fault(Reason::BadValue, Field::Action, other, "ACCEPT or REJECT")),
        }
        if reason != "-" {
            out.flows.set_text(flow::OUTCOME_REASON, reason);
        }
        Ok(())
    }

    /// Sets the address of an end: the packet's own where there is one. The interface's, where it differs, is kept aside.
    #[inline]
    pub(super) fn end(
        &mut self,
        words: &Words<'_>,
        column: TextCol,
        packet: Field,
        interface: Field,
        out: &mut Decoded,
    ) -> Result<(), Fault> {
        let (packet_word, interface_word) = (self.word(words, packet), self.word(words, interface));
        let (field, word) = if packet_word == "-" { (interface, interface_word) } else { (packet, packet_word) };
        if word == "-" {
            return Ok(());
        }
        let code = self.addresses.code(column, word, &mut out.flows).ok_or_else(|| bad_address(field, word))?;
        out.flows.set_code(column, code);
        if word != interface_word && interface_word != "-" {
            let text = address::canonical(interface_word).ok_or_else(|| bad_address(interface, interface_word))?;
            if out.flows.text(column).dictionary().get(code) != Some(text.as_str()) {
                self.unmapped.push(interface, &text);
            }
        }
        Ok(())
    }

    #[inline]
    fn protocol_name(&mut self, number: i64, out: &mut Decoded) {
        let Some(known) = usize::try_from(number).ok().and_then(|index| self.protocols.get_mut(index)) else { return };
        if *known == NULL_CODE {
            let Some(name) = protocol::name(number) else { return };
            *known = out.flows.text_mut(flow::PROTOCOL).intern(name);
        }
        out.flows.set_code(flow::PROTOCOL, *known);
    }

    /// Protocols without ports are logged with port 0, which is no port.
    #[inline]
    fn port(
        &self,
        words: &Words<'_>,
        field: Field,
        column: NumCol,
        protocol: i64,
        out: &mut Decoded,
    ) -> Result<(), Fault> {
        let port = self.number(words, field, i64::from(u16::MAX))?;
        if port != 0 || matches!(protocol, NULL_NUM | protocol::TCP | protocol::UDP | 33 | 132 | 136) {
            set_num(out, column, port);
        }
        Ok(())
    }

    /// Microseconds, or [`NULL_NUM`].
    #[inline]
    fn time(&self, words: &Words<'_>, field: Field) -> Result<i64, Fault> {
        let word = self.word(words, field);
        match number::digits(word.as_bytes()) {
            Some(seconds) if seconds <= SECONDS_MAX => Ok(seconds * time::SECOND),
            None if word == "-" => Ok(NULL_NUM),
            _ => Err(fault(Reason::BadTime, field, word, "seconds since 1970, up to the year 9999")),
        }
    }

    #[inline]
    pub(super) fn number(&self, words: &Words<'_>, field: Field, max: i64) -> Result<i64, Fault> {
        let word = self.word(words, field);
        match number::digits(word.as_bytes()) {
            Some(value) if value <= max => Ok(value),
            None if word == "-" => Ok(NULL_NUM),
            _ => Err(fault(Reason::BadNumber, field, word, &format!("a whole number from 0 to {max}"))),
        }
    }
}

#[inline]
pub(super) fn or<'a>(word: &'a str, other: &'a str) -> &'a str {
    if word == "-" { other } else { word }
}

#[inline]
pub(super) fn set_num(out: &mut Decoded, column: NumCol, value: i64) {
    if value != NULL_NUM {
        out.flows.set_num(column, value);
    }
}

#[inline]
pub(super) fn set_last(last: &mut Last, column: TextCol, text: &str, out: &mut Decoded) {
    if last.code == NULL_CODE || last.text != text {
        last.code = out.flows.text_mut(column).intern(text);
        last.text.clear();
        last.text.push_str(text);
    }
    out.flows.set_code(column, last.code);
}

#[cold]
fn bad_address(field: Field, word: &str) -> Fault {
    fault(Reason::BadAddress, field, word, "an IPv4 or IPv6 address without zone")
}

#[cold]
fn fault(reason: Reason, field: Field, word: &str, expected: &str) -> Fault {
    let shown: String = word.chars().take(80).collect();
    Fault { reason, detail: format!("{}: `{shown}` is not {expected}", field.name()) }
}

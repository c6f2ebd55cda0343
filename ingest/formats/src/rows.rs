//! Builds rows of one batch: the setters that formats share, and the loops over lines and JSON records. Not what a field
//! means, and not the hot path: AWS VPC, Envoy and Zeek write their columns themselves.

use crate::address_codes::AddressCodes;
use crate::contract::{Decoded, Fault, Format, Reason};
use crate::framing::Records;
use crate::json::{Doc, Value};
use crate::unmapped::Unmapped;
use crate::{endpoint, http, lines, number, record_ends};
use tradewind_model::flow::{
    APP_PROTOCOL, DST_IP, DST_PORT, END_TIME, IS_SRC_DST_ASSIGNMENT_KNOWN, OPERATION, OPERATION_STATUS, ORIENTATION,
    OUTCOME, POSITION_INDEX, POSITION_OFFSET, PROTOCOL, PROTOCOL_NUM, RECORD_KIND, RESOURCE, RESULT, SOURCE, SRC_IP,
    SRC_PORT, START_TIME, TIME_QUALITY, VANTAGE, VERDICT,
};
use tradewind_model::outcome::{ConnectionResult, Verdict, outcome};
use tradewind_model::{NumCol, TextCol, protocol};

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The initiator.
    Src,
    /// The responder.
    Dst,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Its columns are set: it is one row.
    Row,
    /// Its rows, gaps and rejects were counted one by one already.
    Done,
}

/// What a row says of itself beside its fields. Each row starts with the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nature {
    /// The word in `record_kind`: connection, interval, request, packet, event.
    pub(crate) kind: &'static str,
    /// The word in `vantage`; none where the log does not tell.
    pub(crate) vantage: Option<&'static str>,
    /// The word in `orientation`: `log` where the log says who opened the connection, `unknown` where nobody does.
    pub(crate) orientation: &'static str,
}

/// Rows of one batch. Invariant: the batch is not cleared between [`Rows::new`] and [`Rows::finish`].
#[derive(Debug)]
pub(crate) struct Rows<'o, 'i> {
    out: &'o mut Decoded,
    source: &'static str,
    default: Nature,
    addresses: AddressCodes,
    /// Of the row at hand; the format may change it.
    pub(crate) nature: Nature,
    /// Fields of the row at hand that have no column.
    pub(crate) unmapped: Unmapped,
    verdict: Option<Verdict>,
    result: Option<ConnectionResult>,
    has_time: bool,
    /// The record at hand and where it begins.
    record: &'i [u8],
    offset: u64,
}

impl<'o, 'i> Rows<'o, 'i> {
    /// Rows of the format `source`, each of which begins with that nature.
    pub(crate) fn new(out: &'o mut Decoded, source: &'static str, default: Nature) -> Self {
        Self {
            out,
            source,
            default,
            addresses: AddressCodes::default(),
            nature: default,
            unmapped: Unmapped::default(),
            verdict: None,
            result: None,
            has_time: false,
            record: &[],
            offset: 0,
        }
    }

    /// Ends the use of the batch: it may be cleared again.
    pub(crate) fn finish(self) {}

    /// Calls `each` with every line that is not blank; what it returns decides what becomes of the line.
    pub(crate) fn each_line(
        &mut self,
        input: &'i [u8],
        offset: u64,
        mut each: impl FnMut(&mut Self, &'i str) -> Result<Written, Fault>,
    ) {
        for (start, line) in lines::of(input) {
            self.begin(line, offset + start as u64);
            let written = match lines::text(line) {
                Ok(text) => each(self, text),
                Err(fault) => Err(fault),
            };
            self.end(written);
        }
    }

    /// Calls `each` with every JSON record; records end where `records` says.
    pub(crate) fn each_json(
        &mut self,
        input: &'i [u8],
        offset: u64,
        records: Records,
        mut each: impl FnMut(&mut Self, Value<'_>) -> Result<Written, Fault>,
    ) {
        let mut doc = Doc::new();
        for (start, record) in record_ends::records(input, records) {
            self.begin(record, offset + start as u64);
            let written = lines::text(record).and_then(|text| doc.parse(text)).and_then(|()| each(self, doc.root()));
            self.end(written);
        }
    }

    fn begin(&mut self, record: &'i [u8], offset: u64) {
        (self.record, self.offset) = (record, offset);
        self.reset();
    }

    fn end(&mut self, written: Result<Written, Fault>) {
        match written {
            Ok(Written::Row) => self.accept(None),
            Ok(Written::Done) => {}
            Err(fault) => self.reject(fault, None),
        }
    }

    fn reset(&mut self) {
        self.nature = self.default;
        self.unmapped.clear();
        (self.verdict, self.result, self.has_time) = (None, None, false);
    }

    /// Ends the row at hand; `index` says which of the record's rows it is, where there may be several.
    #[inline]
    pub(crate) fn accept(&mut self, index: Option<u32>) {
        let flows = &mut self.out.flows;
        flows.set_text(SOURCE, self.source);
        if let Some(verdict) = self.verdict {
            flows.set_text(VERDICT, verdict.as_str());
        }
        if let Some(result) = self.result {
            flows.set_text(RESULT, result.as_str());
        }
        flows.set_text(OUTCOME, outcome(self.verdict, self.result).as_str());
        flows.set_text(RECORD_KIND, self.nature.kind);
        if let Some(vantage) = self.nature.vantage {
            flows.set_text(VANTAGE, vantage);
        }
        flows.set_text(ORIENTATION, self.nature.orientation);
        flows.set_num(IS_SRC_DST_ASSIGNMENT_KNOWN, i64::from(self.nature.orientation != "unknown"));
        flows.set_num(POSITION_OFFSET, i64::try_from(self.offset).unwrap_or(i64::MAX));
        if let Some(index) = index {
            flows.set_num(POSITION_INDEX, i64::from(index));
        }
        if !self.has_time {
            flows.set_text(TIME_QUALITY, "missing");
        }
        self.unmapped.set(self.out);
        self.out.accept();
        self.reset();
    }

    /// Drops what was set of the row at hand; the caller says in another way what became of it.
    pub(crate) fn forget(&mut self) {
        self.out.flows.abort_row();
        self.reset();
    }

    /// Decodes lines that are in the record at hand by their own format. `starts` are the offsets of the lines in `lines`, ascending, each with its number in
    /// the record, which rows and rejects get as their index.
    pub(crate) fn embed(&mut self, format: &dyn Format, lines: &[u8], starts: &[(usize, u32)]) {
        let (rows, rejects) = (self.out.flows.len(), self.out.rejects.len());
        format.decode(lines, 0, self.out);
        let index_at = |offset: i64| {
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            starts[..starts.partition_point(|(start, _)| *start <= offset)].last().map_or(0, |(_, index)| *index)
        };
        let offset = i64::try_from(self.offset).unwrap_or(i64::MAX);
        for row in rows..self.out.flows.len() {
            let index = index_at(self.out.flows.num(POSITION_OFFSET).get(row).unwrap_or_default());
            self.out.flows.num_mut(POSITION_OFFSET).set(row, offset);
            self.out.flows.num_mut(POSITION_INDEX).set(row, i64::from(index));
        }
        for reject in &mut self.out.rejects[rejects..] {
            reject.index = Some(index_at(i64::try_from(reject.offset).unwrap_or(i64::MAX)));
            reject.offset = self.offset;
        }
        // The format inside has codes of its own for addresses.
        self.addresses = AddressCodes::default();
        self.reset();
    }

    /// Drops what was set of the row at hand and keeps the record's bytes as a reject.
    #[cold]
    pub(crate) fn reject(&mut self, fault: Fault, index: Option<u32>) {
        self.reject_part(fault, index, self.record);
    }

    /// As [`Rows::reject`] for a part of the record, such as one tuple of a blob.
    #[cold]
    pub(crate) fn reject_part(&mut self, fault: Fault, index: Option<u32>, part: &[u8]) {
        self.out.reject_indexed(fault.reason, fault.detail, self.offset, index, part);
        self.reset();
    }

    /// Sets a text; nothing for the empty one and for `-`.
    #[inline]
    pub(crate) fn text(&mut self, column: TextCol, text: &str) {
        if !matches!(text, "" | "-") {
            self.out.flows.set_text(column, text);
        }
    }

    /// As [`Rows::text`], where there is one.
    #[inline]
    pub(crate) fn optional(&mut self, column: TextCol, text: Option<&str>) {
        if let Some(text) = text {
            self.text(column, text);
        }
    }

    /// As [`Rows::optional`] for a text of which nearly every row has another one, such as a request id.
    #[inline]
    pub(crate) fn unique(&mut self, column: TextCol, text: Option<&str>) {
        if let Some(text) = text.filter(|text| !matches!(*text, "" | "-")) {
            let code = self.out.flows.text_mut(column).intern_or_append(text);
            self.out.flows.set_code(column, code);
        }
    }

    /// Sets a number; nothing for none.
    #[inline]
    pub(crate) fn number(&mut self, column: NumCol, number: Option<i64>) {
        if let Some(number) = number {
            self.out.flows.set_num(column, number);
        }
    }

    /// When the reported connection, request or interval began and ended, microseconds UTC. An end before the start, as
    /// clocks that were set give, counts as the start.
    #[inline]
    pub(crate) fn times(&mut self, start: i64, end: i64) {
        self.out.flows.set_num(START_TIME, start);
        self.out.flows.set_num(END_TIME, end.max(start));
        self.has_time = true;
    }

    /// The address of one end; `name` is the field's.
    ///
    /// # Errors
    /// When it is no address.
    #[inline]
    pub(crate) fn address(&mut self, side: Side, name: &str, text: &str) -> Result<(), Fault> {
        let column = if side == Side::Src { SRC_IP } else { DST_IP };
        self.address_of(column, name, text)
    }

    /// As [`Rows::address`] for any column of addresses.
    ///
    /// # Errors
    /// When it is no address.
    #[inline]
    pub(crate) fn address_of(&mut self, column: TextCol, name: &str, text: &str) -> Result<(), Fault> {
        match self.addresses.code(column, text, &mut self.out.flows) {
            Some(code) => {
                self.out.flows.set_code(column, code);
                Ok(())
            }
            None => Err(Fault::value(Reason::BadAddress, name, text, "an IPv4 or IPv6 address without zone")),
        }
    }

    /// The port of one end.
    ///
    /// # Errors
    /// When it is above 65535.
    #[inline]
    pub(crate) fn port(&mut self, side: Side, name: &str, port: Option<i64>) -> Result<(), Fault> {
        let Some(port) = port else { return Ok(()) };
        if !(0..=i64::from(u16::MAX)).contains(&port) {
            return Err(Fault::value(Reason::BadNumber, name, &port.to_string(), "a port"));
        }
        self.out.flows.set_num(if side == Side::Src { SRC_PORT } else { DST_PORT }, port);
        Ok(())
    }

    /// As [`Rows::port`] for its text; nothing for the empty one and for `-`.
    ///
    /// # Errors
    /// When it is no number up to 65535.
    #[inline]
    pub(crate) fn port_text(&mut self, side: Side, name: &str, text: &str) -> Result<(), Fault> {
        if matches!(text, "" | "-") {
            return Ok(());
        }
        let port = number::digits(text.as_bytes());
        self.port(side, name, Some(port.ok_or_else(|| Fault::value(Reason::BadNumber, name, text, "a port"))?))
    }

    /// Address and port of one end from `10.0.0.1:80` or `[2001:db8::1]:80`, the port may be missing. False when it is
    /// meant to be no address: a host name, a socket's path, `-`.
    ///
    /// # Errors
    /// When it looks like an address but is none.
    #[inline]
    pub(crate) fn endpoint(&mut self, side: Side, name: &str, text: &str) -> Result<bool, Fault> {
        let address = endpoint::parse(text)
            .map_err(|endpoint::BadAddress| Fault::value(Reason::BadAddress, name, text, "an address with a port"))?;
        let Some(address) = address else { return Ok(false) };
        self.address(side, name, &address.ip)?;
        self.port(side, name, address.port.map(i64::from))?;
        Ok(true)
    }

    /// The IP protocol by its IANA number.
    #[inline]
    pub(crate) fn protocol(&mut self, number: i64) {
        self.out.flows.set_num(PROTOCOL_NUM, number);
        if let Some(name) = protocol::name(number) {
            self.out.flows.set_text(PROTOCOL, name);
        }
    }

    /// What was asked over HTTP: operation, resource and status. Empty texts and `-` stand for absent ones; the target is
    /// cut and redacted here.
    #[inline]
    pub(crate) fn http(&mut self, app_protocol: &str, method: &str, target: &str, status: &str) {
        self.text(APP_PROTOCOL, app_protocol);
        self.text(OPERATION, method);
        if !matches!(target, "" | "-") {
            let resource = http::resource(target);
            let code = self.out.flows.text_mut(RESOURCE).intern_new(&resource).0;
            self.out.flows.set_code(RESOURCE, code);
        }
        if status != "0" && status != "000" {
            self.text(OPERATION_STATUS, status);
        }
    }

    /// What the observer's policy decided and what became of the connection; `outcome` is made of both.
    #[inline]
    pub(crate) fn judge(&mut self, verdict: Option<Verdict>, result: Option<ConnectionResult>) {
        (self.verdict, self.result) = (verdict, result);
    }
}

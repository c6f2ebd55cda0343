//! From a record's values to the columns of a flow. Not the reading of text or JSON; the ends of a flow are in `ends`.
//!
//! **Size.** `bytes_out` is what the proxy received from downstream and `bytes_in` what it sent there: body bytes for
//! HTTP, all payload for TCP. Envoy counts no packets.
//!
//! **Identity.** The initiator proved the URI in its certificate (`downstream_peer_uri_san`); the responder's is the local
//! certificate's on the server side, the upstream peer's on the client side.

use super::flags::{self, Evidence};
use super::record::Record;
use super::slot::Slot;
use super::unmapped;
use super::words::Words;
use crate::contract::Reason;
use crate::{endpoint, http, number};
use tradewind_model::flow::{
    APP_PROTOCOL, BYTES_IN, BYTES_OUT, DST_PRINCIPAL, DST_VERIFIED, ENCRYPTION, END_TIME, IS_SRC_DST_ASSIGNMENT_KNOWN,
    OBSERVER, OPERATION, OPERATION_STATUS, ORIENTATION, OUTCOME, OUTCOME_REASON, POLICY, POSITION_OFFSET, PROTOCOL,
    PROTOCOL_NUM, RECORD_KIND, RESOURCE, RESPONSE_LATENCY_US, RESULT, SERVER_NAME, SOURCE, SRC_PRINCIPAL, SRC_VERIFIED,
    START_TIME, STATUS_CODE, TIME_QUALITY, TLS_VERSION, TRACE_ID, UNMAPPED, VERDICT,
};
use tradewind_model::outcome::outcome;
use tradewind_model::{FlowBatch, NumCol, TextCol, protocol};

/// The word in the column `source`.
pub(super) const SOURCE_NAME: &str = "envoy";

/// Why a record is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) reason: Reason,
    pub(super) detail: String,
}

impl Fault {
    pub(super) fn time(value: &str) -> Self {
        Self::value(Reason::BadTime, Slot::StartTime, value)
    }

    #[cold]
    pub(super) fn value(reason: Reason, slot: Slot, value: &str) -> Self {
        let shown: String = value.chars().take(80).collect();
        Self { reason, detail: format!("{}: `{shown}`", slot.name()) }
    }
}

/// Writes records as rows of one batch; keeps scratch between them. Invariant: the batch is not cleared in the life of
/// this value, because codes of the batch are remembered.
#[derive(Debug, Default)]
pub(super) struct Columns {
    words: Words,
    unmapped: String,
}

impl Columns {
    /// Sets the columns of the row being built.
    pub(super) fn write(&mut self, record: &Record<'_>, position: u64, flows: &mut FlowBatch) -> Result<(), Fault> {
        let mut row = Row { record, flows, words: &mut self.words, used: 0 };
        row.times()?;
        row.ends()?;
        let (is_http, code) = row.request()?;
        row.outcome(is_http, code)?;
        row.identity();
        row.origin();
        let left = !row.used;
        flows.set_num(POSITION_OFFSET, i64::try_from(position).unwrap_or(i64::MAX));
        unmapped::write(record, left, &mut self.unmapped);
        if !self.unmapped.is_empty() {
            let code = flows.text_mut(UNMAPPED).intern_or_append(&self.unmapped);
            flows.set_code(UNMAPPED, code);
        }
        Ok(())
    }

    /// Gives all rows from `first` on what every record of this format shares.
    pub(super) fn complete(first: usize, flows: &mut FlowBatch) {
        if flows.len() > first {
            flows.fill_text(SOURCE, first, SOURCE_NAME);
            flows.fill_text(ORIENTATION, first, "log");
            flows.fill_num(IS_SRC_DST_ASSIGNMENT_KNOWN, first, 1);
        }
    }
}

/// The row being built.
pub(super) struct Row<'r, 'a, 'f> {
    pub(super) record: &'r Record<'a>,
    pub(super) flows: &'f mut FlowBatch,
    pub(super) words: &'f mut Words,
    /// Bits of the slots whose values are in columns; the others go to `unmapped`.
    pub(super) used: u64,
}

impl<'r> Row<'r, '_, '_> {
    /// The text of a slot; it counts as used.
    fn take(&mut self, slot: Slot) -> Option<&'r str> {
        let text = self.record.text(slot)?;
        self.used |= slot.bit();
        Some(text)
    }

    /// A whole number that is not negative.
    fn number(&mut self, slot: Slot) -> Result<Option<i64>, Fault> {
        let Some(text) = self.take(slot) else { return Ok(None) };
        number::digits(text.as_bytes()).map(Some).ok_or_else(|| Fault::value(Reason::BadNumber, slot, text))
    }

    /// Sets a text that the next row is likely to repeat.
    fn set_text(&mut self, column: TextCol, text: Option<&str>) {
        if let Some(text) = text {
            self.flows.set_text(column, text);
        }
    }

    /// Sets a text of which the next row is likely to have another, so that only the dictionary is asked.
    pub(super) fn set_varied(&mut self, column: TextCol, text: Option<&str>) {
        if let Some(text) = text {
            let code = self.flows.text_mut(column).intern_new(text).0;
            self.flows.set_code(column, code);
        }
    }

    #[inline]
    pub(super) fn set_num(&mut self, column: NumCol, number: Option<i64>) {
        if let Some(number) = number {
            self.flows.set_num(column, number);
        }
    }

    fn times(&mut self) -> Result<(), Fault> {
        let duration = self.number(Slot::Duration)?;
        let Some(start) = self.record.start_time else {
            self.words.missing.set(TIME_QUALITY, self.flows);
            return Ok(());
        };
        let end = duration.unwrap_or(0).checked_mul(1000).and_then(|micros| start.checked_add(micros));
        let too_long =
            || Fault::value(Reason::BadNumber, Slot::Duration, self.record.text(Slot::Duration).unwrap_or(""));
        let end = end.ok_or_else(too_long)?;
        self.flows.set_num(START_TIME, start);
        self.flows.set_num(END_TIME, end);
        Ok(())
    }

    /// What was asked; whether it was HTTP, and the response code.
    fn request(&mut self) -> Result<(bool, Option<i64>), Fault> {
        let code = self.number(Slot::ResponseCode)?;
        if code.is_some_and(|code| code > 999) {
            return Err(Fault::value(
                Reason::BadNumber,
                Slot::ResponseCode,
                self.record.text(Slot::ResponseCode).unwrap_or(""),
            ));
        }
        let version = self.record.text(Slot::Protocol);
        let is_http =
            version.is_some() || self.record.text(Slot::Method).is_some() || code.is_some_and(|code| code > 0);
        let (number, name) = match version {
            Some("HTTP/3") => (protocol::UDP, &mut self.words.udp),
            _ => (protocol::TCP, &mut self.words.tcp),
        };
        self.flows.set_num(PROTOCOL_NUM, number);
        name.set(PROTOCOL, self.flows);
        let kind = if is_http { &mut self.words.request } else { &mut self.words.connection };
        kind.set(RECORD_KIND, self.flows);
        if is_http {
            let is_grpc = self.record.text(Slot::GrpcStatus).is_some()
                || self.record.text(Slot::ContentType).is_some_and(|kind| kind.starts_with("application/grpc"));
            let name = if is_grpc { &mut self.words.grpc } else { &mut self.words.http };
            name.set(APP_PROTOCOL, self.flows);
            let status = self.record.text(Slot::ResponseCode).filter(|_| code.is_some_and(|code| code > 0));
            match status {
                Some("200") => self.words.ok.set(OPERATION_STATUS, self.flows),
                status => self.set_text(OPERATION_STATUS, status),
            }
        }
        self.latency();
        let (method, target) = (self.take(Slot::Method), self.take(Slot::Path));
        self.operation(method);
        self.set_varied(RESOURCE, target.map(http::resource).as_deref());
        let server_name = match self.take(Slot::ServerName) {
            Some(name) => Some(name),
            None => self.take(Slot::Authority).map(endpoint::host_of_authority),
        };
        self.set_varied(SERVER_NAME, server_name);
        self.trace();
        Ok((is_http, code))
    }

    fn operation(&mut self, method: Option<&str>) {
        match method {
            Some("GET") => self.words.get.set(OPERATION, self.flows),
            Some("POST") => self.words.post.set(OPERATION, self.flows),
            Some("PUT") => self.words.put.set(OPERATION, self.flows),
            Some("DELETE") => self.words.delete.set(OPERATION, self.flows),
            method => self.set_text(OPERATION, method),
        }
    }

    /// Milliseconds of a header that the upstream may have set itself: what is no number stays in `unmapped`.
    fn latency(&mut self) {
        let millis = self.record.text(Slot::UpstreamServiceTime).and_then(|text| number::digits(text.as_bytes()));
        if let Some(micros) = millis.and_then(|millis| millis.checked_mul(1000)) {
            self.take(Slot::UpstreamServiceTime);
            self.flows.set_num(RESPONSE_LATENCY_US, micros);
        }
    }

    fn trace(&mut self) {
        // W3C Trace Context: version-traceid-parentid-flags.
        let of_parent = |parent: &'r str| parent.split('-').nth(1).filter(|id| id.len() == 32);
        let trace = if let Some(id) = self.take(Slot::TraceId) {
            Some(id)
        } else if let Some(id) = self.record.text(Slot::TraceParent).and_then(of_parent) {
            Some(id)
        } else {
            self.take(Slot::RequestId)
        };
        if let Some(trace) = trace {
            self.flows.append_text(TRACE_ID, trace);
        }
    }

    fn outcome(&mut self, is_http: bool, code: Option<i64>) -> Result<(), Fault> {
        let (received, sent) = (self.number(Slot::BytesReceived)?, self.number(Slot::BytesSent)?);
        self.set_num(BYTES_OUT, received);
        self.set_num(BYTES_IN, sent);
        let record = self.record;
        let cluster = record.text(Slot::UpstreamCluster);
        let short = self.take(Slot::ResponseFlags);
        let flags = if short.is_some() { short } else { self.take(Slot::ResponseFlagsLong) };
        let evidence = Evidence {
            flags,
            flags_logged: record.is_logged(Slot::ResponseFlags) || record.is_logged(Slot::ResponseFlagsLong),
            is_http,
            code,
            bytes_sent: sent,
            bytes_received: received,
            code_details: record.text(Slot::ResponseCodeDetails),
            termination_details: record.text(Slot::TerminationDetails),
            upstream_failure: record.text(Slot::UpstreamFailure),
            downstream_failure: record.text(Slot::DownstreamFailure),
            is_without_upstream: record.is_logged(Slot::UpstreamHost) && record.text(Slot::UpstreamHost).is_none(),
            // Istio with REGISTRY_ONLY: https://istio.io "Accessing External Services".
            is_black_hole: cluster == Some("BlackHoleCluster") || record.text(Slot::RouteName) == Some("block_all"),
        };
        let judgement = flags::judge(&evidence);
        if let Some(verdict) = judgement.verdict {
            self.words.verdict(verdict).set(VERDICT, self.flows);
        }
        if let Some(result) = judgement.result {
            self.words.result(result).set(RESULT, self.flows);
        }
        let outcome = outcome(judgement.verdict, judgement.result);
        self.words.outcome(outcome).set(OUTCOME, self.flows);
        self.set_text(POLICY, judgement.policy);
        self.set_text(STATUS_CODE, flags);
        const REASONS: [Slot; 4] =
            [Slot::ResponseCodeDetails, Slot::TerminationDetails, Slot::UpstreamFailure, Slot::DownstreamFailure];
        let reason = REASONS.into_iter().find(|&slot| record.text(slot).is_some()).and_then(|slot| self.take(slot));
        match reason {
            // So nearly every request ends.
            Some("via_upstream") => self.words.via_upstream.set(OUTCOME_REASON, self.flows),
            reason => self.set_text(OUTCOME_REASON, reason),
        }
        Ok(())
    }

    fn identity(&mut self) {
        let peer = self.principal(Slot::PeerUriSan);
        if peer.is_some() {
            self.set_varied(SRC_PRINCIPAL, peer);
            self.flows.set_num(SRC_VERIFIED, 1);
        }
        let local = self.principal(Slot::LocalUriSan);
        if local.is_some() {
            self.set_varied(DST_PRINCIPAL, local);
        } else if let Some(upstream) = self.principal(Slot::UpstreamPeerUriSan) {
            self.set_varied(DST_PRINCIPAL, Some(upstream));
            self.flows.set_num(DST_VERIFIED, 1);
        }
        let has_certificate = peer.is_some()
            || self.record.text(Slot::PeerSubject).is_some()
            || self.record.text(Slot::PeerFingerprint).is_some();
        let version = self.take(Slot::TlsVersion);
        self.set_text(TLS_VERSION, version);
        if has_certificate {
            self.words.mtls.set(ENCRYPTION, self.flows);
        } else if version.is_some() {
            self.words.tls.set(ENCRYPTION, self.flows);
        }
    }

    /// The SPIFFE id among the URIs of a certificate, else the first URI. Where there are several, all stay in `unmapped`.
    fn principal(&mut self, slot: Slot) -> Option<&'r str> {
        let text = self.record.text(slot)?;
        if memchr::memchr(b',', text.as_bytes()).is_none() {
            self.used |= slot.bit();
            return Some(text.trim());
        }
        let mut names = text.split(',').map(str::trim);
        let first = names.clone().next();
        names.find(|name| name.starts_with("spiffe://")).or(first)
    }

    fn origin(&mut self) {
        let pod = self.take(Slot::PodName);
        let observer = if pod.is_some() { pod } else { self.take(Slot::Hostname) };
        self.set_text(OBSERVER, observer);
    }
}

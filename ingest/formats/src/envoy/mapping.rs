//! From a record's values to the columns of a flow. Not the reading of text or JSON.
//!
//! **Ends.** `src` is the peer that opened the connection to the proxy: the direct remote address if it is logged, else
//! the remote address, unless its port is 0 or not logged: then Envoy may have taken it from `X-Forwarded-For`, which
//! anybody can write. It stays in `unmapped` and `src_ip` is null. `dst` is the real responder. For an inbound record
//! (cluster `inbound|…`, the proxy beside the server) that is the downstream local address, the workload's own; for all
//! others the upstream host, else the downstream local address. The address that an outbound client asked for (a service's
//! virtual address) stays in `unmapped` as `downstream_local_address`; the proxy's own address towards the upstream, by
//! which the other side sees this flow, is `post_nat_src_*`. Sockets, internal listeners and names are no addresses.
//!
//! **Vantage.** Istio names its clusters `inbound|port|…` and `outbound|port|subset|host`; `InboundPassthroughCluster…`,
//! `PassthroughCluster` and `BlackHoleCluster` are its own too. Any other proxy is `proxy`.
//!
//! **Size.** `bytes_out` is what the proxy received from downstream and `bytes_in` what it sent there: body bytes for
//! HTTP, all payload for TCP. Envoy counts no packets.
//!
//! **Identity.** The initiator proved the URI in its certificate (`downstream_peer_uri_san`); the responder's is the local
//! certificate's on the server side, the upstream peer's on the client side.

use super::address::{self, Address, BadAddress};
use super::flags::{self, Evidence};
use super::record::Record;
use super::slot::Slot;
use super::{resource, unmapped};
use crate::contract::Reason;
use crate::number;
use tradewind_model::flow::{
    APP_PROTOCOL, BYTES_IN, BYTES_OUT, DST_IP, DST_PORT, DST_PRINCIPAL, DST_VERIFIED, ENCRYPTION, END_TIME,
    IS_SRC_DST_ASSIGNMENT_KNOWN, OBSERVER, OPERATION, OPERATION_STATUS, ORIENTATION, OUTCOME, OUTCOME_REASON, POLICY,
    POSITION_OFFSET, POST_NAT_SRC_IP, POST_NAT_SRC_PORT, PROTOCOL, PROTOCOL_NUM, RECORD_KIND, RESOURCE,
    RESPONSE_LATENCY_US, RESULT, SERVER_NAME, SOURCE, SRC_IP, SRC_PORT, SRC_PRINCIPAL, SRC_VERIFIED, START_TIME,
    STATUS_CODE, TIME_QUALITY, TLS_VERSION, TRACE_ID, UNMAPPED, VANTAGE, VERDICT,
};
use tradewind_model::outcome::{Verdict, outcome};
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

    fn value(reason: Reason, slot: Slot, value: &str) -> Self {
        let shown: String = value.chars().take(80).collect();
        Self { reason, detail: format!("{}: `{shown}`", slot.name()) }
    }
}

/// Writes records as rows; keeps scratch between them.
#[derive(Debug, Default)]
pub(super) struct Columns {
    unmapped: String,
}

impl Columns {
    /// Sets the columns of the row being built.
    pub(super) fn write(&mut self, record: &Record<'_>, position: u64, flows: &mut FlowBatch) -> Result<(), Fault> {
        let mut row = Row { record, flows, used: 0 };
        row.times()?;
        row.ends()?;
        let is_http = row.request()?;
        row.outcome(is_http)?;
        row.identity();
        row.origin();
        let left = !row.used;
        flows.set_num(POSITION_OFFSET, i64::try_from(position).unwrap_or(i64::MAX));
        unmapped::write(record, left, &mut self.unmapped);
        if !self.unmapped.is_empty() {
            flows.set_text(UNMAPPED, &self.unmapped);
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
struct Row<'r, 'a, 'f> {
    record: &'r Record<'a>,
    flows: &'f mut FlowBatch,
    /// Bits of the slots whose values are in columns; the others go to `unmapped`.
    used: u64,
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

    fn set_text(&mut self, column: TextCol, text: Option<&str>) {
        if let Some(text) = text {
            self.flows.set_text(column, text);
        }
    }

    fn set_num(&mut self, column: NumCol, number: Option<i64>) {
        if let Some(number) = number {
            self.flows.set_num(column, number);
        }
    }

    fn times(&mut self) -> Result<(), Fault> {
        let duration = self.number(Slot::Duration)?;
        let Some(start) = self.record.start_time else {
            self.flows.set_text(TIME_QUALITY, "missing");
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

    /// What was asked; whether it was HTTP.
    fn request(&mut self) -> Result<bool, Fault> {
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
        let number = if version == Some("HTTP/3") { protocol::UDP } else { protocol::TCP };
        self.flows.set_num(PROTOCOL_NUM, number);
        self.set_text(PROTOCOL, protocol::name(number));
        self.flows.set_text(RECORD_KIND, if is_http { "request" } else { "connection" });
        if is_http {
            let is_grpc = self.record.text(Slot::GrpcStatus).is_some()
                || self.record.text(Slot::ContentType).is_some_and(|kind| kind.starts_with("application/grpc"));
            self.flows.set_text(APP_PROTOCOL, if is_grpc { "grpc" } else { "http" });
            let status = self.record.text(Slot::ResponseCode).filter(|_| code.is_some_and(|code| code > 0));
            self.set_text(OPERATION_STATUS, status);
        }
        self.latency();
        let (method, target) = (self.take(Slot::Method), self.take(Slot::Path));
        self.set_text(OPERATION, method);
        self.set_text(RESOURCE, target.map(resource::path));
        let server_name = match self.take(Slot::ServerName) {
            Some(name) => Some(name),
            None => self.take(Slot::Authority).map(address::host_of_authority),
        };
        self.set_text(SERVER_NAME, server_name);
        self.trace();
        Ok(is_http)
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

    fn outcome(&mut self, is_http: bool) -> Result<(), Fault> {
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
            code: self.number(Slot::ResponseCode)?,
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
        self.set_text(VERDICT, judgement.verdict.map(Verdict::as_str));
        self.set_text(RESULT, judgement.result.map(|result| result.as_str()));
        self.flows.set_text(OUTCOME, outcome(judgement.verdict, judgement.result).as_str());
        self.set_text(POLICY, judgement.policy);
        self.set_text(STATUS_CODE, flags);
        const REASONS: [Slot; 4] =
            [Slot::ResponseCodeDetails, Slot::TerminationDetails, Slot::UpstreamFailure, Slot::DownstreamFailure];
        let reason = REASONS.into_iter().find(|&slot| record.text(slot).is_some()).and_then(|slot| self.take(slot));
        self.set_text(OUTCOME_REASON, reason);
        Ok(())
    }

    fn identity(&mut self) {
        let peer = self.principal(Slot::PeerUriSan);
        if peer.is_some() {
            self.set_text(SRC_PRINCIPAL, peer);
            self.flows.set_num(SRC_VERIFIED, 1);
        }
        let local = self.principal(Slot::LocalUriSan);
        if local.is_some() {
            self.set_text(DST_PRINCIPAL, local);
        } else if let Some(upstream) = self.principal(Slot::UpstreamPeerUriSan) {
            self.flows.set_text(DST_PRINCIPAL, upstream);
            self.flows.set_num(DST_VERIFIED, 1);
        }
        let has_certificate = peer.is_some()
            || self.record.text(Slot::PeerSubject).is_some()
            || self.record.text(Slot::PeerFingerprint).is_some();
        let version = self.take(Slot::TlsVersion);
        self.set_text(TLS_VERSION, version);
        if has_certificate {
            self.flows.set_text(ENCRYPTION, "mtls");
        } else if version.is_some() {
            self.flows.set_text(ENCRYPTION, "tls");
        }
    }

    /// The SPIFFE id among the URIs of a certificate, else the first URI. Where there are several, all stay in `unmapped`.
    fn principal(&mut self, slot: Slot) -> Option<&'r str> {
        let text = self.record.text(slot)?;
        if !text.contains(',') {
            self.used |= slot.bit();
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

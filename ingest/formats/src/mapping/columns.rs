//! Which columns a mapping may fill, and how a field becomes one.

use super::settings::How;
use crate::contract::{Fault, Reason};
use crate::number;
use crate::rows::{Rows, Side};
use crate::text::{duration, scan, time};
use crate::{endpoint, http, redact};
use tradewind_model::flow;
use tradewind_model::{NumCol, TextCol, protocol};

/// What a field is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Address(Side),
    Port(Side),
    /// Address and port in one.
    Endpoint(Side),
    NatAddress(TextCol),
    Start(How),
    End(How),
    Logged(How),
    /// How long it took: it gives the end, or the start where only the end is known.
    Duration(How),
    Latency(How),
    /// By number or by name.
    Protocol,
    /// A path or URL.
    Resource,
    RequestLine,
    ServerName,
    Text(TextCol),
    /// A text of which nearly every row has another.
    Unique(TextCol),
    Number(NumCol),
}

/// Columns of texts that are taken as they are.
const TEXTS: &[(&str, TextCol)] = &[
    ("src_network", flow::SRC_NETWORK),
    ("dst_network", flow::DST_NETWORK),
    ("src_namespace", flow::SRC_NAMESPACE),
    ("dst_namespace", flow::DST_NAMESPACE),
    ("src_instance", flow::SRC_INSTANCE),
    ("dst_instance", flow::DST_INSTANCE),
    ("src_process", flow::SRC_PROCESS),
    ("dst_process", flow::DST_PROCESS),
    ("src_principal", flow::SRC_PRINCIPAL),
    ("dst_principal", flow::DST_PRINCIPAL),
    ("account", flow::ACCOUNT),
    ("region", flow::REGION),
    ("app_protocol", flow::APP_PROTOCOL),
    ("operation", flow::OPERATION),
    ("operation_status", flow::OPERATION_STATUS),
    ("outcome_reason", flow::OUTCOME_REASON),
    ("status_code", flow::STATUS_CODE),
    ("policy", flow::POLICY),
    ("encryption", flow::ENCRYPTION),
    ("tls_version", flow::TLS_VERSION),
    ("observer", flow::OBSERVER),
];

const NUMBERS: &[(&str, NumCol)] = &[
    ("bytes_out", flow::BYTES_OUT),
    ("bytes_in", flow::BYTES_IN),
    ("packets_out", flow::PACKETS_OUT),
    ("packets_in", flow::PACKETS_IN),
    ("tcp_flags", flow::TCP_FLAGS),
    ("icmp_type", flow::ICMP_TYPE),
    ("icmp_code", flow::ICMP_CODE),
    ("flow_count", flow::FLOW_COUNT),
    ("sampling_rate", flow::SAMPLING_RATE),
    ("post_nat_src_port", flow::POST_NAT_SRC_PORT),
    ("post_nat_dst_port", flow::POST_NAT_DST_PORT),
];

impl Target {
    /// The target of a column, or of one of the words `src`, `dst`, `duration` and `request`.
    ///
    /// # Errors
    /// A column that a mapping cannot fill, or a way of writing that it does not have.
    pub(super) fn of(name: &str, how: Option<How>) -> Result<Self, String> {
        let plain = |target: Self| match how {
            None => Ok(target),
            Some(_) => Err(format!("`{name}` has no `as`")),
        };
        match name {
            "src_ip" => plain(Self::Address(Side::Src)),
            "dst_ip" => plain(Self::Address(Side::Dst)),
            "src_port" => plain(Self::Port(Side::Src)),
            "dst_port" => plain(Self::Port(Side::Dst)),
            "src" | "dst" => match how {
                None | Some(How::Endpoint) => Ok(Self::Endpoint(if name == "src" { Side::Src } else { Side::Dst })),
                Some(_) => Err(format!("`{name}` is an address with a port: `as` may only be `endpoint`")),
            },
            "post_nat_src_ip" => plain(Self::NatAddress(flow::POST_NAT_SRC_IP)),
            "post_nat_dst_ip" => plain(Self::NatAddress(flow::POST_NAT_DST_IP)),
            "start_time" => Ok(Self::Start(a_time(name, how)?)),
            "end_time" => Ok(Self::End(a_time(name, how)?)),
            "logged_time" => Ok(Self::Logged(a_time(name, how)?)),
            "duration" => Ok(Self::Duration(a_duration(name, how)?)),
            "response_latency" => Ok(Self::Latency(a_duration(name, how)?)),
            "protocol" => plain(Self::Protocol),
            "resource" => plain(Self::Resource),
            "server_name" => plain(Self::ServerName),
            "trace_id" => plain(Self::Unique(flow::TRACE_ID)),
            "request" => match how {
                None | Some(How::RequestLine) => Ok(Self::RequestLine),
                Some(_) => Err("`request` is a request line: `as` may only be `request_line`".to_owned()),
            },
            _ => {
                if let Some((_, column)) = TEXTS.iter().find(|(known, _)| *known == name) {
                    return plain(Self::Text(*column));
                }
                if let Some((_, column)) = NUMBERS.iter().find(|(known, _)| *known == name) {
                    return plain(Self::Number(*column));
                }
                Err(format!("`{name}` is no column that a mapping fills; the reference of mappings lists them"))
            }
        }
    }

    /// The text column of a constant.
    pub(super) fn constant(name: &str) -> Result<TextCol, String> {
        let found = TEXTS.iter().find(|(known, _)| *known == name);
        found
            .map(|(_, column)| *column)
            .ok_or_else(|| format!("`{name}` is no column that may be the same in every row"))
    }
}

fn a_time(name: &str, how: Option<How>) -> Result<How, String> {
    match how {
        None => Ok(How::Rfc3339),
        Some(
            how @ (How::Rfc3339
            | How::Local
            | How::CommonLog
            | How::EpochS
            | How::EpochMs
            | How::EpochUs
            | How::EpochNs),
        ) => Ok(how),
        Some(_) => Err(format!(
            "`{name}` is a time: `as` is rfc3339, local, common_log, epoch_s, epoch_ms, epoch_us or epoch_ns"
        )),
    }
}

fn a_duration(name: &str, how: Option<How>) -> Result<How, String> {
    match how {
        Some(how @ (How::S | How::Ms | How::Us | How::Ns | How::Unit)) => Ok(how),
        _ => Err(format!("`{name}` is a duration: `as` is s, ms, us, ns or unit")),
    }
}

/// Times of a row while it is built.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    start: Option<i64>,
    end: Option<i64>,
    duration: Option<i64>,
}

impl Times {
    /// Sets start and end, where one of them is known.
    pub(super) fn set(self, rows: &mut Rows<'_, '_>) {
        let length = self.duration.unwrap_or(0);
        let (start, end) = match (self.start, self.end) {
            (Some(start), Some(end)) => (start, end),
            (Some(start), None) => (start, start.saturating_add(length).min(time::MICROS_MAX)),
            (None, Some(end)) => (end.saturating_sub(length).max(0), end),
            (None, None) => return,
        };
        rows.times(start, end);
    }
}

/// Sets what a field is for.
///
/// # Errors
/// A value that the column cannot hold.
pub(super) fn set(
    target: Target,
    name: &str,
    value: &str,
    times: &mut Times,
    rows: &mut Rows<'_, '_>,
) -> Result<(), Fault> {
    match target {
        Target::Address(side) => rows.address(side, name, value)?,
        Target::Port(side) => rows.port_text(side, name, value)?,
        Target::Endpoint(side) => {
            if !rows.endpoint(side, name, value)? {
                rows.unmapped.text(name, value);
            }
        }
        Target::NatAddress(column) => rows.address_of(column, name, value)?,
        Target::Start(how) => times.start = Some(read_time(how, name, value)?),
        Target::End(how) => times.end = Some(read_time(how, name, value)?),
        Target::Logged(how) => rows.number(flow::LOGGED_TIME, Some(read_time(how, name, value)?)),
        Target::Duration(how) => times.duration = Some(read_duration(how, name, value)?),
        Target::Latency(how) => rows.number(flow::RESPONSE_LATENCY_US, Some(read_duration(how, name, value)?)),
        Target::Protocol => set_protocol(value, rows),
        Target::Resource => rows.text(flow::RESOURCE, &http::resource(value)),
        Target::RequestLine => {
            let line = scan::unescape(value);
            if let Some(line) = http::request_line(&line) {
                rows.http("http", line.method, line.target, "");
            }
        }
        Target::ServerName => rows.text(flow::SERVER_NAME, endpoint::host_of_authority(value)),
        Target::Unique(column) => rows.unique(column, Some(value)),
        Target::Text(column) => {
            let value = &value[..value.floor_char_boundary(TEXT_BYTES_MAX)];
            rows.text(column, &redact::text(value));
        }
        Target::Number(column) => {
            let number = number::digits(value.as_bytes())
                .ok_or_else(|| Fault::value(Reason::BadNumber, name, value, "a whole number"))?;
            rows.number(column, Some(number).filter(|number| *number <= max_of(column)));
        }
    }
    Ok(())
}

/// Most bytes of a text in a column.
const TEXT_BYTES_MAX: usize = 512;

/// The largest number that the column's type holds: flags and ports are 32 bits wide, types of ICMP 16.
fn max_of(column: NumCol) -> i64 {
    match column {
        flow::ICMP_TYPE | flow::ICMP_CODE => 255,
        flow::POST_NAT_SRC_PORT | flow::POST_NAT_DST_PORT | flow::TCP_FLAGS => 0xffff,
        _ => i64::MAX,
    }
}

fn set_protocol(value: &str, rows: &mut Rows<'_, '_>) {
    let lower = value.to_ascii_lowercase();
    let number = match lower.as_str() {
        "tcp" => Some(protocol::TCP),
        "udp" => Some(protocol::UDP),
        "icmp" => Some(protocol::ICMP),
        "icmp6" | "icmpv6" | "ipv6-icmp" => Some(protocol::ICMP6),
        "sctp" => Some(132),
        other => number::digits(other.as_bytes()).filter(|number| *number <= 255),
    };
    match number {
        Some(number) => rows.protocol(number),
        None => rows.unmapped.text("protocol", value),
    }
}

fn read_time(how: How, name: &str, value: &str) -> Result<i64, Fault> {
    let read = match how {
        How::Rfc3339 => time::iso(value),
        How::Local => time::local(value),
        How::CommonLog => time::common_log(value).or_else(|| time::common_log_local(value)),
        How::EpochS => time::epoch_seconds(value),
        How::EpochMs => time::epoch_millis(value),
        How::EpochUs => number::digits(value.as_bytes()).filter(|micros| *micros <= time::MICROS_MAX),
        How::EpochNs => time::epoch_nanos(value),
        _ => None,
    };
    read.ok_or_else(|| Fault::value(Reason::BadTime, name, value, "a time as the mapping says"))
}

fn read_duration(how: How, name: &str, value: &str) -> Result<i64, Fault> {
    let seconds = || duration::seconds(value);
    let read = match how {
        How::S => seconds(),
        How::Ms => seconds().map(|micros| micros / 1_000),
        How::Us => seconds().map(|micros| micros / 1_000_000),
        How::Ns => seconds().map(|micros| micros / 1_000_000_000),
        How::Unit => duration::with_unit(value),
        _ => None,
    };
    read.ok_or_else(|| Fault::value(Reason::BadNumber, name, value, "a duration as the mapping says"))
}

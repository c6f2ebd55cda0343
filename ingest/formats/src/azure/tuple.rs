//! One flow tuple: text between commas. Not the record around it.

use crate::contract::{Fault, Reason};
use crate::number;
use crate::rows::{Rows, Side};
use crate::text::time;
use tradewind_model::flow::{BYTES_IN, BYTES_OUT, ENCRYPTION, OUTCOME_REASON, PACKETS_IN, PACKETS_OUT, STATUS_CODE};
use tradewind_model::outcome::{ConnectionResult, Verdict};
use tradewind_model::protocol;

/// Counters of both ways; a tuple that opens a flow has none.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    packets_out: Option<i64>,
    bytes_out: Option<i64>,
    packets_in: Option<i64>,
    bytes_in: Option<i64>,
}

/// Version 1 and 2 of network security groups: `epoch-s, src, dst, sport, dport, T|U, I|O, A|D` and from version 2 on
/// `B|C|E, packets, bytes, packets, bytes`. Counters are what was added since the tuple before.
pub(super) fn network_security_group(tuple: &str, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let fields: Vec<&str> = tuple.split(',').collect();
    if !matches!(fields.len(), 8 | 13) {
        return Err(count_of_fields(fields.len(), "8 or 13"));
    }
    ends(&fields, time::epoch_seconds, rows)?;
    match fields[5] {
        "T" => rows.protocol(protocol::TCP),
        "U" => rows.protocol(protocol::UDP),
        other => return Err(Fault::value(Reason::BadValue, "protocol", other, "T or U")),
    }
    direction(fields[6], rows)?;
    let verdict = match fields[7] {
        "A" => Verdict::Allowed,
        "D" => Verdict::Denied,
        other => return Err(Fault::value(Reason::BadValue, "decision", other, "A or D")),
    };
    rows.text(STATUS_CODE, fields[7]);
    let mut result = None;
    if let [_, _, _, _, _, _, _, _, state, counters @ ..] = fields.as_slice() {
        if !matches!(*state, "B" | "C" | "E") {
            return Err(Fault::value(Reason::BadValue, "state", state, "B, C or E"));
        }
        rows.unmapped.text("flow_state", state);
        let counters = if *state == "B" { Counters::default() } else { read_counters(counters)? };
        result = answered(counters);
        set_counters(counters, rows);
    } else {
        rows.nature.kind = "connection";
    }
    rows.judge(Some(verdict), result.filter(|_| verdict == Verdict::Allowed));
    Ok(())
}

/// Version 4 of virtual networks: `epoch-ms, src, dst, sport, dport, protocol, I|O, B|C|E|D, encryption, packets, bytes, packets,
/// bytes`.
pub(super) fn virtual_network(tuple: &str, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let fields: Vec<&str> = tuple.split(',').collect();
    let [_, _, _, _, _, number, way, state, encryption, counters @ ..] = fields.as_slice() else {
        return Err(count_of_fields(fields.len(), "13"));
    };
    if counters.len() != 4 {
        return Err(count_of_fields(fields.len(), "13"));
    }
    ends(&fields, time::epoch_millis, rows)?;
    let protocol = number::digits(number.as_bytes()).filter(|number| *number <= 255);
    rows.protocol(protocol.ok_or_else(|| Fault::value(Reason::BadNumber, "protocol", number, "an IP protocol"))?);
    direction(way, rows)?;
    rows.text(STATUS_CODE, state);
    let counters = match *state {
        "C" | "E" => read_counters(counters)?,
        "B" | "D" => Counters::default(),
        other => return Err(Fault::value(Reason::BadValue, "state", other, "B, C, E or D")),
    };
    set_counters(counters, rows);
    let (how, verdict, result) = judge(encryption, *state == "D", counters)?;
    rows.optional(ENCRYPTION, how);
    if verdict == Some(Verdict::Denied) && *state != "D" || result == Some(ConnectionResult::Error) {
        rows.text(OUTCOME_REASON, encryption);
    }
    rows.unmapped.text("encryption", encryption);
    rows.judge(verdict, result);
    Ok(())
}

type Judgement = (Option<&'static str>, Option<Verdict>, Option<ConnectionResult>);

/// How it was protected, and what follows from the encryption's word and the state.
///
/// Source: Microsoft, "Virtual network flow logs", "Encryption values".
fn judge(encryption: &str, is_denied: bool, counters: Counters) -> Result<Judgement, Fault> {
    let how = match encryption {
        "X" => Some("vnet"),
        "NX" | "NX_LOCAL_DST" | "NX_FALLBACK" | "NX_HW_NOT_SUPPORTED" => Some("none"),
        "NX_NOT_ACCEPTED" => return Ok((None, Some(Verdict::Denied), None)),
        "NX_SW_NOT_READY" | "NX_NOT_SUPPORTED" if is_denied => None,
        "NX_SW_NOT_READY" | "NX_NOT_SUPPORTED" => {
            return Ok((None, Some(Verdict::Allowed), Some(ConnectionResult::Error)));
        }
        "" | "-" => None,
        other => return Err(Fault::value(Reason::BadValue, "encryption", other, "X or a word that begins with NX")),
    };
    if is_denied {
        return Ok((None, Some(Verdict::Denied), None));
    }
    Ok((how, Some(Verdict::Allowed), answered(counters)))
}

/// An answer shows that the connection was established.
fn answered(counters: Counters) -> Option<ConnectionResult> {
    counters.packets_in.is_some_and(|packets| packets > 0).then_some(ConnectionResult::Established)
}

#[cold]
fn count_of_fields(found: usize, expected: &str) -> Fault {
    let reason = if found < 8 { Reason::TooFewFields } else { Reason::TooManyFields };
    Fault { reason, detail: format!("a tuple of {found} fields where {expected} are expected") }
}

fn ends(fields: &[&str], read_time: fn(&str) -> Option<i64>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let time =
        read_time(fields[0]).ok_or_else(|| Fault::value(Reason::BadTime, "time", fields[0], "a time since 1970"))?;
    rows.times(time, time);
    rows.address(Side::Src, "source address", fields[1])?;
    rows.address(Side::Dst, "destination address", fields[2])?;
    rows.port_text(Side::Src, "source port", fields[3])?;
    rows.port_text(Side::Dst, "destination port", fields[4])
}

/// An inbound flow is seen at its destination.
fn direction(way: &str, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    rows.nature.vantage = Some(match way {
        "I" => "destination",
        "O" => "source",
        other => return Err(Fault::value(Reason::BadValue, "direction", other, "I or O")),
    });
    Ok(())
}

fn read_counters(fields: &[&str]) -> Result<Counters, Fault> {
    let read = |name: &str, text: &str| match text {
        "" => Ok(None),
        text => number::digits(text.as_bytes())
            .map(Some)
            .ok_or_else(|| Fault::value(Reason::BadNumber, name, text, "a whole number")),
    };
    let [packets_out, bytes_out, packets_in, bytes_in] = fields else {
        return Err(count_of_fields(fields.len() + 9, "13"));
    };
    Ok(Counters {
        packets_out: read("packets from source to destination", packets_out)?,
        bytes_out: read("bytes from source to destination", bytes_out)?,
        packets_in: read("packets from destination to source", packets_in)?,
        bytes_in: read("bytes from destination to source", bytes_in)?,
    })
}

fn set_counters(counters: Counters, rows: &mut Rows<'_, '_>) {
    rows.number(PACKETS_OUT, counters.packets_out);
    rows.number(BYTES_OUT, counters.bytes_out);
    rows.number(PACKETS_IN, counters.packets_in);
    rows.number(BYTES_IN, counters.bytes_in);
}

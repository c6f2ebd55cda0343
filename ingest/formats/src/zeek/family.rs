//! How Zeek's conn.log is chosen, and what the reference tells of it.

use super::{Ascii, Json, NAME, Sniffed, sniff};
use crate::contract::Format;
use crate::detect::{Chosen, Framing};
use crate::framing::Records;
use crate::page::{Page, answer};
use crate::registry::{Family, Recognised};
use std::sync::Arc;
use tradewind_model::outcome::ConnectionResult::{Established, Refused, Reset, Timeout};

/// Zeek's conn.log.
pub(crate) static FAMILY: Family = Family {
    name: NAME,
    summary: "Zeek's conn.log: text and JSON; `zeek:FIELD FIELD …` gives the fields of lines without a header",
    decoders: || {
        let of = |records| (Arc::new(Json::new(records)) as Arc<dyn Format>, records);
        vec![of(Records::Lines), of(Records::JsonObjects)]
    },
    recognise,
    named,
    check_layout: Some(|names| Ascii::with_fields(names).map(|_| ()).map_err(|error| error.to_string())),
    page: Page {
        title: "Zeek conn.log",
        about: "Recognised by its `#` header, by a line of field names, or by JSON with Zeek's names (dotted, underscored, \
                nested, in Splunk's export). Header lines may come again in the middle. One record is one connection; records \
                of other logs, and of `open_conn.log`, are rejected as `other_log`.",
        sources: &["Zeek, `base/protocols/conn/main.zeek`, record `Conn::Info`"],
        columns: &[
            ("start_time", "`ts`"),
            ("end_time", "`ts` + `duration`; `ts` where there is none"),
            ("logged_time", "`_write_ts`"),
            ("src_ip", "`id.orig_h`"),
            ("src_port", "`id.orig_p`, not for ICMP"),
            ("dst_ip", "`id.resp_h`"),
            ("dst_port", "`id.resp_p`, not for ICMP"),
            ("icmp_type", "`id.orig_p` of ICMP"),
            ("icmp_code", "`id.resp_p` of ICMP"),
            ("protocol_num", "`proto`, else `ip_proto`"),
            ("protocol", "`proto`"),
            ("app_protocol", "`service`"),
            ("bytes_out", "`orig_bytes` (payload)"),
            ("bytes_in", "`resp_bytes` (payload)"),
            ("packets_out", "`orig_pkts`"),
            ("packets_in", "`resp_pkts`"),
            ("status_code", "`conn_state`"),
            ("observer", "`_system_name`, else `_node_name`"),
            ("vantage", "`network`"),
            ("record_kind", "`connection`"),
            (
                "orientation",
                "`tcp_flags` where `history` shows the SYN, `port` where Zeek turned it by port, else `log`; unknown for a midstream record",
            ),
        ],
        not_mapped: &[
            (
                "all other fields, among them `uid`, `history`, `missed_bytes`, `orig_ip_bytes`, `resp_ip_bytes`, `tunnel_parents`",
                "in `unmapped`, with Zeek's names and types",
            ),
            ("fields over 16 KiB together", "`unmapped` says `truncated`"),
        ],
        outcomes: &[
            answer("RSTR, nothing from the responder", None, Some(Reset)),
            answer("SF, S1, S2, S3, RSTO, RSTR", None, Some(Established)),
            answer("S0, SH of TCP", None, Some(Timeout)),
            answer("REJ", None, Some(Refused)),
            answer("RSTOS0", None, Some(Reset)),
            answer("OTH with packets both ways", None, Some(Established)),
            answer("SHR, RSTRH, S0 of other protocols, other OTH", None, None),
        ],
    },
};

fn recognise(head: &[u8]) -> Option<Recognised> {
    let sniffed = sniff(head)?;
    Some(match sniffed.other_log.clone() {
        None => Recognised::Connections(of(sniffed)),
        Some(detail) => Recognised::OtherLog(detail),
    })
}

/// By content, even logs without connections; else lines with the given fields.
fn named(head: &[u8], names: Option<&str>) -> Result<Chosen, String> {
    match (sniff(head), names) {
        (Some(sniffed), _) => Ok(of(sniffed)),
        (None, Some(names)) => {
            let format = Ascii::with_fields(names).map_err(|error| error.to_string())?;
            Ok(Chosen { has_headers: true, ..Chosen::text(format, Records::Lines, "the given fields") })
        }
        (None, None) => Err("it begins with neither a `#` header nor JSON with Zeek's names; give the fields with \
                             `--input-format 'zeek:ts uid id.orig_h id.orig_p id.resp_h id.resp_p …'`"
            .to_owned()),
    }
}

fn of(sniffed: Sniffed) -> Chosen {
    let mut notes = sniffed.notes;
    notes.extend(sniffed.other_log);
    let chosen = Chosen::new(sniffed.format, Framing::Text(sniffed.records), sniffed.reason);
    Chosen { notes, has_headers: sniffed.has_headers, ..chosen }
}

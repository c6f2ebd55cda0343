//! What the reference tells of HAProxy's logs.

use crate::page::{Page, answer};
use tradewind_model::Verdict::Denied;
use tradewind_model::outcome::ConnectionResult::{Error, Established, Refused, Reset, Timeout};

pub(super) const PAGE: Page = Page {
    title: "HAProxy logs",
    about: "Recognised line by line: `option httplog`, `option httpslog`, `option tcplog`, the default format and error lines, with or \
            without `haproxy[PID]: ` before them. One record is one request or one TCP session. Times have no zone and are taken \
            as UTC. Words that a site puts between the server and the timers are passed over.",
    sources: &[
        "HAProxy, configuration manual, sections 8.2 \"Log formats\" and 8.5 \"Session state at disconnection\"",
    ],
    columns: &[
        ("start_time", "`%tr`, `%t`"),
        ("end_time", "the same + `%Ta`, `%Tt`; milliseconds"),
        ("src_ip", "`%ci`"),
        ("src_port", "`%cp`"),
        ("dst_ip", "of the default format; else an address at the end of the server's name `%s`"),
        ("dst_port", "of the same address"),
        ("protocol_num", "6"),
        ("protocol", "tcp"),
        ("app_protocol", "`http` of the HTTP formats"),
        ("operation", "`%r`"),
        ("resource", "path of `%r`, without query"),
        ("operation_status", "`%ST`"),
        ("server_name", "the SNI of the HTTPS format, else the authority of `%r`"),
        ("response_latency_us", "`%Tr`"),
        ("bytes_in", "`%B`: bytes to the client; those from it are not logged"),
        ("encryption", "`tls` for a frontend with `~`, or with a TLS version; else null"),
        ("tls_version", "of the HTTPS format"),
        ("status_code", "`%tsc`, `%ts`: the termination state"),
        ("outcome_reason", "what the state says; the text of an error line"),
        ("vantage", "`proxy`"),
        ("record_kind", "`request`, `connection`, or `event` for error lines"),
    ],
    not_mapped: &[
        ("frontend, backend, server, numbers of connections, captured headers, cipher", "in `unmapped`"),
        ("captured cookies `%CC`, `%CS`", "never kept"),
    ],
    outcomes: &[
        answer("`--`; `L.` (local answer)", None, Some(Established)),
        answer("`PR` with status 400", None, Some(Error)),
        answer("`PR`, `PT`, `PH`", Some(Denied), None),
        answer("`SC`", None, Some(Refused)),
        answer("`SH`; `CR`, `CQ`, `CC`, `CH`", None, Some(Reset)),
        answer("`sC`, `sQ`, `sH`; `cR`, `cQ`, `cC`, `cH`", None, Some(Timeout)),
        answer("`CD`, `SD`, `cD`, `sD`, `CL`, `SL`", None, Some(Established)),
        answer("`PC`, other `P.`, `R.`, `I.`, `D.`, `U.`, `K.`, `SQ`", None, Some(Error)),
        answer("error line with a time-out", None, Some(Timeout)),
        answer("error line with a closed or aborted connection", None, Some(Reset)),
        answer("other error line, such as `SSL handshake failure`", None, Some(Error)),
        answer("`Connect from`", None, Some(Established)),
    ],
};

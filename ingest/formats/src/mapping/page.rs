//! What the reference tells of mappings, and the examples that tests decode.

use crate::page::{Page, answer};

pub(super) const PAGE: Page = Page {
    title: "a format of your own",
    about: "Described in TOML and given as `--input-format mapping:FILE`; rows have its name in `source`. The [cookbook](../guide/mapping-cookbook.md) has examples. `[read] \
            encoding` is `json` (fields are paths with dots), `csv` (with `separator`, and `columns` where the first line has no names), `pairs` (`key=value`), `regex` (named \
            groups) or `pattern` (`%{IP:client}`; names are IP, HOSTPORT, HOSTNAME, INT, NUMBER, WORD, NOTSPACE, SPACE, DATA, GREEDYDATA, QUOTED, TIMESTAMP_ISO8601, HTTPDATE, \
            URIPATH). `[fields]` names the field of each column, `{ field = \"…\", as = \"…\" }` how it is written. `[constants]` are the same in every row, `[verdict]` and \
            `[result]` say what words stand for, `[[skip]]` which records are no connections.",
    sources: &["the mapping itself"],
    columns: &[
        ("src_ip", "`src_ip`, or `src` for an address with its port"),
        ("src_port", "`src_port`, or `src`"),
        ("dst_ip", "`dst_ip`, or `dst` for an address with its port"),
        ("dst_port", "`dst_port`, or `dst`"),
        ("post_nat_src_ip", "`post_nat_src_ip`"),
        ("post_nat_src_port", "`post_nat_src_port`"),
        ("post_nat_dst_ip", "`post_nat_dst_ip`"),
        ("post_nat_dst_port", "`post_nat_dst_port`"),
        (
            "start_time",
            "`start_time` as rfc3339, local, common_log, epoch_s, epoch_ms, epoch_us or epoch_ns; else `end_time` less `duration`",
        ),
        ("end_time", "`end_time`; else `start_time` + `duration` as s, ms, us, ns or unit"),
        ("logged_time", "`logged_time`"),
        ("protocol", "`protocol`: a number or a name"),
        ("protocol_num", "`protocol`"),
        ("operation", "`operation`, or `request` for a whole request line"),
        ("resource", "`resource`, or `request`; without query"),
        ("server_name", "`server_name`, without port"),
        ("response_latency_us", "`response_latency` as s, ms, us, ns or unit"),
        ("trace_id", "`trace_id`"),
        ("bytes_out", "`bytes_out`"),
        ("bytes_in", "`bytes_in`"),
        ("packets_out", "`packets_out`"),
        ("packets_in", "`packets_in`"),
        ("tcp_flags", "`tcp_flags`"),
        ("icmp_type", "`icmp_type`"),
        ("icmp_code", "`icmp_code`"),
        ("flow_count", "`flow_count`"),
        ("sampling_rate", "`sampling_rate`"),
        ("src_network", "the field of that name, as all below"),
        ("dst_network", "a text"),
        ("src_namespace", "a text"),
        ("dst_namespace", "a text"),
        ("src_instance", "a text"),
        ("dst_instance", "a text"),
        ("src_process", "a text"),
        ("dst_process", "a text"),
        ("src_principal", "a text"),
        ("dst_principal", "a text"),
        ("account", "a text"),
        ("region", "a text"),
        ("app_protocol", "a text"),
        ("operation_status", "a text"),
        ("outcome_reason", "a text"),
        ("status_code", "a text"),
        ("policy", "a text"),
        ("encryption", "a text"),
        ("tls_version", "a text"),
        ("observer", "a text"),
        ("record_kind", "`kind`"),
        ("vantage", "`vantage`"),
    ],
    not_mapped: &[(
        "fields that no column is made of",
        "in `unmapped`; secrets by their name are `[redacted]`, queries and addresses of persons are cut",
    )],
    outcomes: &[answer("as `[verdict]` and `[result]` say", None, None)],
};

/// One mapping for each way of reading.
pub(super) const EXAMPLES: &[&str] = &[
    "name = 'example_json'\n[read]\nencoding = 'json'\n[fields]\nsrc = 'client.addr'\ndst_ip = 'to'\nstart_time = { field = 't', as = 'epoch_ms' }\nrequest = 'line'\n[verdict]\nfield = 'action'\nvalues = { ok = 'allowed', no = 'denied' }\n",
    "name = 'example_csv'\n[read]\nencoding = 'csv'\nseparator = ';'\ncolumns = ['time', 'from', 'port', 'bytes', 'x']\n[fields]\nstart_time = { field = 'time', as = 'local' }\nsrc_ip = 'from'\nsrc_port = 'port'\nbytes_out = 'bytes'\n",
    "name = 'example_pairs'\n[read]\nencoding = 'pairs'\n[fields]\nsrc_ip = 'src'\nprotocol = 'proto'\nduration = { field = 'took', as = 'unit' }\nend_time = 'at'\n[[skip]]\nfield = 'type'\nvalues = ['dhcp']\n",
    "name = 'example_pattern'\n[read]\nencoding = 'pattern'\npattern = '%{TIMESTAMP_ISO8601:at} %{WORD:action} %{HOSTPORT:from} -> %{HOSTPORT:to} %{GREEDYDATA:rest}'\n[fields]\nstart_time = 'at'\nsrc = 'from'\ndst = 'to'\n[result]\nfield = 'action'\nvalues = { OPEN = 'established' }\ndefault = 'error'\n",
];

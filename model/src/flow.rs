//! The field table of the flow record. Every schema, reference page and exporter is made from it.
//!
//! ADR 0001 freezes it: afterwards only nullable columns are added, at the end.

use crate::field::{Field, FieldType, NumCol, TextCol};

macro_rules! column {
    (Text, $index:expr) => {
        TextCol($index)
    };
    ($other:ident, $index:expr) => {
        NumCol($index)
    };
}

macro_rules! column_type {
    (Text) => {
        TextCol
    };
    ($other:ident) => {
        NumCol
    };
}

macro_rules! nullable {
    (null) => {
        true
    };
    (required) => {
        false
    };
}

macro_rules! flow_fields {
    ($($konst:ident, $name:literal, $ty:ident, $null:ident, $unit:literal,
       [$ocsf:literal, $ecs:literal, $otel:literal, $ipfix:literal], $meaning:literal;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Index { $($konst),* }

        $(
            #[doc = $meaning]
            pub const $konst: column_type!($ty) = column!($ty, Index::$konst as usize);
        )*

        /// Every column of table `flows`, in order.
        pub static FIELDS: &[Field] = &[$(Field {
            name: $name,
            ty: FieldType::$ty,
            nullable: nullable!($null),
            unit: $unit,
            ocsf: $ocsf,
            ecs: $ecs,
            otel: $otel,
            ipfix: $ipfix,
            meaning: $meaning,
        }),*];
    };
}

flow_fields! {
    // time
    START_TIME, "start_time", Timestamp, required, "µs UTC", ["start_time", "event.start", "", "152"],
        "When the reported interval, request or connection began.";
    END_TIME, "end_time", Timestamp, required, "µs UTC", ["end_time", "event.end", "", "153"],
        "When the reported interval, request or connection ended.";
    LOGGED_TIME, "logged_time", Timestamp, null, "µs UTC", ["metadata.logged_time", "event.created", "", ""],
        "When the observer or its log service wrote the record.";
    INGEST_TIME, "ingest_time", Timestamp, required, "µs UTC", ["metadata.processed_time", "event.ingested", "", ""],
        "When Tradewind took the record in.";
    CONNECTION_START_TIME, "connection_start_time", Timestamp, null, "µs UTC", ["", "", "", ""],
        "When the connection opened, where the record reports only a part of it.";
    TIME_QUALITY, "time_quality", Text, null, "missing, out_of_range", ["", "", "", ""],
        "Why the times are not the log's own: it had none (ingest time is used), or they lie outside the retention (the ingest date is used for `date`). Null: they are the log's own.";
    DATE, "date", Date, required, "day", ["", "", "", ""],
        "Partition: the UTC date of `end_time`, or of `ingest_time` where `time_quality` says so.";
    // ends
    SRC_IP, "src_ip", Text, null, "RFC 5952 text", ["src_endpoint.ip", "source.ip", "source.address", "8, 27"],
        "Address of the initiator. IPv4-mapped IPv6 is folded to IPv4.";
    SRC_PORT, "src_port", Int32, null, "port", ["src_endpoint.port", "source.port", "source.port", "7"],
        "Port of the initiator.";
    DST_IP, "dst_ip", Text, null, "RFC 5952 text", ["dst_endpoint.ip", "destination.ip", "destination.address", "12, 28"],
        "Address of the responder.";
    DST_PORT, "dst_port", Int32, null, "port", ["dst_endpoint.port", "destination.port", "destination.port", "11"],
        "Port of the responder.";
    SRC_NETWORK, "src_network", Text, null, "", ["src_endpoint.vpc_uid", "", "", ""],
        "Address space that `src_ip` belongs to: a VPC, cluster or site. Spaces never mix.";
    DST_NETWORK, "dst_network", Text, null, "", ["dst_endpoint.vpc_uid", "", "", ""],
        "Address space that `dst_ip` belongs to.";
    POST_NAT_SRC_IP, "post_nat_src_ip", Text, null, "RFC 5952 text", ["", "source.nat.ip", "", "225, 281"],
        "Initiator's address after translation, where the observer saw both.";
    POST_NAT_SRC_PORT, "post_nat_src_port", Int32, null, "port", ["", "source.nat.port", "", "227"],
        "Initiator's port after translation.";
    POST_NAT_DST_IP, "post_nat_dst_ip", Text, null, "RFC 5952 text", ["", "destination.nat.ip", "", "226, 282"],
        "Responder's address after translation, where the observer saw both.";
    POST_NAT_DST_PORT, "post_nat_dst_port", Int32, null, "port", ["", "destination.nat.port", "", "228"],
        "Responder's port after translation.";
    SRC_ENTITY, "src_entity", Text, required, "network/namespace/kind/name", ["src_endpoint.svc_name", "service.origin.name", "service.name", ""],
        "What the initiator's address stands for.";
    SRC_KIND, "src_kind", Text, required, "service, agent, host, external, unknown", ["src_endpoint.type", "", "", ""],
        "Kind of the initiator.";
    SRC_NAMESPACE, "src_namespace", Text, null, "", ["src_endpoint.namespace_pid", "", "k8s.namespace.name", ""],
        "Namespace, project or team of the initiator.";
    SRC_INSTANCE, "src_instance", Text, null, "", ["src_endpoint.instance_uid", "", "service.instance.id", ""],
        "The very pod, network interface, container or machine of the initiator.";
    SRC_PROCESS, "src_process", Text, null, "", ["actor.process.name", "process.name", "process.executable.name", ""],
        "Process of the initiator.";
    SRC_PRINCIPAL, "src_principal", Text, null, "", ["actor.user.uid", "", "", ""],
        "Cryptographic identity the initiator proved, e.g. a SPIFFE id.";
    SRC_ENTITY_SOURCE, "src_entity_source", Text, required, "principal, kubernetes, cloud, inventory, label, dns, address, unknown", ["", "", "", ""],
        "How `src_entity` was known.";
    DST_ENTITY, "dst_entity", Text, required, "network/namespace/kind/name", ["dst_endpoint.svc_name", "service.target.name", "service.peer.name", ""],
        "What the responder's address stands for.";
    DST_KIND, "dst_kind", Text, required, "service, agent, host, external, unknown", ["dst_endpoint.type", "", "", ""],
        "Kind of the responder.";
    DST_NAMESPACE, "dst_namespace", Text, null, "", ["dst_endpoint.namespace_pid", "", "", ""],
        "Namespace, project or team of the responder.";
    DST_INSTANCE, "dst_instance", Text, null, "", ["dst_endpoint.instance_uid", "", "", ""],
        "The very pod, network interface, container or machine of the responder.";
    DST_PROCESS, "dst_process", Text, null, "", ["", "", "", ""],
        "Process of the responder.";
    DST_PRINCIPAL, "dst_principal", Text, null, "", ["", "", "", ""],
        "Cryptographic identity the responder proved.";
    DST_ENTITY_SOURCE, "dst_entity_source", Text, required, "principal, kubernetes, cloud, inventory, label, dns, address, unknown", ["", "", "", ""],
        "How `dst_entity` was known.";
    ACCOUNT, "account", Text, null, "", ["cloud.account.uid", "cloud.account.id", "cloud.account.id", ""],
        "Cloud account, project or subscription of the observer.";
    REGION, "region", Text, null, "", ["cloud.region", "cloud.region", "cloud.region", ""],
        "Cloud region of the observer.";
    // protocol
    PROTOCOL_NUM, "protocol_num", Int16, null, "IANA protocol number", ["connection_info.protocol_num", "network.iana_number", "", "4"],
        "IP protocol.";
    PROTOCOL, "protocol", Text, null, "", ["connection_info.protocol_name", "network.transport", "network.transport", ""],
        "Name of the IP protocol, lower case.";
    APP_PROTOCOL, "app_protocol", Text, null, "", ["app_protocol_name", "network.protocol", "network.protocol.name", "96"],
        "Application protocol: http, grpc, kafka, postgresql, ...";
    ICMP_TYPE, "icmp_type", Int16, null, "", ["", "", "", "176, 178"], "ICMP type.";
    ICMP_CODE, "icmp_code", Int16, null, "", ["", "", "", "177, 179"], "ICMP code.";
    SERVER_NAME, "server_name", Text, null, "", ["tls.sni", "tls.client.server_name", "server.address", ""],
        "Name the initiator asked for: TLS server name, else HTTP authority.";
    OPERATION, "operation", Text, null, "", ["api.operation", "http.request.method", "http.request.method", ""],
        "What was asked: GET, Produce, SELECT.";
    RESOURCE, "resource", Text, null, "", ["http_request.url.path", "url.path", "url.path", ""],
        "What it was asked of: path without query, topic, table, share. Never a statement or payload.";
    OPERATION_STATUS, "operation_status", Text, null, "", ["http_response.code", "http.response.status_code", "http.response.status_code", ""],
        "The application's answer: HTTP 404, SQLSTATE 42501. It does not change `outcome`.";
    RESPONSE_LATENCY_US, "response_latency_us", Int64, null, "µs", ["http_response.latency", "", "", ""],
        "How long the responder took to answer, as the observer measured it.";
    TRACE_ID, "trace_id", Text, null, "", ["metadata.correlation_uid", "trace.id", "trace_id", ""],
        "Trace or request id that joins this record to others.";
    // what happened
    VERDICT, "verdict", Text, null, "allowed, denied, audited", ["action_id, disposition_id", "event.type", "", "233"],
        "What the observer's own policy decided. Null: it has none or does not say.";
    RESULT, "result", Text, null, "established, refused, timeout, reset, error", ["status_id, activity_id", "event.outcome", "error.type", ""],
        "What became of the connection. Null: not seen.";
    OUTCOME, "outcome", Text, required, "allowed, denied, failed, unknown", ["status_id", "event.outcome", "", "89"],
        "The one answer, made of `verdict` and `result`.";
    OUTCOME_REASON, "outcome_reason", Text, null, "", ["status_detail", "event.reason", "", ""],
        "Why it ended so, in the log's words.";
    STATUS_CODE, "status_code", Text, null, "", ["status_code", "event.action", "", ""],
        "The log's own word for what happened: ACCEPT, UF,URX, S0.";
    POLICY, "policy", Text, null, "", ["firewall_rule.name", "rule.name", "", ""],
        "The observer's rule that decided, when it is named.";
    // our policy
    DECLARED_VERDICT, "declared_verdict", Text, null, "allowed, denied, unknown", ["", "", "", ""],
        "What the declared communication policy says of this flow; unknown: it hangs on what was not seen. Null: no policy \
        was declared when the flow was taken in.";
    DECLARED_RULE, "declared_rule", Text, null, "", ["", "", "", ""], "The rule of the declared policy that decided.";
    DECLARED_POLICY_VERSION, "declared_policy_version", Int64, null, "", ["", "", "", ""],
        "Version of the declared policy that was checked.";
    // size
    BYTES_OUT, "bytes_out", Int64, null, "bytes", ["traffic.bytes_out", "source.bytes", "", "231, 1"],
        "Bytes from `src` to `dst` that this record adds. Null: that direction was not seen.";
    BYTES_IN, "bytes_in", Int64, null, "bytes", ["traffic.bytes_in", "destination.bytes", "", "232"],
        "Bytes from `dst` to `src` that this record adds.";
    PACKETS_OUT, "packets_out", Int64, null, "packets", ["traffic.packets_out", "source.packets", "", "298, 2"],
        "Packets from `src` to `dst` that this record adds.";
    PACKETS_IN, "packets_in", Int64, null, "packets", ["traffic.packets_in", "destination.packets", "", "299"],
        "Packets from `dst` to `src` that this record adds.";
    TCP_FLAGS, "tcp_flags", Int32, null, "bits of RFC 9293", ["connection_info.tcp_flags", "", "", "6"],
        "TCP flags seen, ORed over the record.";
    FLOW_COUNT, "flow_count", Int64, null, "connections", ["", "", "", ""],
        "How many connections this record stands for. Null: one.";
    SAMPLING_RATE, "sampling_rate", Int64, null, "one in N", ["", "", "", "34, 305"],
        "One in how many was observed. Counters are as logged, not scaled. Null: not sampled.";
    // security
    ENCRYPTION, "encryption", Text, null, "tls, mtls, wireguard, ipsec, vnet, none", ["", "", "", ""],
        "How the connection was protected. Null: not known.";
    TLS_VERSION, "tls_version", Text, null, "", ["tls.version", "tls.version", "tls.protocol.version", ""], "TLS version.";
    SRC_VERIFIED, "src_verified", Bool, null, "", ["", "", "", ""], "Whether the initiator proved its identity.";
    DST_VERIFIED, "dst_verified", Bool, null, "", ["", "", "", ""], "Whether the responder proved its identity.";
    // counting
    RECORD_KIND, "record_kind", Text, required, "connection, interval, request, packet, event", ["", "", "", ""],
        "What one record of this source is.";
    OPENS, "opens", Bool, null, "", ["", "", "", ""], "Whether this row is the first seen of its connection.";
    IS_LEAD, "is_lead", Bool, null, "", ["", "", "", ""], "Whether this row's counters count.";
    // origin
    SOURCE, "source", Text, required, "", ["metadata.product.name", "event.dataset", "", ""], "Format of the raw record.";
    OBSERVER, "observer", Text, null, "", ["observer.uid", "observer.name", "", ""],
        "Who saw it: interface, node, proxy, exporter.";
    VANTAGE, "vantage", Text, null, "source, destination, proxy, network", ["observation_point_id", "", "", "61"],
        "Where on the way the observer stands.";
    DIRECTION, "direction", Text, null, "lateral, inbound, outbound, external", ["connection_info.direction_id", "network.direction", "network.io.direction", ""],
        "Inside to inside (east-west) is lateral; outside to outside is external.";
    IS_SRC_DST_ASSIGNMENT_KNOWN, "is_src_dst_assignment_known", Bool, required, "", ["is_src_dst_assignment_known", "", "", ""],
        "Whether it is known which end opened the connection.";
    ORIENTATION, "orientation", Text, null, "log, tcp_flags, other_half, port, unknown", ["", "", "", ""],
        "The rule that decided which end is `src`.";
    POSITION, "position", Text, required, "", ["metadata.uid", "log.file.path", "", ""],
        "What holds the raw record: the object's content hash, or topic/partition.";
    POSITION_OFFSET, "position_offset", Int64, required, "bytes or offset", ["metadata.sequence", "log.offset", "", ""],
        "Where in it: byte offset in the unpacked object, or offset in the partition.";
    POSITION_INDEX, "position_index", Int32, null, "", ["", "", "", ""],
        "Which record of the envelope or message at that offset. Null: it holds one.";
    NORMALISER_VERSION, "normaliser_version", Int32, required, "", ["metadata.version", "event.module", "", ""],
        "Version of the mapping that made this row.";
    UNMAPPED, "unmapped", Text, null, "JSON object", ["unmapped", "", "", ""],
        "Fields of the raw record that have no column.";
}

/// Version of the mapping from raw records to rows, written to `normaliser_version`. Raised with every change of a mapping.
pub const VERSION: i32 = 2;

/// The text column of this name.
#[must_use]
pub fn text_column(name: &str) -> Option<TextCol> {
    place(name, true).map(TextCol)
}

/// The number, time or boolean column of this name.
#[must_use]
pub fn num_column(name: &str) -> Option<NumCol> {
    place(name, false).map(NumCol)
}

fn place(name: &str, is_text: bool) -> Option<usize> {
    let is_it = |field: &Field| field.name == name && (field.ty == FieldType::Text) == is_text;
    FIELDS.iter().position(is_it)
}

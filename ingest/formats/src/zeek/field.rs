//! The columns of conn.log that have a meaning here, their names, and Zeek's types for the others.
//!
//! Source: Zeek, "base/protocols/conn/main.zeek", record `Conn::Info`; names with `_` in place of `.` come from the field
//! name map of the logging framework and from stores that take no dots, `_path` and `_write_ts` from the streaming JSON
//! package, names with `@` from collectors that forward Zeek's logs.

/// How many fields are known.
pub(super) const FIELDS: usize = Field::ALL.len();

/// A field with a meaning of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// Time of the first packet.
    Time,
    /// When the record was written.
    WriteTime,
    /// Which log it is: `conn`, `dns`, …
    Path,
    /// The sensor.
    System,
    /// The worker of a cluster.
    Node,
    OriginatorAddress,
    OriginatorPort,
    ResponderAddress,
    ResponderPort,
    Protocol,
    ProtocolNumber,
    Service,
    Duration,
    OriginatorBytes,
    ResponderBytes,
    State,
    History,
    OriginatorPackets,
    ResponderPackets,
}

impl Field {
    pub(super) const ALL: [Self; 19] = [
        Self::Time,
        Self::WriteTime,
        Self::Path,
        Self::System,
        Self::Node,
        Self::OriginatorAddress,
        Self::OriginatorPort,
        Self::ResponderAddress,
        Self::ResponderPort,
        Self::Protocol,
        Self::ProtocolNumber,
        Self::Service,
        Self::Duration,
        Self::OriginatorBytes,
        Self::ResponderBytes,
        Self::State,
        Self::History,
        Self::OriginatorPackets,
        Self::ResponderPackets,
    ];

    /// The field of a column or key. `src`, `src_port`, … are the names in Zeek's own example of a field name map.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "ts" => Self::Time,
            "_write_ts" => Self::WriteTime,
            "_path" | "@stream" => Self::Path,
            "_system_name" | "@system" => Self::System,
            "_node_name" => Self::Node,
            "id.orig_h" | "id_orig_h" | "src" => Self::OriginatorAddress,
            "id.orig_p" | "id_orig_p" | "src_port" => Self::OriginatorPort,
            "id.resp_h" | "id_resp_h" | "dst" => Self::ResponderAddress,
            "id.resp_p" | "id_resp_p" | "dst_port" => Self::ResponderPort,
            "proto" => Self::Protocol,
            "ip_proto" => Self::ProtocolNumber,
            "service" => Self::Service,
            "duration" => Self::Duration,
            "orig_bytes" => Self::OriginatorBytes,
            "resp_bytes" => Self::ResponderBytes,
            "conn_state" => Self::State,
            "history" => Self::History,
            "orig_pkts" => Self::OriginatorPackets,
            "resp_pkts" => Self::ResponderPackets,
            _ => return None,
        })
    }

    /// The name in messages.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Time => "ts",
            Self::WriteTime => "_write_ts",
            Self::Path => "_path",
            Self::System => "_system_name",
            Self::Node => "_node_name",
            Self::OriginatorAddress => "id.orig_h",
            Self::OriginatorPort => "id.orig_p",
            Self::ResponderAddress => "id.resp_h",
            Self::ResponderPort => "id.resp_p",
            Self::Protocol => "proto",
            Self::ProtocolNumber => "ip_proto",
            Self::Service => "service",
            Self::Duration => "duration",
            Self::OriginatorBytes => "orig_bytes",
            Self::ResponderBytes => "resp_bytes",
            Self::State => "conn_state",
            Self::History => "history",
            Self::OriginatorPackets => "orig_pkts",
            Self::ResponderPackets => "resp_pkts",
        }
    }

    /// Whether its text goes to `unmapped` too: columns are made of it, but none holds it.
    pub(super) const fn is_kept(self) -> bool {
        matches!(self, Self::History)
    }
}

/// How a value without a column is written as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Number,
    Bool,
    /// A set or vector of such values.
    List(Item),
}

/// How the values of a list are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Text,
    Number,
    Bool,
}

impl Shape {
    /// Of a type in `#types`, such as `count` or `set[string]`.
    pub(super) fn of_type(name: &str) -> Self {
        let inner = |prefix| name.strip_prefix(prefix).and_then(|rest: &str| rest.strip_suffix(']'));
        match inner("set[").or_else(|| inner("vector[")).or_else(|| inner("table[")) {
            Some(inner) => Self::List(Item::of_type(inner)),
            None => match Item::of_type(name) {
                Item::Text => Self::Text,
                Item::Number => Self::Number,
                Item::Bool => Self::Bool,
            },
        }
    }

    /// Of a column whose type is not told: as Zeek's own scripts declare it.
    pub(super) fn of_name(name: &str) -> Self {
        match name {
            "missed_bytes" | "orig_ip_bytes" | "resp_ip_bytes" | "vlan" | "inner_vlan" => Self::Number,
            "local_orig" | "local_resp" => Self::Bool,
            "tunnel_parents" => Self::List(Item::Text),
            _ => Self::Text,
        }
    }
}

impl Item {
    fn of_type(name: &str) -> Self {
        match name {
            "count" | "int" | "double" | "interval" | "time" | "port" => Self::Number,
            "bool" => Self::Bool,
            _ => Self::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_and_places_are_in_order() {
        for (place, field) in Field::ALL.into_iter().enumerate() {
            assert_eq!(Field::from_name(field.name()), Some(field));
            assert_eq!(field as usize, place);
            assert_eq!(Field::from_name(&field.name().replace('.', "_")), Some(field));
        }
        for name in ["uid", "", "TS", "orig_h", "id.orig"] {
            assert_eq!(Field::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn shapes_of_types() {
        fn check(name: &str, expected: Shape) {
            assert_eq!(Shape::of_type(name), expected, "{name}");
        }
        check("string", Shape::Text);
        check("count", Shape::Number);
        check("bool", Shape::Bool);
        check("set[string]", Shape::List(Item::Text));
        check("vector[count]", Shape::List(Item::Number));
        check("set[bool", Shape::Text);
        check("no such type", Shape::Text);
        assert_eq!(Shape::of_name("vlan"), Shape::Number);
        assert_eq!(Shape::of_name("uid"), Shape::Text);
    }
}

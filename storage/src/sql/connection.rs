//! SQL functions that name a connection, `community_id(...)` and `connection_uid(...)`, and the view `connections`, which
//! counts each once.

use arrow::array::{Array, ArrayRef, AsArray as _, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion::common::cast::as_string_array;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::prelude::SessionContext;
use std::sync::Arc;
use tradewind_model::{ConnectionTuple, community_id, connection_uid};

/// Rows that open a connection or whose counters count, with what each adds. Rows of before connect count as they are.
const CONNECTIONS: &str = "SELECT *, \
    CASE WHEN coalesce(opens, true) THEN coalesce(flow_count, 1) ELSE 0 END AS connection_count, \
    CASE WHEN coalesce(is_lead, true) THEN bytes_out END AS lead_bytes_out, \
    CASE WHEN coalesce(is_lead, true) THEN bytes_in END AS lead_bytes_in, \
    CASE WHEN coalesce(is_lead, true) THEN packets_out END AS lead_packets_out, \
    CASE WHEN coalesce(is_lead, true) THEN packets_in END AS lead_packets_in \
    FROM flows WHERE coalesce(opens, true) OR coalesce(is_lead, true)";

pub(super) fn register(session: &SessionContext) {
    for kind in [Kind::CommunityId, Kind::ConnectionUid] {
        session.register_udf(ScalarUDF::new_from_impl(Naming { kind, signature: kind.signature() }));
    }
}

/// Makes the view over table `flows`, which must be there.
pub(super) async fn register_view(session: &SessionContext) -> Result<()> {
    let view = session.sql(CONNECTIONS).await?.into_view();
    session.register_table("connections", view).map(|_| ())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// `community_id(src_ip, src_port, dst_ip, dst_port, protocol_num [, icmp_type, icmp_code])`.
    CommunityId,
    /// `connection_uid(src_ip, src_port, dst_ip, dst_port, protocol_num, src_network, dst_network, opened_at)`.
    ConnectionUid,
}

impl Kind {
    fn signature(self) -> Signature {
        let tuple = [DataType::Utf8, DataType::Int64, DataType::Utf8, DataType::Int64, DataType::Int64];
        let exact = |more: &[DataType]| TypeSignature::Exact([&tuple, more].concat());
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let signatures = match self {
            Self::CommunityId => vec![exact(&[]), exact(&[DataType::Int64, DataType::Int64])],
            Self::ConnectionUid => vec![exact(&[DataType::Utf8, DataType::Utf8, time])],
        };
        Signature::one_of(signatures, Volatility::Immutable)
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Naming {
    kind: Kind,
    signature: Signature,
}

impl ScalarUDFImpl for Naming {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::CommunityId => "community_id",
            Kind::ConnectionUid => "connection_uid",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let columns = arguments.args.iter().map(|column| column.to_array_of_size(rows)).collect::<Result<Vec<_>>>()?;
        let [src_ips, dst_ips] = [texts(&columns[0])?, texts(&columns[2])?];
        let [src_ports, dst_ports, protocols] = [numbers(&columns[1])?, numbers(&columns[3])?, numbers(&columns[4])?];
        let more = columns.get(5..).unwrap_or_default();
        let types_and_codes = match more {
            [types, codes] => Some((numbers(types)?, numbers(codes)?)),
            _ => None,
        };
        let networks_and_times = match more {
            [src, dst, times] => Some((texts(src)?, texts(dst)?, numbers(times)?)),
            _ => None,
        };
        let name = |row: usize| {
            let icmp = types_and_codes
                .as_ref()
                .map_or((None, None), |(types, codes)| (number(types, row), number(codes, row)));
            let tuple = ConnectionTuple::from_columns(
                (text(&src_ips, row)?, number(&src_ports, row)),
                (text(&dst_ips, row)?, number(&dst_ports, row)),
                number(&protocols, row)?,
                icmp,
            )?;
            match &networks_and_times {
                None => community_id(&tuple, 0),
                Some((src, dst, times)) => {
                    Some(connection_uid(&tuple, (text(src, row), text(dst, row)), number(times, row)))
                }
            }
        };
        let names: StringArray = (0..rows).map(name).collect();
        Ok(ColumnarValue::Array(Arc::new(names) as ArrayRef))
    }
}

fn texts(column: &ArrayRef) -> Result<StringArray> {
    Ok(as_string_array(&cast(column, &DataType::Utf8)?)?.clone())
}

fn numbers(column: &ArrayRef) -> Result<Int64Array> {
    Ok(cast(column, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

fn text(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

fn number(column: &Int64Array, row: usize) -> Option<i64> {
    column.is_valid(row).then(|| column.value(row))
}

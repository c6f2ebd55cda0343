//! SQL functions about addresses: `cidr_contains(cidr, ip)`, `is_private(ip)`, `ip_family(ip)`.

use arrow::array::{Array, ArrayRef, BooleanArray, Int32Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::cast::as_string_array;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use datafusion::prelude::SessionContext;
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;

pub(super) fn register(session: &SessionContext) {
    session.register_udf(cidr_contains());
    session.register_udf(is_private());
    session.register_udf(ip_family());
}

/// Whether an address lies in a network. Null when either is null or the second is no address; a wrong network is an error.
fn cidr_contains() -> ScalarUDF {
    let function = |arguments: &[ColumnarValue]| {
        let rows = row_count(arguments);
        let [networks, addresses] = texts(arguments, rows)?;
        let mut last: Option<(String, IpNet)> = None;
        let mut answers = Vec::with_capacity(rows);
        for row in 0..rows {
            let (Some(network), Some(address)) = (get(&networks, row), get(&addresses, row)) else {
                answers.push(None);
                continue;
            };
            if last.as_ref().is_none_or(|(text, _)| text != network) {
                last = Some((network.to_owned(), parse_network(network)?));
            }
            answers.push(
                parse_address(address).zip(last.as_ref()).map(|(address, (_, network))| network.contains(&address)),
            );
        }
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::from(answers)) as ArrayRef))
    };
    create_udf(
        "cidr_contains",
        vec![DataType::Utf8, DataType::Utf8],
        DataType::Boolean,
        Volatility::Immutable,
        Arc::new(function),
    )
}

/// Whether an address is private: RFC 1918, RFC 4193, RFC 6598 (shared address space).
fn is_private() -> ScalarUDF {
    let function = |arguments: &[ColumnarValue]| {
        let rows = row_count(arguments);
        let [addresses] = texts(arguments, rows)?;
        let answers: BooleanArray =
            (0..rows).map(|row| get(&addresses, row).and_then(parse_address).map(private)).collect();
        Ok(ColumnarValue::Array(Arc::new(answers) as ArrayRef))
    };
    create_udf("is_private", vec![DataType::Utf8], DataType::Boolean, Volatility::Immutable, Arc::new(function))
}

/// 4 or 6; null for what is no address.
fn ip_family() -> ScalarUDF {
    let function = |arguments: &[ColumnarValue]| {
        let rows = row_count(arguments);
        let [addresses] = texts(arguments, rows)?;
        let family = |address: IpAddr| if address.is_ipv4() { 4 } else { 6 };
        let answers: Int32Array =
            (0..rows).map(|row| get(&addresses, row).and_then(parse_address).map(family)).collect();
        Ok(ColumnarValue::Array(Arc::new(answers) as ArrayRef))
    };
    create_udf("ip_family", vec![DataType::Utf8], DataType::Int32, Volatility::Immutable, Arc::new(function))
}

fn row_count(arguments: &[ColumnarValue]) -> usize {
    let length = |argument: &ColumnarValue| match argument {
        ColumnarValue::Array(array) => Some(array.len()),
        ColumnarValue::Scalar(_) => None,
    };
    arguments.iter().find_map(length).unwrap_or(1)
}

fn texts<const N: usize>(arguments: &[ColumnarValue], rows: usize) -> Result<[StringArray; N]> {
    let arrays: Vec<StringArray> = arguments
        .iter()
        .map(|argument| {
            let array = argument.to_array_of_size(rows)?;
            Ok(as_string_array(&cast(&array, &DataType::Utf8)?)?.clone())
        })
        .collect::<Result<_>>()?;
    arrays.try_into().map_err(|_| DataFusionError::Internal("wrong number of arguments".to_owned()))
}

fn get(texts: &StringArray, row: usize) -> Option<&str> {
    texts.is_valid(row).then(|| texts.value(row))
}

fn parse_network(text: &str) -> Result<IpNet> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| DataFusionError::Execution(format!("`{text}` is not a network such as 10.0.0.0/8")))
}

/// An address; an IPv4-mapped IPv6 address counts as IPv4.
fn parse_address(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_private() || (first == 100 && (64..128).contains(&second))
        }
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_ranges() {
        for (text, expected) in [
            ("10.1.2.3", true),
            ("172.31.0.1", true),
            ("172.32.0.1", false),
            ("192.168.1.1", true),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("fd00::1", true),
            ("fe80::1", false),
            ("8.8.8.8", false),
            ("::ffff:10.0.0.1", true),
        ] {
            assert_eq!(parse_address(text).map(private), Some(expected), "{text}");
        }
        assert_eq!(parse_address("010.1.2.3"), None);
    }
}

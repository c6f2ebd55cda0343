//! Tables for what addresses stand for and where flows go.
#![allow(clippy::unwrap_used)]

use crate::{Context, Inventory, Normaliser, Scratch, Settings};
use tradewind_model::FlowBatch;
use tradewind_model::flow::*;
use tradewind_model::time::parse;

const INVENTORY: &str = "\
address,entity,kind,namespace,network,valid_from,valid_to,instance
10.0.0.1,cart,service,shop,,,,cart-7f
10.0.0.2,planner,agent,lab,,,,
10.0.1.0/24,db,host,,prod,,,
10.0.0.9,old,service,shop,,,2026-01-10,old-1
10.0.0.9,new,service,shop,,2026-01-10,2026-01-20,
203.0.113.7,partner,external,,,,,
";

const SETTINGS: &str = "[networks]\nvpc-1 = 'prod'\nvpc-2 = 'prod'\n";

/// Network, address and principal of one end, and the day its flow ended.
#[derive(Clone, Copy)]
struct End(&'static str, &'static str, &'static str, &'static str);

fn given(text: &str) -> Option<&str> {
    (text != "-").then_some(text)
}

fn normalise(settings: &str, ends: &[(End, End)]) -> FlowBatch {
    let mut batch = FlowBatch::default();
    for (src, dst) in ends {
        for (end, columns) in [(src, [SRC_NETWORK, SRC_IP, SRC_PRINCIPAL]), (dst, [DST_NETWORK, DST_IP, DST_PRINCIPAL])]
        {
            for (column, text) in columns.into_iter().zip([end.0, end.1, end.2]) {
                given(text).into_iter().for_each(|text| batch.set_text(column, text));
            }
            batch.set_num(END_TIME, parse(end.3).unwrap());
        }
        batch.set_num(IS_SRC_DST_ASSIGNMENT_KNOWN, 1);
        batch.end_row();
    }
    let settings: Settings = toml::from_str(settings).unwrap();
    let normaliser = Normaliser::new(&settings, Inventory::from_csv(INVENTORY, "hosts.csv").unwrap());
    let context = Context { ingest_time: parse("2026-03-01").unwrap(), retention: None };
    normaliser.apply(&mut batch, &mut Scratch::default(), &context);
    batch
}

/// Entity, kind, namespace, instance and source of one end of a row.
fn found(batch: &FlowBatch, row: usize, is_src: bool) -> String {
    let columns = if is_src {
        [SRC_ENTITY, SRC_KIND, SRC_NAMESPACE, SRC_INSTANCE, SRC_ENTITY_SOURCE]
    } else {
        [DST_ENTITY, DST_KIND, DST_NAMESPACE, DST_INSTANCE, DST_ENTITY_SOURCE]
    };
    columns.map(|column| batch.text(column).get(row).unwrap_or("-")).join(" ")
}

fn check(settings: &str, table: &[(End, &str)]) {
    let silent = End("-", "-", "-", "2026-01-05");
    for &(end, expected) in table {
        // Alone the columns are one value for all rows; beside other rows they are not.
        let alone = normalise(settings, &[(end, End(silent.0, silent.1, silent.2, end.3))]);
        assert_eq!(found(&alone, 0, true), expected, "{} {} {}", end.0, end.1, end.2);
    }
    let ends: Vec<_> = table.iter().map(|&(end, _)| (end, end)).collect();
    let together = normalise(settings, &ends);
    for (row, (_, expected)) in table.iter().enumerate() {
        assert_eq!(found(&together, row, true), *expected, "row {row} as source");
        assert_eq!(found(&together, row, false), *expected, "row {row} as destination");
    }
}

#[test]
fn addresses_find_their_entity() {
    let day = "2026-01-05";
    check(
        SETTINGS,
        &[
            (End("-", "10.0.0.1", "-", day), "-/shop/service/cart service shop cart-7f inventory"),
            (End("vpc-1", "10.0.0.1", "-", day), "-/shop/service/cart service shop cart-7f inventory"),
            (End("-", "10.0.0.2", "-", day), "-/lab/agent/planner agent lab - inventory"),
            (End("vpc-1", "10.0.1.5", "-", day), "prod/-/host/db host - - inventory"),
            (End("vpc-2", "10.0.1.5", "-", day), "prod/-/host/db host - - inventory"),
            (End("prod", "10.0.1.5", "-", day), "prod/-/host/db host - - inventory"),
            (End("vpc-3", "10.0.1.5", "-", day), "vpc-3/-/unknown/10.0.1.5 unknown - - address"),
            (End("-", "10.0.1.5", "-", day), "-/-/unknown/10.0.1.5 unknown - - address"),
            (End("-", "203.0.113.7", "-", day), "-/-/external/partner external - - inventory"),
            (End("vpc-1", "203.0.113.8", "-", day), "-/-/external/internet external - - address"),
            (End("-", "2001:db8::1", "-", day), "-/-/external/internet external - - address"),
            (End("-", "no address", "-", day), "-/-/unknown/no address unknown - - address"),
            (End("-", "-", "-", day), "-/-/unknown/- unknown - - unknown"),
            (End("-", "10.0.0.9", "-", "2026-01-09"), "-/shop/service/old service shop old-1 inventory"),
            (End("-", "10.0.0.9", "-", "2026-01-10"), "-/shop/service/new service shop - inventory"),
            (End("-", "10.0.0.9", "-", "2026-01-20"), "-/-/unknown/10.0.0.9 unknown - - address"),
        ],
    );
}

#[test]
fn a_principal_outranks_the_address() {
    let day = "2026-01-05";
    check(
        SETTINGS,
        &[
            (End("-", "10.0.0.2", "spiffe://t/ns/shop/sa/cart", day), "-/shop/service/cart service shop - principal"),
            (End("-", "10.0.0.1", "spiffe://t/ns/lab/sa/planner", day), "-/lab/agent/planner agent lab - principal"),
            (End("-", "8.8.8.8", "spiffe://t/ns/a/sa/b", day), "-/a/service/b service a - principal"),
            (End("vpc-1", "-", "spiffe://t/ns/a/sa/b", day), "-/a/service/b service a - principal"),
            (End("-", "10.0.0.1", "CN=other", day), "-/shop/service/cart service shop cart-7f inventory"),
        ],
    );
}

#[test]
fn the_default_network_stands_for_records_without_one() {
    let day = "2026-01-05";
    check(
        "default_network = 'prod'",
        &[
            (End("-", "10.0.0.1", "-", day), "prod/shop/service/cart service shop cart-7f inventory"),
            (End("-", "10.0.1.5", "-", day), "prod/-/host/db host - - inventory"),
            (End("test", "10.0.0.1", "-", day), "prod/shop/service/cart service shop cart-7f inventory"),
            (End("test", "10.0.1.5", "-", day), "test/-/unknown/10.0.1.5 unknown - - address"),
            (End("-", "8.8.8.8", "-", day), "-/-/external/internet external - - address"),
            (End("-", "-", "spiffe://t/ns/a/sa/b", day), "prod/a/service/b service a - principal"),
        ],
    );
}

#[test]
fn what_the_record_says_of_itself_is_kept() {
    let mut batch = FlowBatch::default();
    for (address, namespace, instance) in [("10.0.0.1", "label", "eni-1"), ("10.9.9.9", "label", "eni-2")] {
        batch.set_text(SRC_IP, address);
        batch.set_text(SRC_NAMESPACE, namespace);
        batch.set_text(SRC_INSTANCE, instance);
        batch.end_row();
    }
    let normaliser = Normaliser::new(&Settings::default(), Inventory::from_csv(INVENTORY, "hosts.csv").unwrap());
    normaliser.apply(&mut batch, &mut Scratch::default(), &Context { ingest_time: 0, retention: None });
    assert_eq!(found(&batch, 0, true), "-/shop/service/cart service shop eni-1 inventory");
    assert_eq!(found(&batch, 1, true), "-/-/unknown/10.9.9.9 unknown label eni-2 address");
}

#[test]
fn the_direction_follows_from_both_addresses() {
    let table = [
        ("10.0.0.1", "10.0.0.2", "lateral"),
        ("8.8.8.8", "10.0.0.2", "inbound"),
        ("10.0.0.1", "8.8.8.8", "outbound"),
        ("8.8.8.8", "1.1.1.1", "external"),
        ("10.0.0.1", "-", "-"),
        ("-", "10.0.0.1", "-"),
        ("no address", "10.0.0.1", "-"),
    ];
    let day = "2026-01-05";
    let ends = table.map(|(src, dst, _)| (End("-", src, "-", day), End("-", dst, "-", day)));
    let batch = normalise("", &ends);
    for (row, (src, dst, expected)) in table.into_iter().enumerate() {
        assert_eq!(batch.text(DIRECTION).get(row).unwrap_or("-"), expected, "{src} -> {dst}");
    }
}

//! Tables for the inventory: what an address finds, when, and what is refused where.
#![allow(clippy::unwrap_used)]

use super::*;

const DAY_TEXT: &str = "2026-01-15";

/// What an address of a network stood for at a time: `namespace/kind/name`.
fn found(inventory: &Inventory, network: &str, address: &str, time: &str) -> String {
    let network = (network != "-").then_some(network);
    let entity = inventory.find(network, address.parse().unwrap(), time::parse(time).unwrap());
    entity.map_or("-".to_owned(), |entity| {
        let namespace = entity.namespace.as_deref().unwrap_or("-");
        format!("{namespace}/{}/{}", entity.kind.as_str(), entity.name)
    })
}

fn csv_error(text: &str) -> String {
    Inventory::from_csv(text, "hosts.csv").unwrap_err().to_string()
}

fn toml_error(text: &str) -> String {
    Inventory::from_toml(text, "hosts.toml").unwrap_err().to_string()
}

#[test]
fn the_most_specific_entry_wins() {
    let inventory = Inventory::from_csv(
        "# made by hand\n\
         network,address,entity,kind,namespace\n\
         ,10.0.0.0/8,wide,,\n\
         ,10.1.0.0/16,narrow,host,lab\n\
         ,10.1.2.3,exact,agent,lab\n\
         prod,10.1.0.0/16,narrow-prod,service,shop\n\
         prod,10.0.0.0/8,wide-prod,service,shop\n\
         prod,10.9.9.9,exact-prod,,\n\
         \n\
         ,::ffff:10.7.7.7,mapped,,\n\
         ,2001:db8::/32,\"partner, the\",external,\n",
        "hosts.csv",
    )
    .unwrap();
    for (network, address, expected) in [
        ("-", "10.2.0.1", "-/service/wide"),
        ("-", "10.1.0.1", "lab/host/narrow"),
        ("-", "10.1.2.3", "lab/agent/exact"),
        ("prod", "10.1.2.3", "lab/agent/exact"),
        ("prod", "10.1.0.1", "shop/service/narrow-prod"),
        ("prod", "10.2.0.1", "shop/service/wide-prod"),
        ("prod", "10.9.9.9", "-/service/exact-prod"),
        ("-", "10.9.9.9", "-/service/wide"),
        ("test", "10.9.9.9", "-/service/wide"),
        ("-", "10.7.7.7", "-/service/mapped"),
        ("-", "::ffff:10.1.2.3", "lab/agent/exact"),
        ("-", "2001:db8::1", "-/external/partner, the"),
        ("-", "192.168.0.1", "-"),
    ] {
        assert_eq!(found(&inventory, network, address, DAY_TEXT), expected, "{network} {address}");
    }
    assert_eq!(inventory.len(), 8);
}

#[test]
fn entries_hold_for_their_time() {
    let inventory = Inventory::from_toml(
        r#"
        [[entity]]
        name = "old"
        addresses = ["10.0.0.1"]
        valid_to = "2026-01-10"
        [[entity]]
        name = "new"
        kind = "agent"
        addresses = ["10.0.0.1", "10.0.1.0/24"]
        valid_from = 2026-01-10T00:00:00Z
        valid_to = 2026-01-20
        [[entity]]
        name = "any"
        addresses = ["10.0.0.0/16"]
        [[entity]]
        name = "never-reached"
        addresses = ["10.0.0.0/8"]
        "#,
        "hosts.toml",
    )
    .unwrap();
    for (address, time, expected) in [
        ("10.0.0.1", "2026-01-09T23:59:59.999999Z", "-/service/old"),
        ("10.0.0.1", "2026-01-10T00:00:00Z", "-/agent/new"),
        ("10.0.0.1", "2026-01-19T23:59:59Z", "-/agent/new"),
        ("10.0.0.1", "2026-01-20", "-/service/any"),
        ("10.0.1.9", "2026-01-09", "-/service/any"),
        ("10.0.1.9", "2026-01-11", "-/agent/new"),
    ] {
        assert_eq!(found(&inventory, "-", address, time), expected, "{address} {time}");
    }
    assert_eq!(inventory.tenures(None, "10.0.0.1".parse().unwrap()).len(), 3);
}

#[test]
fn faults_of_csv_have_their_line() {
    for (text, expected) in [
        ("", "line 1: expected a header line such as `address,entity,kind`, found the end"),
        ("# a\n# b\n", "line 2: expected a header line such as `address,entity,kind`, found the end"),
        ("address\n", "line 1: `entity` is missing"),
        ("address,entity,address\n", "line 1: column `address` appears twice"),
        ("address,entity\n\n10.0.0.1,a,b\n", "line 3: found 3 fields where the header has 2"),
        ("address,entity\n,a\n", "line 2: `address` is missing"),
        ("address,entity\n10.0.0.1,\n", "line 2: `entity` is missing"),
        ("address,entity\nten,a\n", "line 2: `ten` is neither an IP address nor a network such as 10.1.0.0/24"),
        (
            "address,entity\n10.0.0.1/24,a\n",
            "line 2: `10.0.0.1/24` has bits set after its prefix: write 10.0.0.0/24 for the network, or the address without a prefix",
        ),
        (
            "address,entity,kind\n10.0.0.1,a,unknown\n",
            "line 2: `unknown` is not a kind: expected service, agent, host or external",
        ),
        (
            "address,entity,valid_from\n#\n10.0.0.1,a,soon\n",
            "line 3: `soon` is not a time: expected RFC 3339 such as 2026-01-31T08:00:00Z, or a date such as 2026-01-31",
        ),
        (
            "address,entity,valid_from,valid_to\n10.0.0.1,a,2026-01-02,2026-01-02\n",
            "line 2: valid_from 2026-01-02T00:00:00Z is not before valid_to 2026-01-02T00:00:00Z",
        ),
        (
            "address,entity,valid_to\r\n10.0.0.1,a,2026-01-02\r\n10.0.0.2,a,\r\n10.0.0.1/32,b,\r\n",
            "line 4: `10.0.0.1/32` is given to an entity already at line 2, and the times overlap",
        ),
        (
            "address,entity\n\"10.0.0.1,a\n",
            "line 2: a quote is not closed on its line, or text follows a closing quote",
        ),
    ] {
        assert_eq!(csv_error(text), format!("inventory hosts.csv, {expected}"), "{text:?}");
    }
    assert!(csv_error("address,entity,owner\n").contains("line 1: unknown column `owner`: expected address, entity"));
}

#[test]
fn faults_of_toml_have_their_key() {
    for (text, expected) in [
        ("[[entity]]\nname = ''\naddresses = ['10.0.0.1']", "entity[0].name: `name` is missing"),
        ("[[entity]]\nname = 'a'\naddresses = []", "entity[0].addresses: `addresses` is missing"),
        (
            "[[entity]]\nname = 'a'\naddresses = ['10.0.0.1', 'x']",
            "entity[0].addresses[1]: `x` is neither an IP address nor a network such as 10.1.0.0/24",
        ),
        (
            "[[entity]]\nname = 'a'\naddresses = ['::1']\nkind = 'pod'",
            "entity[0].kind: `pod` is not a kind: expected service, agent, host or external",
        ),
        (
            "[[entity]]\nname = 'a'\naddresses = ['::1']\n[[entity]]\nname = 'b'\naddresses = ['::2', '::1']",
            "entity[1].addresses[1]: `::1` is given to an entity already at entity[0].addresses[0], and the times overlap",
        ),
        (
            "[[entity]]\nname = 'a'\naddresses = ['::1']\nvalid_to = 5",
            "entity[0].valid_to: `5` is not a time: expected RFC 3339 such as 2026-01-31T08:00:00Z, or a date such as 2026-01-31",
        ),
    ] {
        assert_eq!(toml_error(text), format!("inventory hosts.toml, {expected}"), "{text:?}");
    }
    for (text, parts) in [
        ("[[entity]]\nname = 'a'\nadresses = ['::1']", ["line 3, entity[0].adresses: ", "unknown field `adresses`"]),
        ("[[entity]]\nname = 'a'", ["line 1, entity[0]: ", "missing field `addresses`"]),
        ("[[entity]]\nname = 5\naddresses = []", ["line 2, entity[0].name: ", "expected a string"]),
        ("\n\nentity = [", ["hosts.toml, line 3: ", "array"]),
        ("entities = 1", ["line 1", "unknown field `entities`"]),
    ] {
        let error = toml_error(text);
        assert!(parts.iter().all(|part| error.contains(part)), "{text:?}: {error}");
    }
}

#[test]
fn one_address_may_be_in_two_spaces() {
    let text = "address,entity,network\n10.0.0.1,a,east\n10.0.0.1,b,west\n10.0.0.1,c,\n";
    let inventory = Inventory::from_csv(text, "hosts.csv").unwrap();
    let names = ["east", "west", "north", "-"].map(|network| found(&inventory, network, "10.0.0.1", DAY_TEXT));
    assert_eq!(names, ["-/service/a", "-/service/b", "-/service/c", "-/service/c"]);
}

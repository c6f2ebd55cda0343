//! The TOML notation of an inventory. Not the configuration, which only names the inventory's file.

use super::{Inventory, InventoryEntity, InventoryError, Problem, RawTenure, kind, tenure};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    entity: Vec<Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    name: String,
    kind: Option<String>,
    namespace: Option<String>,
    network: Option<String>,
    instance: Option<String>,
    addresses: Vec<String>,
    valid_from: Option<toml::Value>,
    valid_to: Option<toml::Value>,
}

pub(super) fn read(text: &str, name: &str) -> Result<Inventory, InventoryError> {
    let at = |key: String, problem| InventoryError::Key { name: name.to_owned(), key, problem };
    let refused = |key: String, error: &toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        let key = if key == "." { format!("line {line}") } else { format!("line {line}, {key}") };
        at(key, Problem::Toml { message: error.message().to_owned() })
    };
    let reader = toml::Deserializer::parse(text).map_err(|error| refused(".".to_owned(), &error))?;
    let document: Document =
        serde_path_to_error::deserialize(reader).map_err(|error| refused(error.path().to_string(), error.inner()))?;
    let mut inventory = Inventory::default();
    for (index, table) in document.entity.into_iter().enumerate() {
        let path = format!("entity[{index}]");
        add(&mut inventory, table, &path).map_err(|(key, problem)| at(format!("{path}.{key}"), problem))?;
    }
    Ok(inventory)
}

fn add(inventory: &mut Inventory, table: Table, path: &str) -> Result<(), (String, Problem)> {
    let at = |key: &'static str| move |problem| (key.to_owned(), problem);
    if table.name.is_empty() {
        return Err(at("name")(Problem::Missing { field: "name" }));
    }
    if table.addresses.is_empty() {
        return Err(at("addresses")(Problem::Missing { field: "addresses" }));
    }
    let present = |text: Option<String>| text.filter(|text| !text.is_empty());
    let entity = inventory.add_entity(InventoryEntity {
        name: table.name,
        kind: kind(table.kind.as_deref()).map_err(at("kind"))?,
        namespace: present(table.namespace),
        network: present(table.network),
        instance: present(table.instance),
    });
    let (from, to) = (table.valid_from.as_ref().map(time_text), table.valid_to.as_ref().map(time_text));
    let key = if from.is_some() { "valid_from" } else { "valid_to" };
    let tenure = tenure(RawTenure { from: from.as_deref(), to: to.as_deref() }, entity).map_err(at(key))?;
    for (index, address) in table.addresses.iter().enumerate() {
        let key = format!("addresses[{index}]");
        inventory.add_address(address, tenure, &format!("{path}.{key}")).map_err(|problem| (key, problem))?;
    }
    Ok(())
}

/// A time may be written as text or in TOML's own notation.
fn time_text(value: &toml::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

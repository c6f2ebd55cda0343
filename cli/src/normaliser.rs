//! Makes the normaliser of the settings: the one place that reads the inventory file.

use crate::config::{ConfigError, Settings};
use tradewind_normalise::{Inventory, Normaliser};

/// The normaliser with the inventory that the settings name.
///
/// # Errors
/// An inventory that cannot be read or is wrong.
pub(crate) fn from_settings(settings: &Settings) -> Result<Normaliser, ConfigError> {
    Ok(Normaliser::new(&settings.normalise, inventory(settings)?))
}

fn inventory(settings: &Settings) -> Result<Inventory, ConfigError> {
    let Some(path) = settings.inventory.file() else { return Ok(Inventory::default()) };
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::ReadInventory { path: path.to_owned(), source })?;
    let name = path.display().to_string();
    let is_toml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
    let inventory = if is_toml { Inventory::from_toml(&text, &name) } else { Inventory::from_csv(&text, &name) };
    inventory.map_err(|source| ConfigError::Inventory { source })
}

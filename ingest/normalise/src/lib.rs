//! Completes decoded flows: times, who opened the connection, which entities the addresses stand for, and the direction;
//! and the order in which flows are stored.
//!
//! Pure: it reads no file and no clock. What a row becomes depends on that row, the settings and the inventory alone,
//! never on the rows beside it, so that a replay in batches of another size gives the same rows.

mod identity;
mod inventory;
mod memo;
mod network;
mod normaliser;
mod order;
mod orientation;
mod port;
mod principal;
mod settings;
mod swap;
mod times;

pub use inventory::{Inventory, InventoryEntity, InventoryError, Problem};
pub use network::{Direction, Networks};
pub use normaliser::{Context, Normaliser, Scratch};
pub use order::storage_order;
pub use port::{PortOrientation, port_orientation};
pub use settings::Settings;
pub use times::FUTURE_MAX;

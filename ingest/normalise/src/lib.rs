//! Completes decoded flows: times, who opened the connection, which entities the addresses stand for, and the direction;
//! which flows are of one connection; and the order in which flows are stored.
//!
//! Pure: it reads no file and no clock. What [`Normaliser`] makes of a row depends on that row, the settings and the
//! inventory alone, never on the rows beside it, so that a replay in batches of another size gives the same rows.
//! [`Connect`] alone remembers rows, within bounds, and is rebuilt from those that are stored.

mod connect;
mod dates;
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

pub use connect::{Connect, ConnectCounts, ConnectScratch, ConnectSettings, ConnectState, Connected, LeadChange};
pub use inventory::{Inventory, InventoryEntity, InventoryError, Problem};
pub use network::{Direction, Networks};
pub use normaliser::{Context, Normaliser, Scratch};
pub use order::storage_order;
pub use port::{PortOrientation, port_orientation};
pub use settings::Settings;
pub use times::FUTURE_MAX;

//! What can be wrong with an inventory. Not what can be wrong with reading its file.

use ipnet::IpNet;

/// An inventory that was refused, and where it is wrong.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InventoryError {
    /// A fault in a line of the CSV notation.
    #[error("inventory {name}, line {line}: {problem}")]
    Line {
        /// What the caller calls the inventory.
        name: String,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        problem: Problem,
    },
    /// A fault at a key of the TOML notation.
    #[error("inventory {name}, {key}: {problem}")]
    Key {
        /// What the caller calls the inventory.
        name: String,
        /// Path of the key, such as `entity[2].addresses[0]`, counted from 0.
        key: String,
        /// What is wrong.
        problem: Problem,
    },
}

/// What is wrong with an entry.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Problem {
    /// No header line.
    #[error("expected a header line such as `address,entity,kind`, found the end")]
    NoHeader,
    /// A column that the notation does not have.
    #[error(
        "unknown column `{column}`: expected address, entity, kind, namespace, network, valid_from, valid_to or instance"
    )]
    UnknownColumn {
        /// Its name.
        column: String,
    },
    /// A column named twice.
    #[error("column `{column}` appears twice")]
    DuplicateColumn {
        /// Its name.
        column: String,
    },
    /// A required column or key that is absent or empty.
    #[error("`{field}` is missing")]
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// A line with more or fewer fields than the header.
    #[error("found {found} fields where the header has {expected}")]
    FieldCount {
        /// Fields of the line.
        found: usize,
        /// Fields of the header.
        expected: usize,
    },
    /// Quotes that do not follow RFC 4180.
    #[error("a quote is not closed on its line, or text follows a closing quote")]
    Quote,
    /// Neither an address nor a network.
    #[error("`{text}` is neither an IP address nor a network such as 10.1.0.0/24")]
    Address {
        /// What was found.
        text: String,
    },
    /// A network written with bits of a host in it.
    #[error("`{text}` has bits set after its prefix: write {network} for the network, or the address without a prefix")]
    HostBits {
        /// What was found.
        text: String,
        /// The network it lies in.
        network: IpNet,
    },
    /// A kind that no entry may have.
    #[error("`{text}` is not a kind: expected service, agent, host or external")]
    Kind {
        /// What was found.
        text: String,
    },
    /// Not a time.
    #[error("`{text}` is not a time: expected RFC 3339 such as 2026-01-31T08:00:00Z, or a date such as 2026-01-31")]
    Time {
        /// What was found.
        text: String,
    },
    /// A validity that holds at no time.
    #[error("valid_from {from} is not before valid_to {to}")]
    Validity {
        /// Its begin.
        from: String,
        /// Its end.
        to: String,
    },
    /// Two entries for one address of one address space at one time.
    #[error("`{address}` is given to an entity already at {other}, and the times overlap")]
    Overlap {
        /// The address or network.
        address: String,
        /// Where the other entry is.
        other: String,
    },
    /// Text that is not TOML, or not the TOML that an inventory is.
    #[error("{message}")]
    Toml {
        /// What the reader of TOML says.
        message: String,
    },
}

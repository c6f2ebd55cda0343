//! Counts how many distinct addresses, ports and pairs a data set has, while it is made.

use std::fmt;

/// A set of small numbers.
#[derive(Debug)]
struct Bits(Vec<u64>);

impl Bits {
    fn new(length: usize) -> Self {
        Self(vec![0; length.div_ceil(64)])
    }

    fn insert(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }

    fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
}

/// What has been seen.
#[derive(Debug)]
pub(crate) struct Tally {
    instances: usize,
    addresses: Bits,
    ports: Bits,
    pairs: Bits,
    /// Lines written, without the header.
    pub(crate) lines: u64,
    /// Those that say that data is missing.
    pub(crate) gaps: u64,
    /// Bytes written, with the header.
    pub(crate) bytes: u64,
}

impl Tally {
    pub(crate) fn new(instances: usize) -> Self {
        Self {
            instances,
            addresses: Bits::new(instances),
            ports: Bits::new(1 << 16),
            pairs: Bits::new(instances * instances),
            lines: 0,
            gaps: 0,
            bytes: 0,
        }
    }

    /// Notes one record's ends: the index of the address and the port.
    pub(crate) fn note(&mut self, src: (usize, u16), dst: (usize, u16)) {
        for (instance, port) in [src, dst] {
            self.addresses.insert(instance);
            self.ports.insert(port.into());
        }
        self.pairs.insert(src.0 * self.instances + dst.0);
    }

    /// The counts as they are reported.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            lines: self.lines,
            gaps: self.gaps,
            bytes: self.bytes,
            addresses: self.addresses.count(),
            ports: self.ports.count(),
            pairs: self.pairs.count(),
        }
    }
}

/// What a data set holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Counts {
    /// Lines, without the header.
    pub(crate) lines: u64,
    /// Lines that say that data is missing.
    pub(crate) gaps: u64,
    /// Bytes, with the header.
    pub(crate) bytes: u64,
    /// Distinct addresses.
    pub(crate) addresses: u32,
    /// Distinct ports.
    pub(crate) ports: u32,
    /// Distinct ordered pairs of addresses.
    pub(crate) pairs: u32,
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lines, gaps, bytes, addresses, ports, pairs } = self;
        write!(formatter, "{lines} lines ({gaps} gaps), {bytes} bytes; ")?;
        write!(formatter, "distinct: {addresses} addresses, {ports} ports, {pairs} ordered address pairs")
    }
}

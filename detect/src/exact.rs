//! Floating-point state as its bits, for serde: a text format that rounds would make a resumed run differ from one that
//! was not interrupted.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A floating-point number that is its bits.
pub(crate) trait Float: Copy {
    type Bits: Serialize + for<'de> Deserialize<'de>;
    fn bits(self) -> Self::Bits;
    fn of_bits(bits: Self::Bits) -> Self;
}

impl Float for f64 {
    type Bits = u64;
    fn bits(self) -> u64 {
        self.to_bits()
    }
    fn of_bits(bits: u64) -> Self {
        Self::from_bits(bits)
    }
}

impl Float for f32 {
    type Bits = u32;
    fn bits(self) -> u32 {
        self.to_bits()
    }
    fn of_bits(bits: u32) -> Self {
        Self::from_bits(bits)
    }
}

pub(crate) fn serialize<F: Float, S: Serializer>(value: &F, serializer: S) -> Result<S::Ok, S::Error> {
    value.bits().serialize(serializer)
}

pub(crate) fn deserialize<'de, F: Float, D: Deserializer<'de>>(deserializer: D) -> Result<F, D::Error> {
    F::Bits::deserialize(deserializer).map(F::of_bits)
}

//! Which shard an edge belongs to. Both directions of a pair of entities have the same one.

/// Virtual shards: fixed for ever, so that a stage may grow without edges changing their place.
pub const VIRTUAL_SHARDS: u16 = 1024;

/// The virtual shard of a pair of entities, in either order. The hash is FNV-1a over both names
/// (Fowler, Noll and Vo; draft-eastlake-fnv) with a final mix, because it must be the same in every version and on every
/// machine.
#[must_use]
pub fn virtual_shard(one: &str, other: &str) -> u16 {
    let (low, high) = if one <= other { (one, other) } else { (other, one) };
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    // The separator is no byte of UTF-8, so that no two pairs read the same.
    for byte in low.bytes().chain([0xff]).chain(high.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let [high, low, ..] = hash.to_be_bytes();
    u16::from_be_bytes([high, low]) % VIRTUAL_SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(one: &str, other: &str, expected: u16) {
        assert_eq!(virtual_shard(one, other), expected, "{one}, {other}");
        assert_eq!(virtual_shard(other, one), expected, "{other}, {one}");
    }

    /// Written down once: they may never change.
    #[test]
    fn places_are_fixed_and_do_not_depend_on_direction() {
        check("prod/shop/service/cart", "prod/shop/service/payments", 271);
        check("a", "b", 712);
        check("", "a", 146);
        check("a", "a", 493);
        check("-/-/agent/bot", "-/-/external/203.0.113.9", 300);
    }

    #[test]
    fn places_are_spread() {
        let mut places: Vec<u16> = (0..2048).map(|n| virtual_shard("a", &format!("service/{n}"))).collect();
        places.sort_unstable();
        places.dedup();
        // Of 1,024 places 2,048 random pairs leave one in e², 139, empty.
        assert!(places.len() > 820, "{}", places.len());
    }
}

//! Ports and addresses that no rule tells apart, as one number each: what keeps the memory of decisions small.

use crate::document::CidrSelector;
use ipnet::IpNet;
use std::net::IpAddr;

/// Ports between the same bounds of ranges have the same class.
#[derive(Debug)]
pub(crate) struct PortClasses {
    /// For each port, how many bounds lie at or below it. Bounds lie above port 0, so 16 bits hold the number.
    classes: Box<[u16]>,
}

impl PortClasses {
    pub(crate) fn new(ranges: impl Iterator<Item = (u16, u16)>) -> Self {
        let mut is_bound = vec![false; usize::from(u16::MAX) + 2];
        for (first, last) in ranges {
            is_bound[usize::from(first)] = true;
            is_bound[usize::from(last) + 1] = true;
        }
        is_bound[0] = false;
        let mut class = 0;
        let classes = is_bound[..=usize::from(u16::MAX)].iter().map(|is_bound| {
            class += u16::from(*is_bound);
            class
        });
        Self { classes: classes.collect() }
    }

    #[inline]
    pub(crate) fn class(&self, port: u16) -> u16 {
        self.classes[usize::from(port)]
    }
}

/// Addresses between the same bounds of ranges have the same class.
#[derive(Debug, Default)]
pub(crate) struct AddressClasses {
    v4: Vec<u32>,
    v6: Vec<u128>,
}

impl AddressClasses {
    pub(crate) fn new(cidrs: &[CidrSelector]) -> Self {
        let mut classes = Self::default();
        for range in cidrs.iter().flat_map(|cidr| std::iter::once(&cidr.network).chain(&cidr.except)) {
            match range {
                IpNet::V4(range) => {
                    classes.v4.push(u32::from(range.network()));
                    classes.v4.extend(u32::from(range.broadcast()).checked_add(1));
                }
                IpNet::V6(range) => {
                    classes.v6.push(u128::from(range.network()));
                    classes.v6.extend(u128::from(range.broadcast()).checked_add(1));
                }
            }
        }
        classes.v4.sort_unstable();
        classes.v4.dedup();
        classes.v6.sort_unstable();
        classes.v6.dedup();
        classes
    }

    /// 0 for an address that was not seen.
    pub(crate) fn class(&self, address: Option<IpAddr>) -> u32 {
        let place = match address {
            None => return 0,
            Some(IpAddr::V4(address)) => self.v4.partition_point(|bound| *bound <= u32::from(address)),
            Some(IpAddr::V6(address)) => {
                self.v4.len() + 1 + self.v6.partition_point(|bound| *bound <= u128::from(address))
            }
        };
        u32::try_from(place + 1).expect("the limit of rules keeps the bounds far below 2^32")
    }
}

impl CidrSelector {
    /// Whether it takes the address.
    pub(crate) fn matches(&self, address: IpAddr) -> bool {
        self.network.contains(&address) && !self.except.iter().any(|range| range.contains(&address))
    }

    /// Whether it takes every address that `other` takes. False where that is not plain to see.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let is_disjoint = |range: &IpNet| !range.contains(&other.network) && !other.network.contains(range);
        self.network.contains(&other.network)
            && self.except.iter().all(|range| other.except.contains(range) || is_disjoint(range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cidr(network: &str, except: &[&str]) -> CidrSelector {
        let range = |text: &str| text.parse().expect("a range");
        CidrSelector { network: range(network), except: except.iter().map(|text| range(text)).collect() }
    }

    proptest! {
        #[test]
        fn ports_of_one_class_are_in_the_same_ranges(
            ranges in prop::collection::vec((1_u16.., 1_u16..), 0..6), a: u16, b: u16,
        ) {
            let ranges: Vec<_> = ranges.into_iter().map(|(x, y)| (x.min(y), x.max(y))).collect();
            let classes = PortClasses::new(ranges.iter().copied());
            if classes.class(a) == classes.class(b) {
                for (first, last) in ranges {
                    prop_assert_eq!((first..=last).contains(&a), (first..=last).contains(&b));
                }
            }
        }

        #[test]
        fn addresses_of_one_class_are_in_the_same_ranges(a in 0_u32..1 << 12, b in 0_u32..1 << 12) {
            let cidrs = [cidr("0.0.8.0/21", &["0.0.9.0/24"]), cidr("0.0.0.0/30", &[]), cidr("0.0.0.0/0", &["0.0.0.1/32"])];
            let classes = AddressClasses::new(&cidrs);
            let [a, b] = [a, b].map(|bits| IpAddr::from(bits.to_be_bytes()));
            if classes.class(Some(a)) == classes.class(Some(b)) {
                for cidr in &cidrs {
                    prop_assert_eq!(cidr.matches(a), cidr.matches(b));
                }
            }
        }
    }

    #[test]
    fn the_two_families_share_no_class() {
        let classes = AddressClasses::new(&[cidr("255.255.255.0/24", &[]), cidr("::/0", &[])]);
        let class = |text: &str| classes.class(Some(text.parse().expect("an address")));
        let found = [classes.class(None), class("1.1.1.1"), class("255.255.255.255"), class("::"), class("::1")];
        assert_eq!(found, [0, 1, 2, 4, 4]);
    }

    #[test]
    fn exceptions_limit_what_is_covered() {
        for (wide, narrow, expected) in [
            (cidr("10.0.0.0/8", &[]), cidr("10.1.0.0/16", &[]), true),
            (cidr("10.0.0.0/8", &["10.1.0.0/16"]), cidr("10.1.2.0/24", &[]), false),
            (cidr("10.0.0.0/8", &["10.1.0.0/16"]), cidr("10.2.0.0/16", &[]), true),
            (cidr("10.1.0.0/16", &[]), cidr("10.0.0.0/8", &[]), false),
        ] {
            assert_eq!(wide.covers(&narrow), expected, "{wide:?} over {narrow:?}");
        }
    }
}

//! The addresses of one subnet: which are taken, and which is next.
//!
//! The lowest free address is allocated, as Docker does: the first container of a network has `.2`. Allocations have
//! no records of their own: they follow from the records of the network (gateway, auxiliary addresses) and of its
//! endpoints.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

/// The addresses of a subnet.
#[derive(Clone, Debug)]
pub struct Pool {
    /// The subnet.
    pub subnet: IpNet,
    first: u128,
    last: u128,
    used: BTreeSet<u128>,
    /// No address below this one is free.
    floor: u128,
}

impl Pool {
    /// A pool that allocates addresses of `range`, a part of `subnet`. It never allocates network and broadcast
    /// addresses.
    pub fn new(subnet: IpNet, range: Option<IpNet>) -> Self {
        let within = range.unwrap_or(subnet);
        let (mut first, mut last) = (number(within.network()), number(within.broadcast()));
        let mut used = BTreeSet::new();
        let small = subnet.max_prefix_len() - subnet.prefix_len() <= 1;
        if !small {
            first = first.max(number(subnet.network()) + 1);
            if subnet.addr().is_ipv4() {
                last = last.min(number(subnet.broadcast()) - 1);
                used.extend([subnet.network(), subnet.broadcast()].map(number));
            }
        }
        Pool { subnet, first, last, used, floor: first }
    }

    /// Takes the lowest free address.
    pub fn take_any(&mut self) -> Option<IpAddr> {
        let mut candidate = self.floor.max(self.first);
        for used in self.used.range(candidate..) {
            if *used != candidate {
                break;
            }
            candidate = candidate.checked_add(1)?;
        }
        self.floor = candidate;
        if candidate > self.last {
            return None;
        }
        self.used.insert(candidate);
        Some(self.address(candidate))
    }

    /// Takes the address, which may lie outside of the range but not of the subnet. Returns false when it is taken.
    pub fn take(&mut self, address: IpAddr) -> bool {
        self.used.insert(number(address))
    }

    /// Whether the subnet has the address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.subnet.contains(&address)
    }

    /// Releases an address.
    pub fn give(&mut self, address: IpAddr) {
        let number = number(address);
        if self.used.remove(&number) {
            self.floor = self.floor.min(number).max(self.first);
        }
    }

    fn address(&self, number: u128) -> IpAddr {
        match self.subnet {
            IpNet::V4(_) => {
                IpAddr::V4(u32::try_from(number).expect("numbers of a v4 pool come from v4 addresses").into())
            }
            IpNet::V6(_) => IpAddr::V6(number.into()),
        }
    }
}

pub(super) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pool(subnet: &str, range: Option<&str>) -> Pool {
        Pool::new(subnet.parse().unwrap(), range.map(|range| range.parse().unwrap()))
    }

    #[test]
    fn the_lowest_free_address_is_next() {
        let mut pool = pool("172.18.0.0/16", None);
        assert!(pool.take("172.18.0.1".parse().unwrap()));
        assert_eq!(pool.take_any().unwrap().to_string(), "172.18.0.2");
        assert_eq!(pool.take_any().unwrap().to_string(), "172.18.0.3");
        pool.give("172.18.0.2".parse().unwrap());
        assert_eq!(pool.take_any().unwrap().to_string(), "172.18.0.2");
        assert!(!pool.take("172.18.0.3".parse().unwrap()));
    }

    #[test]
    fn ranges_and_ends_are_kept() {
        let mut small = pool("10.0.0.0/30", None);
        assert_eq!(
            (small.take_any().is_some(), small.take_any().is_some(), small.take_any()),
            (true, true, None)
        );
        let mut ranged = pool("10.0.0.0/16", Some("10.0.5.0/31"));
        assert_eq!(ranged.take_any().unwrap().to_string(), "10.0.5.0");
        assert_eq!(ranged.take_any().unwrap().to_string(), "10.0.5.1");
        assert_eq!(ranged.take_any(), None);
        assert!(ranged.take("10.0.9.9".parse().unwrap()));
        let mut six = pool("fd00::/64", None);
        assert_eq!(six.take_any().unwrap().to_string(), "fd00::1");
    }

    proptest! {
        #[test]
        fn never_gives_an_address_twice(steps in prop::collection::vec(any::<Option<u8>>(), 1..80)) {
            let mut pool = pool("10.0.0.0/28", None);
            let mut held: Vec<IpAddr> = Vec::new();
            for step in steps {
                match step {
                    None => match pool.take_any() {
                        Some(address) => {
                            prop_assert!(!held.contains(&address) && pool.contains(address));
                            held.push(address);
                        }
                        None => prop_assert_eq!(held.len(), 14),
                    },
                    Some(n) if !held.is_empty() => pool.give(held.swap_remove(n as usize % held.len())),
                    Some(_) => {}
                }
            }
        }
    }
}

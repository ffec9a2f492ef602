//! The IPAM driver `default`: subnets and addresses of this host alone, in memory.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use parking_lot::Mutex;

use super::pool::Pool;
use super::{GivenPool, Ipam, PoolRequest, Purpose, subnet};
use crate::error::{Error, Result};
use crate::gateway::Family;

/// The IPAM driver `default`.
#[derive(Debug)]
pub struct Local {
    /// The seed of the IPv6 subnets.
    seed: [u8; 5],
    /// By subnet, which is also the id of the pool. The lock makes choosing and taking one step.
    pools: Mutex<BTreeMap<String, Pool>>,
}

impl Local {
    /// A driver without allocations. `seed` gives each Gantry IPv6 subnets of its own.
    pub fn new(seed: [u8; 5]) -> Self {
        Local { seed, pools: Mutex::default() }
    }
}

#[tonic::async_trait]
impl Ipam for Local {
    fn name(&self) -> &str {
        super::DEFAULT
    }

    async fn request_pool(&self, request: PoolRequest) -> Result<GivenPool> {
        let mut pools = self.pools.lock();
        let ours: Vec<IpNet> = pools.values().map(|pool| pool.subnet).collect();
        let subnet = match request.subnet.map(|subnet| subnet.trunc()) {
            Some(subnet) => match ours.iter().find(|other| subnet::overlap(&subnet, other)) {
                Some(other) => return Err(Error::PoolOverlaps(subnet, *other)),
                None => subnet,
            },
            None => {
                let free =
                    |net: &IpNet| !ours.iter().chain(&request.avoid).any(|other| subnet::overlap(net, other));
                let chosen = match request.family {
                    Family::V4 => subnet::default_v4().find(free),
                    Family::V6 => subnet::default_v6(self.seed).find(free),
                };
                chosen.ok_or(Error::PoolsUsedUp)?
            }
        };
        pools.insert(subnet.to_string(), Pool::new(subnet, request.range));
        Ok(GivenPool { id: subnet.to_string(), subnet })
    }

    async fn release_pool(&self, pool: &str) -> Result<()> {
        self.pools.lock().remove(pool);
        Ok(())
    }

    async fn request_address(
        &self,
        pool: &str,
        wanted: Option<IpAddr>,
        _purpose: Purpose<'_>,
    ) -> Result<Option<IpAddr>> {
        let mut pools = self.pools.lock();
        let Some(pool) = pools.get_mut(pool) else { return Ok(None) };
        Ok(match wanted {
            Some(address) => (pool.contains(address) && pool.take(address)).then_some(address),
            None => pool.take_any(),
        })
    }

    async fn release_address(&self, pool: &str, address: IpAddr) -> Result<()> {
        if let Some(pool) = self.pools.lock().get_mut(pool) {
            pool.give(address);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn any(family: Family) -> PoolRequest {
        let avoid = ["172.16.0.0/15", "172.18.5.0/24"].map(|net| net.parse().unwrap()).to_vec();
        PoolRequest { family, subnet: None, range: None, avoid, options: HashMap::new() }
    }

    fn local() -> Local {
        Local::new([1; 5])
    }

    #[tokio::test]
    async fn the_first_free_subnet_is_chosen() {
        let ipam = local();
        let first = ipam.request_pool(any(Family::V4)).await.unwrap();
        assert_eq!(first.subnet.to_string(), "172.19.0.0/16");
        assert_eq!(ipam.request_pool(any(Family::V4)).await.unwrap().subnet.to_string(), "172.20.0.0/16");
        let six = ipam.request_pool(any(Family::V6)).await.unwrap();
        assert_eq!(six.subnet.to_string(), "fd01:101:101::/64");
        let within = PoolRequest { subnet: Some("172.19.7.0/24".parse().unwrap()), ..any(Family::V4) };
        assert!(matches!(ipam.request_pool(within.clone()).await, Err(Error::PoolOverlaps(..))));
        ipam.release_pool(&first.id).await.unwrap();
        ipam.request_pool(within).await.unwrap();
    }

    #[tokio::test]
    async fn who_wants_a_subnet_when_none_is_left_is_told_to_name_one() {
        use gantry_rpc::Coded;

        let ipam = local();
        let refused = loop {
            if let Err(error) = ipam.request_pool(any(Family::V4)).await {
                break error;
            }
        };
        assert_eq!(refused.to_string(), "all predefined address pools have been fully subnetted");
        assert_eq!(refused.code(), gantry_rpc::Code::InvalidArgument, "as dockerd, which answers with 400");
    }

    #[tokio::test]
    async fn an_address_is_given_once() {
        let ipam = local();
        let pool = ipam.request_pool(any(Family::V4)).await.unwrap().id;
        let two = "172.19.0.2".parse().unwrap();
        assert_eq!(ipam.request_address(&pool, Some(two), Purpose::Auxiliary).await.unwrap(), Some(two));
        assert_eq!(ipam.request_address(&pool, Some(two), Purpose::Auxiliary).await.unwrap(), None);
        let outside = Some("172.20.0.2".parse().unwrap());
        assert_eq!(ipam.request_address(&pool, outside, Purpose::Auxiliary).await.unwrap(), None);
        ipam.release_address(&pool, two).await.unwrap();
        ipam.release_address(&pool, two).await.unwrap();
        assert_eq!(ipam.request_address(&pool, Some(two), Purpose::Auxiliary).await.unwrap(), Some(two));
    }
}

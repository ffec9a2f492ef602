//! IPAM drivers that are plugins: Docker's protocol `IpamDriver`.
//!
//! Most plugins keep their allocations. From one that does not, the service requests the recorded allocations again
//! at the start, as from the driver `default`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use gantry_plugin::wire::{Nothing, ipam as wire};
use gantry_plugin::{LONG, Plugin, SHORT};
use ipnet::IpNet;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{GivenPool, Ipam, PoolRequest, Purpose};
use crate::error::{Error, Result};
use crate::gateway::Family;

/// A plugin's IPAM driver.
#[derive(Debug)]
pub struct Distant {
    plugin: Plugin,
    capabilities: wire::Capabilities,
    /// The address space in which the subnets of this host must not overlap.
    space: String,
}

/// The error of this protocol, which is not that of the other plugin protocols.
#[derive(serde::Deserialize)]
struct Told<R> {
    #[serde(rename = "Error", default)]
    error: Option<String>,
    #[serde(flatten)]
    answer: R,
}

impl Distant {
    /// Asks a plugin for its capabilities, at its first use.
    pub async fn meet(plugin: Plugin) -> Result<Distant> {
        // Older plugins do not know the call.
        let capabilities =
            plugin.call("IpamDriver.GetCapabilities", &Nothing {}, SHORT).await.unwrap_or_default();
        let spaces: wire::AddressSpaces = ask(&plugin, "GetDefaultAddressSpaces", &Nothing {}).await?;
        Ok(Distant { plugin, capabilities, space: spaces.local_default_address_space })
    }

    async fn ask<R: DeserializeOwned>(&self, method: &str, asked: &impl Serialize) -> Result<R> {
        ask(&self.plugin, method, asked).await
    }

    fn odd(&self, what: &str, text: &str) -> Error {
        Error::Plugin(format!("IPAM plugin {:?} has given {text:?}, which is no {what}", self.plugin.name()))
    }
}

async fn ask<R: DeserializeOwned>(plugin: &Plugin, method: &str, asked: &impl Serialize) -> Result<R> {
    let told = plugin.call::<Told<R>>(&format!("IpamDriver.{method}"), asked, LONG).await;
    let told = told.map_err(|error| Error::Plugin(format!("remote: {error}")))?;
    match told.error.filter(|words| !words.is_empty()) {
        Some(words) => Err(Error::Plugin(format!("remote: {words}"))),
        None => Ok(told.answer),
    }
}

#[tonic::async_trait]
impl Ipam for Distant {
    fn name(&self) -> &str {
        self.plugin.name()
    }

    fn keeps(&self) -> bool {
        !self.capabilities.requires_request_replay
    }

    fn chooses_gateways(&self) -> bool {
        true
    }

    fn wants_mac(&self) -> bool {
        self.capabilities.requires_mac_address
    }

    async fn request_pool(&self, request: PoolRequest) -> Result<GivenPool> {
        let text = |net: Option<IpNet>| net.map(|net| net.to_string()).unwrap_or_default();
        let asked = wire::PoolRequest {
            address_space: self.space.clone(),
            pool: text(request.subnet),
            sub_pool: text(request.range),
            options: request.options.into_iter().collect(),
            v6: request.family == Family::V6,
        };
        let given: wire::GivenPool = self.ask("RequestPool", &asked).await?;
        let subnet = given.pool.parse().map_err(|_| self.odd("subnet", &given.pool))?;
        Ok(GivenPool { id: given.pool_id, subnet })
    }

    async fn release_pool(&self, pool: &str) -> Result<()> {
        self.ask::<Nothing>("ReleasePool", &wire::Pool { pool_id: pool.to_owned() }).await.map(drop)
    }

    async fn request_address(
        &self,
        pool: &str,
        wanted: Option<IpAddr>,
        purpose: Purpose<'_>,
    ) -> Result<Option<IpAddr>> {
        let option = |key: &str, value: &str| Some(BTreeMap::from([(key.to_owned(), value.to_owned())]));
        let asked = wire::AddressRequest {
            pool_id: pool.to_owned(),
            address: wanted.map(|address| address.to_string()).unwrap_or_default(),
            options: match purpose {
                Purpose::Gateway => option(wire::REQUEST_ADDRESS_TYPE, wire::GATEWAY),
                Purpose::Endpoint { mac } if self.wants_mac() => option(wire::MAC_ADDRESS, mac),
                Purpose::Endpoint { .. } | Purpose::Auxiliary => None,
            },
        };
        let given: wire::GivenAddress = self.ask("RequestAddress", &asked).await?;
        let address = given.address.split('/').next().unwrap_or_default();
        address.parse().map(Some).map_err(|_| self.odd("address", &given.address))
    }

    async fn release_address(&self, pool: &str, address: IpAddr) -> Result<()> {
        let asked = wire::Address { pool_id: pool.to_owned(), address: address.to_string() };
        self.ask::<Nothing>("ReleaseAddress", &asked).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gantry_api::network::EndpointSpec;
    use gantry_plugin::{Folders, Plugins, interface};
    use gantry_plugin_sdk::testing::Served;
    use gantry_plugin_sdk::{Error as Refusal, Server};
    use parking_lot::Mutex;

    use super::*;
    use crate::ipam::{Ipams, allocate, release, release_pools, request_pools};
    use crate::record::{Endpoint, Network};

    type Asked = Arc<Mutex<Vec<String>>>;

    /// The fake plugin gives an endpoint with this MAC address an address outside of the subnet.
    const ODD: &str = "02:00:00:00:00:01";

    /// A fake IPAM plugin of one subnet, which records the calls.
    fn server(asked: &Asked) -> Server {
        let noting = |asked: &Asked| {
            let asked = Arc::clone(asked);
            move |what: String| asked.lock().push(what)
        };
        let (pool, address, gone, freed) = (noting(asked), noting(asked), noting(asked), noting(asked));
        Server::new()
            .implements(interface::IPAM)
            .method("IpamDriver.GetCapabilities", |_: Nothing| async {
                Ok(wire::Capabilities { requires_mac_address: true, requires_request_replay: false })
            })
            .method("IpamDriver.GetDefaultAddressSpaces", |_: Nothing| async {
                let local_default_address_space = "here".to_owned();
                Ok(wire::AddressSpaces { local_default_address_space, ..Default::default() })
            })
            .method("IpamDriver.RequestPool", move |asked: wire::PoolRequest| {
                pool(format!("pool {} {:?} {:?}", asked.address_space, asked.pool, asked.options));
                async move {
                    match asked.options.contains_key("none") {
                        true => Err(Refusal::new("none left")),
                        false => Ok(wire::GivenPool {
                            pool_id: "p".into(),
                            pool: "10.77.0.0/16".into(),
                            ..Default::default()
                        }),
                    }
                }
            })
            .method("IpamDriver.RequestAddress", move |asked: wire::AddressRequest| {
                let options = asked.options.unwrap_or_default();
                let gateway = options.contains_key(wire::REQUEST_ADDRESS_TYPE);
                address(format!("address {:?} {:?}", asked.address, options.keys().collect::<Vec<_>>()));
                let given = match (gateway, options.get(wire::MAC_ADDRESS).map(String::as_str)) {
                    (true, _) => "10.77.0.254/16",
                    (false, Some(ODD)) => "fd00::7/64",
                    (false, _) => "10.77.0.7/16",
                };
                async move { Ok(wire::GivenAddress { address: given.into(), ..Default::default() }) }
            })
            .method("IpamDriver.ReleaseAddress", move |asked: wire::Address| {
                freed(format!("release {}", asked.address));
                async { Ok(Nothing {}) }
            })
            .method("IpamDriver.ReleasePool", move |asked: wire::Pool| {
                gone(format!("gone {}", asked.pool_id));
                async { Ok(Nothing {}) }
            })
    }

    #[tokio::test]
    async fn a_plugin_gives_subnets_and_addresses_and_hears_of_their_end() {
        let folder = tempfile::tempdir().expect("a directory");
        let asked = Asked::default();
        let _served = Served::start(server(&asked), folder.path(), "pools").await;
        let plugins = Plugins::new(Folders { sockets: folder.path().to_owned(), specs: Vec::new() });
        let ipams = Ipams::new([], plugins);
        assert!(ipams.forgetful("pools").await.is_none());
        let options = [("colour".to_owned(), "red".to_owned())].into();
        let mut network = Network {
            id: "n".into(),
            enable_ipv4: true,
            ipam_driver: "pools".into(),
            ipam_options: options,
            ..Network::default()
        };
        request_pools(&ipams, &mut network, &[]).await.expect("given");
        let subnet = &network.subnets[0];
        assert_eq!((subnet.subnet.as_str(), subnet.gateway.as_str()), ("10.77.0.0/16", "10.77.0.254"));
        let mut endpoint = Endpoint { id: "e".into(), ..Endpoint::default() };
        allocate(&ipams, &network, &EndpointSpec::default(), &mut endpoint).await.expect("given");
        assert_eq!(endpoint.ipv4, "10.77.0.7/16");
        assert!(!endpoint.mac.is_empty(), "it was asked for by the MAC address");
        let mut odd = Endpoint { mac: ODD.into(), ..Endpoint::default() };
        let refused =
            allocate(&ipams, &network, &EndpointSpec::default(), &mut odd).await.expect_err("refused");
        assert_eq!(
            refused.to_string(),
            r#"IPAM plugin "pools" has given fd00::7, which is not in 10.77.0.0/16"#
        );
        release(&ipams, &network, &endpoint).await.expect("taken back");
        release_pools(&ipams, &network).await.expect("taken back");
        let asked = std::mem::take(&mut *asked.lock());
        assert_eq!(
            asked,
            [
                r#"pool here "" {"colour": "red"}"#,
                r#"address "" ["RequestAddressType"]"#,
                r#"address "" ["com.docker.network.endpoint.macaddress"]"#,
                r#"address "" ["com.docker.network.endpoint.macaddress"]"#,
                "release fd00::7",
                "release 10.77.0.7",
                "release 10.77.0.254",
                "gone p",
            ]
        );
        network.subnets.clear();
        network.ipam_options = [("none".to_owned(), String::new())].into();
        let refused = request_pools(&ipams, &mut network, &[]).await.expect_err("refused");
        assert_eq!(refused.to_string(), "remote: none left");
        assert!(matches!(ipams.get("nobody").await, Err(Error::DriverUnknown(_))));
    }
}

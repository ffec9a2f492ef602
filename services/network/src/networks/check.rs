//! Checks of a network's spec before anything is made, with Docker's error messages.

use std::net::IpAddr;
use std::sync::Arc;

use gantry_api::network::{NetworkSpec, Subnet};
use ipnet::IpNet;

use super::boolean;
use crate::driver::{Driver, Drivers};
use crate::error::{Error, Result};
use crate::ipam::{Ipams, subnet};
use crate::record::{PREDEFINED, option};

/// The spec, completed with what its options say about families, and its driver.
pub(super) async fn checked(
    mut spec: NetworkSpec,
    drivers: &Drivers,
    ipams: &Ipams,
) -> Result<(NetworkSpec, Arc<dyn Driver>)> {
    if spec.name.trim().is_empty() {
        return Err(Error::Invalid("invalid name: name is empty".to_owned()));
    }
    if spec.name.contains(char::is_control) {
        return Err(Error::Invalid(format!(
            "invalid network name {:?}: it has control characters",
            spec.name
        )));
    }
    if PREDEFINED.iter().any(|(name, _)| *name == spec.name) || spec.name == "default" {
        return Err(Error::Predefined(spec.name));
    }
    let driver = drivers.get(&spec.driver)?;
    if !driver.capabilities().creatable {
        return Err(Error::OnlyOne(spec.driver));
    }
    ipams.get(&spec.ipam.driver).await?;
    for (name, enabled) in [(option::ENABLE_IPV4, &mut spec.ipv4), (option::ENABLE_IPV6, &mut spec.ipv6)] {
        if let Some(value) = spec.options.get(name) {
            let invalid = || Error::Invalid(format!("driver-opt {name:?} is not a valid bool"));
            *enabled = boolean(value).ok_or_else(invalid)?;
        }
    }
    if !spec.ipv4 && !spec.ipv6 {
        return Err(Error::Invalid("IPv4 or IPv6 must be enabled".to_owned()));
    }
    match subnets(&spec.ipam.subnets).as_slice() {
        [] => {}
        [one] => return Err(Error::Invalid(format!("invalid network config:\n{one}"))),
        all => return Err(Error::Invalid(format!("invalid network config:\n* {}", all.join("\n* ")))),
    }
    families(&spec)?;
    driver.check(&spec)?;
    Ok((spec, driver))
}

/// Checks the subnets themselves, against each other and against the network's families.
fn families(spec: &NetworkSpec) -> Result<()> {
    let mut nets: Vec<IpNet> = Vec::new();
    for net in spec.ipam.subnets.iter().filter_map(|subnet| subnet.subnet.parse::<IpNet>().ok()) {
        let enabled = if net.addr().is_ipv4() { spec.ipv4 } else { spec.ipv6 };
        if !enabled {
            return Err(Error::Invalid(format!(
                "subnet {net} is of a family that is not enabled on the network"
            )));
        }
        let gateway = IpNet::new(subnet::first_host(net), net.prefix_len()).unwrap_or(net);
        match net.addr() {
            IpAddr::V6(address) if address.is_unicast_link_local() => {
                return Err(Error::Invalid(format!(
                    "'{gateway}' clashes with the Link-Local prefix 'fe80::/64'"
                )));
            }
            address if address.is_multicast() => {
                return Err(Error::Invalid(format!("multicast subnet '{gateway}' is not allowed")));
            }
            _ => {}
        }
        if let Some(other) = nets.iter().find(|other| subnet::overlap(&net, other)) {
            return Err(Error::Invalid(format!("subnets {net} and {other} of the network overlap")));
        }
        nets.push(net);
    }
    Ok(())
}

/// Every error of the subnets themselves.
fn subnets(subnets: &[Subnet]) -> Vec<String> {
    const NOTATION: &str = "invalid CIDR block notation";
    let mut wrong = Vec::new();
    for subnet in subnets {
        let Ok(net) = subnet.subnet.parse::<IpNet>() else {
            wrong.push(format!("invalid subnet {}: {NOTATION}", subnet.subnet));
            continue;
        };
        if net.trunc() != net {
            wrong.push(format!("invalid subnet {net}: it should be {}", net.trunc()));
        }
        if !subnet.ip_range.is_empty() {
            let range = &subnet.ip_range;
            let mut say = |what: String| wrong.push(format!("invalid ip-range {range}: {what}"));
            match range.parse::<IpNet>() {
                Err(_) => say(NOTATION.to_owned()),
                Ok(range) if range.prefix_len() < net.prefix_len() => {
                    say(format!("CIDR block is bigger than its parent subnet {net}"));
                }
                Ok(range) if range.trunc() != range => say(format!("it should be {}", range.trunc())),
                Ok(range) if !net.contains(&range) => {
                    say(format!("parent subnet {net} doesn't contain ip-range"));
                }
                Ok(_) => {}
            }
        }
        let mut within = |what: &str, name: &str, text: &str| match text.parse::<IpAddr>() {
            Err(_) => wrong.push(format!("invalid {what} {name}: invalid address")),
            Ok(address) if address.is_ipv4() != net.addr().is_ipv4() => {
                let family = if net.addr().is_ipv4() { "IPv4" } else { "IPv6" };
                wrong.push(format!("invalid {what} {name}: parent subnet is an {family} block"));
            }
            Ok(address) if !net.contains(&address) => {
                wrong
                    .push(format!("invalid {what} {name}: parent subnet {net} doesn't contain this address"));
            }
            Ok(_) => {}
        };
        if !subnet.gateway.is_empty() {
            within("gateway", &subnet.gateway, &subnet.gateway);
        }
        let mut auxiliary: Vec<(&String, &String)> = subnet.auxiliary.iter().collect();
        auxiliary.sort();
        for (name, text) in auxiliary {
            within("auxiliary address", name, text);
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use gantry_api::network::Ipam;

    use super::*;
    use crate::driver::host::Host;
    use crate::driver::plain::Plain;

    fn spec(name: &str) -> NetworkSpec {
        NetworkSpec { name: name.into(), ipv4: true, ..NetworkSpec::default() }
    }

    fn checked(spec: NetworkSpec) -> Result<NetworkSpec> {
        let drivers = Drivers::new([Arc::new(Plain) as Arc<dyn Driver>, Arc::new(Host)], Default::default());
        let ipams = Ipams::new(
            [Arc::new(crate::ipam::Local::new([0; 5])) as Arc<dyn crate::ipam::Ipam>],
            Default::default(),
        );
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(super::checked(spec, &drivers, &ipams)).map(|(spec, _)| spec)
    }

    fn said(spec: NetworkSpec) -> String {
        checked(spec).map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn names_and_drivers() {
        assert!(matches!(checked(spec("host")), Err(Error::Predefined(_))));
        assert_eq!(said(spec(" ")), "invalid name: name is empty");
        assert!(checked(spec("a b")).is_ok() && checked(spec("a\nb")).is_err());
        let driver = |driver: &str| checked(NetworkSpec { driver: driver.into(), ..spec("m") });
        assert!(matches!(driver("host"), Err(Error::OnlyOne(_))));
        assert!(matches!(driver("macvlan"), Err(Error::DriverNotBuilt(_))));
        assert!(matches!(driver("weave"), Err(Error::DriverUnknown(_))));
        let ipam = NetworkSpec { ipam: Ipam { driver: "weave".into(), ..Ipam::default() }, ..spec("m") };
        assert_eq!(said(ipam), "plugin \"weave\" not found");
    }

    #[test]
    fn subnets_are_told_all_that_is_wrong_with_them() {
        let subnet = |subnet: &str, ip_range: &str, gateway: &str| {
            let (subnet, ip_range, gateway) = (subnet.into(), ip_range.into(), gateway.into());
            let subnets = vec![Subnet { subnet, ip_range, gateway, ..Subnet::default() }];
            said(NetworkSpec { ipam: Ipam { subnets, ..Ipam::default() }, ..spec("m") })
        };
        for (net, range, gateway, expected) in [
            ("10.0.0.0/24", "10.0.0.128/25", "10.0.0.9", ""),
            ("x", "", "", "invalid network config:\ninvalid subnet x: invalid CIDR block notation"),
            (
                "10.0.0.1/24",
                "",
                "",
                "invalid network config:\ninvalid subnet 10.0.0.1/24: it should be 10.0.0.0/24",
            ),
            (
                "10.0.0.0/24",
                "z",
                "10.1.0.1",
                "invalid network config:\n* invalid ip-range z: invalid CIDR block notation\n* invalid gateway 10.1.0.1: parent subnet 10.0.0.0/24 doesn't contain this address",
            ),
            (
                "10.0.0.0/24",
                "10.0.0.0/16",
                "",
                "invalid network config:\ninvalid ip-range 10.0.0.0/16: CIDR block is bigger than its parent subnet 10.0.0.0/24",
            ),
            ("fd00::/64", "", "", "subnet fd00::/64 is of a family that is not enabled on the network"),
        ] {
            assert_eq!(subnet(net, range, gateway), expected);
        }
        let six = |net: &str| {
            let subnets = vec![Subnet { subnet: net.into(), ..Subnet::default() }];
            said(NetworkSpec { ipam: Ipam { subnets, ..Ipam::default() }, ipv6: true, ..spec("m") })
        };
        assert_eq!(six("fe80::/80"), "'fe80::1/80' clashes with the Link-Local prefix 'fe80::/64'");
        assert_eq!(six("ff12::/64"), "multicast subnet 'ff12::1/64' is not allowed");
    }

    #[test]
    fn families_are_options_too() {
        let six = |value: &str| {
            checked(NetworkSpec { options: [(option::ENABLE_IPV6.into(), value.into())].into(), ..spec("m") })
        };
        assert!(six("1").unwrap().ipv6);
        assert!(six("x").unwrap_err().to_string().contains("is not a valid bool"));
    }
}

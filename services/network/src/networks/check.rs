//! What can be refused of a network before anything is made, in the words that Docker's clients know.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::NetworkSpec;
use crate::error::{Error, Result};
use crate::ipam;
use crate::record::{PREDEFINED, Subnet, option};

/// Options of Docker's that change what a network does, and that are not built.
const NOT_BUILT: [&str; 4] = [
    "com.docker.network.host_ipv4",
    "com.docker.network.host_ipv6",
    "com.docker.network.bridge.trusted_host_interfaces",
    "com.docker.network.bridge.host_binding_ipv6",
];

/// The spec, if it can be met, with what its options say about families.
pub(super) fn checked(mut spec: NetworkSpec) -> Result<NetworkSpec> {
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
    match spec.driver.as_str() {
        "" | "bridge" => {}
        "host" | "null" => return Err(Error::OnlyOne(spec.driver)),
        "macvlan" | "ipvlan" | "overlay" => return Err(Error::DriverNotBuilt(spec.driver)),
        other => return Err(Error::DriverUnknown(other.to_owned())),
    }
    match spec.ipam_driver.as_str() {
        "" | "default" => {}
        "null" => {
            return Err(Error::Invalid("IPAM driver \"null\" is not implemented: use default".to_owned()));
        }
        other => return Err(Error::DriverUnknown(other.to_owned())),
    }
    for (name, enabled) in [(option::ENABLE_IPV4, &mut spec.ipv4), (option::ENABLE_IPV6, &mut spec.ipv6)] {
        if let Some(value) = spec.options.get(name) {
            let invalid = || Error::Invalid(format!("driver-opt {name:?} is not a valid bool"));
            *enabled = boolean(value).ok_or_else(invalid)?;
        }
    }
    if !spec.ipv4 && !spec.ipv6 {
        return Err(Error::Invalid("IPv4 or IPv6 must be enabled".to_owned()));
    }
    options(&spec.options)?;
    match subnets(&spec.subnets).as_slice() {
        [] => {}
        [one] => return Err(Error::Invalid(format!("invalid network config:\n{one}"))),
        all => return Err(Error::Invalid(format!("invalid network config:\n* {}", all.join("\n* ")))),
    }
    families(&spec)?;
    Ok(spec)
}

/// Subnets that are right by themselves, against each other and against the network's families.
fn families(spec: &NetworkSpec) -> Result<()> {
    let mut nets: Vec<IpNet> = Vec::new();
    for net in spec.subnets.iter().filter_map(|subnet| subnet.subnet.parse::<IpNet>().ok()) {
        let enabled = if net.addr().is_ipv4() { spec.ipv4 } else { spec.ipv6 };
        if !enabled {
            return Err(Error::Invalid(format!(
                "subnet {net} is of a family that is not enabled on the network"
            )));
        }
        let gateway = IpNet::new(ipam::first_host(net), net.prefix_len()).unwrap_or(net);
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
        if let Some(other) = nets.iter().find(|other| ipam::overlap(&net, other)) {
            return Err(Error::Invalid(format!("subnets {net} and {other} of the network overlap")));
        }
        nets.push(net);
    }
    for v4 in [true, false] {
        if nets.iter().filter(|net| net.addr().is_ipv4() == v4).count() > 1 {
            return Err(Error::SeveralSubnets);
        }
    }
    Ok(())
}

/// All that is wrong with the subnets by themselves.
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

fn options(options: &HashMap<String, String>) -> Result<()> {
    let unread = |name: &str, value: &str, why: String| {
        Error::Invalid(format!("failed to parse {name} value: {value} ({why})"))
    };
    if let Some(name) = options.get(option::BRIDGE_NAME) {
        gantry_netlink::route::check_name(name).map_err(|error| Error::Invalid(error.to_string()))?;
    }
    for flag in [option::ENABLE_ICC, option::ENABLE_MASQUERADE, option::INHIBIT_IPV4] {
        if let Some(value) = options.get(flag) {
            let syntax = || format!("strconv.ParseBool: parsing {value:?}: invalid syntax");
            let value = boolean(value).ok_or_else(|| unread(flag, value, syntax()))?;
            if flag == option::INHIBIT_IPV4 && value {
                return Err(Error::Invalid(format!("option {flag} is not implemented")));
            }
        }
    }
    for mode in [option::GATEWAY_MODE_V4, option::GATEWAY_MODE_V6] {
        match options.get(mode).map(String::as_str) {
            None | Some("" | "nat") => {}
            Some(value @ ("nat-unprotected" | "routed" | "isolated")) => {
                return Err(Error::Invalid(format!(
                    "value {value:?} of option {mode} is not implemented: use nat"
                )));
            }
            Some(value) => return Err(unread(mode, value, format!("unknown gateway mode {value}"))),
        }
    }
    if let Some(value) = options.get(option::MTU) {
        let syntax = || format!("strconv.Atoi: parsing {value:?}: invalid syntax");
        let mtu: i64 = value.parse().map_err(|_| unread(option::MTU, value, syntax()))?;
        if mtu != 0 && !(68..=65535).contains(&mtu) {
            return Err(Error::Invalid(format!("invalid MTU number: {mtu}")));
        }
    }
    if let Some(value) = options.get(option::HOST_BINDING) {
        let address: IpAddr =
            value.parse().map_err(|_| unread(option::HOST_BINDING, value, "nil ip".to_owned()))?;
        if address.is_ipv6() {
            return Err(Error::Invalid(format!(
                "invalid address {value:?} of option {}",
                option::HOST_BINDING
            )));
        }
    }
    if let Some(prefix) = options.get(option::INTERFACE_PREFIX) {
        gantry_netlink::route::check_name(&format!("{prefix}0"))
            .map_err(|error| Error::Invalid(format!("option {}: {error}", option::INTERFACE_PREFIX)))?;
    }
    match NOT_BUILT.iter().find(|name| options.get(**name).is_some_and(|value| !value.is_empty())) {
        Some(name) => Err(Error::Invalid(format!("option {name} is not implemented"))),
        None => Ok(()),
    }
}

/// As Go reads a truth.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str) -> NetworkSpec {
        NetworkSpec { name: name.into(), ipv4: true, ..NetworkSpec::default() }
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
        assert!(matches!(driver("macvlan"), Err(Error::DriverNotBuilt(_))));
        assert!(matches!(driver("weave"), Err(Error::DriverUnknown(_))));
        let ipam = NetworkSpec { ipam_driver: "weave".into(), ..spec("m") };
        assert_eq!(said(ipam), "plugin \"weave\" not found");
    }

    #[test]
    fn subnets_are_told_all_that_is_wrong_with_them() {
        let subnet = |subnet: &str, ip_range: &str, gateway: &str| {
            let (subnet, ip_range, gateway) = (subnet.into(), ip_range.into(), gateway.into());
            let subnets = vec![Subnet { subnet, ip_range, gateway, ..Subnet::default() }];
            said(NetworkSpec { subnets, ..spec("m") })
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
            said(NetworkSpec { subnets, ipv6: true, ..spec("m") })
        };
        assert_eq!(six("fe80::/80"), "'fe80::1/80' clashes with the Link-Local prefix 'fe80::/64'");
        assert_eq!(six("ff12::/64"), "multicast subnet 'ff12::1/64' is not allowed");
    }

    #[test]
    fn options_are_understood_or_refused() {
        let option = |name: &str, value: &str| {
            said(NetworkSpec { options: [(name.to_owned(), value.to_owned())].into(), ..spec("m") })
        };
        for (name, good, bad, expected) in [
            (option::GATEWAY_MODE_V4, "nat", "x", "(unknown gateway mode x)"),
            (option::GATEWAY_MODE_V4, "nat", "isolated", "is not implemented: use nat"),
            (option::ENABLE_ICC, "false", "x", "(strconv.ParseBool: parsing \"x\": invalid syntax)"),
            (option::MTU, "1400", "-1", "invalid MTU number: -1"),
            (option::MTU, "0", "x", "(strconv.Atoi: parsing \"x\": invalid syntax)"),
            (option::HOST_BINDING, "127.0.0.1", "x", "(nil ip)"),
            (option::INHIBIT_IPV4, "false", "true", "is not implemented"),
            (option::INTERFACE_PREFIX, "net", "a/b", "option com.docker.network.container_iface_prefix"),
            (option::ENABLE_IPV6, "true", "x", "is not a valid bool"),
            ("com.docker.network.host_ipv4", "", "192.0.2.1", "is not implemented"),
            ("anything.else", "1", "", ""),
        ] {
            assert_eq!(option(name, good), "", "{name}={good}");
            assert!(option(name, bad).contains(expected), "{name}={bad}: {}", option(name, bad));
        }
        let six =
            NetworkSpec { options: [(option::ENABLE_IPV6.to_owned(), "1".to_owned())].into(), ..spec("m") };
        assert!(checked(six).unwrap().ipv6);
    }
}

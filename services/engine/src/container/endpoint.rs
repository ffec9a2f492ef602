//! Checks what a user asks of a container's endpoint on a network, before anything is made.

use std::net::IpAddr;

use gantry_api::engine::{ContainerConfig, EndpointSettings};
use gantry_api::network::{Network, Subnet};

use super::network::{in_network, is_predefined};
use crate::error::{Error, Result};

/// The driver option with kernel settings of the interface.
const SYSCTLS: &str = "com.docker.network.endpoint.sysctls";

/// Refuses settings that no network supports.
pub fn check_built(settings: &EndpointSettings) -> Result<()> {
    if !settings.link_local_ips.is_empty() {
        return Err(Error::NotBuilt("link-local addresses of endpoints are not supported".to_owned()));
    }
    if settings.driver_opts.contains_key(SYSCTLS) {
        return Err(Error::NotBuilt(format!("endpoint option {SYSCTLS} is not supported")));
    }
    Ok(())
}

/// Refuses settings that this network does not support.
pub fn check(network: &Network, settings: &EndpointSettings) -> Result<()> {
    check_built(settings)?;
    let mut wrong = Vec::new();
    let addresses = [("IPv4", &settings.ipam_ipv4_address), ("IPv6", &settings.ipam_ipv6_address)].map(
        |(family, text)| {
            let address: Option<IpAddr> = text.parse().ok();
            let right = address.is_some_and(|address| address.is_ipv4() == (family == "IPv4"));
            if !text.is_empty() && !right {
                wrong.push(format!("invalid {family} address: {text}"));
            }
            (family, text, address)
        },
    );
    if is_predefined(&network.name) {
        if addresses.iter().any(|(_, text, _)| !text.is_empty()) {
            wrong.push("user specified IP address is supported on user defined networks only".to_owned());
        }
        if !settings.aliases.is_empty() {
            let text = "network-scoped alias is supported only for containers in user defined networks";
            wrong.push(text.to_owned());
        }
    }
    let configured = |family: &str| -> Vec<&Subnet> {
        let of = |subnet: &&Subnet| !subnet.chosen && subnet.subnet.contains(':') == (family == "IPv6");
        network.ipam.subnets.iter().filter(of).collect()
    };
    for (family, text, address) in addresses.iter().filter(|(_, text, _)| !text.is_empty()) {
        let subnets = configured(family);
        let within = |subnet: &&Subnet| address.is_some_and(|address| contains(&subnet.subnet, address));
        if subnets.is_empty() || is_predefined(&network.name) {
            wrong.push("user specified IP address is supported only when connecting to networks with user configured subnets".to_owned());
        } else if !subnets.iter().any(within) {
            wrong.push(format!("no configured subnet or ip-range contain the IP address {text}"));
        }
    }
    match wrong.as_slice() {
        [] => check_mac(&settings.mac_address),
        [one] => Err(Error::Invalid(format!("invalid endpoint settings:\n{one}"))),
        several => Err(Error::Invalid(format!("invalid endpoint settings:\n* {}", several.join("\n* ")))),
    }
}

/// Whether an address is in a subnet, written as `10.0.0.0/8`.
fn contains(subnet: &str, address: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let Some((base, prefix)) = subnet.split_once('/') else { return false };
    let (Ok(base), Ok(prefix)) = (base.parse::<IpAddr>(), prefix.parse::<u32>()) else { return false };
    let ((base, width), (address, other)) = (bits(base), bits(address));
    // Compares the prefix only. A shift by all bits yields `None`: the prefix is empty and every address matches.
    width == other && (base ^ address).checked_shr(128 - prefix.min(width)).unwrap_or(0) == 0
}

/// Accepts the empty text, or six bytes in hexadecimal.
fn check_mac(text: &str) -> Result<()> {
    let byte = |part: &str| part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit());
    let valid = text.split([':', '-']).count() == 6 && text.split([':', '-']).all(byte);
    if text.is_empty() || valid { Ok(()) } else { Err(Error::Invalid(format!("invalid MAC address {text}"))) }
}

/// Makes the container's one hardware address (which old clients send) and that of its main endpoint the same.
pub fn one_mac(config: &ContainerConfig, main: &str, settings: &mut EndpointSettings) -> Result<()> {
    check_mac(&config.mac_address).map_err(in_network(main))?;
    if config.mac_address.is_empty() || config.mac_address == settings.mac_address {
        return Ok(());
    }
    if !settings.mac_address.is_empty() {
        return Err(Error::Invalid("the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty".to_owned()));
    }
    settings.mac_address.clone_from(&config.mac_address);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::SystemTime;

    use gantry_api::network::Ipam;

    use super::*;

    fn network(name: &str, chosen: bool) -> Network {
        let subnets = vec![Subnet { subnet: "10.7.0.0/24".to_owned(), chosen, ..Default::default() }];
        Network {
            id: "1".repeat(64),
            name: name.to_owned(),
            driver: "bridge".to_owned(),
            scope: "local".to_owned(),
            internal: false,
            attachable: false,
            ipv4: true,
            ipv6: false,
            ipam: Ipam { subnets, ..Default::default() },
            options: HashMap::new(),
            labels: HashMap::new(),
            created_at: SystemTime::UNIX_EPOCH,
            endpoints: Vec::new(),
            bridge: String::new(),
        }
    }

    fn said(network: &Network, change: impl FnOnce(&mut EndpointSettings)) -> String {
        let mut settings = EndpointSettings::default();
        change(&mut settings);
        check(network, &settings).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn addresses_are_given_where_the_user_chose_the_subnet() {
        let address = |text: &'static str| {
            move |settings: &mut EndpointSettings| settings.ipam_ipv4_address = text.to_owned()
        };
        let own = network("back", false);
        assert_eq!(said(&own, address("10.7.0.9")), "");
        assert_eq!(
            said(&own, address("zz")),
            "invalid endpoint settings:\n* invalid IPv4 address: zz\n* no configured subnet or ip-range contain the IP address zz"
        );
        assert!(said(&own, address("10.8.0.9")).ends_with("contain the IP address 10.8.0.9"));
        assert!(said(&network("back", true), address("10.7.0.9")).ends_with("user configured subnets"));
        assert!(
            said(&network("bridge", true), address("10.7.0.9")).contains("user defined networks only\n* ")
        );
        assert!(
            said(&own, |settings| settings.ipam_ipv6_address = "fd00::1".to_owned())
                .contains("user configured")
        );
        let alias = |settings: &mut EndpointSettings| settings.aliases = vec!["x".to_owned()];
        assert_eq!(said(&own, alias), "");
        assert!(said(&network("bridge", true), alias).contains("network-scoped alias"));
    }

    #[test]
    fn subnets_contain_what_begins_like_them() {
        for (subnet, address, within) in [
            ("10.7.0.0/24", "10.7.0.255", true),
            ("10.7.0.0/24", "10.7.1.0", false),
            ("0.0.0.0/0", "10.7.1.0", true),
            ("10.7.0.1/32", "10.7.0.1", true),
            ("10.7.0.1/32", "10.7.0.2", false),
            ("fd00::/64", "fd00::1", true),
            ("fd00::/64", "10.7.0.1", false),
            ("nonsense", "10.7.0.1", false),
        ] {
            assert_eq!(contains(subnet, address.parse().unwrap()), within, "{subnet} {address}");
        }
    }

    #[test]
    fn hardware_addresses_are_six_bytes() {
        for (text, valid) in
            [("", true), ("02:00:00:00:00:1f", true), ("zz", false), ("02:00:00:00:00", false)]
        {
            assert_eq!(check_mac(text).is_ok(), valid, "{text}");
        }
    }
}

//! The options of a bridge network: checked at its creation, read when they are needed.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::error::{Error, Result};
use crate::networks::boolean;
use crate::record::{Network, option};

/// Options of Docker's that change what a network does, and that Gantry does not implement.
const NOT_BUILT: [&str; 4] = [
    "com.docker.network.host_ipv4",
    "com.docker.network.host_ipv6",
    "com.docker.network.bridge.trusted_host_interfaces",
    "com.docker.network.bridge.host_binding_ipv6",
];

/// Refuses invalid options, and options that change what a network does and are not implemented.
pub(super) fn check(options: &HashMap<String, String>) -> Result<()> {
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

/// The options that Docker shows of its default network.
pub(super) fn predefined(bridge: &str) -> HashMap<String, String> {
    let pairs = [
        (option::DEFAULT_BRIDGE, "true"),
        (option::ENABLE_ICC, "true"),
        (option::ENABLE_MASQUERADE, "true"),
        (option::HOST_BINDING, "0.0.0.0"),
        (option::BRIDGE_NAME, bridge),
        (option::MTU, "1500"),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A boolean option; the default is true.
fn flag(network: &Network, name: &str) -> bool {
    let off = |value: &String| matches!(value.to_ascii_lowercase().as_str(), "false" | "0" | "f");
    !network.options.get(name).is_some_and(off)
}

/// Whether containers of the network reach each other.
pub(super) fn icc(network: &Network) -> bool {
    flag(network, option::ENABLE_ICC)
}

/// Whether containers leave the host under the host's address.
pub(super) fn masquerade(network: &Network) -> bool {
    flag(network, option::ENABLE_MASQUERADE) && !network.internal
}

/// The MTU; 0 is the kernel's default.
pub(super) fn mtu(network: &Network) -> u32 {
    network.options.get(option::MTU).and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// The host's address for published ports that name none.
pub(super) fn host_binding(network: &Network) -> Option<IpAddr> {
    let named: Option<IpAddr> =
        network.options.get(option::HOST_BINDING).and_then(|value| value.parse().ok());
    named.filter(|address| !address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_understood_or_refused() {
        let option = |name: &str, value: &str| {
            let options = HashMap::from([(name.to_owned(), value.to_owned())]);
            check(&options).map_or_else(|error| error.to_string(), |()| String::new())
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
            ("com.docker.network.host_ipv4", "", "192.0.2.1", "is not implemented"),
            ("anything.else", "1", "", ""),
        ] {
            assert_eq!(option(name, good), "", "{name}={good}");
            assert!(option(name, bad).contains(expected), "{name}={bad}: {}", option(name, bad));
        }
    }
}

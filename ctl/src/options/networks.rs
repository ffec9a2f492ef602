//! A container's networks and endpoints.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use gantry_api::engine::EndpointSettings;

use super::value::{fields, pair};
use crate::cli::container::Networking;

/// The network mode, and the requested endpoints.
pub fn endpoints(of: &Networking) -> Result<(String, HashMap<String, EndpointSettings>)> {
    let mut wishes = Vec::new();
    for text in &of.networks {
        wishes.push(wish(text).with_context(|| format!("--network {text}"))?);
    }
    if wishes.is_empty() {
        wishes.push(("default".to_owned(), EndpointSettings::default()));
    }
    // `--ip`, `--network-alias` and the like are for the first network.
    let first = &mut wishes[0].1;
    first.aliases.extend(of.aliases.iter().cloned());
    first.links.extend(of.links.iter().cloned());
    for (option, field) in [
        (&of.ip, &mut first.ipam_ipv4_address),
        (&of.ip6, &mut first.ipam_ipv6_address),
        (&of.mac_address, &mut first.mac_address),
    ] {
        if let Some(value) = option {
            if !field.is_empty() {
                bail!("{value} is asked for twice: in --network and by an option of its own");
            }
            field.clone_from(value);
        }
    }
    let mode = wishes[0].0.clone();
    let user_defined = is_user_defined(&mode);
    if !user_defined {
        // On the default bridge, links and the MAC address belong to the container.
        wishes[0].1.links.clear();
        if !wishes[0].1.aliases.is_empty() {
            bail!("only networks that were made have names in them: --network-alias needs one");
        }
    }
    let single = wishes.len() == 1;
    let mut endpoints = HashMap::new();
    for (network, mut settings) in wishes {
        if single && settings == EndpointSettings::default() {
            // The engine adds this endpoint itself.
            break;
        }
        settings.has_ipam_config =
            !settings.ipam_ipv4_address.is_empty() || !settings.ipam_ipv6_address.is_empty();
        if endpoints.insert(network.clone(), settings).is_some() {
            bail!("--network {network}: it is named twice");
        }
    }
    Ok((mode, endpoints))
}

/// Whether links belong to a user's network, and not to the container.
pub fn is_user_defined(mode: &str) -> bool {
    !matches!(mode, "default" | "bridge" | "host" | "none") && !mode.starts_with("container:")
}

/// A network's name, or keys with values, of which one is the name.
fn wish(text: &str) -> Result<(String, EndpointSettings)> {
    let mut settings = EndpointSettings::default();
    if !text.contains('=') {
        if text.is_empty() {
            bail!("it names none");
        }
        return Ok((text.to_owned(), settings));
    }
    let mut name = String::new();
    for field in fields(text) {
        let (key, value) = pair(&field, "network")?;
        match key.to_lowercase().as_str() {
            "name" => name = value,
            "alias" => settings.aliases.push(value),
            "ip" => settings.ipam_ipv4_address = value,
            "ip6" => settings.ipam_ipv6_address = value,
            "mac-address" => settings.mac_address = value,
            "link-local-ip" => settings.link_local_ips.push(value),
            "driver-opt" => {
                let (key, value) = pair(&value, "network")?;
                settings.driver_opts.insert(key, value);
            }
            "gw-priority" => {
                settings.gw_priority = value.parse().with_context(|| format!("{value:?} is no number"))?;
            }
            _ => bail!("{key:?} is no key of a network"),
        }
    }
    if name.is_empty() {
        bail!("it names none");
    }
    Ok((name, settings))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    #[command(disable_help_flag = true)]
    struct Only {
        #[command(flatten)]
        networking: Networking,
    }

    fn of(arguments: &[&str]) -> Result<(String, HashMap<String, EndpointSettings>)> {
        let only = Only::try_parse_from(std::iter::once(&"x").chain(arguments)).expect("arguments");
        endpoints(&only.networking)
    }

    #[test]
    fn one_network_without_wishes_is_the_mode_alone() {
        assert_eq!(of(&[]).expect("read"), ("default".to_owned(), HashMap::new()));
        assert_eq!(of(&["--network", "web"]).expect("read"), ("web".to_owned(), HashMap::new()));
    }

    #[test]
    fn wishes_by_keys_and_by_options() {
        let (mode, found) =
            of(&["--network", "name=web,alias=a,alias=b,gw-priority=2", "--net", "db", "--ip", "10.0.0.2"])
                .expect("read");
        assert_eq!(mode, "web");
        assert_eq!(found["web"].aliases, ["a", "b"]);
        assert_eq!((found["web"].ipam_ipv4_address.as_str(), found["web"].gw_priority), ("10.0.0.2", 2));
        assert!(found.contains_key("db"));
        for wrong in [
            &["--network", "alias=a"][..],
            &["--network", "name=a,colour=red"],
            &["--network", "a", "--network", "a"],
            &["--network-alias", "x"],
            &["--network", "name=a,ip=10.0.0.3", "--ip", "10.0.0.2"],
        ] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
    }
}

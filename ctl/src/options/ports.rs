//! Published and exposed ports.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use anyhow::{Context, Result, bail};
use gantry_api::engine::PortBinding;

/// The bindings of `[address:][host port:]port[/protocol]`; an IPv6 address is in brackets. Ports may be ranges of equal length;
/// a range of the host's ports may also be for one port, which then gets a free one of them.
pub fn bindings(options: &[String]) -> Result<HashMap<String, Vec<PortBinding>>> {
    let mut bindings: HashMap<String, Vec<PortBinding>> = HashMap::new();
    for text in options {
        for (port, binding) in publish(text).with_context(|| format!("--publish {text}"))? {
            bindings.entry(port).or_default().push(binding);
        }
    }
    Ok(bindings)
}

/// The ports of `port[-port][/protocol]`.
pub fn exposed(options: &[String]) -> Result<Vec<String>> {
    let mut exposed = Vec::new();
    for text in options {
        let (ports, protocol) = split_protocol(text).with_context(|| format!("--expose {text}"))?;
        let ports = range(ports).with_context(|| format!("--expose {text}"))?;
        exposed.extend(ports.map(|port| format!("{port}/{protocol}")));
    }
    Ok(exposed)
}

fn publish(text: &str) -> Result<Vec<(String, PortBinding)>> {
    let (rest, protocol) = split_protocol(text)?;
    let (rest, ports) = rest.rsplit_once(':').unwrap_or(("", rest));
    let ports = range(ports)?;
    let (address, host) = match rest.rsplit_once(':') {
        // Do not split at a colon inside brackets.
        Some(_) if rest.ends_with(']') => (rest, ""),
        Some((address, host)) => (address, host),
        None if rest.contains('.') => bail!("no port of the host follows the address {rest}"),
        None => ("", rest),
    };
    let address = match address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().map(|address| address.to_string()),
        None if address.is_empty() => Ok(String::new()),
        None => address.parse::<std::net::IpAddr>().map(|address| address.to_string()),
    }
    .with_context(|| format!("{address:?} is no address"))?;
    let binding = |port: u16, host_port: String| {
        (format!("{port}/{protocol}"), PortBinding { host_ip: address.clone(), host_port })
    };
    if host.is_empty() {
        return Ok(ports.map(|port| binding(port, String::new())).collect());
    }
    let hosts = range(host)?;
    if hosts.len() == ports.len() {
        return Ok(ports.zip(hosts).map(|(port, host)| binding(port, host.to_string())).collect());
    }
    if ports.len() == 1 {
        return Ok(vec![binding(*ports.start(), host.to_owned())]);
    }
    bail!("the ranges {host} and {}-{} are not as long as each other", ports.start(), ports.end())
}

fn split_protocol(text: &str) -> Result<(&str, String)> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_lowercase();
    match protocol.as_str() {
        "tcp" | "udp" | "sctp" => Ok((ports, protocol)),
        _ => bail!("{protocol:?} is no protocol: tcp, udp or sctp is expected"),
    }
}

fn range(text: &str) -> Result<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| match text.parse::<u16>() {
        Ok(port) => Ok(port),
        Err(_) => bail!("{text:?} is no port"),
    };
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        bail!("{text:?} is no range of ports");
    }
    Ok(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_ports_have_up_to_four_parts() {
        let rows: [(&str, &[[&str; 3]]); 8] = [
            ("80", &[["80/tcp", "", ""]]),
            ("8080:80/udp", &[["80/udp", "", "8080"]]),
            ("127.0.0.1:8080:80", &[["80/tcp", "127.0.0.1", "8080"]]),
            ("127.0.0.1::80", &[["80/tcp", "127.0.0.1", ""]]),
            ("[::1]:8080:80", &[["80/tcp", "::1", "8080"]]),
            ("8000-8001:80-81", &[["80/tcp", "", "8000"], ["81/tcp", "", "8001"]]),
            ("8000-8010:80", &[["80/tcp", "", "8000-8010"]]),
            ("80-81", &[["80/tcp", "", ""], ["81/tcp", "", ""]]),
        ];
        for (text, expected) in rows {
            let found = publish(text).expect(text);
            let found: Vec<_> = found
                .iter()
                .map(|(port, binding)| [port.as_str(), &binding.host_ip, &binding.host_port])
                .collect();
            assert_eq!(found, expected, "{text}");
        }
        for text in
            ["web", "80/tls", "1:2:3:4", "8000-8002:80-81", "81-80", "70000", "x:80:80", "127.0.0.1:80", ""]
        {
            assert!(publish(text).is_err(), "{text}");
        }
        assert_eq!(exposed(&["90-91/udp".to_owned()]).expect("ports"), ["90/udp", "91/udp"]);
    }
}

//! Subnets: whether they overlap, and the ones to choose from.

use std::net::IpAddr;

use ipnet::IpNet;

use super::pool::number;

/// Whether two subnets share an address.
pub fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

/// The first host address of a subnet: the gateway, unless the user names another.
pub fn first_host(net: IpNet) -> IpAddr {
    let first = number(net.network());
    let host = if net.max_prefix_len() - net.prefix_len() <= 1 { first } else { first + 1 };
    match net {
        IpNet::V4(_) => IpAddr::V4(u32::try_from(host).expect("within a v4 subnet").into()),
        IpNet::V6(_) => IpAddr::V6(host.into()),
    }
}

/// The subnets to choose from: 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/16 by /20.
pub fn default_v4() -> impl Iterator<Item = IpNet> {
    let large = (17..=31u8).map(|second| net([172, second, 0, 0], 16));
    large.chain((0..16u8).map(|third| net([192, 168, third * 16, 0], 20)))
}

/// Unique local /64 subnets of this Gantry's own prefix.
pub fn default_v6(seed: [u8; 5]) -> impl Iterator<Item = IpNet> {
    (0..=u16::MAX).map(move |subnet| {
        let mut octets = [0u8; 16];
        octets[0] = 0xfd;
        octets[1..6].copy_from_slice(&seed);
        octets[6..8].copy_from_slice(&subnet.to_be_bytes());
        IpNet::new(IpAddr::from(octets), 64).expect("64 is a prefix length")
    })
}

fn net(octets: [u8; 4], prefix: u8) -> IpNet {
    IpNet::new(IpAddr::from(octets), prefix).expect("a prefix length below 33")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_dockers() {
        let all: Vec<_> = default_v4().collect();
        assert_eq!(
            (all[0].to_string(), all[15].to_string(), all.len()),
            ("172.17.0.0/16".into(), "192.168.0.0/20".into(), 31)
        );
        assert_eq!(first_host(all[0]).to_string(), "172.17.0.1");
    }
}

//! Hardware addresses that depend on what they are for.

use gantry_netlink::Mac;

/// A locally administered address that depends on nothing but these two.
///
/// An address that comes back on a network (a container stopped, another started) comes back with the hardware address
/// it had: no neighbour table anywhere is out of date.
pub fn derived(network: &str, what: &str) -> Mac {
    let digest = gantry_types::Digest::sha256(format!("{network} {what}").as_bytes());
    let mut bytes = [0u8; 6];
    hex::decode_to_slice(&digest.hex()[..12], &mut bytes).expect("a digest is hexadecimal");
    bytes[0] = (bytes[0] | 0x02) & 0xfe;
    Mac(bytes)
}

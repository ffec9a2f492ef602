//! Hardware addresses derived from their owner.

use gantry_netlink::Mac;

/// A locally administered address derived from the two arguments.
///
/// An IP address that is allocated again on a network (a container stopped, another started) has the same hardware
/// address as before, so that no neighbour table is out of date.
pub fn derived(network: &str, what: &str) -> Mac {
    let digest = gantry_types::Digest::sha256(format!("{network} {what}").as_bytes());
    let mut bytes = [0u8; 6];
    hex::decode_to_slice(&digest.hex()[..12], &mut bytes).expect("a digest is hexadecimal");
    bytes[0] = (bytes[0] | 0x02) & 0xfe;
    Mac(bytes)
}

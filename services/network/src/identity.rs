//! The names and marks by which a Gantry recognizes its kernel objects.

use std::path::PathBuf;

/// Tells the kernel objects of one Gantry from those of another in the same network namespace.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Eight hexadecimal digits, derived from the path of the state directory.
    digits: String,
    /// The state directory is the default one.
    usual: bool,
    /// The directory in which network namespaces are pinned.
    pub pins: PathBuf,
    /// The directory of the tasks' bundles.
    bundles: PathBuf,
}

impl Identity {
    /// The identity of a Gantry with these directories.
    pub fn new(roots: &gantry_daemon::Roots) -> Self {
        let path = roots.state.as_os_str().as_encoded_bytes();
        Identity {
            digits: gantry_types::Digest::sha256(path).hex()[..8].to_owned(),
            usual: roots.state == std::path::Path::new("/var/lib/gantry"),
            pins: roots.run.join("netns"),
            bundles: roots.run.join("bundles"),
        }
    }

    /// The nf_tables table's name.
    pub fn table(&self) -> String {
        if self.usual { "gantry".to_owned() } else { format!("gantry-{}", self.digits) }
    }

    /// The default network's bridge.
    pub fn default_bridge(&self) -> String {
        if self.usual { "gantry0".to_owned() } else { format!("gantry-{}", self.digits) }
    }

    /// A user-defined network's bridge: `br-` and twelve digits of the id, as with Docker.
    pub fn bridge(&self, network: &str) -> String {
        format!("br-{}", &network[..12])
    }

    /// The prefix of the host's ends of veth pairs: seven letters, which leaves eight of the fifteen of a name.
    pub fn veth_prefix(&self) -> String {
        format!("v{}", &self.digits[..6])
    }

    /// The alias of this Gantry's bridges.
    pub fn mark(&self) -> String {
        format!("gantry {}", self.digits)
    }

    /// Forty bits for unique local IPv6 subnets.
    pub fn v6_seed(&self) -> [u8; 5] {
        let mut seed = [0; 5];
        let digest = gantry_types::Digest::sha256(format!("v6 {}", self.digits).as_bytes());
        hex::decode_to_slice(&digest.hex()[..10], &mut seed).expect("a digest is hexadecimal");
        seed
    }

    /// Whether a task of the netns's id exists: its container runs in the netns.
    pub fn is_used(&self, netns: &str) -> bool {
        let namespaces = std::fs::read_dir(&self.bundles).into_iter().flatten().flatten();
        namespaces.into_iter().any(|namespace| namespace.path().join(netns).exists())
    }

    /// The path that a network namespace is pinned to.
    pub fn pin(&self, netns: &str) -> PathBuf {
        self.pins.join(netns)
    }
}

//! The names and marks by which a Gantry's kernel objects are recognised.

use std::path::PathBuf;

/// What tells the kernel objects of one Gantry from those of another in the same network namespace.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Eight hexadecimal digits of the state directory's name.
    digits: String,
    /// The state directory is the usual one.
    usual: bool,
    /// Where namespaces are pinned.
    pub pins: PathBuf,
    /// Where tasks are.
    bundles: PathBuf,
}

impl Identity {
    /// The identity of a Gantry with these roots.
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

    /// A user-defined network's bridge: `br-` and twelve digits, as Docker's users know them.
    pub fn bridge(&self, network: &str) -> String {
        format!("br-{}", &network[..12])
    }

    /// What the host's ends of veth pairs begin with: seven letters, which leaves eight of a name's fifteen.
    pub fn veth_prefix(&self) -> String {
        format!("v{}", &self.digits[..6])
    }

    /// What bridges are marked with.
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

    /// Whether a task is there that has the network namespace's name: it runs in its namespace.
    pub fn is_used(&self, netns: &str) -> bool {
        let namespaces = std::fs::read_dir(&self.bundles).into_iter().flatten().flatten();
        namespaces.into_iter().any(|namespace| namespace.path().join(netns).exists())
    }

    /// Where a network namespace is pinned.
    pub fn pin(&self, netns: &str) -> PathBuf {
        self.pins.join(netns)
    }
}

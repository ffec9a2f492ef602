//! Digests of layers as states of a file system: of one uncompressed layer, and of all layers up to it.
//!
//! `chain(0) = diff(0)`, `chain(n) = sha256(chain(n-1) + " " + diff(n))` (OCI image spec, "Layer ChainID"). Only this
//! fold makes a [`ChainId`], so it is never confused with a [`DiffId`] or a blob's digest.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Digest, Error, Result};

/// The digest of a layer's uncompressed tar, as listed in an image config's `rootfs.diff_ids`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DiffId(Digest);

impl DiffId {
    /// A digest of an uncompressed layer.
    pub fn new(digest: Digest) -> Self {
        DiffId(digest)
    }

    /// The digest itself.
    pub fn digest(&self) -> &Digest {
        &self.0
    }

    /// The text, `algorithm:hex`.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for DiffId {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self> {
        value.parse().map(DiffId)
    }
}

impl fmt::Display for DiffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The chain id of a stack of layers, which is also the name of its committed snapshot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ChainId(Digest);

impl ChainId {
    /// Folds the layers, the lowest first; `None` for no layers.
    pub fn fold(layers: &[DiffId]) -> Option<ChainId> {
        let (first, rest) = layers.split_first()?;
        Some(rest.iter().fold(ChainId(first.0.clone()), |below, layer| below.then(layer)))
    }

    /// The chain ids of every stack, from the first layer alone to all of them.
    pub fn all(layers: &[DiffId]) -> Vec<ChainId> {
        let mut chain: Vec<ChainId> = Vec::with_capacity(layers.len());
        for layer in layers {
            let next = match chain.last() {
                None => ChainId(layer.0.clone()),
                Some(below) => below.then(layer),
            };
            chain.push(next);
        }
        chain
    }

    /// The chain id with one more layer on top.
    pub fn then(&self, layer: &DiffId) -> ChainId {
        ChainId(Digest::sha256(format!("{} {}", self.0, layer.0).as_bytes()))
    }

    /// The digest itself.
    pub fn digest(&self) -> &Digest {
        &self.0
    }

    /// The text, `sha256:hex`.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fold_is_that_of_the_specification() {
        let layers: Vec<DiffId> =
            ["a", "b", "c"].iter().map(|s| DiffId::new(Digest::sha256(s.as_bytes()))).collect();
        assert_eq!(ChainId::fold(&[]), None);
        assert_eq!(ChainId::fold(&layers[..1]).unwrap().digest(), layers[0].digest());
        let two = Digest::sha256(format!("{} {}", layers[0], layers[1]).as_bytes());
        assert_eq!(ChainId::fold(&layers[..2]).unwrap().digest(), &two);
        let three = Digest::sha256(format!("{} {}", two, layers[2]).as_bytes());
        assert_eq!(ChainId::fold(&layers).unwrap().digest(), &three);
        assert_eq!(ChainId::all(&layers).last(), ChainId::fold(&layers).as_ref());
        assert_eq!(ChainId::all(&layers).len(), 3);
    }
}

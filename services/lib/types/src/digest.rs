//! Content digests: `algorithm:hex`.
//!
//! A [`Digest`] is made by hashing or by parsing, so its parts are safe as file names: the algorithm is one of a
//! closed set, and the hex part has exactly the algorithm's length of `[0-9a-f]`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::Digest as _;

use crate::{Error, Result};

/// The hash functions of digests (OCI image spec, "Registered algorithms", and go-digest's sha384).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, the usual one.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// All of them, for reading `blobs/<algorithm>/`.
    pub const ALL: [Algorithm; 3] = [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512];

    /// The name before the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha384 => "sha384",
            Algorithm::Sha512 => "sha512",
        }
    }

    /// The number of hex digits after the colon.
    pub fn hex_len(self) -> usize {
        match self {
            Algorithm::Sha256 => 64,
            Algorithm::Sha384 => 96,
            Algorithm::Sha512 => 128,
        }
    }

    /// A new hasher.
    pub fn hasher(self) -> Hasher {
        match self {
            Algorithm::Sha256 => Hasher(State::Sha256(sha2::Sha256::new())),
            Algorithm::Sha384 => Hasher(State::Sha384(sha2::Sha384::new())),
            Algorithm::Sha512 => Hasher(State::Sha512(sha2::Sha512::new())),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A hasher that results in a [`Digest`].
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(h) => h.update(bytes),
            State::Sha384(h) => h.update(bytes),
            State::Sha512(h) => h.update(bytes),
        }
    }

    /// The digest of the bytes so far; clone the hasher to continue it.
    pub fn finish(self) -> Digest {
        match self.0 {
            State::Sha256(h) => Digest::of(Algorithm::Sha256, &h.finalize()),
            State::Sha384(h) => Digest::of(Algorithm::Sha384, &h.finalize()),
            State::Sha512(h) => Digest::of(Algorithm::Sha512, &h.finalize()),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher(..)")
    }
}

/// The digest of bytes: `sha256:<64 hex digits>`. Cheap to clone; sorted as text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Arc<str>);

impl Digest {
    /// Hashes bytes with SHA-256.
    pub fn sha256(bytes: &[u8]) -> Self {
        Digest::of(Algorithm::Sha256, &sha2::Sha256::digest(bytes))
    }

    /// The digest of a SHA-256 that was computed elsewhere.
    pub fn from_sha256(hash: [u8; 32]) -> Self {
        Digest::of(Algorithm::Sha256, &hash)
    }

    fn of(algorithm: Algorithm, hash: &[u8]) -> Self {
        Digest(format!("{}:{}", algorithm.as_str(), hex::encode(hash)).into())
    }

    /// The hash function.
    pub fn algorithm(&self) -> Algorithm {
        let name = &self.0[..self.0.len() - self.hex().len() - 1];
        Algorithm::ALL
            .into_iter()
            .find(|a| a.as_str() == name)
            .expect("a digest is only made with a known algorithm")
    }

    /// The hash in lower-case hex digits.
    pub fn hex(&self) -> &str {
        self.0.split_once(':').expect("a digest has a colon").1
    }

    /// The first twelve hex digits.
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }

    /// The whole text, `algorithm:hex`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self> {
        // Outside input may be long: the error has only its beginning.
        let refuse = |reason| Error::Digest { value: value.chars().take(160).collect(), reason };
        let (name, hex) = value.split_once(':').ok_or_else(|| refuse("it has no colon"))?;
        let algorithm = Algorithm::ALL
            .into_iter()
            .find(|a| a.as_str() == name)
            .ok_or_else(|| refuse("its algorithm is not one of sha256, sha384, sha512"))?;
        if hex.len() != algorithm.hex_len() {
            return Err(refuse("its hex part has the wrong length"));
        }
        if !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(refuse("its second part is not lower-case hex"));
        }
        Ok(Digest(value.into()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Digest {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn bytes_and_text_make_the_same_digest() {
        let digest = Digest::sha256(b"");
        assert_eq!(digest.to_string(), EMPTY);
        assert_eq!(digest, EMPTY.parse().unwrap());
        assert_eq!(digest.algorithm(), Algorithm::Sha256);
        assert_eq!(digest.short(), "e3b0c44298fc");
        assert_eq!(serde_json::to_string(&digest).unwrap(), format!("{EMPTY:?}"));
        assert_eq!(serde_json::from_str::<Digest>(&format!("{EMPTY:?}")).unwrap(), digest);
    }

    #[test]
    fn a_hasher_agrees_with_the_whole_and_can_be_cloned_midway() {
        for algorithm in Algorithm::ALL {
            let mut hasher = algorithm.hasher();
            hasher.update(b"ab");
            let midway = hasher.clone().finish();
            hasher.update(b"c");
            let end = hasher.finish();
            assert_ne!(midway, end);
            assert_eq!(end.algorithm(), algorithm);
            assert_eq!(end.hex().len(), algorithm.hex_len());
            assert_eq!(end.to_string().parse::<Digest>().unwrap(), end);
        }
    }

    #[test]
    fn nothing_that_could_leave_a_directory_parses() {
        for bad in [
            "",
            ":",
            "sha256",
            "sha256:",
            "sha256:../../etc/passwd",
            "../x:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "md5:d41d8cd98f00b204e9800998ecf8427e",
            "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85",
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8555",
            "sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "sha256:/3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad:?} parsed");
        }
    }
}

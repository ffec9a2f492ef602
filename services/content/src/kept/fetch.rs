//! Bytes that come back from a store: hashed on their way.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use gantry_rpc::{Code, Coded};
use gantry_types::Digest;

use super::Remote;
use crate::store::blocking;
use crate::{Error, Result};

/// Reads a blob at a store, into a file if one is given.
///
/// [`Error::Damaged`] and [`Error::Missing`] say that the store has lost it.
pub(crate) async fn copy(remote: &Remote, digest: &Digest, size: u64, into: Option<Arc<File>>) -> Result<()> {
    let lost = |error: Error| match error.code() {
        Code::NotFound => Error::Missing { store: remote.name(), digest: digest.clone() },
        _ => error,
    };
    let damaged = || Error::Damaged { store: remote.name(), digest: digest.clone() };
    let mut incoming = remote.read(digest, size).await.map_err(lost)?;
    let (mut hasher, mut offset) = (digest.algorithm().hasher(), 0);
    while let Some(bytes) = incoming.next().await.map_err(lost)? {
        let end = offset + bytes.len() as u64;
        if end > size {
            return Err(damaged());
        }
        let file = into.clone();
        hasher = blocking(move || {
            hasher.update(&bytes);
            if let Some(file) = file {
                file.write_all_at(&bytes, offset).map_err(Error::io("write", "a fetched blob"))?;
            }
            Ok(hasher)
        })
        .await?;
        offset = end;
    }
    if offset != size || hasher.finish() != *digest {
        return Err(damaged());
    }
    Ok(())
}

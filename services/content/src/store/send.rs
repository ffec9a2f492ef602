//! The way of a commit's bytes to the store of another program, before their record.

use gantry_disk::KeyedGuard;
use gantry_rpc::{Code, Coded};
use gantry_types::{Algorithm, Digest};

use super::Store;
use crate::kept::{Put, Remote, copy};
use crate::layout::IngestId;
use crate::record::KeptRecord;
use crate::seal::Proved;
use crate::{Error, Result};

/// Bytes that a store has committed, and that are removed there again unless their record is written.
pub(super) struct Sent {
    store: Store,
    /// The key and the value of the note, as it is to be once the blob has its record.
    pub(super) note: ((Digest, String), KeptRecord),
    is_recorded: bool,
    _turn: KeyedGuard<Digest>,
}

impl Sent {
    /// The blob has its record.
    pub(super) fn recorded(mut self) {
        self.is_recorded = true;
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if !self.is_recorded {
            self.store.0.kept.releasing.notify_one();
        }
    }
}

impl Store {
    /// Whether a commit of these bytes has to send them first.
    pub(super) fn is_to_be_sent(&self, digest: &Digest) -> Result<bool> {
        Ok(self.0.kept.store.is_some() && !self.0.records.is_held(digest)?)
    }

    /// Has the store commit proved bytes; `None` where blobs are kept here, or a namespace has this one.
    pub(super) async fn send(&self, proved: &Proved) -> Result<Option<Sent>> {
        let Some(remote) = self.0.kept.store.clone() else { return Ok(None) };
        let digest = &proved.digest;
        let turn = remote.turn(proved.size, self.0.kept.moving.lock(digest.clone())).await?;
        if self.0.records.is_held(digest)? {
            return Ok(None);
        }
        self.0.kept.resume(digest);
        let sent = self.try_send(&remote, proved).await;
        let row = sent.map_err(|error| {
            self.0.kept.interrupt(digest);
            unknown_algorithm(error, &remote, digest)
        })?;
        self.0.metrics.sent_bytes.inc_by(proved.size);
        let note = ((digest.clone(), remote.name().to_owned()), KeptRecord { held: true, ..row });
        Ok(Some(Sent { store: self.clone(), note, is_recorded: false, _turn: turn }))
    }

    async fn try_send(&self, remote: &Remote, proved: &Proved) -> Result<KeptRecord> {
        let digest = &proved.digest;
        let (mut note, is_new) = self.note(remote, proved).await?;
        if !note.found {
            match remote.put(&note.mark, proved).await? {
                Put::Sent => return Ok(note),
                Put::Resumed => {}
                // Ours, from a commit that had no record in the end; or somebody else was faster.
                Put::Exists => note.found = is_new || !remote.is_ours(digest, &note.mark).await?,
            }
        }
        copy(remote, digest, proved.size, None).await?;
        if note.found {
            remote.pin(digest, &note.mark).await?;
        }
        Ok(note)
    }

    /// Writes down that the store may have the blob from now on; and whether it had no note of ours before.
    async fn note(&self, remote: &Remote, proved: &Proved) -> Result<(KeptRecord, bool)> {
        let key = (proved.digest.clone(), remote.name().to_owned());
        let records = &self.0.records;
        let before = records.kept.get(&key)?;
        if let Some(note) = before.clone().filter(|note| !note.found) {
            return Ok((note, false));
        }
        // A blob of somebody else's may still have the label of the note before.
        let mark = before.map_or_else(|| IngestId::unique().as_str().to_owned(), |note| note.mark);
        let note = KeptRecord {
            size: proved.size,
            held: false,
            found: remote.labels(&proved.digest).await?.is_some(),
            mark,
            noted_at: now(),
        };
        let mut batch = records.database.batch();
        batch.put(&records.kept, &key, &note);
        batch.commit().await?;
        Ok((note, true))
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
}

/// A refusal of bytes that have this digest, as was proved here, by a store that hashes them otherwise: containerd knows
/// SHA-256 only.
fn unknown_algorithm(error: Error, remote: &Remote, digest: &Digest) -> Error {
    let refuses = matches!(
        error.code(),
        Code::FailedPrecondition | Code::InvalidArgument | Code::Unimplemented | Code::Internal
    );
    match error {
        Error::Remote(source) if refuses && digest.algorithm() != Algorithm::Sha256 => {
            Error::Algorithm { store: remote.name(), digest: digest.clone(), source }
        }
        error => error,
    }
}

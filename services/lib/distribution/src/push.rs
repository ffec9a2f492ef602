//! Uploads of blobs: one that exists is skipped, one of another repository is mounted, any other is sent.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gantry_rpc::carry;
use gantry_types::Digest;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Body, Method, RequestBuilder, StatusCode};

use crate::error::Error;
use crate::failure::Reason;
use crate::send::{Ask, Target};
use crate::{Failure, Repository, retry};

/// A request's body, which can be sent again from its beginning.
#[derive(Clone, Debug)]
pub enum Payload {
    /// None.
    Empty,
    /// Bytes in memory.
    Bytes(Bytes),
    /// The first `size` bytes of a file; `sent` counts the sent bytes.
    File { file: Arc<File>, size: u64, sent: Arc<AtomicU64> },
}

/// Whether a blob was mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mounted {
    /// The registry mounted it from the named repository.
    Yes,
    /// It has to be uploaded.
    No,
}

const CHUNK: usize = 256 << 10;
/// How fast a registry stores a received blob at least, in bytes per second: it may read the blob again, and copy it.
const STORING: u64 = 8 << 20;

impl Payload {
    /// Adds the body to a request. The second result reports when the upload has stalled.
    pub(crate) fn attach(
        &self,
        request: RequestBuilder,
        idle: Duration,
    ) -> io::Result<(RequestBuilder, Stalls)> {
        Ok(match self {
            Self::Empty => (request, Stalls { idle, sent: None }),
            Self::Bytes(bytes) => (request.body(bytes.clone()), Stalls { idle, sent: None }),
            Self::File { file, size, sent } => {
                sent.store(0, Ordering::Relaxed);
                let body = Body::wrap_stream(read_file(Arc::clone(file), *size, Arc::clone(sent)));
                (
                    request.header(CONTENT_LENGTH, *size).body(body),
                    Stalls { idle, sent: Some((Arc::clone(sent), *size)) },
                )
            }
        })
    }
}

/// Watches a request whose response is due only after its body was sent.
pub(crate) struct Stalls {
    idle: Duration,
    /// The number of sent bytes, and the size of the body.
    sent: Option<(Arc<AtomicU64>, u64)>,
}

impl Stalls {
    /// Returns when no byte moved for the idle time, or when no response came in the time that storing the body may
    /// take. Returns that time.
    pub(crate) async fn stalled(&self) -> Duration {
        let mut before = None;
        loop {
            tokio::time::sleep(self.idle).await;
            let Some((sent, size)) = &self.sent else { return self.idle };
            let now = sent.load(Ordering::Relaxed);
            if now == *size {
                let storing = Duration::from_secs(size / STORING);
                tokio::time::sleep(storing).await;
                return self.idle + storing;
            }
            if before.replace(now) == Some(now) {
                return self.idle;
            }
        }
    }
}

fn read_file(
    file: Arc<File>,
    size: u64,
    sent: Arc<AtomicU64>,
) -> impl futures::Stream<Item = io::Result<Bytes>> + Send + 'static {
    futures::stream::try_unfold(0_u64, move |offset| {
        let (file, sent) = (Arc::clone(&file), Arc::clone(&sent));
        async move {
            if offset == size {
                return Ok(None);
            }
            let length = usize::try_from(size - offset).unwrap_or(CHUNK).min(CHUNK);
            let bytes = carry::blocking(move || {
                let mut bytes = BytesMut::zeroed(length);
                file.read_exact_at(&mut bytes, offset).map(|()| bytes.freeze())
            });
            let bytes = bytes.await.ok_or(io::ErrorKind::Interrupted)??;
            let offset = offset + bytes.len() as u64;
            sent.store(offset, Ordering::Relaxed);
            Ok(Some((bytes, offset)))
        }
    })
}

impl Repository {
    /// Asks the registry to mount the blob from another of its repositories. A registry that cannot is no error.
    pub async fn mount(&self, digest: &Digest, from: &str) -> Result<Mounted, Error> {
        let path = format!("/v2/{}/blobs/uploads/?mount={digest}&from={from}", self.path);
        let ask = Ask::new(Method::POST, path, format!("mount blob {digest} from {from}"));
        match self.reading(from).send(&ask, &mut |_| {}).await {
            Ok((response, _)) if response.status() == StatusCode::CREATED => Ok(Mounted::Yes),
            // 202: the registry has begun an upload instead, which it forgets.
            Ok(_) => Ok(Mounted::No),
            Err(Failure {
                reason:
                    Reason::NotFound(_) | Reason::Unauthorized(_) | Reason::Denied(_) | Reason::Refused { .. },
                ..
            }) => Ok(Mounted::No),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Uploads `size` bytes of `file` as the blob `digest`. `sent` counts the bytes; it goes back to 0 when the
    /// upload starts over.
    pub async fn upload(
        &self,
        digest: &Digest,
        file: Arc<File>,
        size: u64,
        sent: Arc<AtomicU64>,
    ) -> Result<(), Error> {
        let action = format!("push blob {digest} to {}", self.path);
        let repository = self.afresh();
        let mut attempt = 0;
        loop {
            let payload = Payload::File { file: Arc::clone(&file), size, sent: Arc::clone(&sent) };
            let failure = match repository.upload_once(digest, payload, &action).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            attempt += 1;
            // An upload whose URL is gone starts over, like one whose connection broke.
            let pause = match failure.reason {
                Reason::NotFound(_) if attempt == 1 => Some(retry::pause(attempt)),
                ref reason => repository.worth_waiting(reason, attempt),
            };
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(failure.into()),
            }
        }
    }

    async fn upload_once(&self, digest: &Digest, payload: Payload, action: &str) -> Result<(), Failure> {
        let begin = Ask::new(Method::POST, format!("/v2/{}/blobs/uploads/", self.path), action.to_owned());
        let (response, host) = self.send(&begin, &mut |_| {}).await?;
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let address = location.and_then(|location| response.url().join(location).ok());
        let mut address = address.ok_or_else(|| {
            self.failure(host, action, Reason::Protocol("an upload without an address".into()))
        })?;
        address.query_pairs_mut().append_pair("digest", digest.as_str());
        let mut put = Ask::new(Method::PUT, String::new(), action.to_owned());
        put.target = Target::Address(address);
        put.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        put.payload = payload;
        // Without retries: the URL is good for one upload.
        match self.attempt(&self.endpoints[host], &put).await {
            Ok(_) => Ok(()),
            Err(reason) => Err(self.failure(host, action, reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_registry_may_take_its_time_to_store_what_it_has() {
        let stalled = async |sent: u64| {
            let size = 64 << 20;
            let sent = Some((Arc::new(AtomicU64::new(sent)), size));
            let stalls = Stalls { idle: Duration::from_millis(10), sent };
            tokio::time::timeout(Duration::from_millis(500), stalls.stalled()).await
        };
        assert!(stalled(64 << 20).await.is_err(), "eight seconds more");
        assert_eq!(stalled(5).await, Ok(Duration::from_millis(10)), "not while it is being sent");
    }
}

//! Downloads of blobs, by range requests that resume after a broken connection.

use std::time::Duration;

use bytes::Bytes;
use gantry_types::Digest;
use reqwest::header::{CONTENT_RANGE, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode};

use crate::Repository;
use crate::error::Error;
use crate::failure::Reason;
use crate::send::Ask;

/// A download of a blob: yields its bytes from an offset to its end, across broken connections.
#[derive(Debug)]
pub struct BlobBody {
    repository: Repository,
    digest: Digest,
    size: u64,
    offset: u64,
    /// How many bytes of the response to skip, from a server without ranges.
    skip: u64,
    response: Option<(Response, usize)>,
    attempt: u32,
    since_refill: u64,
}

/// How many new bytes make up for one failure.
const REFILL: u64 = 4 << 20;

impl Repository {
    /// Downloads the blob `digest` of `size` bytes from `offset` on. Connects at the first read.
    pub fn blob(&self, digest: &Digest, size: u64, offset: u64) -> BlobBody {
        BlobBody {
            repository: self.afresh(),
            digest: digest.clone(),
            size,
            offset,
            skip: 0,
            response: None,
            attempt: 0,
            since_refill: 0,
        }
    }

    /// Whether the registry has the blob `digest`.
    pub async fn has_blob(&self, digest: &Digest) -> Result<bool, Error> {
        let path = format!("/v2/{}/blobs/{digest}", self.path);
        let ask = Ask::new(Method::HEAD, path, format!("look for blob {digest} in {}", self.path));
        match self.send(&ask, &mut |_| {}).await {
            Ok(_) => Ok(true),
            Err(failure) if matches!(failure.reason, Reason::NotFound(_)) => Ok(false),
            Err(failure) => Err(failure.into()),
        }
    }
}

impl BlobBody {
    /// The next piece; `None` at the end, after exactly `size` bytes.
    ///
    /// A pause is announced before it begins: the next call waits for its end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        self.next_with(&mut |_| {}).await
    }

    /// As [`next`](Self::next); reports pauses to `on_wait`.
    pub async fn next_with(
        &mut self,
        on_wait: &mut (dyn FnMut(Duration) + Send),
    ) -> Result<Option<Bytes>, Error> {
        loop {
            if self.offset == self.size {
                return self.end().await;
            }
            let Some((response, host)) = &mut self.response else {
                self.open(on_wait).await?;
                continue;
            };
            let host = *host;
            let idle = self.repository.settings.idle_timeout;
            let reason = match tokio::time::timeout(idle, response.chunk()).await {
                Ok(Ok(Some(bytes))) => match self.accept(bytes)? {
                    Some(bytes) => return Ok(Some(bytes)),
                    None => continue,
                },
                Ok(Ok(None)) => {
                    return Err(Error::WrongSize {
                        digest: self.digest.clone(),
                        expected: self.size,
                        found: self.offset,
                    });
                }
                Ok(Err(error)) => Reason::transport(error),
                Err(_) => Reason::Silent(idle),
            };
            self.response = None;
            self.attempt += 1;
            let Some(pause) = self.repository.worth_waiting(&reason, self.attempt) else {
                return Err(self.repository.failure(host, &self.action(), reason).into());
            };
            tracing::debug!(digest = %self.digest, offset = self.offset, %reason, ?pause, "going on with a blob");
            on_wait(pause);
            tokio::time::sleep(pause).await;
        }
    }

    /// Takes a chunk: drops bytes before the offset, refuses bytes after the end.
    fn accept(&mut self, mut bytes: Bytes) -> Result<Option<Bytes>, Error> {
        let dropped = self.skip.min(bytes.len() as u64);
        self.skip -= dropped;
        let _ = bytes.split_to(dropped as usize);
        if bytes.is_empty() {
            return Ok(None);
        }
        let end = self.offset + bytes.len() as u64;
        if end > self.size {
            return Err(Error::WrongSize { digest: self.digest.clone(), expected: self.size, found: end });
        }
        self.offset = end;
        self.attempt = 0;
        self.since_refill += bytes.len() as u64;
        if self.since_refill >= REFILL {
            self.since_refill = 0;
            self.repository.budget.refill();
        }
        Ok(Some(bytes))
    }

    /// Reads the end of the response, so that the connection goes back to the pool.
    async fn end(&mut self) -> Result<Option<Bytes>, Error> {
        if let Some((mut response, _)) = self.response.take() {
            let rest = tokio::time::timeout(Duration::from_millis(200), response.chunk()).await;
            if let Ok(Ok(Some(more))) = rest {
                let found = self.size + more.len() as u64;
                return Err(Error::WrongSize { digest: self.digest.clone(), expected: self.size, found });
            }
        }
        Ok(None)
    }

    fn action(&self) -> String {
        format!("fetch blob {} of {}", self.digest, self.repository.path)
    }

    async fn open(&mut self, on_wait: &mut (dyn FnMut(Duration) + Send)) -> Result<(), Error> {
        let path = format!("/v2/{}/blobs/{}", self.repository.path, self.digest);
        let mut ask = Ask::new(Method::GET, path, self.action());
        if self.offset > 0 {
            let range =
                HeaderValue::try_from(format!("bytes={}-", self.offset)).expect("digits are a header value");
            ask.headers.insert(RANGE, range);
        }
        let (response, host) = self.repository.send(&ask, on_wait).await?;
        let protocol = |what: String| self.repository.failure(host, &ask.action, Reason::Protocol(what));
        self.skip = match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
                let start = range
                    .and_then(range_start)
                    .ok_or_else(|| protocol("a partial answer without a range".into()))?;
                self.offset
                    .checked_sub(start)
                    .ok_or_else(|| protocol(format!("asked from {}, answered from {start}", self.offset)))?
            }
            StatusCode::OK => self.offset,
            other => return Err(protocol(format!("a blob answered with {other}")).into()),
        };
        // A wrong length is refused before the bytes are fetched.
        if let Some(length) = response.content_length() {
            let found = (self.offset - self.skip).saturating_add(length);
            if found != self.size {
                return Err(Error::WrongSize { digest: self.digest.clone(), expected: self.size, found });
            }
        }
        self.response = Some((response, host));
        Ok(())
    }
}

/// The first byte of `Content-Range: bytes 10-99/100`.
fn range_start(range: &str) -> Option<u64> {
    range.trim().strip_prefix("bytes")?.trim().split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        assert_eq!(range_start("bytes 10-99/100"), Some(10));
        assert_eq!(range_start("bytes */100"), None);
        assert_eq!(range_start("10-99/100"), None);
    }
}

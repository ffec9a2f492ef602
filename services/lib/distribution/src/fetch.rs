//! Downloads a file from a URL, with a plain GET and without a registry's credentials.

use std::io::{self, Read};
use std::time::Duration;

use bytes::Bytes;
use reqwest::Url;
use reqwest::redirect::Policy;
use tokio::runtime::Handle;

use crate::Client;
use crate::error::Error;
use crate::tls;

/// How many redirects are followed.
const REDIRECTS: usize = 10;
/// The most bytes of an error response that a message has.
const MAX_WORDS: usize = 4096;

/// A download: a reader for a thread outside of the async runtime.
pub struct Download {
    /// The address as the caller gave it.
    pub address: String,
    /// The announced length in bytes.
    pub length: Option<u64>,
    response: reqwest::Response,
    chunk: Bytes,
    runtime: Handle,
}

impl Client {
    /// Requests a file, over HTTP when the address has no scheme. Returns when its first bytes may arrive.
    ///
    /// # Errors
    ///
    /// When the address does not parse, the server does not answer, or the response is an error.
    pub async fn fetch(&self, source: &str) -> Result<Download, Error> {
        let address = match source.contains("://") {
            true => source.to_owned(),
            false => format!("http://{source}"),
        };
        let parsed = Url::parse(&address);
        let url =
            parsed.map_err(|error| Error::Address { address: address.clone(), cause: error.to_string() })?;
        let failed = |cause: String| Error::Get { address: address.clone(), cause };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(failed(format!("unsupported protocol scheme {:?}", url.scheme())));
        }
        let settings = &self.inner.settings;
        let authority = url.authority().rsplit('@').next().unwrap_or_default().to_owned();
        let trust = tls::load(&[], &authority, false)?;
        let redirects = Policy::custom(|attempt| match attempt.previous().len() >= REDIRECTS {
            true => attempt.error(format!("stopped after {REDIRECTS} redirects")),
            false => attempt.follow(),
        });
        let builder = tls::builder(&trust, &authority, settings.connect_timeout)?
            .redirect(redirects)
            .read_timeout(settings.idle_timeout);
        let client = builder.build();
        let client = client.map_err(|source| Error::HttpClient { host: authority.clone(), source })?;
        let response = client.get(url).send().await.map_err(|error| failed(cause(&error)))?;
        let status = response.status();
        if !status.is_success() {
            let words = words(response).await;
            return Err(Error::Answered { address, status, words });
        }
        let (length, runtime) = (response.content_length(), Handle::current());
        Ok(Download { address, length, response, chunk: Bytes::new(), runtime })
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            let next = self.runtime.block_on(self.response.chunk());
            match next.map_err(|error| io::Error::other(cause(&error)))? {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.chunk.len());
        buffer[..length].copy_from_slice(&self.chunk.split_to(length));
        Ok(length)
    }
}

/// The innermost error.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// The beginning of an error response.
async fn words(mut response: reqwest::Response) -> String {
    let mut words = Vec::new();
    let reading = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            words.extend_from_slice(&chunk[..chunk.len().min(MAX_WORDS - words.len())]);
            if words.len() >= MAX_WORDS {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(5), reading).await;
    String::from_utf8_lossy(&words).trim().to_owned()
}

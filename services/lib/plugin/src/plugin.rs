//! An activated plugin.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::connection::{Driven, post};
use crate::error::{Error, Result};
use crate::folders::Folders;
use crate::patience::Patience;
use crate::wire::Manifest;
use crate::{ANSWER, interface};

/// The most bytes of a plugin's message that an error has.
const WORDS: usize = 4096;

/// A client of a plugin. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Plugin {
    name: String,
    implements: Vec<String>,
    folders: Folders,
    patience: Patience,
}

/// A streamed response.
pub struct Stream {
    body: Incoming,
    method: String,
    name: String,
    _driven: Driven,
}

/// The field of every response that refuses a call.
#[derive(Default, Deserialize)]
struct Told {
    #[serde(rename = "Err", default)]
    error: Option<String>,
}

impl Plugin {
    /// Activates a plugin: asks for its interfaces.
    pub(crate) async fn activate(name: &str, folders: &Folders, patience: Patience) -> Result<Plugin> {
        let mut plugin =
            Plugin { name: name.to_owned(), implements: Vec::new(), folders: folders.clone(), patience };
        let answer = plugin.exchange("Plugin.Activate", Bytes::new(), crate::SHORT).await?;
        let manifest: Manifest = plugin.read("Plugin.Activate", &answer)?;
        plugin.implements = manifest.implements;
        Ok(plugin)
    }

    /// The same plugin with other pauses.
    pub(crate) fn patient(&self, patience: Patience) -> Plugin {
        Plugin { patience, ..self.clone() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it implements one of the [`interface`]s.
    pub fn is(&self, interface: &str) -> bool {
        let own = |own: &String| own == interface;
        // Docker's clients ignore the case of this interface.
        self.implements.iter().any(own)
            || interface == interface::AUTHORIZATION
                && self.implements.iter().any(|own| own.eq_ignore_ascii_case(interface))
    }

    /// Calls a method (`Interface.Method`), and parses the response, which has to be complete within `patience`.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] is the plugin's own error; all others are about the plugin.
    pub async fn call<R: DeserializeOwned>(
        &self,
        method: &str,
        asked: &impl Serialize,
        patience: Duration,
    ) -> Result<R> {
        let answer = self.exchange(method, self.document(method, asked)?, patience).await?;
        if let Ok(Told { error: Some(words) }) = serde_json::from_slice(&answer)
            && !words.is_empty()
        {
            return Err(Error::Refused(shortened(words)));
        }
        self.read(method, &answer)
    }

    /// Calls a method whose response is a stream, which has to begin within `patience`.
    pub async fn stream(&self, method: &str, asked: &impl Serialize, patience: Duration) -> Result<Stream> {
        let document = self.document(method, asked)?;
        let (body, driven) = self.within(method, patience, self.begin(method, document)).await?;
        Ok(Stream { body, method: method.to_owned(), name: self.name.clone(), _driven: driven })
    }

    fn document(&self, method: &str, asked: &impl Serialize) -> Result<Bytes> {
        let text = serde_json::to_vec(asked);
        text.map(Bytes::from).map_err(|error| self.odd(method, &error.to_string()))
    }

    /// A complete response.
    async fn exchange(&self, method: &str, document: Bytes, patience: Duration) -> Result<Bytes> {
        let exchange = async {
            let (body, _driven) = self.begin(method, document).await?;
            self.collect(method, body, ANSWER).await
        };
        self.within(method, patience, exchange).await
    }

    async fn within<T>(
        &self,
        method: &str,
        patience: Duration,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match tokio::time::timeout(patience, work).await {
            Ok(done) => done,
            Err(_) => Err(Error::Late { url: self.url(method), patience }),
        }
    }

    /// The address of a method; the method's name when the plugin is gone.
    fn url(&self, method: &str) -> String {
        self.folders.find(&self.name).map_or_else(|_| method.to_owned(), |place| place.url(method))
    }

    /// The head of a successful response. Repeats the call while the plugin does not answer, and, as Docker does,
    /// when the connection ends before the head.
    async fn begin(&self, method: &str, document: Bytes) -> Result<(Incoming, Driven)> {
        let mut waiting = self.patience.begin();
        loop {
            let answered = match self.folders.find(&self.name) {
                Ok(place) => post(&place, method, document.clone()).await,
                Err(error) => Err(error),
            };
            let error = match answered {
                Ok((response, driven)) if response.status().is_success() => {
                    return Ok((response.into_body(), driven));
                }
                Ok((response, _driven)) => {
                    let status = response.status();
                    let text =
                        self.collect(method, response.into_body(), WORDS * 16).await.unwrap_or_default();
                    let told: Told = serde_json::from_slice(&text).unwrap_or_default();
                    let said = told.error.filter(|words| !words.is_empty());
                    let message =
                        said.unwrap_or_else(|| String::from_utf8_lossy(&text).trim_end().to_owned());
                    return Err(Error::Status {
                        method: method.to_owned(),
                        status: status.as_u16(),
                        message: shortened(message),
                    });
                }
                Err(error) => error,
            };
            // A plugin whose socket is gone may be about to make a new one. For a plugin that never had a socket, the
            // call is not repeated.
            let away =
                error.is_passing() || matches!(error, Error::NotFound(_)) && !self.implements.is_empty();
            if !away {
                return Err(error);
            }
            tracing::debug!(plugin = self.name, method, error = %gantry_rpc::chain(&error), "plugin is away");
            if !waiting.pause().await {
                return Err(error);
            }
        }
    }

    async fn collect(&self, method: &str, mut body: Incoming, most: usize) -> Result<Bytes> {
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| match is_cut_off(&error) {
                true => Error::Interrupted { url: self.url(method), why: "unexpected EOF".to_owned() },
                false => self.odd(method, &gantry_rpc::chain(&error)),
            })?;
            if let Ok(data) = frame.into_data() {
                if whole.len() + data.len() > most {
                    return Err(self.odd(method, &format!("it has more than {most} bytes")));
                }
                whole.extend_from_slice(&data);
            }
        }
        Ok(whole.freeze())
    }

    fn read<R: DeserializeOwned>(&self, method: &str, answer: &[u8]) -> Result<R> {
        serde_json::from_slice(answer).map_err(|error| self.odd(method, &error.to_string()))
    }

    fn odd(&self, method: &str, why: &str) -> Error {
        Error::Answer { name: self.name.clone(), method: method.to_owned(), why: why.to_owned() }
    }
}

impl Stream {
    /// The next bytes; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| Error::Answer {
                name: self.name.clone(),
                method: self.method.clone(),
                why: gantry_rpc::chain(&error),
            })?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

/// Whether the connection ended in the middle of a body. Anything else that is wrong with a body is the plugin's fault.
fn is_cut_off(error: &hyper::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    error.is_incomplete_message()
        || source.is_some_and(|error| {
            matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe)
        })
}

/// Shortens a plugin's message.
fn shortened(mut words: String) -> String {
    if words.len() > WORDS {
        let end = (0..=WORDS).rev().find(|end| words.is_char_boundary(*end)).unwrap_or(0);
        words.truncate(end);
        words.push('…');
    }
    words
}

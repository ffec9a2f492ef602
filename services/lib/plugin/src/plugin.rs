//! A plugin that has said what it can do.

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

/// The most bytes of a plugin's own words that are handed on.
const WORDS: usize = 4096;

/// How to ask a plugin. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Plugin {
    name: String,
    implements: Vec<String>,
    folders: Folders,
    patience: Patience,
}

/// An answer without an end.
pub struct Stream {
    body: Incoming,
    method: String,
    name: String,
    _driven: Driven,
}

/// What every answer may say.
#[derive(Default, Deserialize)]
struct Told {
    #[serde(rename = "Err", default)]
    error: Option<String>,
}

impl Plugin {
    /// Asks a plugin what it is.
    pub(crate) async fn activate(name: &str, folders: &Folders, patience: Patience) -> Result<Plugin> {
        let mut plugin =
            Plugin { name: name.to_owned(), implements: Vec::new(), folders: folders.clone(), patience };
        let answer = plugin.exchange("Plugin.Activate", Bytes::new(), crate::SHORT).await?;
        let manifest: Manifest = plugin.read("Plugin.Activate", &answer)?;
        plugin.implements = manifest.implements;
        Ok(plugin)
    }

    /// The same plugin, waited for in another way.
    pub(crate) fn patient(&self, patience: Patience) -> Plugin {
        Plugin { patience, ..self.clone() }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it implements one of the [`interface`]s.
    pub fn is(&self, interface: &str) -> bool {
        let own = |own: &String| own == interface;
        // Docker's clients compare this one without regard to case.
        self.implements.iter().any(own)
            || interface == interface::AUTHORIZATION
                && self.implements.iter().any(|own| own.eq_ignore_ascii_case(interface))
    }

    /// Asks it something (`Interface.Method`), and reads the answer, which has to be whole within `patience`.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] is the plugin's own; all others are about it.
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

    /// Asks it something that it answers with a stream, which has to begin within `patience`.
    pub async fn stream(&self, method: &str, asked: &impl Serialize, patience: Duration) -> Result<Stream> {
        let document = self.document(method, asked)?;
        let (body, driven) = self.within(method, patience, self.begin(method, document)).await?;
        Ok(Stream { body, method: method.to_owned(), name: self.name.clone(), _driven: driven })
    }

    fn document(&self, method: &str, asked: &impl Serialize) -> Result<Bytes> {
        let text = serde_json::to_vec(asked);
        text.map(Bytes::from).map_err(|error| self.odd(method, &error.to_string()))
    }

    /// A whole answer.
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
            Err(_) => {
                let url = self
                    .folders
                    .find(&self.name)
                    .map_or_else(|_| method.to_owned(), |place| place.url(method));
                Err(Error::Late { url, patience })
            }
        }
    }

    /// The beginning of an answer that is no refusal. A plugin that is away is waited for; where the connection ends
    /// before the answer's head, it is asked again, as Docker does.
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
            // One whose socket has gone may be about to make it anew; nobody waits for one that was never there.
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
            let frame = frame.map_err(|error| self.odd(method, &gantry_rpc::chain(&error)))?;
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
    /// The next bytes; none at the end.
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

/// A plugin's words, as long as anybody reads them.
fn shortened(mut words: String) -> String {
    if words.len() > WORDS {
        let end = (0..=WORDS).rev().find(|end| words.is_char_boundary(*end)).unwrap_or(0);
        words.truncate(end);
        words.push('…');
    }
    words
}

//! Images as archives, which the gateway splices with the data socket of `images`.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use gantry_api::images::archives::{ArchiveEvent as Event, ImportSpec, News, SaveSpec};
use gantry_api::images::{Inspect as _, Look};
use gantry_docker::event;
use gantry_http::Interrupted;
use gantry_types::{Platform, Reference};
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::OwnedWriteHalf;
use tokio_util::sync::CancellationToken;

use super::publish;
use super::transfer::{layer_line, lines_response};
use crate::call::Call;
use crate::convert::image::signed;
use crate::error::Error;
use crate::peers::{Peers, failed};
use crate::response::{self, Response};
use crate::wire::progress::Line;

/// `POST /images/load`
pub async fn load(call: Call) -> Result<Response, Error> {
    let quiet = call.query.flag_or("quiet", true);
    let platforms = call.query.all("platform");
    if platforms.len() > 1 {
        return Err(Error::bad("only one platform can be loaded at a time"));
    }
    let platform = super::platform(platforms.first().map_or("", String::as_str))?;
    let peers = call.peers().clone();
    let (archive, news) = peers.images().load(peers.namespace(), platform.as_ref()).await.map_err(failed)?;
    // An image with several names has one event.
    let told = Arc::new(Mutex::new(BTreeSet::new()));
    let lines = progress(archive, news, call.stream()).then(move |event| {
        let (peers, told) = (peers.clone(), Arc::clone(&told));
        async move {
            match event {
                Ok(Event::Loaded(name)) => {
                    if let Some(id) = id_of(&peers, &name).await
                        && told.lock().insert(id.clone())
                    {
                        publish(&peers, "load", &id).await;
                    }
                    vec![Line::stream(format!("Loaded image: {name}\n"))]
                }
                Ok(Event::LoadedId(id)) => {
                    publish(&peers, "load", id.as_str()).await;
                    vec![Line::stream(format!("Loaded image ID: {id}\n"))]
                }
                Ok(Event::Layer(layer)) if !quiet => vec![layer_line(&layer)],
                Ok(Event::Layer(_) | Event::Source(_) | Event::Importing { .. }) => Vec::new(),
                Err(error) => vec![Line::failed(error.to_string())],
            }
        }
    });
    Ok(lines_response(lines))
}

/// `POST /images/create` with `fromSrc`
pub async fn import(call: Call, platform: Option<Platform>) -> Result<Response, Error> {
    let source = match call.query.text("fromSrc") {
        "-" => None,
        "" => return Err(Error::bad("either fromImage or fromSrc is needed")),
        source => Some(source.to_owned()),
    };
    let (repository, tag) = (call.query.text("repo"), call.query.text("tag"));
    let reference = match repository {
        "" => None,
        repository => {
            let bad = |error: &dyn std::fmt::Display| Error::bad(error.to_string());
            let mut reference = Reference::parse_normalized(repository).map_err(|error| bad(&error))?;
            if reference.digest().is_some() {
                return Err(Error::bad("cannot import digest reference"));
            }
            if !tag.is_empty() {
                reference = reference.with_tag(tag).map_err(|error| bad(&error))?;
            }
            Some(reference.with_default_tag())
        }
    };
    let spec = ImportSpec {
        reference,
        message: call.query.text("message").to_owned(),
        changes: call.query.all("changes"),
        platform,
        source,
    };
    let peers = call.peers().clone();
    let (archive, news) = peers.images().import(peers.namespace(), spec).await.map_err(failed)?;
    // The last line that a client prints is the image's id.
    let named = Arc::new(Mutex::new(None));
    let lines = progress(archive, news, call.stream()).then(move |event| {
        let (peers, named) = (peers.clone(), Arc::clone(&named));
        async move {
            match event {
                Ok(Event::Loaded(name)) => {
                    *named.lock() = Some(name);
                    Vec::new()
                }
                Ok(Event::LoadedId(id)) => {
                    let name = named.lock().take();
                    if let Some(name) = name {
                        peers.tell(event::tagged(id.as_str(), &name)).await;
                    }
                    publish(&peers, "import", id.as_str()).await;
                    vec![Line::status(id.to_string())]
                }
                Ok(Event::Layer(_)) => Vec::new(),
                Ok(Event::Source(address)) => vec![Line::status(format!("Downloading from {address}"))],
                Ok(Event::Importing { current, total }) => {
                    let (current, total) = (signed(current), signed(total.unwrap_or(0)));
                    vec![Line { id: None, ..Line::measured("", "Importing", current, total) }]
                }
                Err(error) => vec![Line::failed(error.to_string())],
            }
        }
    });
    Ok(lines_response(lines))
}

/// The id of an image by its name; `None` if another client has removed the name meanwhile.
async fn id_of(peers: &Peers, name: &str) -> Option<String> {
    let found = peers.images().image(peers.namespace(), name, None, Look::Documents).await.ok()?;
    Some(found.id().to_string())
}

/// Sends an archive to `images`, while its progress comes back.
fn progress<B>(
    mut archive: OwnedWriteHalf,
    news: News,
    body: B,
) -> impl Stream<Item = Result<Event, Error>> + Send
where
    B: Stream<Item = Result<Bytes, Interrupted>> + Send + 'static,
{
    let send = async move {
        let mut body = std::pin::pin!(body);
        while let Some(chunk) = body.next().await {
            // `images` takes what it got for the whole, and refuses it as incomplete.
            let Ok(chunk) = chunk else { return };
            if archive.write_all(&chunk).await.is_err() {
                return;
            }
        }
        // If `images` has refused, its progress says so.
        let _ = archive.shutdown().await;
    };
    // `images` has ended its progress, and reads no more.
    let heard = CancellationToken::new();
    let sending = stream::once(heard.clone().run_until_cancelled_owned(send));
    let sending = sending.filter_map(|_| std::future::ready(None));
    let receiving = stream::try_unfold((news, heard.drop_guard()), |(mut news, heard)| async move {
        Ok(news.next().await.map_err(failed)?.map(|event| (event, (news, heard))))
    });
    stream::select(sending, receiving)
}

/// `GET /images/get` and `GET /images/{name}/get`
pub async fn save(call: &Call, references: Vec<String>) -> Result<Response, Error> {
    let platforms = call.query.all("platform");
    if platforms.len() > 1 {
        return Err(Error::bad("only one platform can be saved at a time"));
    }
    let platform = super::platform(platforms.first().map_or("", String::as_str))?;
    let names = references.clone();
    let (peers, spec) = (call.peers(), SaveSpec { texts: references, platform });
    let archive = peers.images().save(peers.namespace(), spec).await.map_err(failed)?;
    for name in &names {
        if let Some(id) = id_of(call.peers(), name).await {
            publish(call.peers(), "save", &id).await;
        }
    }
    let chunks = stream::try_unfold(archive, |mut archive| async move {
        Ok::<_, Error>(archive.next().await.map_err(failed)?.map(|chunk| (chunk, archive)))
    });
    Ok(response::archive(response::TAR, chunks))
}

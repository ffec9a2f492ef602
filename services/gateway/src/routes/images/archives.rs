//! Images in and out as archives, spliced from and to the data socket of images.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use gantry_docker::event;
use gantry_http::Interrupted;
use gantry_proto::gantry::images::v1 as images;
use gantry_proto::gantry::images::v1::archive_progress::Event;
use gantry_proto::gantry::images::v1::data_request::{Action, Import, Load, Save};
use gantry_rpc::data;
use gantry_types::Reference;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use super::publish;
use super::transfer::{layer_line, lines_response};
use crate::call::Call;
use crate::error::Error;
use crate::peers::{IMAGES, Peers};
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
    let store = peers.images_data(Action::Load(Load { platform })).await?;
    // An image with several names is told of once.
    let told = Arc::new(Mutex::new(BTreeSet::new()));
    let lines = progress(store, call.stream()).then(move |event| {
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
                    publish(&peers, "load", &id).await;
                    vec![Line::stream(format!("Loaded image ID: {id}\n"))]
                }
                Ok(Event::Layer(layer)) if !quiet => vec![layer_line(&layer)],
                Ok(Event::Layer(_) | Event::Source(_) | Event::Importing(_)) => Vec::new(),
                Ok(Event::Failed(failed)) => vec![Line::failed(failed.message)],
                Err(error) => vec![Line::failed(error.to_string())],
            }
        }
    });
    Ok(lines_response(lines))
}

/// `POST /images/create` with `fromSrc`
pub async fn import(call: Call, platform: String) -> Result<Response, Error> {
    let source = match call.query.text("fromSrc") {
        "-" => String::new(),
        "" => return Err(Error::bad("either fromImage or fromSrc is needed")),
        source => source.to_owned(),
    };
    let (repository, tag) = (call.query.text("repo"), call.query.text("tag"));
    let reference = match repository {
        "" => String::new(),
        repository => {
            let bad = |error: &dyn std::fmt::Display| Error::bad(error.to_string());
            let mut reference = Reference::parse_normalized(repository).map_err(|error| bad(&error))?;
            if reference.digest().is_some() {
                return Err(Error::bad("cannot import digest reference"));
            }
            if !tag.is_empty() {
                reference = reference.with_tag(tag).map_err(|error| bad(&error))?;
            }
            reference.with_default_tag().to_string()
        }
    };
    let request = Import {
        reference,
        message: call.query.text("message").to_owned(),
        changes: call.query.all("changes"),
        platform,
        source,
    };
    let peers = call.peers().clone();
    let store = peers.images_data(Action::Import(request)).await?;
    // The last line that a client prints is the image's id.
    let named = Arc::new(Mutex::new(None));
    let lines = progress(store, call.stream()).then(move |event| {
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
                        peers.tell(event::tagged(&id, &name)).await;
                    }
                    publish(&peers, "import", &id).await;
                    vec![Line::status(id)]
                }
                Ok(Event::Layer(_)) => Vec::new(),
                Ok(Event::Source(source)) => {
                    vec![Line::status(format!("Downloading from {}", source.address))]
                }
                Ok(Event::Importing(so_far)) => {
                    vec![Line { id: None, ..Line::measured("", "Importing", so_far.current, so_far.total) }]
                }
                Ok(Event::Failed(failed)) => vec![Line::failed(failed.message)],
                Err(error) => vec![Line::failed(error.to_string())],
            }
        }
    });
    Ok(lines_response(lines))
}

/// The id of an image by its name; none when others have taken the name away meanwhile.
async fn id_of(peers: &Peers, name: &str) -> Option<String> {
    let reference = name.to_owned();
    let request = images::ResolveRequest { reference, platform: String::new(), documents_only: true };
    Some(peers.images().resolve(peers.within(request)).await.ok()?.into_inner().id)
}

/// Sends an archive while progress comes back.
fn progress<B>(store: UnixStream, body: B) -> impl Stream<Item = Result<Event, Error>> + Send
where
    B: Stream<Item = Result<Bytes, Interrupted>> + Send + 'static,
{
    let (answers, mut archive) = store.into_split();
    let send = async move {
        let mut body = std::pin::pin!(body);
        while let Some(chunk) = body.next().await {
            // The store takes what came for all there is, and finds that it is no whole archive.
            let Ok(chunk) = chunk else { return };
            if archive.write_all(&chunk).await.is_err() {
                return;
            }
        }
        // A store that has refused says so in its progress.
        let _ = archive.shutdown().await;
    };
    // A store that has said its last word takes no more.
    let heard = CancellationToken::new();
    let sending = stream::once(heard.clone().run_until_cancelled_owned(send));
    let sending = sending.filter_map(|_| std::future::ready(None));
    let receiving = stream::unfold(Some((answers, heard.drop_guard())), |state| async move {
        let (mut answers, heard) = state?;
        match data::receive::<images::ArchiveProgress>(&mut answers).await {
            Ok(Some(message)) => Some((message.event.map(Ok), Some((answers, heard)))),
            Ok(None) => None,
            Err(error) => Some((Some(Err(Error::from_io(IMAGES, &error))), None)),
        }
    })
    .filter_map(std::future::ready);
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
    let archive = call.peers().images_data(Action::Save(Save { references, platform })).await?;
    for name in &names {
        if let Some(id) = id_of(call.peers(), name).await {
            publish(call.peers(), "save", &id).await;
        }
    }
    Ok(response::archive(response::TAR, archive))
}

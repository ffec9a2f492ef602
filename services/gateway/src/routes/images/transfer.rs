//! Images from and to registries, with the progress that clients draw.

use std::convert::Infallible;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use gantry_docker::event;
use gantry_proto::gantry::images::v1 as images;
use gantry_proto::gantry::images::v1::layer_progress::State;
use gantry_proto::gantry::images::v1::pull_progress::Event as PullEvent;
use gantry_proto::gantry::images::v1::push_progress::Event as PushEvent;
use gantry_proto::gantry::images::v1::push_progress::push_layer::State as PushState;
use gantry_types::{Platform, Reference};
use tonic::Streaming;

use super::archives;
use crate::call::Call;
use crate::convert::image;
use crate::error::Error;
use crate::peers::{IMAGES, Peers, of};
use crate::response::{self, Response};
use crate::wire::progress::{Line, PushResult};

/// `POST /images/create`: a pull, or an import.
pub async fn create(call: Call) -> Result<Response, Error> {
    let platform = call.query.text("platform").to_owned();
    if !platform.is_empty() {
        platform.parse::<Platform>().map_err(|error| Error::bad(format!("{platform:?}: {error}")))?;
    }
    match call.query.text("fromImage") {
        "" => archives::import(call, platform).await,
        name => {
            let (name, tag) = (name.to_owned(), call.query.text("tag").to_owned());
            pull(&call, &name, &tag, platform).await
        }
    }
}

/// The whole name: a digest may come as the tag, and a name without a tag means all of them. Where the name has a tag of
/// its own, the other one counts, unless there is a digest.
fn reference(name: &str, tag: &str) -> Result<(Reference, bool), Error> {
    let parse = |text: &str| Reference::parse_normalized(text);
    let bad = |error: gantry_types::Error| Error::bad(error.to_string());
    let named = parse(name.trim_end_matches(':')).map_err(bad)?;
    let reference = match tag {
        "" => named,
        _ if named.digest().is_some() => named,
        digest if digest.contains(':') => parse(&format!("{}@{digest}", named.name())).map_err(bad)?,
        tag => named.with_tag(tag).map_err(bad)?,
    };
    let all_tags = reference.tag().is_none() && reference.digest().is_none();
    Ok((reference, all_tags))
}

async fn pull(call: &Call, name: &str, tag: &str, platform: String) -> Result<Response, Error> {
    let (reference, all_tags) = reference(name, tag)?;
    let request = images::PullRequest {
        reference: reference.to_string(),
        platform,
        auth: Some(image::auth(call.registry_auth())),
        all_tags,
        snapshotter: String::new(),
    };
    let peers = call.peers().clone();
    let mut progress = peers.images().pull(peers.within(request)).await.map_err(of(IMAGES))?.into_inner();
    // What fails before anything was found is an error of its own.
    let first = progress.message().await.map_err(of(IMAGES))?;
    let events = follow(first, progress);
    let lines = events.then(move |event| {
        let peers = peers.clone();
        async move {
            match event {
                Ok(images::PullProgress { event: Some(event) }) => pull_lines(&peers, event).await,
                Ok(images::PullProgress { event: None }) => Vec::new(),
                Err(error) => vec![Line::failed(error.to_string())],
            }
        }
    });
    Ok(lines_response(lines))
}

/// The first message, the others, and at the end an error if there was one.
fn follow<T: Send + 'static>(
    first: Option<T>,
    rest: Streaming<T>,
) -> impl Stream<Item = Result<T, Error>> + Send {
    stream::iter(first.map(Ok))
        .chain(rest.map(|message| message.map_err(|status| Error::from_peer(IMAGES, &status))))
}

/// Progress as a response.
pub fn lines_response(lines: impl Stream<Item = Vec<Line>> + Send + 'static) -> Response {
    response::streamed(
        response::JSON,
        lines.filter(|lines| std::future::ready(!lines.is_empty())).map(|lines| {
            let bytes: Vec<u8> = lines.iter().flat_map(|line| line.encode()).collect();
            Ok::<_, Infallible>(Bytes::from(bytes))
        }),
    )
}

async fn pull_lines(peers: &Peers, event: PullEvent) -> Vec<Line> {
    match event {
        PullEvent::Resolving(of) => {
            vec![Line {
                id: (!of.tag.is_empty()).then_some(of.tag),
                ..Line::status(format!("Pulling from {}", of.repository))
            }]
        }
        PullEvent::Layer(layer) => vec![layer_line(&layer)],
        PullEvent::Pulled(pulled) => {
            let name = image::familiar(&pulled.reference);
            peers.tell(event::pulled(&pulled.reference)).await;
            let outcome = if pulled.up_to_date { "Image is up to date" } else { "Downloaded newer image" };
            vec![
                Line::status(format!("Digest: {}", pulled.digest)),
                Line::status(format!("Status: {outcome} for {name}")),
            ]
        }
    }
}

/// A layer in Docker's words; the id is the first twelve digits of its digest.
pub fn layer_line(layer: &images::LayerProgress) -> Line {
    let id = short(&layer.digest);
    match layer.state() {
        State::Pulling => Line::part(id, "Pulling fs layer"),
        State::Waiting => Line::part(id, "Waiting"),
        State::Downloading => Line::measured(id, "Downloading", layer.current, layer.total),
        State::Verifying => Line::part(id, "Verifying Checksum"),
        State::Downloaded => Line::part(id, "Download complete"),
        State::Extracting => Line::measured(id, "Extracting", layer.current, layer.total),
        State::Complete => Line::part(id, "Pull complete"),
        State::Exists => Line::part(id, "Already exists"),
        State::Retrying => {
            let unit = if layer.retry_seconds == 1 { "second" } else { "seconds" };
            Line::part(id, format!("Retrying in {} {unit}", layer.retry_seconds))
        }
    }
}

fn short(digest: &str) -> String {
    digest.split_once(':').map_or(digest, |(_, hex)| hex).chars().take(12).collect()
}

/// `POST /images/{name}/push`
pub async fn push(call: &Call, name: &str) -> Result<Response, Error> {
    let (reference, _) = reference(name, call.query.text("tag"))?;
    let request = images::PushRequest {
        reference: reference.to_string(),
        auth: Some(image::auth(call.registry_auth())),
        platform: super::platform(call.query.text("platform"))?,
    };
    let peers = call.peers().clone();
    let mut progress = peers.images().push(peers.within(request)).await.map_err(of(IMAGES))?.into_inner();
    let first = progress.message().await.map_err(of(IMAGES))?;
    let name = reference.familiar();
    let lines = follow(first, progress).then(move |event| {
        let (peers, name) = (peers.clone(), name.clone());
        async move {
            match event {
                Ok(images::PushProgress { event: Some(event) }) => push_lines(&peers, &name, event).await,
                Ok(images::PushProgress { event: None }) => Vec::new(),
                Err(error) => vec![Line::failed(error.to_string())],
            }
        }
    });
    Ok(lines_response(lines))
}

async fn push_lines(peers: &Peers, name: &str, event: PushEvent) -> Vec<Line> {
    match event {
        PushEvent::Preparing(of) => {
            vec![Line::status(format!("The push refers to repository [{}]", of.repository))]
        }
        PushEvent::Layer(layer) => {
            let id = short(&layer.digest);
            vec![match layer.state() {
                PushState::Preparing => Line::part(id, "Preparing"),
                PushState::Waiting => Line::part(id, "Waiting"),
                PushState::Pushing => Line::measured(id, "Pushing", layer.current, layer.total),
                PushState::Pushed => Line::part(id, "Pushed"),
                PushState::Exists => Line::part(id, "Layer already exists"),
                PushState::Mounted => Line::part(id, format!("Mounted from {}", layer.mounted_from)),
            }]
        }
        PushEvent::Pushed(pushed) => {
            peers.tell(event::pushed(name)).await;
            let status = format!("{}: digest: {} size: {}", pushed.tag, pushed.digest, pushed.size);
            vec![
                Line::status(status),
                Line::aux(PushResult { tag: pushed.tag, digest: pushed.digest, size: pushed.size }),
            ]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_what_is_pulled() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let rows = [
            ("docker.io/library/busybox", "1", "docker.io/library/busybox:1".to_owned(), false),
            ("busybox:", "1", "docker.io/library/busybox:1".to_owned(), false),
            ("busybox:2", "", "docker.io/library/busybox:2".to_owned(), false),
            ("busybox:1", "2", "docker.io/library/busybox:2".to_owned(), false),
            (&format!("busybox@{digest}"), "2", format!("docker.io/library/busybox@{digest}"), false),
            ("busybox", &digest, format!("docker.io/library/busybox@{digest}"), false),
            ("localhost:5000/x", "", "localhost:5000/x".to_owned(), true),
        ];
        for (name, tag, expected, all) in rows {
            let (found, all_tags) = reference(name, tag).expect(name);
            assert_eq!((found.to_string(), all_tags), (expected, all));
        }
        assert_eq!(reference("UPPER", "").expect_err("upper case").status().as_u16(), 400);
    }

    #[test]
    fn layers_in_dockers_words() {
        let layer = |state: State| images::LayerProgress {
            digest: format!("sha256:{}", "0123456789ab".repeat(5)),
            state: state.into(),
            current: 1,
            total: 2,
            retry_seconds: 5,
        };
        let rows = [
            (State::Pulling, "Pulling fs layer"),
            (State::Waiting, "Waiting"),
            (State::Downloading, "Downloading"),
            (State::Verifying, "Verifying Checksum"),
            (State::Downloaded, "Download complete"),
            (State::Extracting, "Extracting"),
            (State::Complete, "Pull complete"),
            (State::Exists, "Already exists"),
            (State::Retrying, "Retrying in 5 seconds"),
        ];
        for (state, text) in rows {
            let line = layer_line(&layer(state));
            assert_eq!((line.status.as_deref(), line.id.as_deref()), (Some(text), Some("0123456789ab")));
        }
    }
}

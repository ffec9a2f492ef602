//! Images from and to registries, with the progress that clients show.

use std::convert::Infallible;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use gantry_api::Failure;
use gantry_api::images::{
    LayerProgress, LayerState as State, Progress, PullEvent, PullSpec, PushEvent, PushSpec, PushState,
    Transfer as _,
};
use gantry_docker::event;
use gantry_types::{Digest, Platform, Reference};

use super::archives;
use crate::call::Call;
use crate::convert::image;
use crate::error::Error;
use crate::peers::{Peers, failed};
use crate::response::{self, Response};
use crate::wire::progress::{Line, PushResult};

/// `POST /images/create`: a pull, or an import.
pub async fn create(call: Call) -> Result<Response, Error> {
    let platform = call.query.text("platform").to_owned();
    let platform = match platform.trim() {
        "" => None,
        text => Some(text.parse().map_err(|error| Error::bad(format!("{platform:?}: {error}")))?),
    };
    match call.query.text("fromImage") {
        "" => archives::import(call, platform).await,
        name => {
            let (name, tag) = (name.to_owned(), call.query.text("tag").to_owned());
            pull(&call, &name, &tag, platform).await
        }
    }
}

/// The whole name, from `fromImage` and `tag`. The tag may be a digest, and a name without a tag means all tags. If the name has a tag
/// of its own, `tag` replaces it, unless the name has a digest.
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

async fn pull(call: &Call, name: &str, tag: &str, platform: Option<Platform>) -> Result<Response, Error> {
    let (reference, all_tags) = reference(name, tag)?;
    let credentials = image::credentials(call.registry_auth());
    let spec = PullSpec { platform, credentials, all_tags, ..PullSpec::of(reference) };
    let peers = call.peers().clone();
    let mut progress = peers.images().pull_image(peers.namespace(), spec).await.map_err(failed)?;
    // A failure before the first message becomes the status of the response.
    let first = progress.next().await.map_err(failed)?;
    let events = follow(first, progress);
    let lines = events.then(move |event| {
        let peers = peers.clone();
        async move {
            match event {
                Ok(event) => pull_lines(&peers, event).await,
                Err(error) => vec![Line::failed(error.to_string())],
            }
        }
    });
    Ok(lines_response(lines))
}

/// The first event, the other ones, and an error at the end if there is one.
fn follow<P>(first: Option<P::Event>, rest: P) -> impl Stream<Item = Result<P::Event, Error>> + Send
where
    P: Progress<Error = Failure> + 'static,
{
    let rest = stream::try_unfold(rest, |mut rest| async move {
        Ok(rest.next().await.map_err(failed)?.map(|event| (event, rest)))
    });
    stream::iter(first.map(Ok)).chain(rest)
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
        PullEvent::Resolving { repository, tag } => {
            vec![Line {
                id: (!tag.is_empty()).then_some(tag),
                ..Line::status(format!("Pulling from {repository}"))
            }]
        }
        PullEvent::Layer(layer) => vec![layer_line(&layer)],
        PullEvent::Pulled { reference, digest, up_to_date } => {
            let name = image::familiar(&reference);
            peers.tell(event::pulled(&reference)).await;
            let outcome = if up_to_date { "Image is up to date" } else { "Downloaded newer image" };
            vec![
                Line::status(format!("Digest: {digest}")),
                Line::status(format!("Status: {outcome} for {name}")),
            ]
        }
    }
}

/// A layer's progress in Docker's words; its id is the first twelve digits of the digest.
pub fn layer_line(layer: &LayerProgress) -> Line {
    let id = short(&layer.digest);
    let measured = |words| {
        Line::measured(short(&layer.digest), words, image::signed(layer.current), image::signed(layer.total))
    };
    match layer.state {
        State::Pulling => Line::part(id, "Pulling fs layer"),
        State::Waiting => Line::part(id, "Waiting"),
        State::Downloading => measured("Downloading"),
        State::Verifying => Line::part(id, "Verifying Checksum"),
        State::Downloaded => Line::part(id, "Download complete"),
        State::Extracting => measured("Extracting"),
        State::Complete => Line::part(id, "Pull complete"),
        State::Exists => Line::part(id, "Already exists"),
        State::Retrying => {
            let seconds = layer.retry.as_secs();
            let unit = if seconds == 1 { "second" } else { "seconds" };
            Line::part(id, format!("Retrying in {seconds} {unit}"))
        }
    }
}

fn short(digest: &Digest) -> String {
    digest.short().to_owned()
}

/// `POST /images/{name}/push`
pub async fn push(call: &Call, name: &str) -> Result<Response, Error> {
    let (reference, _) = reference(name, call.query.text("tag"))?;
    let name = reference.familiar();
    let spec = PushSpec {
        reference,
        credentials: image::credentials(call.registry_auth()),
        platform: super::platform(call.query.text("platform"))?,
    };
    let peers = call.peers().clone();
    let mut progress = peers.images().push_image(peers.namespace(), spec).await.map_err(failed)?;
    let first = progress.next().await.map_err(failed)?;
    let lines = follow(first, progress).then(move |event| {
        let (peers, name) = (peers.clone(), name.clone());
        async move {
            match event {
                Ok(event) => push_lines(&peers, &name, event).await,
                Err(error) => vec![Line::failed(error.to_string())],
            }
        }
    });
    Ok(lines_response(lines))
}

async fn push_lines(peers: &Peers, name: &str, event: PushEvent) -> Vec<Line> {
    match event {
        PushEvent::Preparing { repository } => {
            vec![Line::status(format!("The push refers to repository [{repository}]"))]
        }
        PushEvent::Layer(layer) => {
            let id = short(&layer.digest);
            vec![match layer.state {
                PushState::Preparing => Line::part(id, "Preparing"),
                PushState::Waiting => Line::part(id, "Waiting"),
                PushState::Pushing => {
                    Line::measured(id, "Pushing", image::signed(layer.current), image::signed(layer.total))
                }
                PushState::Pushed => Line::part(id, "Pushed"),
                PushState::Exists => Line::part(id, "Layer already exists"),
                PushState::Mounted => Line::part(id, format!("Mounted from {}", layer.mounted_from)),
            }]
        }
        PushEvent::Pushed { tag, digest, size } => {
            peers.tell(event::pushed(name)).await;
            let status = Line::status(format!("{tag}: digest: {digest} size: {size}"));
            let result = PushResult { tag, digest: digest.to_string(), size: image::signed(size) };
            vec![status, Line::aux(result)]
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
        let digest: Digest = format!("sha256:{}0123", "0123456789ab".repeat(5)).parse().expect("a digest");
        let layer = |state| LayerProgress {
            digest: digest.clone(),
            state,
            current: 1,
            total: 2,
            retry: std::time::Duration::from_secs(5),
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

//! `gantry pull`.

use anyhow::{Context, Result};
use gantry_docker::event;
use gantry_docker::image::familiar;
use gantry_proto::gantry::images::v1::layer_progress::State;
use gantry_proto::gantry::images::v1::pull_progress::{Event, Pulled};
use gantry_proto::gantry::images::v1::{LayerProgress, PullRequest};
use gantry_types::Reference;
use tokio_stream::StreamExt;

use crate::cli::command::Pull;
use crate::cmd::progress::{Shown, Step, View};
use crate::cmd::{Session, login};
use crate::output;

pub async fn run(session: &Session, arguments: &Pull) -> Result<()> {
    let mut reference = Reference::parse_normalized(&arguments.reference)
        .with_context(|| format!("image name {:?}", arguments.reference))?;
    if arguments.all_tags {
        if reference.tag().is_some() || reference.digest().is_some() {
            anyhow::bail!("tag can't be used with --all-tags/-a");
        }
    } else {
        reference = reference.with_default_tag();
    }
    let request = PullRequest {
        reference: reference.to_string(),
        platform: arguments.platform.clone().unwrap_or_default(),
        auth: login::credentials_for(&arguments.reference).await?,
        all_tags: arguments.all_tags,
        ..PullRequest::default()
    };
    let shown = if arguments.quiet { Shown::Nothing } else { Shown::Progress };
    for pulled in pull(session, request, shown).await? {
        match arguments.quiet {
            true => output::line(&pulled.reference)?,
            false => output::line(format_args!("{}@{}", pulled.reference, pulled.digest))?,
        }
    }
    Ok(())
}

/// Pulls; what came of it.
pub async fn pull(session: &Session, request: PullRequest, shown: Shown) -> Result<Vec<Pulled>> {
    let mut events = session.peers.images().pull(session.request(request)).await?.into_inner();
    let mut view = View::new(shown);
    let mut all = Vec::new();
    while let Some(progress) = events.next().await {
        match progress?.event {
            Some(Event::Layer(layer)) => view.show(&step(&layer)),
            Some(Event::Resolving(of)) => {
                let tag = if of.tag.is_empty() { String::new() } else { format!(":{}", of.tag) };
                view.say(format_args!("pulling {}{tag}", of.repository));
            }
            Some(Event::Pulled(pulled)) => {
                session.tell(event::pulled(&pulled.reference)).await;
                if pulled.up_to_date {
                    view.say(format_args!("{} is up to date", familiar(&pulled.reference)));
                }
                all.push(pulled);
            }
            None => {}
        }
    }
    Ok(all)
}

/// A layer's progress.
pub fn step(layer: &LayerProgress) -> Step<'_> {
    Step {
        digest: &layer.digest,
        words: words(layer.state()),
        current: layer.current,
        total: layer.total,
        done: matches!(layer.state(), State::Complete | State::Exists),
    }
}

fn words(state: State) -> &'static str {
    match state {
        State::Pulling => "pulling",
        State::Waiting => "waiting",
        State::Downloading => "downloading",
        State::Verifying => "verifying",
        State::Downloaded => "downloaded",
        State::Extracting => "extracting",
        State::Complete => "complete",
        State::Exists => "exists",
        State::Retrying => "retrying",
    }
}

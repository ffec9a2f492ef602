//! `gantry pull`.

use anyhow::{Context, Result};
use gantry_api::images::{
    LayerProgress, LayerState as State, Progress as _, PullEvent, PullSpec, Transfer as _,
};
use gantry_docker::event;
use gantry_docker::image::familiar;
use gantry_types::{Digest, Reference};

use crate::cli::command::Pull;
use crate::cmd::progress::{Shown, Step, View};
use crate::cmd::{Session, images, login, said};
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
    let spec = PullSpec {
        platform: images::platform(arguments.platform.as_deref())?,
        credentials: login::credentials_for(&arguments.reference).await?,
        all_tags: arguments.all_tags,
        ..PullSpec::of(reference)
    };
    let shown = if arguments.quiet { Shown::Nothing } else { Shown::Progress };
    for (reference, digest) in pull(session, spec, shown).await? {
        match arguments.quiet {
            true => output::line(&reference)?,
            false => output::line(format_args!("{reference}@{digest}"))?,
        }
    }
    Ok(())
}

/// Pulls, and returns the canonical names and digests of what was pulled.
pub async fn pull(session: &Session, spec: PullSpec, shown: Shown) -> Result<Vec<(String, Digest)>> {
    let mut pulling = session.images().pull_image(&session.namespace(), spec).await.map_err(said)?;
    let mut view = View::new(shown);
    let mut all = Vec::new();
    while let Some(event) = pulling.next().await.map_err(said)? {
        match event {
            PullEvent::Layer(layer) => view.show(&step(&layer)),
            PullEvent::Resolving { repository, tag } => {
                let tag = if tag.is_empty() { String::new() } else { format!(":{tag}") };
                view.say(format_args!("pulling {repository}{tag}"));
            }
            PullEvent::Pulled { reference, digest, up_to_date } => {
                session.tell(event::pulled(&reference)).await;
                if up_to_date {
                    view.say(format_args!("{} is up to date", familiar(&reference)));
                }
                all.push((reference, digest));
            }
        }
    }
    Ok(all)
}

/// A layer's progress.
pub fn step(layer: &LayerProgress) -> Step<'_> {
    Step {
        digest: layer.digest.as_str(),
        words: words(layer.state),
        current: layer.current,
        total: layer.total,
        done: matches!(layer.state, State::Complete | State::Exists),
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

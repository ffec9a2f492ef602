//! `gantry push`.

use anyhow::{Context, Result, bail};
use gantry_docker::event;
use gantry_proto::gantry::images::v1::PushRequest;
use gantry_proto::gantry::images::v1::push_progress::Event;
use gantry_proto::gantry::images::v1::push_progress::push_layer::State;
use gantry_types::Reference;
use tokio_stream::StreamExt;

use crate::cli::command::Push;
use crate::cmd::progress::{Shown, Step, View};
use crate::cmd::{Session, login};
use crate::output;

pub async fn run(session: &Session, arguments: &Push) -> Result<()> {
    let mut reference = Reference::parse_normalized(&arguments.reference)
        .with_context(|| format!("image name {:?}", arguments.reference))?;
    if reference.digest().is_some() {
        bail!("cannot push a digest reference");
    }
    match (arguments.all_tags, reference.tag()) {
        (true, Some(_)) => bail!("tag can't be used with --all-tags/-a"),
        (true, None) => {}
        (false, _) => reference = reference.with_default_tag(),
    }
    let request = PushRequest {
        reference: reference.to_string(),
        auth: login::credentials_for(&arguments.reference).await?,
        platform: arguments.platform.clone().unwrap_or_default(),
    };
    let mut events = session.peers.images().push(session.request(request)).await?.into_inner();
    let mut view = View::new(if arguments.quiet { Shown::Nothing } else { Shown::Progress });
    let name = reference.familiar();
    while let Some(progress) = events.next().await {
        match progress?.event {
            Some(Event::Preparing(of)) => view.say(format_args!("pushing to {}", of.repository)),
            Some(Event::Layer(layer)) => view.show(&Step {
                digest: &layer.digest,
                words: words(layer.state()),
                current: layer.current,
                total: layer.total,
                done: matches!(layer.state(), State::Pushed | State::Exists | State::Mounted),
            }),
            Some(Event::Pushed(pushed)) => {
                session.tell(event::pushed(&name)).await;
                let repository = reference.without_tag_or_digest();
                match arguments.quiet {
                    true => output::line(format_args!("{repository}:{}", pushed.tag))?,
                    false => output::line(format_args!("{repository}:{}@{}", pushed.tag, pushed.digest))?,
                }
            }
            None => {}
        }
    }
    Ok(())
}

fn words(state: State) -> &'static str {
    match state {
        State::Preparing => "preparing",
        State::Waiting => "waiting",
        State::Pushing => "pushing",
        State::Pushed => "pushed",
        State::Exists => "exists",
        State::Mounted => "mounted",
    }
}

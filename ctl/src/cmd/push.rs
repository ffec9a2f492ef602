//! `gantry push`.

use anyhow::{Context, Result, bail};
use gantry_api::images::{Progress as _, PushEvent, PushSpec, PushState as State, Transfer as _};
use gantry_docker::event;
use gantry_types::Reference;

use crate::cli::command::Push;
use crate::cmd::progress::{Shown, Step, View};
use crate::cmd::{Session, images, login, said};
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
    let (name, repository) = (reference.familiar(), reference.without_tag_or_digest());
    let spec = PushSpec {
        reference,
        credentials: login::credentials_for(&arguments.reference).await?,
        platform: images::platform(arguments.platform.as_deref())?,
    };
    let mut pushing = session.images().push_image(&session.namespace(), spec).await.map_err(said)?;
    let mut view = View::new(if arguments.quiet { Shown::Nothing } else { Shown::Progress });
    while let Some(event) = pushing.next().await.map_err(said)? {
        match event {
            PushEvent::Preparing { repository } => view.say(format_args!("pushing to {repository}")),
            PushEvent::Layer(layer) => view.show(&Step {
                digest: layer.digest.as_str(),
                words: words(layer.state),
                current: layer.current,
                total: layer.total,
                done: matches!(layer.state, State::Pushed | State::Exists | State::Mounted),
            }),
            PushEvent::Pushed { tag, digest, .. } => {
                session.tell(event::pushed(&name)).await;
                match arguments.quiet {
                    true => output::line(format_args!("{repository}:{tag}"))?,
                    false => output::line(format_args!("{repository}:{tag}@{digest}"))?,
                }
            }
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

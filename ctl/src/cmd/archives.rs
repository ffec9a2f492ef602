//! `gantry save`, `load`, `image import`: images as tars, through the data socket of `images`.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::Path;

use anyhow::{Context, Result, bail};
use gantry_api::images::archives::{ArchiveEvent as Event, ImportSpec, News, SaveSpec, Saved};
use gantry_api::images::{Inspect as _, Look};
use gantry_docker::event;
use gantry_docker::image::new_name;
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::net::unix::OwnedWriteHalf;

use crate::cli::command::{Load as LoadArguments, Save as SaveArguments};
use crate::cmd::progress::{Shown, View};
use crate::cmd::{Session, images, pull, said};
use crate::output;

/// A whole tar ends with this many zeros.
const END: usize = 1024;

/// A file, or standard input.
async fn source(path: Option<&Path>) -> Result<Box<dyn AsyncRead + Unpin>> {
    match path {
        Some(path) if path != Path::new("-") => {
            let file = tokio::fs::File::open(path).await;
            Ok(Box::new(file.with_context(|| format!("open {}", path.display()))?))
        }
        _ if std::io::stdin().is_terminal() => {
            bail!("name a file with -i, or let a tar come in: `… < images.tar`")
        }
        _ => Ok(Box::new(tokio::io::stdin())),
    }
}

/// Sends a tar, while its progress comes back.
async fn send(
    (mut writer, mut news): (OwnedWriteHalf, News),
    mut tar: Box<dyn AsyncRead + Unpin>,
    mut hear: impl AsyncFnMut(Event) -> Result<()>,
) -> Result<()> {
    let send = async {
        tokio::io::copy(&mut tar, &mut writer).await?;
        writer.shutdown().await?;
        anyhow::Ok(())
    };
    let receive = async {
        while let Some(event) = news.next().await.map_err(said)? {
            hear(event).await?;
        }
        Ok(())
    };
    tokio::pin!(receive);
    // `images` has ended its progress and reads no more: its reason tells more than the broken pipe.
    tokio::select! {
        received = &mut receive => received,
        sent = send => {
            receive.await?;
            sent
        }
    }
}

pub async fn load(session: &Session, arguments: LoadArguments) -> Result<()> {
    let tar = source(arguments.input.as_deref()).await?;
    let platform = images::platform(arguments.platform.as_deref())?;
    let loading = session.images().load(&session.namespace(), platform.as_ref()).await.map_err(said)?;
    let mut view = View::new(if arguments.quiet { Shown::Nothing } else { Shown::Progress });
    // An image with several names has one event.
    let mut told = BTreeSet::new();
    let mut loaded = 0;
    send(loading, tar, async |event| {
        match event {
            Event::Layer(layer) => view.show(&pull::step(&layer)),
            Event::Loaded(name) => {
                loaded += 1;
                output::line(format_args!("Loaded image: {name}"))?;
                if let Some(id) = id_of(session, &name).await
                    && told.insert(id.clone())
                {
                    session.tell(event::image("load", &id)).await;
                }
            }
            Event::LoadedId(id) => {
                loaded += 1;
                output::line(format_args!("Loaded image ID: {id}"))?;
                session.tell(event::image("load", id.as_str())).await;
            }
            // The answer to an import.
            Event::Source(_) | Event::Importing { .. } => {}
        }
        Ok(())
    })
    .await?;
    if loaded == 0 {
        bail!("no image is in it");
    }
    Ok(())
}

/// Sends a root file system's tar, from which `images` makes an image of one layer.
pub async fn import(session: &Session, file: &Path, reference: &str, changes: Vec<String>) -> Result<()> {
    let reference = new_name(reference, "").with_context(|| format!("image name {reference:?}"))?;
    let spec = ImportSpec {
        reference: Some(reference),
        message: format!("imported from {}", file.display()),
        changes,
        ..ImportSpec::default()
    };
    let tar = source(Some(file)).await?;
    let importing = session.images().import(&session.namespace(), spec).await.map_err(said)?;
    let mut named = None;
    send(importing, tar, async |event| {
        match event {
            Event::Loaded(name) => {
                output::line(&name)?;
                named = Some(name);
            }
            Event::LoadedId(id) => {
                output::line(&id)?;
                if let Some(name) = named.take() {
                    session.tell(event::tagged(id.as_str(), &name)).await;
                }
                session.tell(event::image("import", id.as_str())).await;
            }
            Event::Layer(_) | Event::Source(_) | Event::Importing { .. } => {}
        }
        Ok(())
    })
    .await
}

pub async fn save(session: &Session, arguments: SaveArguments) -> Result<()> {
    if arguments.output.is_none() && std::io::stdout().is_terminal() {
        bail!("cowardly refusing to save to a terminal: use -o, or redirect");
    }
    let platform = images::platform(arguments.platform.as_deref())?;
    let spec = SaveSpec { texts: arguments.references.clone(), platform };
    let mut stream = session.images().save(&session.namespace(), spec).await.map_err(said)?;
    match &arguments.output {
        None => whole(&mut stream, output::write).await?,
        Some(path) => {
            // The file is complete, or as it was before.
            let part = path.with_added_extension("part");
            let written = write_file(&mut stream, &part).await;
            let written = written.and_then(|()| Ok(std::fs::rename(&part, path)?));
            if written.is_err() {
                // There may be no such file.
                let _ = std::fs::remove_file(&part);
            }
            written.with_context(|| format!("write {}", path.display()))?;
        }
    }
    for name in &arguments.references {
        if let Some(id) = id_of(session, name).await {
            session.tell(event::image("save", &id)).await;
        }
    }
    Ok(())
}

async fn write_file(stream: &mut Saved, path: &Path) -> Result<()> {
    use std::io::Write;
    let mut file = std::fs::File::create(path)?;
    whole(stream, |bytes| Ok(file.write_all(bytes)?)).await?;
    Ok(file.sync_all()?)
}

/// Reads an archive to its end. Without a tar's two zero blocks at its end it is incomplete.
async fn whole(stream: &mut Saved, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut zeros = 0;
    while let Some(bytes) = stream.next().await.map_err(said)? {
        take(&bytes)?;
        let trailing = bytes.iter().rev().take_while(|byte| **byte == 0).count();
        zeros = if trailing == bytes.len() { zeros + trailing } else { trailing };
    }
    if zeros < END {
        bail!("the archive was cut: service images went away while it sent it");
    }
    Ok(())
}

/// The id of an image by its name; `None` if another client has removed the name meanwhile.
async fn id_of(session: &Session, name: &str) -> Option<String> {
    let found = session.images().image(&session.namespace(), name, None, Look::Documents).await.ok()?;
    Some(found.id().to_string())
}

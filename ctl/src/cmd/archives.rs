//! `gantry save`, `load`, `image import`: images as tars, through the data socket of images.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::Path;

use anyhow::{Context, Result, bail};
use gantry_docker::event;
use gantry_docker::image::new_name;
use gantry_proto::gantry::images::v1::archive_progress::Event;
use gantry_proto::gantry::images::v1::data_request::{Action, Import, Load, Save};
use gantry_proto::gantry::images::v1::{ArchiveProgress, DataRequest, ResolveRequest};
use gantry_rpc::data;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::cli::command::{Load as LoadArguments, Save as SaveArguments};
use crate::cmd::progress::{Shown, View};
use crate::cmd::{Session, pull};
use crate::output;

/// A whole tar ends with as many zeros.
const END: usize = 1024;

async fn connect(session: &Session, action: Action) -> Result<UnixStream> {
    let request = DataRequest { namespace: session.namespace().to_string(), action: Some(action) };
    let (stream, _, _) = session.peers.data("images", &request).await?;
    Ok(stream)
}

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

/// Sends a tar while progress comes back.
async fn send(
    stream: UnixStream,
    mut tar: Box<dyn AsyncRead + Unpin>,
    mut hear: impl AsyncFnMut(Event) -> Result<()>,
) -> Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    let send = async {
        tokio::io::copy(&mut tar, &mut writer).await?;
        writer.shutdown().await?;
        anyhow::Ok(())
    };
    let receive = async {
        while let Some(progress) = data::receive::<ArchiveProgress>(&mut reader).await? {
            match progress.event {
                Some(Event::Failed(failed)) => bail!("{}", failed.message),
                Some(event) => hear(event).await?,
                None => {}
            }
        }
        Ok(())
    };
    tokio::pin!(receive);
    // Who has said its last word takes no more: its reason says more than the broken pipe that it causes.
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
    let platform = arguments.platform.unwrap_or_default();
    let stream = connect(session, Action::Load(Load { platform })).await?;
    let mut view = View::new(if arguments.quiet { Shown::Nothing } else { Shown::Progress });
    // An image with several names is told of once.
    let mut told = BTreeSet::new();
    let mut loaded = 0;
    send(stream, tar, async |event| {
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
                session.tell(event::image("load", &id)).await;
            }
            // An import's.
            Event::Failed(_) | Event::Source(_) | Event::Importing(_) => {}
        }
        Ok(())
    })
    .await?;
    if loaded == 0 {
        bail!("no image is in it");
    }
    Ok(())
}

/// Sends a root file system's tar, which becomes an image of one layer.
pub async fn import(session: &Session, file: &Path, reference: &str, changes: Vec<String>) -> Result<()> {
    let reference = new_name(reference, "").with_context(|| format!("image name {reference:?}"))?;
    let import = Import {
        reference: reference.to_string(),
        message: format!("imported from {}", file.display()),
        changes,
        ..Import::default()
    };
    let tar = source(Some(file)).await?;
    let stream = connect(session, Action::Import(import)).await?;
    let mut named = None;
    send(stream, tar, async |event| {
        match event {
            Event::Loaded(name) => {
                output::line(&name)?;
                named = Some(name);
            }
            Event::LoadedId(id) => {
                output::line(&id)?;
                if let Some(name) = named.take() {
                    session.tell(event::tagged(&id, &name)).await;
                }
                session.tell(event::image("import", &id)).await;
            }
            Event::Layer(_) | Event::Failed(_) | Event::Source(_) | Event::Importing(_) => {}
        }
        Ok(())
    })
    .await
}

pub async fn save(session: &Session, arguments: SaveArguments) -> Result<()> {
    if arguments.output.is_none() && std::io::stdout().is_terminal() {
        bail!("cowardly refusing to save to a terminal: use -o, or redirect");
    }
    let references = arguments.references.clone();
    let platform = arguments.platform.unwrap_or_default();
    let mut stream = connect(session, Action::Save(Save { references, platform })).await?;
    match &arguments.output {
        None => whole(&mut stream, output::write).await?,
        Some(path) => {
            // A file of this name is whole or what it was.
            let part = path.with_added_extension("part");
            let written = write_file(&mut stream, &part).await;
            let written = written.and_then(|()| Ok(std::fs::rename(&part, path)?));
            if written.is_err() {
                // There may be none.
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

async fn write_file(stream: &mut UnixStream, path: &Path) -> Result<()> {
    use std::io::Write;
    let mut file = std::fs::File::create(path)?;
    whole(stream, |bytes| Ok(file.write_all(bytes)?)).await?;
    Ok(file.sync_all()?)
}

/// Reads an archive to its end. One that ends without the two zero blocks of a tar was cut short.
async fn whole(stream: &mut UnixStream, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut buffer = vec![0; 256 << 10];
    let mut zeros = 0;
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            break;
        }
        let bytes = &buffer[..count];
        take(bytes)?;
        let trailing = bytes.iter().rev().take_while(|byte| **byte == 0).count();
        zeros = if trailing == count { zeros + count } else { trailing };
    }
    if zeros < END {
        bail!("the archive was cut: service images went away while it sent it");
    }
    Ok(())
}

/// The id of an image by its name; none when others have taken the name away meanwhile.
async fn id_of(session: &Session, name: &str) -> Option<String> {
    let request =
        ResolveRequest { reference: name.to_owned(), documents_only: true, ..ResolveRequest::default() };
    Some(session.peers.images().resolve(session.request(request)).await.ok()?.into_inner().id)
}

//! `gantry images`, `rmi`, `image import`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use gantry_proto::gantry::engine::v1::InfoRequest;
use gantry_proto::gantry::images::v1::{
    ArchiveProgress, DataRequest, Image, ListRequest, RemoveRequest, archive_progress, data_request,
    remove_request,
};
use gantry_rpc::data;
use gantry_types::Reference;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::cmd::{FAILED, Session};
use crate::output::{self, Format};

pub async fn list(session: &Session, quiet: bool) -> Result<()> {
    let images =
        session.peers.images().list(session.request(ListRequest::default())).await?.into_inner().images;
    if quiet {
        for image in &images {
            output::line(output::short(&image.id))?;
        }
        return Ok(());
    }
    if session.format == Format::Json {
        return output::json(&images.iter().map(as_json).collect::<Vec<_>>());
    }
    let mut rows = Vec::new();
    for image in &images {
        let names = image.names.iter().map(|name| familiar(name)).collect::<Vec<_>>();
        let names = if names.is_empty() { vec!["<none>".to_owned()] } else { names };
        for name in names {
            rows.push([
                name,
                output::short(&image.id).to_owned(),
                output::ago(image.created_at.as_ref()),
                output::bytes(image.size.unsigned_abs()),
            ]);
        }
    }
    output::table(["IMAGE", "ID", "CREATED", "SIZE"], &rows)
}

pub async fn remove(session: &Session, references: &[String], force: bool) -> Result<u8> {
    let uses = session.peers.system().info(InfoRequest {}).await?.into_inner().image_uses;
    let in_use: Vec<_> = uses
        .into_iter()
        .map(|one| remove_request::Use {
            container_id: one.container_id,
            reference: one.reference,
            image_id: one.image_id,
            running: one.running,
        })
        .collect();
    let mut code = 0;
    for reference in references {
        let request =
            RemoveRequest { reference: reference.clone(), force, no_prune: false, in_use: in_use.clone() };
        match session.peers.images().remove(session.request(request)).await {
            Ok(removed) => {
                let removed = removed.into_inner();
                for name in &removed.untagged {
                    output::line(format_args!("untagged {name}"))?;
                }
                for id in &removed.deleted {
                    output::line(format_args!("deleted {id}"))?;
                }
            }
            Err(status) => {
                eprintln!("gantry: {}", status.message());
                code = FAILED;
            }
        }
    }
    Ok(code)
}

/// Sends a root file system's tar, which becomes an image of one layer.
pub async fn import(session: &Session, file: &Path, reference: String, changes: Vec<String>) -> Result<()> {
    let reference = Reference::parse_normalized(&reference)
        .with_context(|| format!("image name {reference:?}"))?
        .with_default_tag();
    let import = data_request::Import {
        reference: reference.to_string(),
        message: format!("imported from {}", file.display()),
        changes,
        platform: String::new(),
        source: String::new(),
    };
    let request = DataRequest {
        namespace: session.namespace().to_string(),
        action: Some(data_request::Action::Import(import)),
    };
    let (stream, _, _) = data::call(&session.peers.data_socket("images"), &request).await?;
    let (mut reader, mut writer) = stream.into_split();
    let send = async {
        if file == Path::new("-") {
            tokio::io::copy(&mut tokio::io::stdin(), &mut writer).await?;
        } else {
            let mut source =
                tokio::fs::File::open(file).await.with_context(|| format!("open {}", file.display()))?;
            tokio::io::copy(&mut source, &mut writer).await?;
        }
        writer.shutdown().await?;
        anyhow::Ok(())
    };
    let receive = async {
        while let Some(progress) = data::receive::<ArchiveProgress>(&mut reader).await? {
            match progress.event {
                Some(archive_progress::Event::Loaded(name)) => output::line(name)?,
                Some(archive_progress::Event::LoadedId(id)) => output::line(id)?,
                Some(archive_progress::Event::Failed(failed)) => bail!("{}", failed.message),
                _ => {}
            }
        }
        Ok(())
    };
    // The server's reason says more than the broken pipe that it causes.
    match tokio::join!(send, receive) {
        (_, Err(error)) | (Err(error), Ok(())) => Err(error),
        (Ok(()), Ok(())) => Ok(()),
    }
}

/// The short form of a canonical name.
pub fn familiar(name: &str) -> String {
    Reference::parse_normalized(name).map_or_else(|_| name.to_owned(), |reference| reference.familiar())
}

/// An image as JSON.
pub fn as_json(image: &Image) -> serde_json::Value {
    json!({
        "id": image.id,
        "names": image.names,
        "digests": image.digests,
        "platform": image.platform.as_ref().map(|platform| format!("{}/{}", platform.os, platform.architecture)),
        "size_bytes": image.size,
        "created_at": image.created_at.as_ref().map(ToString::to_string),
        "chain_id": image.chain_id,
        "layers": image.layers.iter().map(|layer| json!({
            "digest": layer.descriptor.as_ref().map(|descriptor| descriptor.digest.clone()),
            "diff_id": layer.diff_id,
            "size_bytes": layer.descriptor.as_ref().map(|descriptor| descriptor.size),
        })).collect::<Vec<_>>(),
        "config": serde_json::from_slice::<serde_json::Value>(&image.config_json).unwrap_or_default(),
    })
}

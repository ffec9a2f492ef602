//! `gantry cp`: files between a container and the local file system, by a tar each way, as Docker's client copies them.

pub(super) mod local;
mod place;

use std::io::IsTerminal;
use std::path::Path;

use anyhow::{Context, Result, bail};
use gantry_api::engine::{PathStat, PutSpec};
use gantry_rpc::data::{self, WireStatus};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tonic::Status;

use crate::cli::command::Cp;
use crate::cmd::{Session, said};
use crate::output;
pub(super) use place::Plan;
use place::{Place, Source};

/// Bits of Go's os.FileMode.
const DIRECTORY: u32 = 1 << 31;
const SYMLINK: u32 = 1 << 27;
/// `-`: a tar from standard input or to standard output.
const TAR: &str = "-";

/// An argument of the command.
enum End<'a> {
    Here(&'a str),
    Container(&'a str, &'a str),
}

/// `CONTAINER:PATH`; an absolute path, or one that begins with a dot, is local whatever colons it has.
fn end(argument: &str) -> End<'_> {
    match argument.split_once(':') {
        Some((container, path)) if !argument.starts_with(['/', '.']) && !container.is_empty() => {
            End::Container(container, path)
        }
        _ => End::Here(argument),
    }
}

pub async fn run(session: &Session, arguments: &Cp) -> Result<()> {
    let (from, to) = match (end(&arguments.source), end(&arguments.target)) {
        (End::Container(container, path), End::Here(target)) => {
            out(session, container, path, target, arguments).await?;
            (format!("{container}:{path}"), target.to_owned())
        }
        (End::Here(source), End::Container(container, path)) => {
            into(session, source, container, path, arguments).await?;
            (source.to_owned(), format!("{container}:{path}"))
        }
        (End::Container(..), End::Container(..)) => bail!("copying between containers is not supported"),
        (End::Here(_), End::Here(_)) => bail!("must specify at least one container source"),
    };
    // If standard output has the tar, nothing else may go there.
    if !arguments.quiet && arguments.target != TAR && std::io::stderr().is_terminal() {
        output::note(format_args!("copied {from} to {to}"));
    }
    Ok(())
}

async fn stat(session: &Session, container: &str, path: &str) -> Result<PathStat, Status> {
    session.containers().stat_path(container, path).await.map_err(said)
}

/// Looks at a path of a container; at the target of a link, with `follow`.
async fn source_in(session: &Session, container: &str, path: &str, follow: bool) -> Result<Source> {
    let mut source = Source::named(path);
    if follow {
        let found = stat(session, container, path).await?;
        if found.mode & SYMLINK != 0 {
            source.follow(&found.link_target);
        }
    }
    Ok(source)
}

async fn out(session: &Session, container: &str, path: &str, target: &str, arguments: &Cp) -> Result<()> {
    let source = source_in(session, container, path, arguments.follow_link).await?;
    let place = if target == TAR { None } else { Some(Place::here(target)?) };
    let (mut stream, found) = session.containers().take_path(container, &source.path).await.map_err(said)?;
    let Some(place) = place else {
        if std::io::stdout().is_terminal() {
            bail!("cowardly refusing to copy a tar to a terminal: redirect it");
        }
        return pass_on(&mut stream).await;
    };
    let plan = place.plan(&source, found.mode & DIRECTORY != 0)?;
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    let keep_owners = arguments.archive;
    tokio::task::spawn_blocking(move || local::unpack(stream, &plan, keep_owners)).await?
}

/// Copies a tar to standard output.
async fn pass_on(stream: &mut UnixStream) -> Result<()> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        output::write(&buffer[..count])?;
    }
}

async fn into(session: &Session, source: &str, container: &str, path: &str, arguments: &Cp) -> Result<()> {
    let place = place_in(session, container, path).await?;
    let client = session.containers();
    let put = |path: String| {
        client.put_path(PutSpec {
            container: container.to_owned(),
            path,
            no_overwrite_dir_non_dir: true,
            copy_uid_gid: arguments.archive,
        })
    };
    if source == TAR {
        if !place.is_dir {
            bail!("destination \"{container}:{path}\" must be a directory");
        }
        let stream = put(place.path).await.map_err(said)?;
        let (mut answer, mut archive) = stream.into_split();
        let send = async {
            tokio::io::copy(&mut tokio::io::stdin(), &mut archive).await?;
            archive.shutdown().await
        };
        // The engine may answer before all is sent.
        let mut receive = std::pin::pin!(data::receive::<WireStatus>(&mut answer));
        let received = tokio::select! {
            received = &mut receive => received,
            _ = send => receive.await,
        };
        return verdict(received?);
    }
    let found = local::Found::at(source, arguments.follow_link)?;
    let plan = place.plan(&found.source, found.is_dir)?;
    let stream = put(plan.folder.clone()).await.map_err(said)?;
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    let sender = stream.try_clone()?;
    let sent = tokio::task::spawn_blocking(move || local::pack(sender, &found, &plan)).await?;
    stream.set_nonblocking(true)?;
    let mut answer = UnixStream::from_std(stream)?;
    // The engine's reason tells more than the broken pipe.
    match (data::receive::<WireStatus>(&mut answer).await, sent) {
        (Ok(Some(status)), Err(error)) if status.code == 0 => Err(error),
        (Ok(Some(status)), _) => verdict(Some(status)),
        (_, Err(error)) => Err(error),
        (received, Ok(())) => verdict(received?),
    }
}

fn verdict(status: Option<WireStatus>) -> Result<()> {
    match status {
        Some(status) if status.code == 0 => Ok(()),
        Some(status) => bail!("{}", status.message),
        None => bail!("service engine went away while it unpacked the archive"),
    }
}

/// Where to put something in a container. A path that cannot be looked at counts as missing: the unpacking then fails with the
/// reason.
async fn place_in(session: &Session, container: &str, path: &str) -> Result<Place> {
    if path.is_empty() {
        bail!("{container}: no path follows the container's name");
    }
    let mut place = Place { path: path.to_owned(), exists: false, is_dir: false };
    let mut found = stat(session, container, path).await;
    if let Ok(link) = &found
        && link.mode & SYMLINK != 0
    {
        let target = Path::new(&link.link_target);
        let parent = Path::new(path).parent().unwrap_or(Path::new("/"));
        place.path = parent.join(target).display().to_string();
        found = stat(session, container, &place.path).await;
    }
    if let Ok(found) = found {
        place.exists = true;
        place.is_dir = found.mode & DIRECTORY != 0;
    }
    Ok(place)
}

/// The absolute form of a local path. It keeps `/` or `/.` at the end, which have a meaning.
fn absolute(path: &str) -> Result<String> {
    let absolute = std::path::absolute(path).with_context(|| format!("find {path}"))?;
    let text = absolute.display().to_string();
    let text = text.trim_end_matches('/');
    Ok(match path {
        "." => format!("{text}/."),
        path if path.ends_with("/.") && !text.ends_with("/.") => format!("{text}/."),
        path if path.ends_with('/') => format!("{text}/"),
        _ if text.is_empty() => "/".to_owned(),
        _ => text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colons_in_paths_of_ours() {
        let is_ours = |argument| matches!(end(argument), End::Here(_));
        for argument in ["/a:b", "./a:b", "../a:b", "a", "-", ":b"] {
            assert!(is_ours(argument), "{argument}");
        }
        assert!(matches!(end("web:/etc"), End::Container("web", "/etc")));
    }

    #[test]
    fn what_ends_a_path_is_kept() {
        for path in ["/a/.", "/a/", "/a", "/"] {
            assert_eq!(absolute(path).expect("absolute"), path);
        }
        assert!(absolute(".").expect("absolute").ends_with("/."));
    }
}

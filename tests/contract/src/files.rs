//! Files of containers, in and out by the engine's data socket, and their logs.

use std::io::{Read, Write};

use gantry_api::engine::containers::{Client, Manage as _, Run as _};
use gantry_api::engine::{LogConfig, LogQuery, PathStat, PutSpec};
use gantry_archive::tar::{Entry, Kind, Reader, Writer};
use gantry_rpc::data::{self, WireStatus};
use gantry_rpc::{Code, Coded as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::containers::{named, refused, removal};

/// Tests of `gantry_api::engine::containers::data`, by the client of an engine where the suite of containers can be run. Its
/// image may be empty.
#[macro_export]
macro_rules! files {
    ($world:expr) => {
        $crate::suite!(
            files,
            $world,
            [
                what_goes_in_comes_out,
                a_path_says_what_it_is,
                a_symlink_is_one_and_leads_somewhere,
                a_root_comes_out_as_a_whole,
                what_is_not_there_is_not_found,
                a_place_is_a_directory,
                what_is_no_archive_is_refused,
                nothing_leads_out_of_the_directory,
                directories_keep_their_kind_where_that_is_wanted,
                files_stay_when_the_container_goes_on,
                a_log_of_nothing_is_whole,
                a_log_that_nobody_keeps_is_not_read,
                a_log_is_of_some_stream,
            ]
        );
    };
}

fn file(path: &str, data: &str) -> (Entry, Vec<u8>) {
    let size = data.len() as u64;
    (Entry { size, mode: 0o640, ..Entry::new(path, Kind::File) }, data.as_bytes().to_vec())
}

fn directory(path: &str) -> (Entry, Vec<u8>) {
    (Entry::new(path, Kind::Directory), Vec::new())
}

fn symlink(path: &str, to: &str) -> (Entry, Vec<u8>) {
    (Entry { link: to.into(), ..Entry::new(path, Kind::Symlink) }, Vec::new())
}

fn archive(entries: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut archive = Writer::new(Vec::new());
    for (entry, data) in entries {
        archive.entry(entry).expect("memory takes all");
        archive.write_all(data).expect("memory takes all");
    }
    archive.finish().expect("memory takes all")
}

/// What is in an archive: names, and what files hold or symlinks say.
fn content(bytes: &[u8]) -> Vec<(String, String)> {
    let mut reader = Reader::new(bytes);
    let mut all = Vec::new();
    while let Some(entry) = reader.next_entry().expect("an archive") {
        let mut data = String::new();
        reader.content().read_to_string(&mut data).expect("text");
        let link = String::from_utf8_lossy(&entry.link).into_owned();
        all.push((String::from_utf8_lossy(&entry.path).into_owned(), data + &link));
    }
    all.sort();
    all
}

/// Puts a tar somewhere; how it went.
async fn put(client: &Client, spec: PutSpec, archive: &[u8]) -> Result<(), Code> {
    let mut stream = client.put_path(spec).await.map_err(|failure| failure.code())?;
    // Who refuses does not read it all.
    let _ = stream.write_all(archive).await;
    let _ = stream.shutdown().await;
    let status = data::receive::<WireStatus>(&mut stream).await.expect("read").expect("an answer");
    match status.code {
        0 => Ok(()),
        code => Err(gantry_rpc::code_of(&tonic::Status::new(code.into(), status.message))),
    }
}

fn at(path: &str) -> PutSpec {
    PutSpec { container: "web".to_owned(), path: path.to_owned(), ..PutSpec::default() }
}

async fn all(mut stream: UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("read");
    bytes
}

async fn taken(client: &Client, path: &str) -> Vec<(String, String)> {
    let (stream, _) = client.take_path("web", path).await.expect("there");
    content(&all(stream).await)
}

async fn web(client: &Client) {
    client.create_container(named("web")).await.expect("made");
}

/// An archive of a directory has its names relative to that directory's own name.
pub async fn what_goes_in_comes_out(client: &Client) {
    web(client).await;
    let tree = [
        directory("d/"),
        file("d/one", "1"),
        directory("d/e/"),
        file("d/e/two", "22"),
        symlink("d/l", "one"),
    ];
    put(client, at("/"), &archive(&tree)).await.expect("taken");
    let row = |name: &str, content: &str| (name.to_owned(), content.to_owned());
    let expected =
        [row("d/", ""), row("d/e/", ""), row("d/e/two", "22"), row("d/l", "one"), row("d/one", "1")];
    assert_eq!(taken(client, "/d").await, expected);
    assert_eq!(taken(client, "/d/e/two").await, [row("two", "22")]);
    put(client, at("/d/e"), &archive(&[file("two", "other")])).await.expect("taken");
    assert_eq!(taken(client, "d/e/two").await, [row("two", "other")]);
}

/// A file tells its length and its permissions, in the bits of Go.
pub async fn a_path_says_what_it_is(client: &Client) {
    web(client).await;
    put(client, at("/"), &archive(&[directory("d/"), file("d/one", "123")])).await.expect("taken");
    let stat = client.stat_path("web", "/d/one").await.expect("there");
    assert_eq!((stat.name.as_str(), stat.size, stat.mode, stat.link_target.as_str()), ("one", 3, 0o640, ""));
    let (_, with_it) = client.take_path("web", "/d/one").await.expect("there");
    assert_eq!(with_it, stat);
    let stat = client.stat_path("web", "/d").await.expect("there");
    assert_eq!((stat.name.as_str(), stat.mode), ("d", 1 << 31 | 0o755));
    assert_eq!(client.stat_path("web", "/").await.expect("there").name, "/");
}

/// A path with a slash at its end means the target of a symlink.
pub async fn a_symlink_is_one_and_leads_somewhere(client: &Client) {
    web(client).await;
    let tree = [
        directory("d/"),
        file("d/one", "1"),
        symlink("l", "d"),
        symlink("d/up", "../d/one"),
        symlink("lost", "/x"),
    ];
    put(client, at("/"), &archive(&tree)).await.expect("taken");
    let link = |stat: PathStat| (stat.mode & 1 << 27 != 0, stat.link_target);
    let stat = async |path: &str| link(client.stat_path("web", path).await.expect("there"));
    assert_eq!(stat("/l").await, (true, "/d".to_owned()));
    assert_eq!(stat("/l/up").await, (true, "/d/one".to_owned()));
    assert_eq!(stat("/lost").await, (true, "/x".to_owned()));
    assert_eq!(stat("/l/").await, (false, String::new()));
    assert_eq!(taken(client, "/l").await, [("l".to_owned(), "d".to_owned())]);
    put(client, at("/l"), &archive(&[file("two", "2")])).await.expect("taken");
    assert_eq!(client.stat_path("web", "/d/two").await.expect("there").size, 1);
}

/// An export has names relative to the root.
pub async fn a_root_comes_out_as_a_whole(client: &Client) {
    web(client).await;
    put(client, at("/"), &archive(&[directory("d/"), file("d/one", "1")])).await.expect("taken");
    let root = content(&all(client.export("web").await.expect("there")).await);
    assert!(root.contains(&("d/one".to_owned(), "1".to_owned())), "{root:?}");
    assert!(root.iter().all(|(name, _)| !name.starts_with('/')), "{root:?}");
}

/// Every call refuses paths and containers that do not exist.
pub async fn what_is_not_there_is_not_found(client: &Client) {
    web(client).await;
    refused(client.stat_path("web", "/nowhere").await, Code::NotFound);
    refused(client.take_path("web", "/nowhere").await, Code::NotFound);
    assert_eq!(put(client, at("/nowhere"), &[]).await, Err(Code::NotFound));
    refused(client.stat_path("none", "/").await, Code::NotFound);
    refused(client.take_path("none", "/").await, Code::NotFound);
    refused(client.export("none").await, Code::NotFound);
    let none = PutSpec { container: "none".to_owned(), ..at("/") };
    refused(client.put_path(none).await, Code::NotFound);
    let log = LogQuery { container: "none".to_owned(), stdout: true, ..LogQuery::default() };
    refused(client.log(log).await, Code::NotFound);
}

/// An archive goes only into a directory.
pub async fn a_place_is_a_directory(client: &Client) {
    web(client).await;
    put(client, at("/"), &archive(&[file("one", "1")])).await.expect("taken");
    refused(client.put_path(at("/one")).await, Code::InvalidArgument);
    refused(client.put_path(at("")).await, Code::InvalidArgument);
    refused(client.stat_path("web", "").await, Code::InvalidArgument);
    refused(client.take_path("web", "").await, Code::InvalidArgument);
}

/// Bytes that are no archive, or only a part of one, are refused.
pub async fn what_is_no_archive_is_refused(client: &Client) {
    web(client).await;
    assert_eq!(put(client, at("/"), &[b'x'; 1024]).await, Err(Code::InvalidArgument));
    let whole = archive(&[file("one", "1"), file("two", "2")]);
    assert_eq!(put(client, at("/"), &whole[..1100]).await, Err(Code::InvalidArgument));
}

/// A name that leads out of the directory is refused.
pub async fn nothing_leads_out_of_the_directory(client: &Client) {
    web(client).await;
    put(client, at("/"), &archive(&[directory("d/")])).await.expect("taken");
    let out = archive(&[file("../out", "1")]);
    assert_eq!(put(client, at("/d"), &out).await, Err(Code::Internal));
    refused(client.stat_path("web", "/out").await, Code::NotFound);
}

/// With `no_overwrite_dir_non_dir`, a directory and another file do not replace each other.
pub async fn directories_keep_their_kind_where_that_is_wanted(client: &Client) {
    web(client).await;
    put(client, at("/"), &archive(&[directory("d/"), file("d/one", "1"), file("f", "2")]))
        .await
        .expect("taken");
    let keeping = || PutSpec { no_overwrite_dir_non_dir: true, ..at("/") };
    for changed in [file("d", "3"), directory("f/")] {
        assert_eq!(put(client, keeping(), &archive(&[changed])).await, Err(Code::Internal));
    }
    put(client, keeping(), &archive(&[directory("d/"), file("f", "4")])).await.expect("taken");
    assert_eq!(taken(client, "/f").await, [("f".to_owned(), "4".to_owned())]);
    assert_eq!(client.stat_path("web", "/d/one").await.expect("there").size, 1);
    put(client, at("/"), &archive(&[file("d", "33")])).await.expect("taken");
    assert_eq!(client.stat_path("web", "/d").await.expect("there").size, 2);
}

/// A container keeps its files when it is renamed, and loses them when it is removed.
pub async fn files_stay_when_the_container_goes_on(client: &Client) {
    web(client).await;
    put(client, at("/"), &archive(&[file("one", "1")])).await.expect("taken");
    client.rename_container("web", "site").await.expect("renamed");
    assert_eq!(client.stat_path("site", "/one").await.expect("there").size, 1);
    client.remove_container(removal("site", false)).await.expect("removed");
    refused(client.stat_path("site", "/one").await, Code::NotFound);
}

fn log(container: &str, follow: bool) -> LogQuery {
    let container = container.to_owned();
    LogQuery { container, follow, stdout: true, stderr: true, tail: -1, ..LogQuery::default() }
}

/// The log of a container that never ran is empty and whole, also when it is followed.
pub async fn a_log_of_nothing_is_whole(client: &Client) {
    web(client).await;
    for follow in [false, true] {
        let told = client.log(log("web", follow)).await.expect("there");
        assert!(!told.tty);
        assert_eq!((all(told.stream).await.len(), told.ending.is_whole()), (0, true));
    }
}

/// The log of a container with the driver `none` cannot be read.
pub async fn a_log_that_nobody_keeps_is_not_read(client: &Client) {
    let mut spec = named("web");
    spec.host.log_config = Some(LogConfig { r#type: "none".to_owned(), ..LogConfig::default() });
    client.create_container(spec).await.expect("made");
    client.start_container("web").await.expect("started");
    refused(client.log(log("web", false)).await, Code::Unimplemented);
}

/// A log of neither stdout nor stderr is refused.
pub async fn a_log_is_of_some_stream(client: &Client) {
    web(client).await;
    let neither = LogQuery { stdout: false, stderr: false, ..log("web", false) };
    refused(client.log(neither).await, Code::InvalidArgument);
}

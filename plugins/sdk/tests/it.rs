//! Tests of a driver that is served, and called as by an engine.

#![allow(clippy::disallowed_methods, reason = "the work of a test ends with it")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gantry_plugin::{Folders, Plugin, Plugins, SHORT};
use gantry_plugin_sdk::testing::Served;
use gantry_plugin_sdk::wire::Nothing;
use gantry_plugin_sdk::wire::log::{Entry, Info, StartRequest, StopRequest};
use gantry_plugin_sdk::wire::volume::{
    CapabilitiesResponse, CreateRequest, GetResponse, ListResponse, MountRequest, Mountpoint, Named,
};
use gantry_plugin_sdk::{At, Error, Result, Server, interface, log, volume};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// Volumes that are only names.
#[derive(Default)]
struct Names(Mutex<BTreeSet<String>>);

impl volume::Driver for Names {
    fn scope(&self) -> volume::Scope {
        volume::Scope::Global
    }

    async fn create(&self, name: &str, options: &BTreeMap<String, String>) -> Result<()> {
        if let Some(option) = options.keys().next() {
            return Err(Error::about(option, "no such option"));
        }
        self.0.lock().insert(name.to_owned());
        Ok(())
    }

    async fn remove(&self, name: &str) -> Result<()> {
        self.0.lock().remove(name);
        Ok(())
    }

    async fn mount(&self, name: &str, user: &str) -> Result<PathBuf> {
        Ok(PathBuf::from("/srv").join(name).join(user))
    }

    async fn unmount(&self, _name: &str, _user: &str) -> Result<()> {
        Ok(())
    }

    async fn get(&self, name: &str) -> Result<volume::Volume> {
        match self.0.lock().contains(name) {
            true => Ok(volume::Volume { name: name.to_owned(), ..Default::default() }),
            false => Err(Error::about(name, "no such volume")),
        }
    }

    async fn list(&self) -> Result<Vec<volume::Volume>> {
        let names = self.0.lock().clone();
        Ok(names.into_iter().map(|name| volume::Volume { name, ..Default::default() }).collect())
    }
}

/// Discards logs and counts those that have ended.
#[derive(Clone, Default)]
struct Ended(Arc<AtomicUsize>);

impl log::Driver for Ended {
    type Log = Ended;

    async fn start(&self, _info: Info) -> Result<Ended> {
        Ok(self.clone())
    }
}

impl log::Log for Ended {
    async fn take(&mut self, _entry: Entry) {}

    async fn end(self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Ended {
    async fn wait_for(&self, count: usize) {
        let waiting = async {
            while self.0.load(Ordering::Relaxed) < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it has ended");
    }
}

fn named() -> Named {
    Named { name: "data".to_owned() }
}

#[tokio::test]
async fn a_driver_of_volumes_is_asked_all_that_there_is() {
    let folder = tempfile::tempdir().expect("a directory");
    let served = Served::start(Server::new().volumes(Names::default()), folder.path(), "names").await;
    let plugin = served.plugin(interface::VOLUME).await;
    let what: CapabilitiesResponse =
        plugin.call("VolumeDriver.Capabilities", &Nothing {}, SHORT).await.expect("told");
    assert_eq!(what.capabilities.scope, "global");
    let missing = plugin.call::<GetResponse>("VolumeDriver.Get", &named(), SHORT).await.expect_err("none");
    assert_eq!(missing.to_string(), "data: no such volume");
    let mut wanted = CreateRequest { name: "data".to_owned(), opts: None };
    plugin.call::<Nothing>("VolumeDriver.Create", &wanted, SHORT).await.expect("made");
    wanted.opts = Some([("colour".to_owned(), "red".to_owned())].into());
    let refused = plugin.call::<Nothing>("VolumeDriver.Create", &wanted, SHORT).await.expect_err("refused");
    assert_eq!(refused.to_string(), "colour: no such option");
    let found: GetResponse = plugin.call("VolumeDriver.Get", &named(), SHORT).await.expect("found");
    assert_eq!(found.volume.expect("a volume").name, "data");
    let mount = MountRequest { name: "data".to_owned(), id: "1".to_owned() };
    let at: Mountpoint = plugin.call("VolumeDriver.Mount", &mount, SHORT).await.expect("mounted");
    assert_eq!(at.mountpoint, "/srv/data/1");
    plugin.call::<Nothing>("VolumeDriver.Unmount", &mount, SHORT).await.expect("unmounted");
    let path: Mountpoint = plugin.call("VolumeDriver.Path", &named(), SHORT).await.expect("told");
    assert_eq!(path.mountpoint, "");
    plugin.call::<Nothing>("VolumeDriver.Remove", &named(), SHORT).await.expect("removed");
    let all: ListResponse = plugin.call("VolumeDriver.List", &Nothing {}, SHORT).await.expect("listed");
    assert_eq!(all.volumes, []);
    let unknown = plugin.call::<Nothing>("VolumeDriver.Sing", &Nothing {}, SHORT).await.expect_err("unknown");
    assert!(unknown.is_unknown_method(), "{unknown}");
    let socket = served.socket().to_owned();
    served.stop().await;
    assert!(!socket.exists());
}

#[tokio::test]
async fn the_longest_question_that_an_engine_asks_is_read() {
    let folder = tempfile::tempdir().expect("a directory");
    let served = Served::start(Server::new().volumes(Names::default()), folder.path(), "names").await;
    let plugin = served.plugin(interface::VOLUME).await;
    // As long as a body of 4 MiB in base64.
    let long = CreateRequest { name: "x".repeat((4 << 20) / 3 * 4), opts: None };
    plugin.call::<Nothing>("VolumeDriver.Create", &long, SHORT).await.expect("it is read");
    served.stop().await;
}

#[tokio::test]
async fn a_fifo_that_is_started_twice_is_stopped_all_the_same() {
    let folder = tempfile::tempdir().expect("a directory");
    let ended = Ended::default();
    let served = Served::start(Server::new().logs(ended.clone()), folder.path(), "logs").await;
    let plugin = served.plugin(interface::LOG).await;
    let path = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("it runs").success());
    let file = path.display().to_string();
    let start = StartRequest { file: file.clone(), info: Info::default() };
    for _ in 0..2 {
        plugin.call::<Nothing>("LogDriver.StartLogging", &start, SHORT).await.expect("started");
    }
    // One of the two reads this and ends with it; the other one waits for more.
    let mut fifo = std::fs::OpenOptions::new().write(true).open(&path).expect("it is read");
    fifo.write_all(&Entry { line: b"line".to_vec(), ..Entry::default() }.frame()).expect("written");
    drop(fifo);
    ended.wait_for(1).await;
    plugin.call::<Nothing>("LogDriver.StopLogging", &StopRequest { file }, SHORT).await.expect("stopped");
    ended.wait_for(2).await;
    served.stop().await;
}

#[tokio::test]
async fn a_socket_is_taken_over_only_from_who_has_gone() {
    let folder = tempfile::tempdir().expect("a directory");
    let served = Served::start(Server::new(), folder.path(), "one").await;
    let at = At::Socket(served.socket().to_owned());
    let taken = Server::new().serve_until(&at, CancellationToken::new()).await.expect_err("taken");
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    served.stop().await;
    drop(std::os::unix::net::UnixListener::bind(folder.path().join("two.sock")).expect("bound"));
    Served::start(Server::new(), folder.path(), "two").await.stop().await;
}

#[tokio::test]
async fn a_file_tells_where_it_listens() {
    let folder = tempfile::tempdir().expect("a directory");
    let (file, shutdown) = (folder.path().join("names.spec"), CancellationToken::new());
    let at = At::Specified { address: "127.0.0.1:0".parse().expect("an address"), file: file.clone() };
    let (server, told) = (Server::new().volumes(Names::default()), shutdown.clone());
    let serving = tokio::spawn(async move { server.serve_until(&at, told).await });
    let plugins =
        Plugins::new(Folders { sockets: folder.path().join("none"), specs: vec![folder.path().to_owned()] });
    let plugin: Plugin = plugins.wait_for("names", interface::VOLUME).await.expect("found");
    plugin.call::<ListResponse>("VolumeDriver.List", &Nothing {}, SHORT).await.expect("listed");
    shutdown.cancel();
    serving.await.expect("joined").expect("served");
    assert!(!file.exists());
}

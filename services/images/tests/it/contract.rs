//! Images keep their promise: the store by itself, and through the service's socket.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use gantry_api::images::Client;
use gantry_api::snapshots::{Owner, Prepare as _, Service as _};
use gantry_contract::images::{Bundle, World, bundles};
use gantry_distribution::{Access, Credentials, Repository, Settings};
use gantry_images::Images;
use gantry_types::{Digest, Labels, Namespace};
use tempfile::TempDir;

use crate::peers;
use crate::registry::{Guard, Registry};

const ROOT: &str = "root";

async fn push(repository: &Repository, bundle: Bundle) {
    for blob in &bundle.blobs {
        let mut file = tempfile::tempfile_in("/dev/shm").expect("a file");
        file.write_all(blob).expect("written");
        let (digest, sent) = (Digest::sha256(blob), Arc::new(AtomicU64::new(0)));
        repository.upload(&digest, Arc::new(file), blob.len() as u64, sent).await.expect("uploaded");
    }
    let put = repository.put_manifest(&bundle.tag, &bundle.manifest.media_type, bundle.document.into());
    put.await.expect("the manifest is accepted");
}

/// The peers of a service, a registry that has what the suite wants, and a container's root.
async fn surroundings() -> (peers::World, Registry) {
    let (world, registry) = (peers::World::start().await, Registry::start(Guard::Open));
    let settings = Settings { certificate_directories: Vec::new(), ..Settings::default() };
    let remote = gantry_distribution::Client::new(settings);
    let repository = remote.repository(&registry.domain(), "team/app", Credentials::Anonymous, Access::Push);
    let repository = repository.expect("an address");
    for bundle in bundles() {
        push(&repository, bundle).await;
    }
    let (owner, key) = (Owner::of(&Namespace::moby()), ROOT.parse().expect("a key"));
    let snapshotter = world.snapshots.snapshotter("overlayfs");
    snapshotter.prepare(&owner, &key, None, Labels::new()).await.expect("prepared");
    (world, registry)
}

async fn store() -> (World<Images>, (peers::World, Registry, TempDir)) {
    let (around, registry) = surroundings().await;
    let state = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let images = Images::alone(state.path(), &around.peers).expect("opened");
    let world = World { images, registry: registry.domain(), root: ROOT.to_owned() };
    (world, (around, registry, state))
}

async fn served() -> (World<Client>, (peers::World, Registry)) {
    let (around, registry) = surroundings().await;
    let images = Client::new(&around.peers);
    (World { images, registry: registry.domain(), root: ROOT.to_owned() }, (around, registry))
}

mod on_the_store {
    gantry_contract::images!(super::store);
}

mod through_the_socket {
    gantry_contract::images!(super::served);
}

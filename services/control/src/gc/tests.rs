//! Random clients against a collector that never rests: in every interleaving, no acknowledged reference may dangle,
//! and what is not referred to is removed.
//!
//! One thread and seeded chance: a seed that fails, fails again.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::leases::{LEASES, LOSSES, RESOURCES};
use gantry_api::records::Condition;
use gantry_disk::Database;

fn test() -> Namespace {
    "test".parse().expect("an identifier")
}

thread_local! {
    static CHANCE: RefCell<StdRng> = RefCell::new(StdRng::seed_from_u64(0));
}

fn chance(below: usize) -> usize {
    CHANCE.with(|chance| chance.borrow_mut().random_range(0..below))
}

/// Lets others run, or not.
async fn perhaps() {
    for _ in 0..chance(4) {
        tokio::task::yield_now().await;
    }
}

#[derive(Debug, Clone)]
struct Thing {
    root: bool,
    references: Vec<Resource>,
    stamp: u64,
}

#[derive(Debug, Default)]
struct Things {
    clock: u64,
    by_name: HashMap<Resource, Thing>,
}

/// A store that keeps the contract of `gantry.gc.v1.Collector`, with a pause wherever one is allowed.
#[derive(Debug, Clone)]
struct FakeStore {
    kind: &'static str,
    things: Arc<Mutex<Things>>,
    condition: Arc<Mutex<Condition>>,
    mood: Arc<Mutex<Mood>>,
}

/// How a store answers a scan.
#[derive(Debug, Clone, Default)]
enum Mood {
    #[default]
    Ready,
    Slow(Duration),
    Away,
}

impl FakeStore {
    fn new(kind: &'static str) -> FakeStore {
        FakeStore { kind, things: Arc::default(), condition: Arc::default(), mood: Arc::default() }
    }

    fn put(&self, key: &str, root: bool, references: Vec<Resource>) -> Resource {
        let resource = Resource::new(self.kind, key);
        let mut things = self.things.lock();
        things.clock += 1;
        let stamp = things.clock;
        things.by_name.insert(resource.clone(), Thing { root, references, stamp });
        resource
    }

    fn remove(&self, resource: &Resource) {
        self.things.lock().by_name.remove(resource);
    }

    fn get(&self, resource: &Resource) -> Option<Thing> {
        self.things.lock().by_name.get(resource).cloned()
    }

    fn stamp(&self, mut resources: Vec<Resource>) -> Vec<Resource> {
        let mut things = self.things.lock();
        things.clock += 1;
        let stamp = things.clock;
        resources.retain(|resource| match things.by_name.get_mut(resource) {
            Some(thing) => {
                thing.stamp = stamp;
                false
            }
            None => true,
        });
        resources
    }
}

impl Store for FakeStore {
    fn owns(&self, resource: &Resource) -> bool {
        resource.kind == self.kind
    }

    fn name(&self) -> &'static str {
        self.kind
    }

    async fn condition(&self) -> Result<Condition, Error> {
        Ok(*self.condition.lock())
    }
}

impl gantry_api::Promise for FakeStore {
    type Error = Error;
}

impl gantry_api::gc::Collector for FakeStore {
    async fn namespaces(&self) -> Result<BTreeSet<Namespace>, Error> {
        Ok([test()].into())
    }

    async fn begin(&self, _: &Namespace) -> Result<Mark, Error> {
        perhaps().await;
        let mut things = self.things.lock();
        things.clock += 1;
        Ok(Mark(things.clock))
    }

    async fn scan(&self, _: &Namespace) -> Result<Vec<Node>, Error> {
        let mood = self.mood.lock().clone();
        match mood {
            Mood::Ready => perhaps().await,
            Mood::Slow(duration) => tokio::time::sleep(duration).await,
            Mood::Away => return Err(Error::NamespaceNotFound("away".to_owned())),
        }
        let nodes = self
            .things
            .lock()
            .by_name
            .iter()
            .map(|(resource, thing)| Node {
                resource: resource.clone(),
                root: thing.root,
                references: thing.references.clone(),
                kept_by: Vec::new(),
                flat: false,
            })
            .collect();
        perhaps().await;
        Ok(nodes)
    }

    async fn sweep(&self, _: &Namespace, mark: Mark, unreached: Vec<Resource>) -> Result<Swept, Error> {
        let mut swept = Swept::default();
        for resource in unreached {
            perhaps().await;
            let mut things = self.things.lock();
            if things.by_name.get(&resource).is_some_and(|thing| thing.stamp <= mark.0) {
                things.by_name.remove(&resource);
                swept.removed.push(resource);
            }
        }
        perhaps().await;
        Ok(swept)
    }

    async fn touch(&self, _: &Namespace, resources: Vec<Resource>) -> Result<Vec<Resource>, Error> {
        perhaps().await;
        let missing = self.stamp(resources);
        perhaps().await;
        Ok(missing)
    }
}

#[derive(Clone)]
struct World {
    content: FakeStore,
    images: FakeStore,
    collector: Collector<FakeStore>,
    /// Images that clients were told they have.
    acknowledged: Arc<Mutex<HashSet<Resource>>>,
    /// Content that clients were told of: only that is ever referred to.
    offered: Arc<Mutex<BTreeSet<Resource>>>,
}

impl World {
    fn new(folder: &std::path::Path) -> World {
        let (content, images) = (FakeStore::new("content"), FakeStore::new("images"));
        let leases = Records::new(Database::open(folder.join("db"), &[LEASES, RESOURCES, LOSSES]).unwrap());
        let collector = Collector::new(vec![content.clone(), images.clone()], leases);
        World { content, images, collector, acknowledged: Arc::default(), offered: Arc::default() }
    }

    /// Every acknowledged image has everything below it.
    fn check(&self, seed: u64) {
        for image in self.acknowledged.lock().iter() {
            let Some(thing) = self.images.get(image) else { panic!("seed {seed}: {image} is gone") };
            let mut open = thing.references;
            while let Some(resource) = open.pop() {
                match self.content.get(&resource) {
                    Some(thing) => open.extend(thing.references),
                    None => panic!("seed {seed}: {image} needs {resource}, which is gone"),
                }
            }
        }
    }

    /// Something that a client may know of; it may be gone.
    fn any(&self) -> Option<Resource> {
        let offered = self.offered.lock();
        let there: Vec<&Resource> =
            offered.iter().filter(|resource| self.content.get(resource).is_some()).collect();
        (!there.is_empty()).then(|| there[chance(there.len())].clone())
    }

    /// Makes something that refers to what is there, as services do: record, hold, acknowledge or undo.
    async fn refer(&self, store: &FakeStore, name: String, root: bool) {
        let mut references: Vec<Resource> = (0..1 + chance(2)).filter_map(|_| self.any()).collect();
        references.sort();
        references.dedup();
        if references.is_empty() {
            return;
        }
        perhaps().await;
        let resource = store.put(&name, root, references.clone());
        perhaps().await;
        match self.collector.hold(&test(), &references).await {
            Ok(()) if root => {
                self.acknowledged.lock().insert(resource);
            }
            Ok(()) => {
                self.offered.lock().insert(resource);
            }
            Err(Error::Gone(_)) => store.remove(&resource),
            Err(error) => panic!("{error}"),
        }
    }

    async fn client(self, number: usize, seed: u64) {
        for step in 0..60 {
            match chance(10) {
                0..3 => {
                    let blob = self.content.put(&format!("blob-{number}-{step}"), false, Vec::new());
                    self.offered.lock().insert(blob);
                }
                3..6 => self.refer(&self.content, format!("manifest-{number}-{step}"), false).await,
                6..9 => self.refer(&self.images, format!("image-{number}-{step}"), true).await,
                _ => {
                    let image = self.acknowledged.lock().iter().min().cloned();
                    if let Some(image) = image {
                        self.acknowledged.lock().remove(&image);
                        self.images.remove(&image);
                    }
                }
            }
            perhaps().await;
            self.check(seed);
        }
    }
}

#[test]
fn no_acknowledged_reference_dangles() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let world = World::new(folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut collections = 0;
    for seed in 0..40 {
        CHANCE.with(|chance| *chance.borrow_mut() = StdRng::seed_from_u64(seed));
        let world =
            World { content: FakeStore::new("content"), images: FakeStore::new("images"), ..world.clone() };
        let stores = vec![world.content.clone(), world.images.clone()];
        let collector = Collector::new(stores, world.collector.leases.clone());
        let world = World { collector, acknowledged: Arc::default(), offered: Arc::default(), ..world };
        runtime.block_on(async {
            let clients = futures::future::join_all((0..4).map(|number| world.clone().client(number, seed)));
            let collecting = async {
                loop {
                    collections += 1;
                    world.collector.collect(&test()).await.unwrap();
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                _ = clients => {}
                _ = collecting => {}
            }
            // When all is quiet, exactly what is wanted is left.
            world.collector.collect(&test()).await.unwrap();
            world.check(seed);
            let mut wanted = HashSet::new();
            let mut open: Vec<Resource> = world.acknowledged.lock().iter().cloned().collect();
            while let Some(resource) = open.pop() {
                let thing = world.images.get(&resource).or_else(|| world.content.get(&resource)).unwrap();
                if wanted.insert(resource) {
                    open.extend(thing.references);
                }
            }
            let left: HashSet<Resource> = world.content.things.lock().by_name.keys().cloned().collect();
            assert!(left.is_subset(&wanted), "seed {seed}: {:?}", left.difference(&wanted));
        });
    }
    assert!(collections > 80, "{collections}");
}

#[tokio::test]
async fn leases_keep_deeply_or_flatly() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let world = World::new(folder.path());
    let moby = gantry_types::Namespace::moby();
    let leases = &world.collector.leases;
    let blob = world.content.put("blob", false, Vec::new());
    let manifest = world.content.put("manifest", false, vec![blob.clone()]);
    let resource = gantry_api::leases::Resource::parse("content", &manifest.key).unwrap();
    leases.create(&moby, "deep".into(), Default::default()).await.unwrap();
    leases.add(&moby, "deep", &resource).await.unwrap();
    assert!(world.collector.collect(&moby).await.unwrap().removed.is_empty());
    let flat = gantry_types::Labels::from([(gantry_types::gc::FLAT, "true")]);
    leases.create(&moby, "flat".into(), flat).await.unwrap();
    leases.add(&moby, "flat", &resource).await.unwrap();
    leases.delete(&moby, "deep").await.unwrap();
    assert_eq!(world.collector.collect(&moby).await.unwrap().removed, [blob]);
    leases.delete(&moby, "flat").await.unwrap();
    assert_eq!(world.collector.collect(&moby).await.unwrap().removed, [manifest]);
    assert_eq!(world.collector.census(&moby).await.unwrap().len(), 0);
}

#[tokio::test]
async fn what_lost_records_may_have_referred_to_is_kept_until_its_lease_is_removed() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let world = World::new(folder.path());
    let blob = world.content.put("sha256:a", false, Vec::new());
    // The image that kept it has lost its record.
    *world.images.condition.lock() = Condition { lost_at: 7, made_at: 0 };
    for _ in 0..2 {
        assert_eq!(world.collector.collect(&test()).await.unwrap(), Swept::default());
    }
    let garbage = world.content.put("sha256:b", false, Vec::new());
    assert_eq!(world.collector.collect(&test()).await.unwrap().removed, [garbage]);
    world.collector.leases.delete(&test(), "records-lost-images-7").await.unwrap();
    assert_eq!(world.collector.collect(&test()).await.unwrap().removed, [blob]);
}

#[tokio::test]
async fn a_database_that_is_younger_than_the_others_has_taken_the_place_of_a_lost_one() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let world = World::new(folder.path());
    world.content.put("sha256:a", false, Vec::new());
    let made_at = world.collector.leases.condition().made_at;
    assert_ne!(made_at, 0);
    *world.images.condition.lock() = Condition { lost_at: 0, made_at: made_at + FIRST_START + 1 };
    assert_eq!(world.collector.collect(&test()).await.unwrap(), Swept::default());
    world.content.put("sha256:b", false, Vec::new());
    assert_eq!(world.collector.collect(&test()).await.unwrap().removed.len(), 1);
}

#[tokio::test]
async fn what_failed_is_collected_soon_however_long_the_last_collection_took() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let world = World::new(folder.path());
    // The next would wait for half a minute.
    *world.content.mood.lock() = Mood::Slow(Duration::from_millis(600));
    let scheduler = schedule::Scheduler::new(world.collector.clone());
    let checks = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        *world.content.mood.lock() = Mood::Away;
        let garbage = world.content.put("sha256:a", false, Vec::new());
        scheduler.collect(&test()).await.unwrap_err();
        *world.content.mood.lock() = Mood::Ready;
        let since = Instant::now();
        while world.content.get(&garbage).is_some() {
            assert!(since.elapsed() < Duration::from_secs(10), "it is garbage still");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = scheduler.clone().run() => unreachable!("it collects for ever"),
        () = checks => {}
    }
}

use gantry_api::tasks::records::Part;
use prost_types::Any;

use super::*;

fn store() -> (Containers, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a directory");
    let database = Database::open(folder.path().join("db"), &[TABLE]).expect("a database");
    (Containers::new(database), folder)
}

fn moby() -> Namespace {
    Namespace::moby()
}

fn id(id: &str) -> ContainerId {
    id.parse().expect("an id")
}

fn container(id_text: &str) -> Container {
    Container::new(&id(id_text), "io.containerd.gantry.v2", Any::default())
}

fn at(key: &str) -> Update {
    Update::Part(Part { snapshot_key: Some(key.to_owned()), ..Part::default() })
}

/// As a record that was damaged, or that another program has written.
async fn damage(store: &Containers, id_text: &str) {
    let mut batch = store.database.batch();
    batch.put(&store.table, &key(&moby(), &id(id_text)), &pb::Container::default());
    batch.commit().await.expect("written");
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_left_out_of_lists_and_can_be_deleted() {
    let (store, _folder) = store();
    for name in ["a", "b", "c"] {
        store.create(&moby(), container(name)).await.expect("created");
    }
    damage(&store, "b").await;
    let listed = store.list(&moby(), &FilterSet::default()).expect("listed");
    assert_eq!(listed.iter().map(|record| record.container.id.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(store.namespaces().expect("listed"), BTreeSet::from([moby()]));
    let is_corrupt = |outcome: Result<(), Error>| {
        matches!(outcome, Err(Error::Database(gantry_disk::Error::Corrupt { .. })))
    };
    assert!(is_corrupt(store.get(&moby(), &id("b")).map(drop)));
    assert!(is_corrupt(store.all(&moby()).map(drop)), "what it keeps must not be collected");
    assert!(store.contains(&moby(), &id("b")).expect("looked"));
    let again = store.create(&moby(), container("b")).await;
    assert!(matches!(again, Err(Error::ContainerExists(_))), "{again:?}");
    store.delete(&moby(), &id("b")).await.expect("deleted");
    assert_eq!(store.all(&moby()).expect("listed").len(), 2);
}

#[tokio::test]
async fn an_undo_of_a_creation_spares_a_newer_record() {
    let (store, _folder) = store();
    let first = store.create(&moby(), container("c")).await.expect("created");
    store.delete(&moby(), &id("c")).await.expect("deleted");
    store.undo_creation(&moby(), &first).await.expect("nothing to undo");
    let second = store.create(&moby(), container("c")).await.expect("created");
    store.undo_creation(&moby(), &first).await.expect("nothing to undo");
    assert_eq!(store.get(&moby(), &id("c")).expect("it stays"), second);
    // A change does not make it another record.
    store.update(&moby(), &id("c"), at("")).await.expect("changed");
    store.undo_creation(&moby(), &second).await.expect("undone");
    assert!(!store.contains(&moby(), &id("c")).expect("looked"));
}

#[tokio::test]
async fn an_undo_of_an_update_spares_what_came_after_it() {
    let (store, _folder) = store();
    let with_root = || Container { snapshotter: "overlayfs".to_owned(), ..container("c") };
    let key_of = || store.get(&moby(), &id("c")).expect("it is there").container.snapshot_key;
    store.create(&moby(), with_root()).await.expect("created");
    let (before, after) = store.update(&moby(), &id("c"), at("one")).await.expect("changed");
    store.undo_update(&moby(), &before, &after).await.expect("undone");
    assert_eq!(store.get(&moby(), &id("c")).expect("it is there"), before);

    // Another label stays, another snapshot stays, and so does another record.
    let (before, after) = store.update(&moby(), &id("c"), at("one")).await.expect("changed");
    let image = Update::Part(Part { image: Some("x".to_owned()), ..Part::default() });
    store.update(&moby(), &id("c"), image).await.expect("changed");
    store.undo_update(&moby(), &before, &after).await.expect("undone");
    let found = store.get(&moby(), &id("c")).expect("it is there").container;
    assert_eq!((found.image.as_str(), found.snapshot_key.as_str()), ("x", ""));
    let (before, after) = store.update(&moby(), &id("c"), at("one")).await.expect("changed");
    store.update(&moby(), &id("c"), at("two")).await.expect("changed");
    store.undo_update(&moby(), &before, &after).await.expect("nothing to undo");
    assert_eq!(key_of(), "two");
    store.delete(&moby(), &id("c")).await.expect("deleted");
    store
        .create(&moby(), Container { snapshot_key: "one".to_owned(), ..with_root() })
        .await
        .expect("created");
    store.undo_update(&moby(), &before, &after).await.expect("nothing to undo");
    assert_eq!(key_of(), "one");
}

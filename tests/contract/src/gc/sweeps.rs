//! The collection of one store.

use gantry_api::gc::{Collector, Mark, Resource};
use gantry_types::Labels;
use tokio::task::yield_now;

use super::{Stock, garbage, keeps, moby, other, there};

/// A scan has every resource once, with its references in both directions and whether it is a root.
pub async fn a_scan_tells_what_there_is_and_what_it_keeps<S: Stock>(stock: &S) {
    let moby = moby();
    let child = stock.garbage(&moby, "child", Labels::new()).await;
    let far = Resource::snapshot("overlayfs", "far");
    let labels = Labels::from([
        keeps(&child),
        keeps(&far),
        ("containerd.io/gc.bref.container".to_owned(), "c1".to_owned()),
        ("containerd.io/gc.ref.content.odd".to_owned(), "no digest".to_owned()),
        ("else".to_owned(), "1".to_owned()),
    ]);
    let parent = stock.garbage(&moby, "parent", labels).await;
    let root = stock.root(&moby, "root", Labels::new()).await;
    let nodes = stock.collector().scan(&moby).await.expect("scanned");
    let node = |resource| nodes.iter().find(|node| node.resource == resource).expect("it is there");
    assert_eq!(nodes.len(), 3, "{nodes:?}");
    assert!(node(root).root);
    let (child_node, parent_node) = (node(child.clone()), node(parent));
    assert!(!child_node.root && !parent_node.root);
    for kept in [&child, &far] {
        assert!(parent_node.references.contains(kept), "{kept} among {:?}", parent_node.references);
    }
    assert!(!parent_node.references.iter().any(|kept| kept.key == "no digest"));
    assert_eq!(parent_node.kept_by, [Resource::new("containers", "c1")]);
    assert_eq!(stock.collector().namespaces().await.expect("told"), [moby].into());
}

/// A sweep returns what it has deleted; a resource that is gone is no error.
pub async fn what_is_unreached_goes_once<S: Stock>(stock: &S) {
    let (moby, collector) = (moby(), stock.collector());
    let doomed = garbage(stock, &moby, 3).await;
    let root = stock.root(&moby, "root", Labels::new()).await;
    let mark = collector.begin(&moby).await.expect("begun");
    let swept = collector.sweep(&moby, mark, doomed.clone()).await.expect("swept");
    let mut removed = swept.removed;
    removed.sort();
    assert_eq!(removed, doomed);
    assert_eq!(there(collector, &moby).await, [root]);
    let again = collector.sweep(&moby, mark, doomed.clone()).await.expect("swept");
    assert!(again.removed.is_empty() && again.freed == 0, "{again:?}");
    let mut missing = collector.touch(&moby, doomed.clone()).await.expect("told");
    missing.sort();
    assert_eq!(missing, doomed);
}

/// A sweep spares resources that are newer than the mark, whatever the collector has found.
pub async fn what_is_made_or_touched_since_the_mark_stays<S: Stock>(stock: &S) {
    let (moby, collector) = (moby(), stock.collector());
    let before = garbage(stock, &moby, 2).await;
    let mark = collector.begin(&moby).await.expect("begun");
    let made = stock.garbage(&moby, "made", Labels::new()).await;
    assert!(collector.touch(&moby, vec![before[1].clone()]).await.expect("touched").is_empty());
    let all = there(collector, &moby).await;
    let swept = collector.sweep(&moby, mark, all.clone()).await.expect("swept");
    assert_eq!(swept.removed, before[..1]);
    // The mark of the next collection is newer.
    let mark = collector.begin(&moby).await.expect("begun");
    let swept = collector.sweep(&moby, mark, all).await.expect("swept");
    let mut removed = swept.removed;
    removed.sort();
    let mut rest = [before[1].clone(), made];
    rest.sort();
    assert_eq!(removed, rest);
}

/// A resource that a touch has found exists afterwards.
pub async fn what_is_touched_while_the_sweep_runs_stays<S: Stock>(stock: &S) {
    const THINGS: usize = 24;
    let (moby, collector) = (moby(), stock.collector());
    let all = garbage(stock, &moby, THINGS).await;
    let mark = collector.begin(&moby).await.expect("begun");
    let touching = async {
        let mut used = Vec::new();
        // From the end, to which the sweep comes last.
        for resource in all.iter().rev() {
            let missing = collector.touch(&moby, vec![resource.clone()]).await.expect("told");
            if missing.is_empty() {
                used.push(resource.clone());
            }
            yield_now().await;
        }
        used
    };
    let sweeping = collector.sweep(&moby, mark, all.clone());
    let (mut used, swept) = futures::future::join(touching, sweeping).await;
    let swept = swept.expect("swept");
    used.sort();
    assert_eq!(there(collector, &moby).await, used);
    assert_eq!(swept.removed.len() + used.len(), THINGS, "each is used or removed");
}

/// The store does not know what was used before its process started.
pub async fn an_older_mark_sweeps_nothing<S: Stock>(stock: &S) {
    let (moby, collector) = (moby(), stock.collector());
    let all = garbage(stock, &moby, 1).await;
    let swept = collector.sweep(&moby, Mark(1), all.clone()).await.expect("no error");
    assert!(swept.removed.is_empty(), "{swept:?}");
    assert_eq!(there(collector, &moby).await, all);
}

/// A resource of a type that the store does not have is missing for a touch, and ignored by a sweep.
pub async fn what_is_of_no_kind_is_left_alone<S: Stock>(stock: &S) {
    let (moby, collector) = (moby(), stock.collector());
    let root = stock.root(&moby, "root", Labels::new()).await;
    let strange = vec![Resource::new("nothing", root.key.clone())];
    let mark = collector.begin(&moby).await.expect("begun");
    assert!(collector.sweep(&moby, mark, strange.clone()).await.expect("swept").removed.is_empty());
    let mut asked = strange.clone();
    asked.push(root.clone());
    assert_eq!(collector.touch(&moby, asked).await.expect("told"), strange);
    assert_eq!(there(collector, &moby).await, [root]);
}

/// A resource of the same name in another namespace is another resource.
pub async fn namespaces_are_swept_apart<S: Stock>(stock: &S) {
    let (moby, other, collector) = (moby(), other(), stock.collector());
    let here = garbage(stock, &moby, 1).await;
    let elsewhere = garbage(stock, &other, 1).await;
    assert_eq!(collector.namespaces().await.expect("told"), [moby.clone(), other.clone()].into());
    let mark = collector.begin(&moby).await.expect("begun");
    collector.sweep(&moby, mark, here).await.expect("swept");
    assert!(there(collector, &moby).await.is_empty());
    assert_eq!(there(collector, &other).await, elsewhere);
    assert_eq!(collector.namespaces().await.expect("told"), [other].into());
}

/// A sweep of a store with roots only deletes nothing.
pub async fn roots_are_scanned_and_never_swept<S: Stock>(stock: &S) {
    let (moby, collector) = (moby(), stock.collector());
    let kept = Resource::snapshot("overlayfs", "far");
    let root = stock.root(&moby, "root", Labels::from([keeps(&kept)])).await;
    let nodes = collector.scan(&moby).await.expect("scanned");
    assert_eq!(nodes.len(), 1, "{nodes:?}");
    assert!(nodes[0].root && nodes[0].references.contains(&kept), "{nodes:?}");
    assert_eq!(collector.namespaces().await.expect("told"), [moby.clone()].into());
    let mark = collector.begin(&moby).await.expect("begun");
    let swept = collector.sweep(&moby, mark, vec![root.clone()]).await.expect("swept");
    assert!(swept.removed.is_empty(), "{swept:?}");
    assert_eq!(there(collector, &moby).await, [root]);
}

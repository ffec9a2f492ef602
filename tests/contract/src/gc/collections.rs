//! Collections with leases and a store.

use futures::future::{join, join_all};
use gantry_api::gc::{Collect, Hold, Resource};
use gantry_api::leases;
use gantry_rpc::{Code, Coded};
use gantry_types::{Labels, gc};

use super::{PAST, Stock, garbage, keeps, moby, other, refused, rooted, there};

/// A collector, its leases, and its only store.
#[derive(Debug)]
pub struct Collected<G, L, K> {
    /// The collector.
    pub collector: G,
    /// The leases.
    pub leases: L,
    /// The store.
    pub stock: K,
}

fn leased(resource: &Resource) -> leases::Resource {
    leases::Resource::parse(&resource.kind, &resource.key).expect("a lease can keep it")
}

/// A resource stays, however long its chain of references from a root is.
pub async fn what_nothing_keeps_goes_and_what_is_referred_to_stays<G, L, K>(world: &Collected<G, L, K>)
where
    G: Collect + Hold,
    L: leases::Store,
    K: Stock,
{
    let (moby, stock) = (moby(), &world.stock);
    let far = stock.garbage(&moby, "far", Labels::new()).await;
    let near = stock.garbage(&moby, "near", Labels::from([keeps(&far)])).await;
    let root = stock.root(&moby, "root", Labels::from([keeps(&near)])).await;
    let doomed = stock.garbage(&moby, "garbage", Labels::from([keeps(&near)])).await;
    let swept = world.collector.collect(Some(&moby)).await.expect("collected");
    assert_eq!(swept.removed, [doomed]);
    let mut rest = [far, near, root];
    rest.sort();
    assert_eq!(there(stock.collector(), &moby).await, rest);
    assert!(world.collector.collect(Some(&moby)).await.expect("collected").removed.is_empty());
}

/// A lease keeps its resources with or without what they refer to, until it ends.
pub async fn leases_keep_deeply_or_flatly<G, L, K>(world: &Collected<G, L, K>)
where
    G: Collect + Hold,
    L: leases::Store,
    K: Stock,
{
    let (moby, Collected { collector, leases, stock }) = (moby(), world);
    let child = stock.garbage(&moby, "child", Labels::new()).await;
    let parent = stock.garbage(&moby, "parent", Labels::from([keeps(&child)])).await;
    leases.create(&moby, Some("deep"), Labels::new()).await.expect("made");
    leases.add(&moby, "deep", &leased(&parent)).await.expect("added");
    assert!(collector.collect(Some(&moby)).await.expect("collected").removed.is_empty());
    leases.create(&moby, Some("flat"), Labels::from([(gc::FLAT, "true")])).await.expect("made");
    leases.add(&moby, "flat", &leased(&parent)).await.expect("added");
    leases.delete(&moby, "deep", leases::Collect::Later).await.expect("ended");
    collector.collect(Some(&moby)).await.expect("collected");
    assert_eq!(there(stock.collector(), &moby).await, std::slice::from_ref(&parent));
    leases.remove(&moby, "flat", &leased(&parent)).await.expect("taken off");
    collector.collect(Some(&moby)).await.expect("collected");
    assert!(there(stock.collector(), &moby).await.is_empty());
}

/// The next collection deletes what an expired lease kept.
pub async fn a_lease_that_has_expired_keeps_nothing<G, L, K>(world: &Collected<G, L, K>)
where
    G: Collect + Hold,
    L: leases::Store,
    K: Stock,
{
    let (moby, Collected { collector, leases, stock }) = (moby(), world);
    let all = garbage(stock, &moby, 1).await;
    leases.create(&moby, Some("over"), Labels::from([(gc::EXPIRE, PAST)])).await.expect("made");
    leases.add(&moby, "over", &leased(&all[0])).await.expect("added");
    assert_eq!(collector.collect(Some(&moby)).await.expect("collected").removed, all);
    refused(leases.resources(&moby, "over").await, Code::NotFound);
}

/// A missing resource cannot be held, nor one of a type that no store has.
pub async fn what_is_held_is_there<G, L, K>(world: &Collected<G, L, K>)
where
    G: Collect + Hold,
    L: leases::Store,
    K: Stock,
{
    let (moby, collector) = (moby(), &world.collector);
    let all = garbage(&world.stock, &moby, 2).await;
    for _ in 0..2 {
        collector.hold(&moby, all.clone()).await.expect("held");
    }
    collector.collect(Some(&moby)).await.expect("collected");
    refused(collector.hold(&moby, all).await, Code::NotFound);
    refused(collector.hold(&moby, vec![Resource::new("nothing", "x")]).await, Code::InvalidArgument);
    collector.hold(&moby, Vec::new()).await.expect("nothing is easily held");
}

/// A resource stays from the moment at which its addition to a lease has returned, whichever collection is under way.
pub async fn a_lease_that_is_made_while_collecting_keeps<G, L, K>(world: &Collected<G, L, K>)
where
    G: Collect + Hold,
    L: leases::Store,
    K: Stock,
{
    let (moby, Collected { collector, leases, stock }) = (moby(), world);
    let mut kept = Vec::new();
    for round in 0..12 {
        let thing = stock.garbage(&moby, &format!("thing-{round}"), Labels::new()).await;
        let id = format!("lease-{round}");
        let leasing = async {
            leases.create(&moby, Some(&id), Labels::new()).await.expect("made");
            leases.add(&moby, &id, &leased(&thing)).await.expect("added");
            // The resource may have been collected before.
            collector.hold(&moby, vec![thing.clone()]).await.is_ok()
        };
        let (collected, there) = join(collector.collect(Some(&moby)), leasing).await;
        collected.expect("collected");
        if there {
            kept.push(thing);
        }
    }
    collector.collect(Some(&moby)).await.expect("collected");
    kept.sort();
    assert_eq!(there(stock.collector(), &moby).await, kept);
}

/// A service that writes a record holds what the record refers to before it acknowledges; then the resource stays.
pub async fn no_acknowledged_reference_dangles<G, L, K>(world: &Collected<G, L, K>)
where
    G: Collect + Hold,
    L: leases::Store,
    K: Stock,
{
    const CLIENTS: usize = 6;
    const ROUNDS: usize = 6;
    let (moby, Collected { collector, stock, .. }) = (moby(), world);
    let client = async |number: usize| {
        let mut acknowledged = Vec::new();
        for round in 0..ROUNDS {
            let name = format!("{number}-{round}");
            let child = stock.garbage(&moby, &format!("child-{name}"), Labels::new()).await;
            let labels = Labels::from([keeps(&child), rooted()]);
            let root = stock.root(&moby, &format!("root-{name}"), labels).await;
            match collector.hold(&moby, vec![child.clone()]).await {
                Ok(()) => acknowledged.push((root, child)),
                Err(error) => assert_eq!(error.code(), Code::NotFound, "{error}"),
            }
        }
        acknowledged
    };
    let collecting = async {
        for _ in 0..ROUNDS {
            collector.collect(Some(&moby)).await.expect("collected");
            tokio::task::yield_now().await;
        }
    };
    let (all, ()) = join(join_all((0..CLIENTS).map(client)), collecting).await;
    collector.collect(Some(&moby)).await.expect("collected");
    let left = there(stock.collector(), &moby).await;
    for (root, child) in all.into_iter().flatten() {
        assert!(left.contains(&root) && left.contains(&child), "{root} keeps {child} among {left:?}");
    }
}

/// A collection is of one namespace or of all.
pub async fn namespaces_are_collected_apart<G, L, K>(world: &Collected<G, L, K>)
where
    G: Collect + Hold,
    L: leases::Store,
    K: Stock,
{
    let (moby, other, stock) = (moby(), other(), &world.stock);
    let all = garbage(stock, &moby, 1).await;
    let elsewhere = garbage(stock, &other, 1).await;
    let swept = world.collector.collect(Some(&moby)).await.expect("collected");
    assert_eq!(swept.removed, all);
    assert_eq!(there(stock.collector(), &other).await, elsewhere);
    assert_eq!(world.collector.collect(None).await.expect("collected").removed, elsewhere);
    assert!(there(stock.collector(), &other).await.is_empty());
}

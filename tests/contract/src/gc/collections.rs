//! Whoever collects, with leases and a store that is collected.

use futures::future::{join, join_all};
use gantry_api::gc::{Collect, Hold, Resource};
use gantry_api::leases;
use gantry_rpc::{Code, Coded};
use gantry_types::{Labels, gc};

use super::{PAST, Stock, garbage, keeps, moby, other, refused, rooted, there};

/// A collector, the leases that it heeds, and the one store that it collects.
#[derive(Debug)]
pub struct Collected<G, L, K> {
    /// Who collects.
    pub collector: G,
    /// The leases.
    pub leases: L,
    /// What is collected.
    pub stock: K,
}

fn leased(resource: &Resource) -> leases::Resource {
    leases::Resource::parse(&resource.kind, &resource.key).expect("a lease can keep it")
}

/// However long the way from a root is.
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

/// With all that is below, or without; until it ends.
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

/// It is gone with the next collection.
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

/// What is gone is not, and what no store has cannot be held.
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

/// What was there when its addition was answered stays, whichever collection was under way.
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
            // It may have gone before.
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

/// Who makes a record holds what it refers to before it says so; then that stays.
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

/// Of one namespace, or of all.
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

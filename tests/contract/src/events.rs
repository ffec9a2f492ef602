//! Events: subscribers receive what is published.

use std::time::Duration;

use gantry_api::events::{Event, Service, Subscription, Topic};
use gantry_proto::containerd::events::{TaskExit, TaskOom, TaskStart};
use gantry_rpc::Coded;
use gantry_types::Namespace;
use gantry_types::filter::FilterSet;

/// Tests of `gantry_api::events::Service`.
#[macro_export]
macro_rules! events {
    ($world:expr) => {
        $crate::suite!(
            events,
            $world,
            [
                what_is_published_is_heard_as_it_was_by_all,
                events_are_heard_in_their_order,
                nothing_is_heard_of_what_was_before,
                filters_see_namespace_topic_and_fields,
                who_has_gone_is_in_nobodys_way,
            ]
        );
    };
}

/// How long a test waits for the absence of an event.
const SILENCE: Duration = Duration::from_millis(50);
/// How long a test waits for an event.
const PATIENCE: Duration = Duration::from_secs(10);

fn topic(text: &str) -> Topic {
    text.parse().expect("a topic")
}

fn start(namespace: &str, container: &str) -> Event {
    let message = TaskStart { container_id: container.to_owned(), pid: 7 };
    Event::now(&namespace.parse().expect("an identifier"), topic("/tasks/start"), &message)
}

fn filters(texts: &[&str]) -> FilterSet {
    FilterSet::parse(texts).expect("filters")
}

async fn next<S: Subscription>(subscription: &mut S) -> Event
where
    S::Error: Coded,
{
    match tokio::time::timeout(PATIENCE, subscription.next()).await.expect("in time") {
        Some(Ok(event)) => event,
        Some(Err(error)) => panic!("{error}"),
        None => panic!("the subscription has ended"),
    }
}

async fn is_silent<S: Subscription>(subscription: &mut S) -> bool {
    tokio::time::timeout(SILENCE, subscription.next()).await.is_err()
}

/// The event arrives with its time, its namespace and its message.
pub async fn what_is_published_is_heard_as_it_was_by_all<S: Service>(service: &S) {
    let all = filters(&[]);
    let mut one = service.subscribe(&all).await.expect("subscribed");
    let mut two = service.subscribe(&all).await.expect("subscribed");
    let event = start("moby", "c1");
    let timeless = Event { at: None, ..start("k8s.io", "c2") };
    for event in [&event, &timeless] {
        service.publish(event.clone()).await.expect("published");
    }
    for subscription in [&mut one, &mut two] {
        assert_eq!(next(subscription).await, event);
        assert_eq!(next(subscription).await, timeless);
        assert!(is_silent(subscription).await);
    }
}

/// The events of one publisher arrive in order.
pub async fn events_are_heard_in_their_order<S: Service>(service: &S) {
    let mut subscription = service.subscribe(&filters(&["topic==/tasks/start"])).await.expect("subscribed");
    for number in 0..100 {
        service.publish(start("moby", &number.to_string())).await.expect("published");
    }
    for number in 0..100 {
        let event = next(&mut subscription).await;
        let message =
            gantry_proto::unpack::<TaskStart>(&event.message).expect("its type").expect("it decodes");
        assert_eq!(message.container_id, number.to_string());
    }
}

/// A subscription receives no earlier events.
pub async fn nothing_is_heard_of_what_was_before<S: Service>(service: &S) {
    service.publish(start("moby", "before")).await.expect("published");
    let mut subscription = service.subscribe(&filters(&[])).await.expect("subscribed");
    service.publish(start("moby", "after")).await.expect("published");
    let event = next(&mut subscription).await;
    let message = gantry_proto::unpack::<TaskStart>(&event.message).expect("its type").expect("it decodes");
    assert_eq!(message.container_id, "after");
    assert!(is_silent(&mut subscription).await);
}

/// An event must match one of several filters.
pub async fn filters_see_namespace_topic_and_fields<S: Service>(service: &S) {
    let subscribe = async |texts: &[&str]| service.subscribe(&filters(texts)).await.expect("subscribed");
    let mut moby = subscribe(&["namespace==moby"]).await;
    let mut exits = subscribe(&[r#"topic~="/exit$""#]).await;
    let mut one = subscribe(&["topic==/tasks/start,event.container_id==c1", "topic==/tasks/oom"]).await;
    let other: Namespace = "other".parse().expect("an identifier");
    let exit = Event::now(&other, topic("/tasks/exit"), &TaskExit::default());
    let oom = Event::now(&other, topic("/tasks/oom"), &TaskOom::default());
    let published = [start("moby", "c1"), start("other", "c2"), exit, oom];
    for event in &published {
        service.publish(event.clone()).await.expect("published");
    }
    let [first, _, exit, oom] = &published;
    for (subscription, heard) in
        [(&mut moby, vec![first]), (&mut exits, vec![exit]), (&mut one, vec![first, oom])]
    {
        for event in heard {
            assert_eq!(next(subscription).await, *event);
        }
        assert!(is_silent(subscription).await);
    }
}

/// A dropped subscription does not disturb the others.
pub async fn who_has_gone_is_in_nobodys_way<S: Service>(service: &S) {
    let gone = service.subscribe(&filters(&[])).await.expect("subscribed");
    let mut there = service.subscribe(&filters(&[])).await.expect("subscribed");
    drop(gone);
    for number in 0..3 {
        service.publish(start("moby", &number.to_string())).await.expect("published");
        next(&mut there).await;
    }
}

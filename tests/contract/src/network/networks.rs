//! Networks: created, found, removed.

use gantry_api::network::Service;
use gantry_rpc::Code;

use super::{attach, container, create, id, named, on, refused, with_subnet};

/// Creating or removing a predefined network is refused.
pub async fn predefined_networks_are_there_and_stay<S: Service>(service: &S) {
    for (name, driver) in [("bridge", "bridge"), ("host", "host"), ("none", "null")] {
        assert_eq!(service.network(name).await.expect("there").driver, driver);
        refused(service.create(named(name)).await, Code::PermissionDenied);
        refused(service.remove(name).await, Code::PermissionDenied);
    }
    let names: Vec<String> =
        service.networks().await.expect("listed").into_iter().map(|network| network.name).collect();
    assert_eq!(names, ["bridge", "host", "none"]);
    assert_eq!(service.drivers().await.expect("listed"), ["bridge", "host", "null"]);
    for name in ["host", "none"] {
        refused(service.attach(container('a', &[on(name)])).await, Code::PermissionDenied);
    }
}

/// In this order.
pub async fn networks_are_found_by_id_name_and_beginning<S: Service>(service: &S) {
    let made = create(service, named("one")).await;
    assert_eq!((made.id.len(), made.driver.as_str(), made.scope.as_str()), (64, "bridge", "local"));
    for reference in [made.id.as_str(), "one", &made.id[..20]] {
        assert_eq!(service.network(reference).await.expect("there").id, made.id);
    }
    for reference in ["two", "", "x"] {
        refused(service.network(reference).await, Code::NotFound);
    }
    let other = create(service, named(&made.id)).await;
    assert_eq!(service.network(&made.id).await.expect("there").name, "one", "ids come before names");
    assert_eq!(service.network(&other.id).await.expect("there").name, made.id);
}

/// Whatever the other parameters of the second network are.
pub async fn a_name_is_one_networks<S: Service>(service: &S) {
    create(service, named("one")).await;
    refused(service.create(with_subnet("one", "10.7.0.0/24")).await, Code::AlreadyExists);
    create(service, with_subnet("two", "10.7.0.0/24")).await;
}

/// Neither requested nor chosen subnets overlap.
pub async fn no_two_networks_overlap<S: Service>(service: &S) {
    create(service, with_subnet("one", "10.7.0.0/16")).await;
    for clash in ["10.7.3.0/24", "10.0.0.0/8"] {
        refused(service.create(with_subnet("two", clash)).await, Code::FailedPrecondition);
    }
    let chosen = [create(service, named("two")).await, create(service, named("three")).await];
    let [two, three] = chosen.map(|network| network.ipam.subnets[0].clone());
    assert!(two.chosen && three.chosen && two.subnet != three.subnet, "{two:?} {three:?}");
    refused(service.create(with_subnet("four", &two.subnet)).await, Code::FailedPrecondition);
    refused(service.create(with_subnet("five", "10.8.0.0/99")).await, Code::InvalidArgument);
}

/// The next network may have its name and its subnet.
pub async fn a_removed_network_is_gone_and_its_subnet_free<S: Service>(service: &S) {
    let first = create(service, with_subnet("one", "10.7.0.0/24")).await;
    assert_eq!(service.remove("one").await.expect("removed").id, first.id);
    refused(service.network(&first.id).await, Code::NotFound);
    refused(service.remove("one").await, Code::NotFound);
    let second = create(service, with_subnet("one", "10.7.0.0/24")).await;
    assert_ne!(second.id, first.id);
}

/// The error names the container that uses it.
pub async fn a_network_in_use_stays<S: Service>(service: &S) {
    create(service, named("one")).await;
    attach(service, container('a', &[on("one")])).await;
    let endpoints = service.network("one").await.expect("there").endpoints;
    assert_eq!(endpoints.iter().map(|it| it.netns.clone()).collect::<Vec<_>>(), [id('a')]);
    refused(service.remove("one").await, Code::PermissionDenied);
    service.detach(&id('a')).await.expect("detached");
    service.remove("one").await.expect("removed");
}

/// A second call is no error.
pub async fn networks_are_withdrawn_when_nothing_is_attached<S: Service>(service: &S) {
    attach(service, container('a', &[on("bridge")])).await;
    refused(service.withdraw().await, Code::FailedPrecondition);
    service.detach(&id('a')).await.expect("detached");
    service.withdraw().await.expect("withdrawn");
    service.withdraw().await.expect("withdrawn");
    service.network("bridge").await.expect("on record");
}

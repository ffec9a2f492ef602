//! Network namespaces: attached, connected, detached.

use gantry_api::network::Service;
use gantry_rpc::Code;

use super::{addresses, at, attach, container, create, id, named, on, refused, tcp, with_subnet};

/// With the same networks and addresses; a request with other networks is refused.
pub async fn attaching_again_answers_with_what_there_is<S: Service>(service: &S) {
    create(service, named("one")).await;
    let spec = container('a', &[on("one"), on("bridge")]);
    let first = attach(service, spec.clone()).await;
    assert_eq!(first.endpoints.len(), 2);
    assert_eq!(
        (first.endpoints[0].interface.as_str(), first.endpoints[1].interface.as_str()),
        ("eth0", "eth1")
    );
    assert!(first.endpoints.iter().all(|endpoint| endpoint.driver == "bridge"), "{first:?}");
    assert_eq!(attach(service, spec).await, first);
    assert_eq!(service.netns(&id('a')).await.expect("attached"), first);
    refused(service.attach(container('a', &[on("one")])).await, Code::FailedPrecondition);
    assert_eq!(service.all_netns().await.expect("listed"), [first]);
}

/// Detaching a netns that was never attached is no error either.
pub async fn detaching_again_is_no_error<S: Service>(service: &S) {
    attach(service, container('a', &[])).await;
    for _ in 0..2 {
        service.detach(&id('a')).await.expect("detached");
    }
    service.detach(&id('b')).await.expect("nothing to detach");
    assert!(service.all_netns().await.expect("listed").is_empty());
}

/// An address is allocated to one netns at a time, and free when that is detached.
pub async fn no_address_is_given_twice<S: Service>(service: &S) {
    create(service, with_subnet("one", "10.7.0.0/29")).await;
    let mut given = Vec::new();
    for digit in ['a', 'b', 'c'] {
        given.extend(addresses(&attach(service, container(digit, &[on("one")])).await));
    }
    let gateway = "10.7.0.1".parse().expect("an address");
    let mut distinct = given.clone();
    distinct.sort();
    distinct.dedup();
    assert!(distinct.len() == 3 && !distinct.contains(&gateway), "{given:?}");
    service.detach(&id('b')).await.expect("detached");
    let again = at("one", &given[1].to_string());
    assert_eq!(addresses(&attach(service, container('d', &[again])).await), given[1..2]);
}

/// The addresses of the gateway, of another endpoint and of the subnet itself are refused, and one of no subnet.
pub async fn a_requested_address_is_given_or_refused<S: Service>(service: &S) {
    create(service, with_subnet("one", "10.7.0.0/24")).await;
    let nine = attach(service, container('a', &[at("one", "10.7.0.9")])).await;
    assert_eq!(addresses(&nine), ["10.7.0.9".parse::<std::net::IpAddr>().expect("an address")]);
    let address = nine.endpoints[0].ipv4.expect("an address");
    assert_eq!((address.prefix, address.gateway), (24, Some("10.7.0.1".parse().expect("an address"))));
    for taken in ["10.7.0.9", "10.7.0.1", "10.7.0.0", "10.7.0.255"] {
        refused(service.attach(container('b', &[at("one", taken)])).await, Code::PermissionDenied);
    }
    refused(service.attach(container('b', &[at("one", "10.8.0.9")])).await, Code::InvalidArgument);
    service.detach(&id('a')).await.expect("detached");
    attach(service, container('b', &[at("one", "10.7.0.9")])).await;
}

/// Until an address is free again.
pub async fn a_full_subnet_gives_no_address<S: Service>(service: &S) {
    create(service, with_subnet("one", "10.7.0.0/30")).await;
    attach(service, container('a', &[on("one")])).await;
    refused(service.attach(container('b', &[on("one")])).await, Code::ResourceExhausted);
    service.detach(&id('a')).await.expect("detached");
    attach(service, container('b', &[on("one")])).await;
}

/// One endpoint is added and removed; the other one stays as it is.
pub async fn a_live_netns_is_connected_and_disconnected<S: Service>(service: &S) {
    create(service, named("one")).await;
    create(service, named("two")).await;
    let first = attach(service, container('a', &[on("one")])).await;
    let both = service.connect(&id('a'), on("two")).await.expect("connected");
    assert_eq!(both.endpoints[0], first.endpoints[0]);
    assert_eq!(
        (both.endpoints[1].network_name.as_str(), both.endpoints[1].interface.as_str()),
        ("two", "eth1")
    );
    refused(service.connect(&id('a'), on("two")).await, Code::PermissionDenied);
    refused(service.connect(&id('a'), on("three")).await, Code::NotFound);
    assert_eq!(service.netns(&id('a')).await.expect("attached"), both);
    refused(service.remove("two").await, Code::PermissionDenied);
    assert_eq!(service.disconnect(&id('a'), "two").await.expect("disconnected"), first);
    refused(service.disconnect(&id('a'), "two").await, Code::NotFound);
    service.remove("two").await.expect("removed");
}

/// On one address of the host. Another container gets the port when the first one is detached.
pub async fn a_port_is_one_containers<S: Service>(service: &S) {
    let with = |digit, ports: &[u16]| {
        let mut spec = container(digit, &[on("bridge")]);
        spec.ports = ports.iter().map(|number| tcp(*number)).collect();
        spec
    };
    let first = attach(service, with('a', &[18080])).await;
    assert_eq!((first.ports[0].host_port, first.ports[0].container_port), (18080, 80));
    refused(service.attach(with('b', &[18081, 18080])).await, Code::FailedPrecondition);
    attach(service, with('b', &[18081])).await;
    service.detach(&id('a')).await.expect("detached");
    attach(service, with('c', &[18080])).await;
}

/// It leaves neither a netns nor an allocated address.
pub async fn a_failed_attachment_leaves_nothing<S: Service>(service: &S) {
    create(service, with_subnet("one", "10.7.0.0/30")).await;
    refused(service.attach(container('a', &[on("one"), on("nowhere")])).await, Code::NotFound);
    refused(
        service.attach(container('a', &[on("one"), at("bridge", "10.9.0.9")])).await,
        Code::InvalidArgument,
    );
    refused(service.netns(&id('a')).await, Code::NotFound);
    assert_eq!(addresses(&attach(service, container('b', &[on("one")])).await).len(), 1);
}

/// In the response and in the DNS names.
pub async fn a_new_name_is_told_of<S: Service>(service: &S) {
    create(service, named("one")).await;
    attach(service, container('a', &[on("one")])).await;
    let renamed = service.rename(&id('a'), "other").await.expect("renamed");
    let names = &renamed.endpoints[0].dns_names;
    assert!(renamed.name == "other" && renamed.endpoints[0].name == "other", "{renamed:?}");
    assert!(names.iter().any(|name| name == "other") && !names.iter().any(|name| name == "c-a"), "{names:?}");
    assert_eq!(service.netns(&id('a')).await.expect("attached"), renamed);
}

/// By every call that needs it.
pub async fn what_is_not_attached_is_not_found<S: Service>(service: &S) {
    create(service, named("one")).await;
    refused(service.netns(&id('a')).await, Code::NotFound);
    refused(service.connect(&id('a'), on("one")).await, Code::NotFound);
    refused(service.disconnect(&id('a'), "one").await, Code::NotFound);
    refused(service.rename(&id('a'), "b").await, Code::NotFound);
}

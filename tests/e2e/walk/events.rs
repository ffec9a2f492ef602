//! Events: their sources, attributes and filters.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gantry_tests::{Node, Side, eventually, sides};
use serde_json::{Value, json};

/// The present time in the client's format.
fn now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    format!("{}.{:09}", now.as_secs(), now.subsec_nanos())
}

/// The events since a time that match `filters`.
fn told(side: &Side, since: &str, filters: &[&str]) -> Vec<Value> {
    let until = now();
    let mut arguments = vec!["events", "--since", since, "--until", &until, "--format", "{{json .}}"];
    arguments.extend(filters.iter().flat_map(|filter| ["--filter", filter]));
    let lines = side.docker(&arguments).ok();
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn actions(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["Action"].as_str().expect("text")).collect()
}

#[test]
fn each_command_tells_what_it_did() {
    let node = Node::start();
    for side in sides(&node) {
        let (name, other) = (side.name("told"), side.name("renamed"));
        let create = ["create", "--name", &name, "-l", "k=v", "busybox", "sleep", "1000"];
        let id = side.docker(&create).ok();
        let path = format!("/containers/{id}");
        let renamed = json!({"name": other, "oldName": format!("/{name}")});
        for (command, expected) in [
            (&["start", &id][..], vec![("start", json!({}))]),
            (&["kill", "-s", "CONT", &id], vec![("kill", json!({"signal": "18"}))]),
            (&["pause", &id], vec![("pause", json!({}))]),
            (&["unpause", &id], vec![("unpause", json!({}))]),
            (&["update", "--cpu-shares", "512", &id], vec![("update", json!({}))]),
            (&["top", &id], vec![("top", json!({}))]),
            (&["rename", &id, &other], vec![("rename", renamed)]),
            (
                &["exec", &id, "sh", "-c", "exit 3"],
                vec![
                    ("exec_create: sh -c exit 3", json!({})),
                    ("exec_start: sh -c exit 3", json!({})),
                    ("exec_die", json!({"exitCode": "3"})),
                ],
            ),
            // A container that never ran has no `die` event.
            (
                &["exec", &id, "nosuch"],
                vec![("exec_create: nosuch ", json!({})), ("exec_start: nosuch ", json!({}))],
            ),
            (&["diff", &id], vec![]),
            (&["logs", &id], vec![]),
            (&["stats", "--no-stream", &id], vec![]),
        ] {
            let since = now();
            side.docker(command);
            let by_id = format!("container={id}");
            let mut events = Vec::new();
            let _ = (0..40).any(|_| {
                events = told(&side, &since, &[&by_id]);
                let done = events.len() >= expected.len();
                if !done {
                    std::thread::sleep(Duration::from_millis(50));
                }
                done
            });
            let wanted: Vec<&str> = expected.iter().map(|(action, _)| *action).collect();
            assert_eq!(actions(&events), wanted, "{}: {command:?}", side.who);
            for (event, (_, more)) in events.iter().zip(&expected) {
                let mut attributes = event["Actor"]["Attributes"].clone();
                let attributes = attributes.as_object_mut().expect("an object");
                let exec = attributes.remove("execID").is_some();
                assert_eq!(exec, command[0] == "exec", "{}: {event}", side.who);
                let current = if command[0] == "rename" || expected.len() > 1 { &other } else { &name };
                let mut wanted = json!({"image": "busybox", "k": "v", "name": current});
                let wanted = wanted.as_object_mut().expect("an object");
                wanted.extend(more.as_object().expect("an object").clone());
                assert_eq!(attributes, wanted, "{}: {event}", side.who);
                assert_eq!((&event["id"], &event["from"]), (&json!(id), &json!("busybox")), "{}", side.who);
            }
        }
        let since = now();
        let (status, _) = side.api("POST", &format!("{path}/resize?h=10&w=20"), "");
        assert_eq!(status, 200, "{}", side.who);
        let resized = told(&side, &since, &[&format!("container={id}")]);
        let attributes = &resized[0]["Actor"]["Attributes"];
        assert_eq!((&attributes["height"], &attributes["width"]), (&json!("10"), &json!("20")));
        side.docker(&["rm", "-f", &id]).ok();
    }
}

#[test]
fn what_is_at_rest_is_not_told_of() {
    let node = Node::start();
    for side in sides(&node) {
        let (name, network) = (side.name("rest"), side.name("net"));
        side.docker(&["network", "create", &network]).ok();
        let since = now();
        let id = side.docker(&["create", "--name", &name, "busybox", "nosuch"]).ok();
        side.docker(&["network", "connect", &network, &id]).ok();
        side.docker(&["network", "disconnect", &network, &id]).ok();
        side.docker(&["start", &id]).fails(1);
        side.docker(&["rm", &id]).ok();
        let events = told(&side, &since, &["type=container", &format!("container={id}")]);
        assert_eq!(actions(&events), ["create", "destroy"], "{}", side.who);
        let on_network = told(&side, &since, &[&format!("network={network}")]);
        assert_eq!(actions(&on_network), Vec::<&str>::new(), "{}", side.who);
        side.docker(&["network", "rm", &network]).ok();
    }
}

#[test]
fn events_are_chosen_as_the_reference_does() {
    let node = Node::start();
    for side in sides(&node) {
        let since = now();
        let (web, network, volume) = (side.name("e-web"), side.name("e-net"), side.name("e-vol"));
        let image = side.name("e-img:1");
        let network_id = side.docker(&["network", "create", "--label", "k=v", &network]).ok();
        side.docker(&["volume", "create", &volume]).ok();
        side.docker(&["tag", "busybox", &image]).ok();
        side.docker(&["create", "--name", &web, "-l", "k=v", "busybox"]).ok();
        side.docker(&["rm", &web]).ok();
        side.docker(&["rmi", &image]).ok();
        let all = ["network create", "volume create", "image tag", "container create", "container destroy"];
        let container = &all[3..];
        for (filters, expected) in [
            // Any object with that name, or a name that begins with it.
            (&["container=WEB"][..], container),
            (&["container=PRE"], &all[..]),
            (&["container=NET"], &all[..1]),
            (&["network=NET"], &all[..1]),
            (&["network=ID"], &all[..1]),
            (&["volume=VOL"], &all[1..2]),
            (&["volume=PRE", "type=volume"], &all[1..2]),
            (&["daemon=WEB"], container),
            (&["plugin=WEB"], container),
            (&["container=WEB", "network=NET"], &[]),
            (&["image=IMG:1"], &all[2..3]),
            (&["image=IMG"], &all[2..3]),
            (&["image=VOL"], &all[1..2]),
            (&["image=busybox", "container=WEB"], container),
            (&["image=busybox:latest", "container=WEB"], &[]),
            (&["container=WEB", "event=create"], &all[3..4]),
            (&["container=WEB", "event=crea"], &[]),
            // A filter with several values matches any of them.
            (&["container=WEB", "event=crea", "event=health_status"], &all[3..4]),
            (&["container=WEB", "event=create", "event=destroy"], container),
            (&["container=WEB", "label=k"], container),
            (&["container=WEB", "label=k=w"], &[]),
            (&["label=k=v", "network=NET"], &[]),
            (&["container=PRE", "type=network", "type=volume"], &all[..2]),
            (&["container=WEB", "scope=local"], container),
            (&["container=WEB", "scope=swarm"], &[]),
            // Unknown filters are ignored.
            (&["container=WEB", "bogus=x"], container),
        ] {
            let filters: Vec<String> = filters
                .iter()
                .map(|filter| {
                    filter
                        .replace("WEB", &web)
                        .replace("NET", &network)
                        .replace("VOL", &volume)
                        .replace("IMG", &side.name("e-img"))
                        .replace("PRE", &side.name("e-"))
                        .replace("ID", &network_id[..12])
                })
                .collect();
            let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
            let events = told(&side, &since, &filters);
            let found: Vec<String> = events
                .iter()
                .map(|event| (event["Type"].as_str().expect("text"), event["Action"].as_str().expect("text")))
                .filter(|(_, action)| *action != "untag")
                .map(|(kind, action)| format!("{kind} {action}"))
                .collect();
            assert_eq!(found, expected, "{}: {filters:?}", side.who);
        }
        side.docker(&["network", "rm", &network]).ok();
        side.docker(&["volume", "rm", &volume]).ok();
    }
}

#[test]
fn bounds_of_events_are_moments() {
    let node = Node::start();
    for side in sides(&node) {
        for (bounds, status, words) in [
            ("since=x", 500, "strconv.ParseInt: parsing \"x\": invalid syntax"),
            ("until=10m", 500, "strconv.ParseInt: parsing \"10m\": invalid syntax"),
            ("since=1.5.5", 500, "strconv.ParseInt: parsing \"5.5\": invalid syntax"),
            ("since=2006-01-02&until=1", 500, "strconv.ParseInt: parsing \"2006-01-02\": invalid syntax"),
            ("since=2&until=1", 400, "`since` time (2) cannot be after `until` time (1)"),
            ("since=0&until=1&filters=x", 400, "invalid filter"),
            ("since=0&until=1", 200, ""),
        ] {
            let (answer, said) = side.api("GET", &format!("/events?{bounds}"), "");
            let said = said["message"].as_str().unwrap_or("");
            assert_eq!((answer, said), (status, words), "{}: {bounds}", side.who);
        }
    }
}

#[test]
fn health_is_told_when_it_changes() {
    let node = Node::start();
    for side in sides(&node) {
        let (name, since) = (side.name("ill"), now());
        let check = ["--health-cmd", "test -e /ok", "--health-interval", "500ms", "--health-retries", "2"];
        let run = [&["run", "-d", "--name", &name], &check[..], &["busybox", "sleep", "1000"]].concat();
        side.docker(&run).ok();
        let by_name = format!("container={name}");
        let becomes = |expected: &[&str]| {
            eventually("its health is told", Duration::from_secs(20), || {
                let events = told(&side, &since, &["event=health_status", &by_name]);
                let found = actions(&events);
                if found == expected { Ok(()) } else { Err(format!("{}: {found:?}", side.who)) }
            });
        };
        becomes(&["health_status: unhealthy"]);
        side.docker(&["exec", &name, "touch", "/ok"]).ok();
        becomes(&["health_status: unhealthy", "health_status: healthy"]);
        let healthy = told(&side, &since, &["event=health_status: healthy", &by_name]);
        assert_eq!(actions(&healthy).last(), Some(&"health_status: healthy"), "{}", side.who);
        side.docker(&["rm", "-f", &name]).ok();
    }
}

#[test]
fn what_is_pruned_is_summed_up() {
    let node = Node::start();
    for side in sides(&node) {
        let none = format!("%7B%22label%22%3A%5B%22{}%22%5D%7D", side.name("nosuch"));
        for (kind, answer) in [
            ("container", json!({"ContainersDeleted": null, "SpaceReclaimed": 0})),
            ("volume", json!({"VolumesDeleted": [], "SpaceReclaimed": 0})),
            ("network", json!({"NetworksDeleted": null})),
        ] {
            let since = now();
            let (status, said) = side.api("POST", &format!("/{kind}s/prune?filters={none}"), "");
            assert_eq!((status, said), (200, answer), "{}: {kind}", side.who);
            let events = told(&side, &since, &["event=prune", &format!("type={kind}")]);
            let actor = json!({"ID": "", "Attributes": {"reclaimed": "0"}});
            assert!(events.iter().any(|event| event["Actor"] == actor), "{}: {events:?}", side.who);
        }
    }
}

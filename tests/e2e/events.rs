//! Events, their order and their attributes.

use std::time::{SystemTime, UNIX_EPOCH};

use gantry_tests::{Node, Side, image, sides};
use serde_json::Value;

/// The present time in the client's format.
fn now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    format!("{}.{:09}", now.as_secs(), now.subsec_nanos())
}

/// All events so far that contain one of `names`.
fn events(side: &Side, names: &[&str]) -> Vec<Value> {
    let told = side.docker(&["events", "--since", "0", "--until", &now(), "--format", "{{json .}}"]).ok();
    let ours = |event: &Value| {
        let text = event.to_string();
        names.iter().any(|name| text.contains(name))
    };
    told.lines().map(|line| serde_json::from_str(line).expect("JSON")).filter(ours).collect()
}

fn actions(events: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    events.iter().map(|event| format!("{} {}", text(&event["Type"]), text(&event["Action"]))).collect()
}

/// The attributes of the first event with an action.
fn attributes<'a>(events: &'a [Value], action: &str) -> &'a Value {
    let at = actions(events).iter().position(|told| told == action);
    &events[at.unwrap_or_else(|| panic!("no {action}"))]["Actor"]["Attributes"]
}

#[test]
fn a_life_is_told_in_docker_s_order() {
    let node = Node::start();
    for side in sides(&node) {
        let (name, volume, network) = (side.name("life"), side.name("volume"), side.name("network"));
        side.docker(&["volume", "create", &volume]).ok();
        side.docker(&["network", "create", &network]).ok();
        let mount = format!("{volume}:/v");
        let ignoring = ["--name", &name, "--network", &network, "-v", &mount, "busybox", "sleep", "1000"];
        let id = side.docker(&[&["run", "-d"], &ignoring[..]].concat()).ok();
        side.docker(&["exec", &name, "true"]).ok();
        side.docker(&["stop", "-t", "0", &name]).ok();
        side.docker(&["start", &name]).ok();
        side.docker(&["kill", &name]).ok();
        side.docker(&["rm", &name]).ok();
        side.docker(&["network", "rm", &network]).ok();
        side.docker(&["volume", "rm", &volume]).ok();
        let told = events(&side, &[&name, &id, &volume, &network]);
        let begins = ["volume mount", "network connect", "container start"];
        let expected = [
            &["volume create", "network create", "container create"][..],
            &begins,
            &["container exec_create: true ", "container exec_start: true ", "container exec_die"],
            &["container kill", "container kill"],
            &["network disconnect", "volume unmount", "container stop", "container die"],
            &begins,
            &["container kill", "network disconnect", "volume unmount", "container die"],
            &["container destroy", "network destroy", "volume destroy"],
        ];
        let mut shown = actions(&told);
        // When the reference is slow, its two threads publish in the other order.
        if let Some(at) = shown.windows(2).position(|pair| pair == ["container die", "container stop"])
            && side.who == "reference"
        {
            shown.swap(at, at + 1);
        }
        assert_eq!(shown, expected.concat(), "{}", side.who);
        let mount = serde_json::json!({
            "container": id, "destination": "/v", "driver": "local", "propagation": "", "read/write": "true"
        });
        assert_eq!(attributes(&told, "volume mount"), &mount, "{}", side.who);
        let unmount = serde_json::json!({"container": id, "driver": "local"});
        assert_eq!(attributes(&told, "volume unmount"), &unmount, "{}", side.who);
        let connect = serde_json::json!({"container": id, "name": network, "type": "bridge"});
        assert_eq!(attributes(&told, "network connect"), &connect, "{}", side.who);
        let die = attributes(&told, "container die");
        assert_eq!(
            (&die["exitCode"], &die["image"], &die["name"]),
            (&"137".into(), &"busybox".into(), &name.into())
        );
    }
}

#[test]
fn images_are_told_of_by_their_ids() {
    let node = Node::start();
    for side in sides(&node) {
        let (one, other) = (side.name("one") + ":latest", side.name("other") + ":latest");
        side.docker_with(&["import", "-c", &format!("LABEL side={one}"), "-", &one], &image::busybox_tar())
            .ok();
        let id = side.docker(&["image", "inspect", "-f", "{{.Id}}", &one]).ok();
        side.docker(&["tag", &one, &other]).ok();
        let saved = node.root().join("saved.tar");
        let saved = saved.to_str().expect("a path of ours");
        side.docker(&["save", "-o", saved, &one]).ok();
        side.docker(&["rmi", &other]).ok();
        side.docker(&["rmi", &one]).ok();
        side.docker(&["load", "-i", saved]).ok();
        side.docker(&["rmi", &one]).ok();
        let told = events(&side, &[&id]);
        let expected = [
            ("tag", &one),
            ("import", &id),
            ("tag", &other),
            ("save", &id),
            ("untag", &id),
            ("untag", &id),
            ("delete", &id),
            ("load", &id),
            ("untag", &id),
            ("delete", &id),
        ];
        let name = |event: &Value| event["Actor"]["Attributes"]["name"].as_str().expect("a name").to_owned();
        let action = |event: &Value| event["Action"].as_str().expect("an action").to_owned();
        let found: Vec<_> = told.iter().map(|event| (action(event), name(event))).collect();
        let expected = expected.map(|(action, name)| (action.to_owned(), name.clone()));
        assert_eq!(found, expected, "{}", side.who);
        assert!(told.iter().all(|event| event["Actor"]["ID"] == id.as_str()), "{}: {told:#?}", side.who);
    }
}

#[test]
fn filters_choose_events() {
    let node = Node::start();
    for side in sides(&node) {
        let (name, other) = (side.name("chosen"), side.name("passed-over"));
        let label = format!("{name}=blue");
        side.docker(&["create", "--name", &name, "--label", &label, "busybox"]).ok();
        side.docker(&["create", "--name", &other, "busybox"]).ok();
        let id = side.docker(&["rm", &name, &other]).ok();
        assert!(id.contains(&name));
        let chosen = |filters: &[&str]| {
            let now = now();
            let mut arguments = vec![
                "events",
                "--since",
                "0",
                "--until",
                &now,
                "--format",
                "{{.Action}} {{.Actor.Attributes.name}}",
            ];
            arguments.extend(filters.iter().flat_map(|filter| ["--filter", filter]));
            let told = side.docker(&arguments).ok();
            told.lines().filter(|line| line.contains(&side.name(""))).map(str::to_owned).collect::<Vec<_>>()
        };
        let both = |name: &str| vec![format!("create {name}"), format!("destroy {name}")];
        let by_name = format!("container={name}");
        assert_eq!(chosen(&[&by_name]), both(&name), "{}", side.who);
        let by_label = format!("label={name}");
        assert_eq!(chosen(&[&by_label]), both(&name), "{}", side.who);
        assert_eq!(chosen(&[&format!("label={label}")]), both(&name), "{}", side.who);
        assert_eq!(chosen(&[&format!("label={name}=red")]), Vec::<String>::new(), "{}", side.who);
        let created = vec![format!("create {name}")];
        assert_eq!(
            chosen(&[&by_name, "event=create", "type=container", "scope=local"]),
            created,
            "{}",
            side.who
        );
        assert_eq!(chosen(&[&by_name, "type=image"]), Vec::<String>::new(), "{}", side.who);
        assert_eq!(
            chosen(&[&by_name, "image=busybox", "event=destroy", "event=create"]),
            both(&name),
            "{}",
            side.who
        );
    }
}

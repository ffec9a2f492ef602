//! Images by their names and other properties: lists, errors for missing ones, removal.

use std::time::Duration;

use gantry_tests::{Node, Side, eventually, image, sides};

/// An image of one layer with this name.
fn import(side: &Side, name: &str) {
    side.docker_with(&["import", "-c", "CMD [\"/bin/sh\"]", "-", name], &image::busybox_tar()).ok();
}

/// The names in `docker images`, without the test's prefix.
fn names(side: &Side, arguments: &[&str]) -> Vec<String> {
    let mut all = vec!["images", "--format", "{{.Repository}}:{{.Tag}}"];
    all.extend(arguments);
    let prefix = side.name("");
    let shown = side.docker(&all).ok();
    let mut mine: Vec<_> =
        shown.lines().filter(|name| name.contains(&prefix)).map(|name| name.replace(&prefix, "")).collect();
    mine.sort();
    mine
}

#[test]
fn images_are_listed_by_what_is_asked_for() {
    let node = Node::start();
    for side in sides(&node) {
        let (first, second, other) = (side.name("a:1"), side.name("a:2"), format!("x/{}", side.name("a:1")));
        let later = side.name("b:12");
        import(&side, &first);
        side.docker(&["tag", &first, &second]).ok();
        side.docker(&["tag", &first, &other]).ok();
        import(&side, &later);
        let a = side.name("a");
        let (glob, one) = (format!("{a}:[12]"), format!("{}?:1*", side.name("")));
        let reference = |pattern: &str| format!("reference={pattern}");
        let (before, since) = (format!("before={later}"), format!("since={first}"));
        for (arguments, expected) in [
            (vec![], vec!["a:1", "a:2", "b:12", "x/a:1"]),
            (vec![a.clone()], vec!["a:1", "a:2"]),
            (vec![first.clone()], vec!["a:1"]),
            (vec![glob.clone()], vec!["a:1", "a:2"]),
            (vec![one.clone()], vec!["a:1", "b:12"]),
            (vec!["-f".into(), reference(&glob)], vec!["a:1", "a:2"]),
            (vec!["-f".into(), reference("*/*")], vec!["x/a:1"]),
            (vec!["-f".into(), reference("*/*"), "-f".into(), reference(&later)], vec!["b:12", "x/a:1"]),
            (vec!["-f".into(), reference(&format!("docker.io/library/{a}"))], vec![]),
            (vec!["-f".into(), "dangling=true".into()], vec![]),
            (vec!["-f".into(), "dangling=false".into(), a.clone()], vec!["a:1", "a:2"]),
            (vec!["-f".into(), "until=1h".into()], vec![]),
            (vec!["-f".into(), "until=2130-01-01".into(), a.clone()], vec!["a:1", "a:2"]),
            (vec!["-f".into(), "until=2130-01-01".into(), "-f".into(), "until=1h".into()], vec![]),
            (vec!["-f".into(), before], vec!["a:1", "a:2", "x/a:1"]),
            (vec!["-f".into(), since], vec!["b:12"]),
            (vec!["-f".into(), "label=nobody".into()], vec![]),
        ] {
            let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
            assert_eq!(names(&side, &words), expected, "{}: {words:?}", side.who);
        }
        side.docker(&["rmi", &first, &second, &other, &later]).ok();
    }
}

/// Where Docker answers a client's mistake with 500, Gantry answers with 400 and the same message.
#[test]
fn what_cannot_be_is_refused_in_words() {
    let node = Node::start();
    let nothing = format!("sha256:{}", "0".repeat(64));
    let id = |text: &str| text.replace("NOTHING", &nothing);
    for side in sides(&node) {
        for (method, path, statuses, words) in [
            (
                "GET",
                "/images/json?filters={%22dangling%22:[%22x%22]}",
                [400, 400],
                "invalid filter 'dangling=[x]'",
            ),
            (
                "GET",
                "/images/json?filters={%22dangling%22:[%22true%22,%22false%22]}",
                [400, 400],
                "invalid filter 'dangling=[true false]'",
            ),
            (
                "GET",
                "/images/json?filters={%22until%22:[%22x%22]}",
                [400, 500],
                "failed to parse value as time or duration: \"x\"",
            ),
            (
                "GET",
                "/images/json?filters={%22reference%22:[%22[x%22]}",
                [400, 500],
                "syntax error in pattern",
            ),
            ("GET", "/images/json?filters={%22nosuch%22:[%22x%22]}", [400, 400], "invalid filter 'nosuch'"),
            (
                "GET",
                "/images/json?filters={%22since%22:[%22nosuch%22]}",
                [404, 404],
                "No such image: nosuch:latest",
            ),
            ("GET", "/images/json?filters=x", [400, 400], "invalid filter"),
            ("GET", "/images/nosuch/json", [404, 404], "No such image: nosuch:latest"),
            ("GET", "/images/nosuch:1/json", [404, 404], "No such image: nosuch:1"),
            ("GET", "/images/NOTHING/json", [404, 404], "No such image: NOTHING"),
            ("GET", "/images/nosuch@NOTHING/json", [404, 404], "No such image: nosuch@NOTHING"),
            (
                "GET",
                "/images/UPPER/json",
                [400, 400],
                "invalid reference format: repository name (library/UPPER) must be lowercase",
            ),
            ("GET", "/images/busybox/json?platform=x", [400, 400], "failed to parse platform"),
            (
                "GET",
                "/images/busybox/json?platform={%22os%22:%22linux%22,%22architecture%22:%22arm64%22}",
                [404, 404],
                "image with reference busybox was found but its platform (linux/amd64) does not match the specified platform (linux/arm64)",
            ),
            ("GET", "/images/nosuch/history", [404, 404], "No such image: nosuch:latest"),
            ("POST", "/images/nosuch:3/tag?repo=wk", [404, 404], "No such image: nosuch:3"),
            ("POST", "/images/busybox/tag?repo=wk&tag=b%20d", [400, 400], "invalid tag format"),
            (
                "POST",
                "/images/busybox/tag?repo=UP",
                [400, 400],
                "repository name (library/UP) must be lowercase",
            ),
            ("DELETE", "/images/nosuch", [404, 404], "No such image: nosuch:latest"),
            ("DELETE", "/images/nosuch:7", [404, 404], "No such image: nosuch:7"),
            (
                "POST",
                "/images/prune?filters={%22dangling%22:[%22x%22]}",
                [400, 400],
                "invalid filter 'dangling=[x]'",
            ),
            (
                "POST",
                "/images/prune?filters={%22until%22:[%22x%22]}",
                [400, 500],
                "failed to parse value as time or duration: \"x\"",
            ),
            (
                "POST",
                "/images/prune?filters={%22reference%22:[%22x%22]}",
                [400, 400],
                "invalid filter 'reference'",
            ),
            ("GET", "/system/df?type=x", [400, 400], "unknown object type: x"),
            ("GET", "/images/nosuch/get", [404, 404], "No such image: nosuch"),
            (
                "POST",
                "/images/create?fromSrc=-&repo=wx&changes=FOO+bar",
                [400, 400],
                "FOO is not a valid change command",
            ),
        ] {
            let (status, said) = side.api(method, &id(path), "");
            let expected = statuses[usize::from(side.who == "reference")];
            let message = said["message"].as_str().unwrap_or_default();
            assert!(
                status == expected && message.contains(&id(words)),
                "{}: {method} {path}: {status} {said}",
                side.who
            );
        }
    }
}

#[test]
fn a_name_goes_alone_and_an_image_with_its_last_one() {
    let node = Node::start();
    for side in sides(&node) {
        let (first, second, third) = (side.name("a:1"), side.name("a:2"), side.name("b:1"));
        let user = side.name("user");
        import(&side, &first);
        side.docker(&["tag", &first, &second]).ok();
        side.docker(&["tag", &first, &third]).ok();
        side.docker(&["create", "--name", &user, &first]).ok();
        let id = side.docker(&["inspect", "-f", "{{.Image}}", &user]).ok();
        let short = &id["sha256:".len()..][..12];
        let container = side.docker(&["inspect", "-f", "{{.Id}}", &user]).ok();
        let remove = |name: &str, force: bool| {
            let (status, answer) = side.api("DELETE", &format!("/images/{name}?force={force}"), "");
            let message = answer["message"].as_str().map(str::to_owned);
            (status, message.unwrap_or_else(|| answer.to_string()))
        };
        let untagged = |name: &str| (200, format!(r#"[{{"Untagged":"{name}"}}]"#));
        assert_eq!(remove(&second, false), untagged(&second), "{}", side.who);
        let words = format!("conflict: unable to delete {short} (must be forced) - image is ");
        let (status, said) = remove(&id, false);
        assert!(status == 409 && said.starts_with(&words), "{}: {said}", side.who);
        assert_eq!(remove(&first, false), untagged(&first), "{}", side.who);
        let words = format!(
            "conflict: unable to remove repository reference \"{third}\" (must force) - container {} is using its referenced image {short}",
            &container[..12]
        );
        assert_eq!(remove(&third, false), (409, words), "{}", side.who);
        // The reference deletes the image at once; here the container keeps it until its end.
        let (status, said) = remove(&third, true);
        let first = format!(r#"[{{"Untagged":"{third}"}}"#);
        assert!(status == 200 && said.starts_with(&first), "{}: {said}", side.who);
        assert_eq!(names(&side, &[]), Vec::<String>::new());
        side.docker(&["rm", &user]).ok();
        if side.who == "gantry" {
            assert_eq!(remove(&id, false), (200, format!(r#"[{{"Deleted":"{id}"}}]"#)));
        }
        assert_eq!(remove(&id, false), (404, format!("No such image: {id}")), "{}", side.who);
    }
}

#[test]
fn each_kind_of_usage_can_be_asked_for_alone() {
    let node = Node::start();
    for side in sides(&node) {
        let (made, volume) = (side.name("made"), side.name("volume"));
        side.docker(&["create", "--name", &made, "-v", &format!("{volume}:/v"), "busybox"]).ok();
        let named = |list: &serde_json::Value, key: &str, value: &str| {
            let rows = list.as_array().cloned().unwrap_or_default();
            rows.iter().any(|row| row[key].to_string().contains(value))
        };
        let (_, all) = side.api("GET", "/system/df", "");
        assert!(named(&all["Images"], "RepoTags", "busybox:latest"), "{}: {all}", side.who);
        assert!(named(&all["Containers"], "Names", &made), "{}: {all}", side.who);
        assert!(named(&all["Volumes"], "Name", &volume), "{}: {all}", side.who);
        assert!(all["BuildCache"].is_array() && all["LayersSize"].as_u64() > Some(0), "{}: {all}", side.who);
        for kind in ["image", "container", "volume", "build-cache"] {
            let (status, one) = side.api("GET", &format!("/system/df?type={kind}"), "");
            assert_eq!(status, 200, "{}: {kind}", side.who);
            for (key, of) in [
                ("Images", "image"),
                ("Containers", "container"),
                ("Volumes", "volume"),
                ("BuildCache", "build-cache"),
            ] {
                assert_eq!(one[key].is_array(), of == kind, "{}: {kind}: {key}: {one}", side.who);
            }
        }
        side.docker(&["rm", "-v", &made]).ok();
        side.docker(&["volume", "rm", &volume]).ok();
    }
}

#[test]
fn a_container_is_listed_by_the_id_of_an_image_that_lost_its_name() {
    let node = Node::start();
    for side in sides(&node) {
        let (name, container, other) = (side.name("a:1"), side.name("user"), side.name("b:1"));
        import(&side, &name);
        side.docker(&["create", "--name", &container, &name]).ok();
        let id = side.docker(&["inspect", "-f", "{{.Image}}", &container]).ok();
        let mine = format!("name={container}");
        let listed = || side.docker(&["ps", "-a", "-f", &mine, "--format", "{{.Image}}"]).ok();
        let becomes = |shown: &str| {
            eventually("the list follows", Duration::from_secs(20), || {
                let listed = listed();
                if listed == shown { Ok(()) } else { Err(format!("{}: {listed}, not {shown}", side.who)) }
            });
        };
        becomes(&name);
        // The name goes to another image, comes back, and is removed.
        import(&side, &other);
        side.docker(&["tag", &other, &name]).ok();
        becomes(&id["sha256:".len()..][..12]);
        side.docker(&["tag", &id, &name]).ok();
        becomes(&name);
        side.docker(&["rmi", "-f", &name]).ok();
        becomes(&id["sha256:".len()..][..12]);
        assert_eq!(side.docker(&["inspect", "-f", "{{.Config.Image}}", &container]).ok(), name);
        if side.who == "gantry" {
            node.kill_service("engine");
            becomes(&id["sha256:".len()..][..12]);
        }
        side.docker(&["rm", &container]).ok();
        side.docker(&["rmi", &other]).ok();
    }
}

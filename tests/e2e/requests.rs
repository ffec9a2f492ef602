//! Single requests and their responses: the same tables for Gantry and the reference.

use gantry_tests::{Node, Side, sides};
use serde_json::Value;

/// Replaces `~` by the prefix of the test's names.
fn named(side: &Side, text: &str) -> String {
    text.replace('~', &side.name(""))
}

/// Sends requests, and compares the status and, if given, a part of the message.
fn check(side: &Side, rows: &[(&str, &str, &str, u16, &str)]) {
    for (method, path, body, status, message) in rows {
        let (path, message) = (named(side, path), named(side, message));
        let (found, answer) = side.api(method, &path, &named(side, body));
        assert_eq!(found, *status, "{}: {method} {path}: {answer}", side.who);
        let said = answer["message"].as_str().unwrap_or_default();
        assert!(said.contains(&message), "{}: {method} {path}: {said:?} has not {message:?}", side.who);
    }
}

fn encoded(filters: &str) -> String {
    filters.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The names in a list of objects.
fn names(list: &Value) -> Vec<&str> {
    let mut names: Vec<_> =
        list.as_array().expect("a list").iter().filter_map(|one| one["Name"].as_str()).collect();
    names.sort_unstable();
    names
}

#[test]
fn volumes_are_made_found_and_removed() {
    const OPTIONS: &str = r#"{"type":"tmpfs","device":"tmpfs","o":"size=1m"}"#;
    let node = Node::start();
    for side in sides(&node) {
        let invalid = "includes invalid characters for a local volume name";
        check(
            &side,
            &[
                ("POST", "/volumes/create", r#"{"Name":"~one"}"#, 201, ""),
                ("POST", "/volumes/create", r#"{"name":"~one","driver":"local"}"#, 201, ""),
                ("POST", "/volumes/create", r#"{"Name":"~two","Labels":{"~k":"v"}}"#, 201, ""),
                ("POST", "/volumes/create", r#"{"Name":"a/b"}"#, 400, invalid),
                ("POST", "/volumes/create", r#"{"Name":"."}"#, 400, "volume name is too short"),
                ("POST", "/volumes/create", r#"{"Name":"x"}"#, 400, "volume name is too short"),
                (
                    "POST",
                    "/volumes/create",
                    r#"{"Name":"~bad","DriverOpts":{"colour":"x"}}"#,
                    400,
                    "invalid option: \"colour\"",
                ),
                (
                    "POST",
                    "/volumes/create",
                    r#"{"Name":"~bad","DriverOpts":{"type":"tmpfs"}}"#,
                    400,
                    "missing required option: \"device\"",
                ),
                (
                    "POST",
                    "/volumes/create",
                    r#"{"Name":"~bad","DriverOpts":{"device":"/tmp","o":"bind"}}"#,
                    400,
                    "missing required option: \"type\"",
                ),
                ("GET", "/volumes/~one", "", 200, ""),
                ("GET", "/volumes/~nope", "", 404, "get ~nope: no such volume"),
                ("DELETE", "/volumes/~nope", "", 404, "get ~nope: no such volume"),
                ("DELETE", "/volumes/~nope?force=1", "", 204, ""),
                (
                    "GET",
                    &format!("/volumes?filters={}", encoded(r#"{"colour":{"x":true}}"#)),
                    "",
                    400,
                    "invalid filter 'colour'",
                ),
                (
                    "GET",
                    &format!("/volumes?filters={}", encoded(r#"{"dangling":{"maybe":true}}"#)),
                    "",
                    400,
                    "invalid filter 'dangling",
                ),
                (
                    "POST",
                    &format!("/volumes/prune?filters={}", encoded(r#"{"until":{"1h":true}}"#)),
                    "",
                    400,
                    "invalid filter 'until'",
                ),
                (
                    "POST",
                    &format!("/volumes/prune?filters={}", encoded(r#"{"dangling":{"true":true}}"#)),
                    "",
                    400,
                    "invalid filter 'dangling'",
                ),
            ],
        );
        let body = named(&side, &format!(r#"{{"Name":"~opts","DriverOpts":{OPTIONS}}}"#));
        let (status, made) = side.api("POST", "/volumes/create", &body);
        assert_eq!(
            (status, &made["Options"]),
            (201, &serde_json::from_str(OPTIONS).expect("JSON")),
            "{}",
            side.who
        );
        let one = side.api("GET", &named(&side, "/volumes/~one"), "").1;
        assert_eq!(
            (&one["Labels"], &one["Options"], &one["Scope"]),
            (&Value::Null, &Value::Null, &"local".into())
        );
        let keys: Vec<_> = one.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            ["CreatedAt", "Driver", "Labels", "Mountpoint", "Name", "Options", "Scope"],
            "{}",
            side.who
        );
        let listed = |filters: &str| {
            let path = format!("/volumes?filters={}", encoded(&named(&side, filters)));
            let (_, answer) = side.api("GET", &path, "");
            names(&answer["Volumes"]).iter().map(|name| name.replace(&side.name(""), "~")).collect::<Vec<_>>()
        };
        for (filters, expected) in [
            (r#"{"name":{"~":true}}"#, &["~one", "~opts", "~two"][..]),
            (r#"{"name":["~one","~two"]}"#, &["~one", "~two"]),
            (r#"{"name":["~"],"driver":["local"],"dangling":["true"]}"#, &["~one", "~opts", "~two"]),
            (r#"{"name":["~"],"dangling":["false"]}"#, &[]),
            (r#"{"driver":["other"]}"#, &[]),
            (r#"{"label":["~k"]}"#, &["~two"]),
            (r#"{"label":["~k=v"]}"#, &["~two"]),
            (r#"{"label":["~k=w"]}"#, &[]),
        ] {
            assert_eq!(listed(filters), expected, "{}: {filters}", side.who);
        }
        let prune =
            format!("/volumes/prune?filters={}", encoded(&named(&side, r#"{"label":["~k"],"all":["1"]}"#)));
        let (status, pruned) = side.api("POST", &prune, "");
        assert_eq!(
            (status, &pruned["VolumesDeleted"]),
            (200, &serde_json::json!([named(&side, "~two")])),
            "{}",
            side.who
        );
        let used = named(&side, "~one:/v");
        let user = side.name("user");
        side.docker(&["create", "--name", &user, "-v", &used, "busybox"]).ok();
        check(
            &side,
            &[
                ("DELETE", "/volumes/~one", "", 409, "volume is in use"),
                ("DELETE", "/volumes/~one?force=1", "", 409, "volume is in use"),
            ],
        );
        side.docker(&["rm", &user]).ok();
        check(&side, &[("DELETE", "/volumes/~one", "", 204, ""), ("DELETE", "/volumes/~opts", "", 204, "")]);
    }
}

#[test]
fn images_are_named_found_and_refused() {
    let node = Node::start();
    for side in sides(&node) {
        let hex = "0".repeat(64);
        let lower = "must be lowercase";
        check(
            &side,
            &[
                ("POST", "/images/busybox/tag?repo=~one&tag=1", "", 201, ""),
                ("POST", "/images/busybox/tag?repo=~one&tag=2", "", 201, ""),
                ("POST", "/images/busybox/tag?repo=~two&tag=1", "", 201, ""),
                ("POST", "/images/busybox/tag?repo=UP&tag=1", "", 400, lower),
                ("POST", "/images/busybox/tag?repo=~one&tag=a@b", "", 400, "invalid tag format"),
                ("POST", &format!("/images/busybox/tag?repo={hex}&tag=1"), "", 400, ""),
                (
                    "POST",
                    "/images/busybox/tag?repo=sha256&tag=1",
                    "",
                    400,
                    "refusing to create an ambiguous tag using digest algorithm as name",
                ),
                ("POST", "/images/~nope/tag?repo=~one&tag=3", "", 404, "No such image: ~nope:latest"),
                ("GET", "/images/~nope/json", "", 404, "No such image: ~nope:latest"),
                ("GET", "/images/~nope/history", "", 404, "No such image: ~nope:latest"),
                ("DELETE", "/images/~nope", "", 404, "No such image: ~nope:latest"),
                ("GET", "/images/UP/json", "", 400, lower),
                ("DELETE", "/images/UP", "", 400, lower),
                ("GET", "/images/sha256:abc/json", "", 404, "No such image: sha256:abc"),
                ("DELETE", "/images/sha256:abc", "", 404, "No such image: sha256:abc"),
                ("GET", "/system/df?type=colour", "", 400, "unknown object type: colour"),
                (
                    "GET",
                    &format!("/images/json?filters={}", encoded(r#"{"colour":["x"]}"#)),
                    "",
                    400,
                    "invalid filter 'colour'",
                ),
                (
                    "GET",
                    &format!("/images/json?filters={}", encoded(r#"{"dangling":["maybe"]}"#)),
                    "",
                    400,
                    "invalid filter 'dangling",
                ),
                (
                    "GET",
                    &format!("/images/json?filters={}", encoded(&named(&side, r#"{"before":["~nope"]}"#))),
                    "",
                    404,
                    "No such image: ~nope:latest",
                ),
                (
                    "GET",
                    "/events?since=20&until=10",
                    "",
                    400,
                    "`since` time (20) cannot be after `until` time (10)",
                ),
            ],
        );
        let listed = |name: &str| {
            let listed =
                side.docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", &named(&side, name)]).ok();
            let mut names: Vec<_> = listed.lines().map(|line| line.replace(&side.name(""), "~")).collect();
            names.sort_unstable();
            names
        };
        assert_eq!(listed("~one"), ["~one:1", "~one:2"], "{}", side.who);
        assert_eq!(listed("~one:2"), ["~one:2"], "{}", side.who);
        assert_eq!(listed("~*:1"), ["~one:1", "~two:1"], "{}", side.who);
        assert_eq!(listed("docker.io/library/~one"), Vec::<String>::new(), "{}", side.who);
        let ids = side.docker(&["images", "-q", &named(&side, "~one")]).ok();
        assert_eq!(ids.lines().count(), 2, "{}: {ids}", side.who);
        for name in ["~one:1", "~one:2", "~two:1"] {
            let answer = side.api("DELETE", &named(&side, &format!("/images/{name}")), "").1;
            assert_eq!(answer, serde_json::json!([{"Untagged": named(&side, name)}]), "{}", side.who);
        }
    }
}

#[test]
fn the_case_of_members_does_not_matter() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("case");
        let body = r#"{"image":"busybox","cmd":["true"],"labels":{"Key":"v"},"hostconfig":{"memory":33554432,"autoremove":false}}"#;
        let (status, answer) = side.api("POST", &format!("/containers/create?name={name}"), body);
        assert_eq!(status, 201, "{}: {answer}", side.who);
        let made = side.api("GET", &format!("/containers/{name}/json"), "").1;
        let found =
            (&made["Config"]["Image"], &made["Config"]["Labels"]["Key"], &made["HostConfig"]["Memory"]);
        assert_eq!(found, (&"busybox".into(), &"v".into(), &33_554_432.into()), "{}", side.who);
        side.docker(&["rm", &name]).ok();
    }
}

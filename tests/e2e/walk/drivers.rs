//! Local volumes with a file system in their options.

use gantry_tests::{Node, Side, sides};
use serde_json::{Value, json};

fn create(side: &Side, name: &str, options: &Value) -> (u16, Value) {
    let wanted = json!({"Name": name, "DriverOpts": options});
    side.api("POST", "/volumes/create", &wanted.to_string())
}

/// The volume's inspect data.
fn data(side: &Side, name: &str) -> Value {
    side.api("GET", &format!("/volumes/{name}"), "").1["Mountpoint"].clone()
}

/// The mount of a volume in a container.
fn mounted(side: &Side, volume: &str) -> String {
    let mount = format!("{volume}:/m");
    let told = side.docker(&["run", "--rm", "-v", &mount, "busybox", "grep", " /m ", "/proc/mounts"]).ok();
    told.split(' ').skip(2).take(2).collect::<Vec<_>>().join(" ")
}

#[test]
fn options_are_checked_when_a_volume_is_made() {
    let node = Node::start();
    let rows = [
        (json!({"type": "tmpfs"}), 400, "missing required option: \"device\""),
        (json!({"o": "x"}), 400, "missing required option: \"device\""),
        (json!({"device": "/x"}), 400, "missing required option: \"type\""),
        (json!({"colour": "blue"}), 400, "invalid option: \"colour\""),
        (json!({"size": "10m"}), 400, "quota size requested but no quota support"),
        (json!({"size": "x"}), 400, "invalid size: 'x'"),
        (
            json!({"type": "tmpfs", "device": "tmpfs", "size": "1m"}),
            400,
            "quota size requested but no quota support",
        ),
        (
            json!({"type": "cifs", "device": "//h:99/x"}),
            400,
            "port not allowed in CIFS device URL, include 'port' in 'o='",
        ),
        (
            json!({"type": "cifs", "device": "//%zz/x"}),
            400,
            "error parsing mount device url: parse \"//%zz/x\": invalid URL escape \"%zz\"",
        ),
        (json!({"size": "0"}), 201, ""),
        (json!({"type": "", "device": ""}), 201, ""),
        (json!({"type": "nosuchfs", "device": "x"}), 201, ""),
        (json!({"type": "none", "device": "relative", "o": "bind"}), 201, ""),
        (json!({"type": "nfs", "device": ":/x", "o": "addr=127.0.0.1"}), 201, ""),
    ];
    for side in sides(&node) {
        let name = side.name("made");
        for (options, expected, words) in &rows {
            let (status, body) = create(&side, &name, options);
            assert_eq!(status, *expected, "{}: {options}: {body}", side.who);
            if status == 201 {
                assert_eq!(body["Options"], *options, "{}", side.who);
                side.docker(&["volume", "rm", &name]).ok();
            } else {
                let said = body["message"].as_str().unwrap_or_default();
                assert_eq!(said, format!("create {name}: {words}"), "{}: {options}", side.who);
            }
        }
    }
}

#[test]
fn what_cannot_be_mounted_fails_the_start_with_its_reason() {
    let node = Node::start();
    let rows = [
        (json!({"type": "nosuchfs", "device": "x"}), "mount x:{}: no such device"),
        (
            json!({"type": "none", "device": "/no/such", "o": "bind"}),
            "mount /no/such:{}, flags: 0x1000: no such file or directory",
        ),
        (
            json!({"type": "tmpfs", "device": "tmpfs", "o": "bogus=1"}),
            "mount tmpfs:{}, data: bogus=1: invalid argument",
        ),
        (
            json!({"type": "ext4", "device": "/dev/no-such"}),
            "mount /dev/no-such:{}: no such file or directory",
        ),
    ];
    for side in sides(&node) {
        let (name, holder) = (side.name("broken"), side.name("holder"));
        for (options, words) in &rows {
            create(&side, &name, options);
            let data = data(&side, &name).as_str().unwrap_or_default().to_owned();
            let mount = format!("{name}:/m");
            side.docker(&["create", "--name", &holder, "-v", &mount, "busybox", "true"]).ok();
            let (status, body) = side.api("POST", &format!("/containers/{holder}/start"), "");
            assert_eq!(status, 500, "{}: {body}", side.who);
            let said = body["message"].as_str().unwrap_or_default();
            let expected = format!(
                "error while mounting volume '{data}': failed to mount local volume: {}",
                words.replace("{}", &data)
            );
            assert!(said.starts_with(&expected), "{}: {said}", side.who);
            side.docker(&["rm", &holder]).ok();
            side.docker(&["volume", "rm", &name]).ok();
        }
        create(&side, &name, &json!({"type": "nfs", "device": ":/x", "o": "addr=no-such.invalid"}));
        let complaint = side.docker(&["run", "--rm", "-v", &format!("{name}:/m"), "busybox", "true"]);
        let words = "error resolving passed in network volume address: lookup no-such.invalid";
        assert!(complaint.stderr.contains(words), "{}: {}", side.who, complaint.stderr);
        create(&side, &side.name("blank"), &json!({"type": "tmpfs", "device": ""}));
        let mount = format!("{}:/m", side.name("blank"));
        let complaint = side.docker(&["run", "--rm", "-v", &mount, "busybox", "true"]);
        assert!(complaint.stderr.contains("missing device in volume options"), "{}", complaint.stderr);
        side.docker(&["volume", "rm", &name, &side.name("blank")]).ok();
    }
}

#[test]
fn a_memory_volume_is_one_for_all_and_goes_with_the_last() {
    let node = Node::start();
    for side in sides(&node) {
        let (name, first, second) = (side.name("memory"), side.name("first"), side.name("second"));
        create(&side, &name, &json!({"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=1000"}));
        assert_eq!(mounted(&side, &name), "tmpfs rw,relatime,size=1024k,uid=1000", "{}", side.who);
        let mount = format!("{name}:/m");
        for container in [&first, &second] {
            side.docker(&["run", "-d", "--name", container, "-v", &mount, "busybox", "sleep", "1000"]).ok();
        }
        side.docker(&["exec", &first, "sh", "-c", "echo shared > /m/f"]).ok();
        assert_eq!(side.docker(&["exec", &second, "cat", "/m/f"]).ok(), "shared", "{}", side.who);
        let out = side.docker(&["cp", &format!("{second}:/m/f"), "-"]).ok();
        assert!(out.contains("shared"), "{}: {out:?}", side.who);
        let (_, inspect) = side.api("GET", &format!("/containers/{first}/json"), "");
        let point = &inspect["Mounts"][0];
        assert_eq!(
            (&point["Type"], &point["Source"]),
            (&json!("volume"), &data(&side, &name)),
            "{}",
            side.who
        );
        side.docker(&["rm", "-f", &first]).ok();
        assert_eq!(side.docker(&["exec", &second, "cat", "/m/f"]).ok(), "shared", "{}", side.who);
        let third = side.docker(&["run", "--rm", "-v", &mount, "busybox", "cat", "/m/f"]).ok();
        assert_eq!(third, "shared", "{}", side.who);
        side.docker(&["rm", "-f", &second]).ok();
        let after = side.docker(&["run", "--rm", "-v", &mount, "busybox", "ls", "/m"]).ok();
        assert_eq!(after, "", "{}: it went with the last", side.who);
        side.docker(&["volume", "rm", &name]).ok();
    }
}

#[test]
fn a_bind_volume_shows_its_device_while_it_is_used() {
    let node = Node::start();
    for side in sides(&node) {
        // A directory that both daemons see: that of another volume.
        let (home, name, holder) = (side.name("home"), side.name("bound"), side.name("holder"));
        side.docker(&["volume", "create", &home]).ok();
        let device = data(&side, &home);
        create(&side, &name, &json!({"type": "none", "device": device, "o": "bind"}));
        // The image's files are copied to the device.
        let mount = format!("{name}:/etc");
        side.docker(&["run", "--rm", "-v", &mount, "busybox", "sh", "-c", "echo kept > /etc/f"]).ok();
        let seen = format!("{home}:/m");
        let kept = side.docker(&["run", "--rm", "-v", &seen, "busybox", "cat", "/m/f", "/m/passwd"]).ok();
        assert!(kept.starts_with("kept\nroot:"), "{}: {kept}", side.who);
        // Also to and from a stopped container.
        side.docker(&["create", "--name", &holder, "-v", &format!("{name}:/m"), "busybox", "true"]).ok();
        assert!(side.docker(&["cp", &format!("{holder}:/m/f"), "-"]).ok().contains("kept"), "{}", side.who);
        side.docker(&["rm", &holder]).ok();
        side.docker(&["volume", "rm", &name]).ok();

        create(&side, &name, &json!({"type": "none", "device": device, "o": "bind,ro"}));
        let mount = format!("{name}:/m");
        let complaint = side.docker(&["run", "--rm", "-v", &mount, "busybox", "touch", "/m/x"]);
        assert!(complaint.stderr.contains("Read-only file system"), "{}: {}", side.who, complaint.stderr);
        side.docker(&["volume", "rm", &name]).ok();
        // Removing the volume has left its content.
        let kept = side.docker(&["run", "--rm", "-v", &seen, "busybox", "cat", "/m/f"]).ok();
        assert_eq!(kept, "kept", "{}", side.who);
        side.docker(&["volume", "rm", &home]).ok();
    }
}

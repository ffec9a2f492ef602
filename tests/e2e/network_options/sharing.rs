//! Namespaces and shared memory of other containers.

use super::*;

#[test]
fn memory_is_shared_by_those_who_offer_it() {
    let node = Node::start();
    for side in sides(&node) {
        let private = run(&side, "private", &[]);
        let name = side.name("open");
        let write = [
            "run",
            "-d",
            "--name",
            &name,
            "--ipc",
            "shareable",
            "--shm-size",
            "1m",
            "busybox",
            "sh",
            "-c",
            "echo hi >/dev/shm/x; sleep 1000",
        ];
        side.docker(&write).ok();
        let join = |donor: &str| format!("container:{donor}");
        let script = "until test -s /dev/shm/x; do :; done; cat /dev/shm/x; readlink /proc/self/ns/ipc; grep -c '^mqueue /dev/mqueue ' /proc/mounts; df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2";
        let seen = output(&side, &["--ipc", &join(&name)], script);
        let own = side.docker(&["exec", &name, "readlink", "/proc/self/ns/ipc"]).ok();
        assert_eq!(seen, format!("hi\n{own}\n1\n1024"), "{}", side.who);
        // A container that has joined may be joined itself.
        let joined = run(&side, "joined", &["--ipc", &join(&name)]);
        assert_eq!(output(&side, &["--ipc", &join(&joined)], "cat /dev/shm/x"), "hi", "{}", side.who);
        let host = output(
            &side,
            &["--ipc", "host"],
            "readlink /proc/self/ns/ipc; grep -c '^mqueue /dev/mqueue ' /proc/mounts",
        );
        assert!(host.ends_with("\n1") && !host.starts_with(&own), "{}: {host}", side.who);

        let start = |donor: &str, status: u16, words: &str| {
            let body = json!({"Image": "busybox", "HostConfig": {"IpcMode": join(donor)}});
            let id =
                expect(&side, "/containers/create", &body, 201, "")["Id"].as_str().expect("an id").to_owned();
            let (answer, said) = side.api("POST", &format!("/containers/{id}/start"), "");
            assert_eq!((answer, message(&said)), (status, words), "{}", side.who);
            clean(&side, &[&id], &[]);
        };
        let id = |name: &str| inspect(&side, "container", name)["Id"].as_str().expect("an id").to_owned();
        let words = format!(
            "failed to join IPC namespace: container {}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
            id(&private)
        );
        start(&private, 400, &words);
        // The container that has joined keeps the content; the next run begins empty.
        side.docker(&["stop", "-t", "0", &name]).ok();
        assert_eq!(side.docker(&["exec", &joined, "cat", "/dev/shm/x"]).ok(), "hi", "{}", side.who);
        start(&name, 409, &format!("failed to join IPC namespace: container {} is not running", id(&name)));
        clean(&side, &[&private, &name, &joined], &[]);
    }
}

#[test]
fn a_network_is_shared_through_others() {
    let node = Node::start();
    for side in sides(&node) {
        let first = run(&side, "first", &["--hostname", "h1"]);
        let second = run(&side, "second", &["--network", &format!("container:{first}")]);
        let script = "readlink /proc/self/ns/net; tail -1 /etc/hosts | cut -f2; cat /etc/hostname";
        let seen = output(&side, &["--network", &format!("container:{second}")], script);
        let own = side.docker(&["exec", &first, "readlink", "/proc/self/ns/net"]).ok();
        assert_eq!(seen, format!("{own}\nh1\nh1"), "{}", side.who);
        side.docker(&["stop", "-t", "0", &second]).ok();
        let third = side.name("third");
        side.docker(&["create", "--name", &third, "--network", &format!("container:{second}"), "busybox"])
            .ok();
        let (status, said) = side.api("POST", &format!("/containers/{third}/start"), "");
        let words =
            format!("cannot join network namespace of a non running container: container {second} is exited");
        assert_eq!((status, message(&said)), (409, words.as_str()), "{}", side.who);
        for (host, more, what) in [
            (json!({}), json!({"Hostname": "x"}), "hostname and the network mode"),
            (json!({"Dns": ["1.1.1.1"]}), json!({}), "dns and the network mode"),
            (
                json!({"ExtraHosts": ["a:1.1.1.1"]}),
                json!({}),
                "custom host-to-IP mapping and the network mode",
            ),
            (
                json!({}),
                json!({"ExposedPorts": {"80/tcp": {}}}),
                "port exposing and the container type network mode",
            ),
            (
                json!({"PublishAllPorts": true}),
                json!({}),
                "port publishing and the container type network mode",
            ),
        ] {
            let mut host = host;
            host["NetworkMode"] = json!(format!("container:{first}"));
            let mut body = json!({"Image": "busybox", "HostConfig": host});
            body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            expect(&side, "/containers/create", &body, 400, &format!("conflicting options: {what}"));
        }
        clean(&side, &[&third, &second, &first], &[]);
    }
}

//! Attaching: what arrives at once, and what is refused.

use gantry_tests::{Node, sides};

/// A frame of Docker's multiplexed stream.
fn frame(stream: u8, text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).expect("short").to_be_bytes();
    [&[stream, 0, 0, 0], &length[..], text.as_bytes()].concat()
}

#[test]
fn what_is_asked_for_is_what_comes() {
    let node = Node::start();
    for side in sides(&node) {
        let (ended, fresh) = (side.name("ended"), side.name("fresh"));
        let script = "echo out; sleep 0.2; echo err >&2";
        side.docker(&["run", "--name", &ended, "busybox", "sh", "-c", script]).ok();
        side.docker(&["create", "--name", &fresh, "busybox", "true"]).ok();
        let (out, err) = (frame(1, "out\n"), frame(2, "err\n"));
        for (name, query, status, body) in [
            (&ended, "logs=1&stdout=1&stderr=1", "101", [&out[..], &err].concat()),
            (&ended, "logs=1&stdout=1", "101", out.clone()),
            (&ended, "logs=true&stderr=True", "101", err.clone()),
            (&ended, "logs=1", "101", Vec::new()),
            (&ended, "logs=0&stdout=1&stderr=1", "101", Vec::new()),
            (&fresh, "logs=1&stdout=1&stderr=1", "101", Vec::new()),
            (&ended, "logs=1&stdout=1&detachKeys=ctrl-a,b", "101", out.clone()),
        ] {
            let answer = side.hijacked(&format!("/containers/{name}/attach?{query}"), "");
            let got = String::from_utf8_lossy(&answer.body);
            let first = answer.head.lines().next().unwrap_or_default();
            assert!(first.contains(status), "{}: {query}: {}", side.who, answer.head);
            assert_eq!(answer.body, body, "{}: {query}: {got}", side.who);
        }
        for (name, query, status, words) in [
            (ended.as_str(), "detachKeys=bad", 400, "Invalid detach keys (bad) provided"),
            ("nosuch", "logs=1", 404, "No such container: nosuch"),
        ] {
            let (got, said) = side.api("POST", &format!("/containers/{name}/attach?{query}"), "");
            let said = said.as_str().map_or_else(|| said["message"].to_string(), str::to_owned);
            assert!(got == status && said.contains(words), "{}: {query}: {got} {said}", side.who);
        }
        side.docker(&["rm", &ended, &fresh]).ok();
    }
}

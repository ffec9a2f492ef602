//! Following a log over its rotations.

use gantry_tests::{Node, sides};

#[test]
fn a_follower_gets_each_line_of_a_log_of_one_file() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("rotated");
        let options = ["--log-opt", "max-size=1k", "--log-opt", "max-file=1"];
        let script = "for i in $(seq 1 60); do echo line $i; usleep 50000; done";
        side.docker(
            &[&["run", "-d", "--name", &name], &options[..], &["busybox", "sh", "-c", script]].concat(),
        )
        .ok();
        let lines: Vec<String> = (1..=60).map(|number| format!("line {number}")).collect();
        assert_eq!(side.docker(&["logs", "-f", &name]).ok(), lines.join("\n"), "{}", side.who);
        side.docker(&["rm", &name]).ok();
    }
}

//! Programs that cannot be started: their exit codes.

use gantry_tests::{Node, sides};

#[test]
fn what_cannot_be_run_says_why() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("host");
        side.docker(&["run", "-d", "--name", &name, "busybox", "sleep", "1000"]).ok();
        for (program, code, words) in [
            ("/tmp", 126, "exec: \"/tmp\": is a directory: permission denied"),
            ("./tmp", 126, "exec: \"./tmp\": is a directory: permission denied"),
            ("/", 126, "exec: \"/\": is a directory: permission denied"),
            ("/etc/hostname", 126, "exec: \"/etc/hostname\": permission denied"),
            ("/nosuch", 127, "exec: \"/nosuch\": stat /nosuch: no such file or directory"),
            ("nosuch", 127, "exec: \"nosuch\": executable file not found in $PATH"),
            ("", 127, "exec: \"\": executable file not found in $PATH"),
        ] {
            let said = side.docker(&["run", "--rm", "busybox", program]).fails(code);
            assert!(said.contains(words), "{}: run {program}: {said}", side.who);
            let said = side.docker(&["exec", &name, program]);
            assert_eq!(said.code, code, "{}: exec {program}: {said:?}", side.who);
            assert!(format!("{}{}", said.stdout, said.stderr).contains(words), "{}: {said:?}", side.who);
        }
        side.docker(&["rm", "-f", &name]).ok();
    }
}

//! docker-py; its tests are in `docker_py.py`.

use std::process::Command;

use gantry_tests::{Node, Outcome};

#[test]
fn docker_py_is_content() {
    let node = Node::start();
    let mut command = Command::new("/usr/bin/python3");
    command
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/docker_py.py"))
        .env("DOCKER_HOST", format!("unix://{}", node.socket("docker.sock").display()))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Outcome::of(command, b"").ok();
}

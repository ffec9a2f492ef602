//! AppArmor on a host without it: the profile is shown until the start, and confines no process. (tests/vm has a host
//! with AppArmor.)

use gantry_tests::{Node, sides};

#[test]
fn a_profile_is_not_needed_where_there_is_no_apparmor() {
    let enabled = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    if enabled.is_ok_and(|text| text.starts_with('Y')) {
        return;
    }
    let node = Node::start();
    for side in sides(&node) {
        let who = side.who;
        let name = side.name("profile");
        side.docker(&["create", "--name", &name, "--security-opt", "apparmor=nosuch", "busybox", "true"])
            .ok();
        let shown = || side.docker(&["inspect", "--format", "[{{.AppArmorProfile}}]", &name]).ok();
        assert_eq!(shown(), "[nosuch]", "{who}");
        side.docker(&["start", "--attach", &name]).ok();
        assert_eq!(shown(), "[]", "{who}");
        side.docker(&["rm", &name]).ok();
        let options = side.docker(&["info", "--format", "{{.SecurityOptions}}"]).ok();
        assert!(!options.contains("apparmor"), "{who}: {options}");
    }
}

//! Failpoints: their names follow the rule, and only test builds have them.

use std::process::Command;

use gantry_tests::points;
use serde_json::Value;

#[test]
fn each_has_a_name_of_its_own_that_says_where_it_is() {
    let all = points::all();
    assert!(all.len() > 40, "only {} were found", all.len());
    for (one, next) in all.iter().zip(all.iter().skip(1)) {
        assert_ne!(one.name, next.name);
    }
    for point in &all {
        let parts: Vec<&str> = point.name.split('.').collect();
        let plain =
            parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
        assert!(parts.len() == 3 && plain, "{} is not service.operation.moment", point.name);
        let at_home = point.file.iter().any(|part| part == point.service());
        assert!(at_home, "{} is in {}", point.name, point.file.display());
    }
}

/// A dependency that enables them would enable them in every build that has the dependency; so would a default
/// feature.
#[test]
fn they_are_off_unless_asked_for_by_name() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut doors = Vec::new();
    for package in list(&metadata["packages"]) {
        let name = text(&package["name"]);
        for dependency in list(&package["dependencies"]) {
            let switched = list(&dependency["features"]).iter().any(|feature| feature == "enabled");
            assert!(dependency["name"] != "gantry-failpoint" || !switched, "{name} switches them on");
        }
        for (feature, implied) in package["features"].as_object().into_iter().flatten() {
            let implied: Vec<String> = list(implied).iter().map(text).collect();
            if implied.iter().any(|one| one == "gantry-failpoint/enabled") {
                doors.push(format!("{name}/{feature}"));
            }
            let asked = implied.iter().any(|one| one == "failpoints" || one.ends_with("/failpoints"));
            assert!(!asked, "{name}/{feature} brings them along");
        }
    }
    doors.sort();
    assert_eq!(doors, ["gantry-shim/failpoints", "gantryd/failpoints"]);
}

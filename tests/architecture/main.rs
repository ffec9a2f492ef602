//! Which crate may depend on which: `cargo metadata` compared with the tables here. And what the systemd units allow.

mod dependencies;
mod engine;
mod failpoints;
mod units;
mod unsafe_code;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The libraries, and the libraries that each may depend on.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("gantry-types", &[]),
    ("gantry-proto", &[]),
    ("gantry-failpoint", &[]),
    ("gantry-host", &[]),
    ("gantry-rooted", &["gantry-host"]),
    ("gantry-mount", &["gantry-host", "gantry-rooted"]),
    ("gantry-cgroup", &["gantry-systemd"]),
    ("gantry-ttrpc", &[]),
    ("gantry-descriptor", &[]),
    ("gantry-netlink", &[]),
    ("gantry-archive", &["gantry-rooted", "gantry-types"]),
    ("gantry-tls", &[]),
    ("gantry-distribution", &["gantry-rpc", "gantry-tls", "gantry-types"]),
    ("gantry-systemd", &[]),
    ("gantry-spec", &["gantry-host", "gantry-systemd"]),
    ("gantry-disk", &["gantry-types"]),
    ("gantry-rpc", &["gantry-types"]),
    ("gantry-http", &["gantry-rpc"]),
    ("gantry-daemon", &["gantry-descriptor", "gantry-host", "gantry-proto", "gantry-rpc", "gantry-types"]),
    ("gantry-records", &["gantry-disk", "gantry-proto", "gantry-rpc"]),
    ("gantry-docker", &["gantry-api", "gantry-types"]),
    ("gantry-plugin", &["gantry-rpc", "gantry-tls"]),
    ("gantry-api", &["gantry-descriptor", "gantry-proto", "gantry-rpc", "gantry-types"]),
];

/// Crates for tests only, and what they may depend on. No other crate links them.
const FOR_TESTS: &[(&str, &[&str])] = &[
    (
        "gantry-fakes",
        &["gantry-api", "gantry-archive", "gantry-docker", "gantry-proto", "gantry-rpc", "gantry-types"],
    ),
    ("gantry-contract", &["gantry-api", "gantry-archive", "gantry-proto", "gantry-rpc", "gantry-types"]),
];

/// The plugin SDK, and the libraries that it may depend on.
const SDK: (&str, &[&str]) = ("gantry-plugin-sdk", &["gantry-http", "gantry-plugin"]);

/// The plugins; each depends on the SDK only.
const PLUGINS: &[&str] = &["gantry-log-otlp", "gantry-volume-dir"];

/// The crates that depend on libraries and never on each other: the services, and the other programs.
fn leaves() -> impl Iterator<Item = String> {
    gantry_descriptor::names().chain(["shim", "ctl"]).map(|name| format!("gantry-{name}"))
}

/// Each package of the workspace with the packages that it links.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .output()
        .expect("cargo runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|package| {
            let linked = package["dependencies"].as_array().expect("dependencies").iter();
            let linked = linked.filter(|one| one["kind"].is_null()).map(|one| text(&one["name"]));
            (text(&package["name"]), linked.collect())
        })
        .collect()
}

fn ours(dependencies: &BTreeSet<String>) -> impl Iterator<Item = &str> {
    dependencies.iter().map(String::as_str).filter(|name| name.starts_with("gantry"))
}

#[test]
fn libraries_keep_their_directions() {
    let all = dependencies();
    for (library, allowed) in LIBRARIES.iter().chain(FOR_TESTS).chain([&SDK]) {
        for used in ours(&all[*library]) {
            assert!(allowed.contains(&used), "{library} must not depend on {used}");
        }
    }
}

#[test]
fn services_never_depend_on_each_other() {
    let all = dependencies();
    for leaf in leaves() {
        for used in ours(&all[&leaf]) {
            assert!(
                LIBRARIES.iter().any(|(library, _)| *library == used),
                "{leaf} must not depend on {used}"
            );
        }
    }
}

#[test]
fn plugins_are_built_with_the_sdk_alone() {
    let all = dependencies();
    for plugin in PLUGINS {
        assert_eq!(ours(&all[*plugin]).collect::<Vec<_>>(), [SDK.0], "{plugin}");
    }
}

#[test]
fn nothing_links_what_is_for_tests() {
    for (package, used) in dependencies() {
        for (banned, _) in FOR_TESTS {
            assert!(!used.contains(*banned), "{package} must name {banned} for its tests alone");
        }
    }
}

#[test]
fn kernel_and_wire_stay_where_they_belong() {
    let all = dependencies();
    for (package, banned) in [
        ("gantry-types", &["tokio", "tonic", "rustix", "nix", "libc"][..]),
        ("gantry-host", &["tokio", "tonic", "prost"]),
        ("gantry-rooted", &["tokio", "tonic", "prost"]),
        ("gantry-mount", &["tokio", "tonic", "prost"]),
        ("gantry-cgroup", &["tokio", "tonic", "prost"]),
        ("gantry-netlink", &["tonic", "prost"]),
        ("gantry-systemd", &["tokio", "tonic", "prost", "zbus"]),
        ("gantry-spec", &["tokio", "tonic", "prost"]),
        ("gantry-disk", &["tonic"]),
        // What the wire looks like is the promises' alone.
        ("gantry-docker", &["gantry-proto"]),
        ("gantry-engine", &["gantry-proto"]),
        ("gantry-gateway", &["gantry-proto"]),
        ("gantry-shim", &["rocksdb", "rustls", "reqwest", "axum"]),
    ] {
        for name in banned {
            assert!(!all[package].contains(*name), "{package} must not depend on {name}");
        }
    }
}

#[test]
fn every_package_has_its_row() {
    let libraries = LIBRARIES.iter().chain(FOR_TESTS).map(|(name, _)| (*name).to_owned());
    let plugins = PLUGINS.iter().chain([&SDK.0]).map(|name| (*name).to_owned());
    let known: BTreeSet<_> = libraries.chain(leaves()).chain(plugins).collect();
    for package in dependencies().keys() {
        let free = ["gantryd", "gantry-tests", "gantry-fuzz"].contains(&package.as_str());
        assert!(free || known.contains(package), "{package} has no row in this test");
    }
}

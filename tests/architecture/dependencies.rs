//! The rules of `deny.toml` about linked crates: licences, duplicates, and banned crates.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// The crates that are linked into the binaries or build them, on the supported platform.
struct Linked {
    /// By package id.
    packages: BTreeMap<String, Value>,
}

impl Linked {
    fn read() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version=1", "--offline", "--locked"])
            .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let by_id = |list: &Value| -> BTreeMap<String, Value> {
            let all = list.as_array().into_iter().flatten();
            all.map(|one| (text(&one["id"]), one.clone())).collect()
        };
        let (nodes, mut packages) = (by_id(&metadata["resolve"]["nodes"]), by_id(&metadata["packages"]));
        let mut open: Vec<String> =
            metadata["workspace_members"].as_array().expect("members").iter().map(text).collect();
        let mut reached = BTreeSet::new();
        while let Some(id) = open.pop() {
            if !reached.insert(id.clone()) {
                continue;
            }
            let dependencies = nodes[&id]["deps"].as_array().into_iter().flatten();
            let linked = dependencies.filter(|one| {
                let kinds = one["dep_kinds"].as_array().into_iter().flatten();
                kinds.map(|kind| &kind["kind"]).any(|kind| kind.is_null() || kind == "build")
            });
            open.extend(linked.map(|one| text(&one["pkg"])));
        }
        packages.retain(|id, _| reached.contains(id));
        Self { packages }
    }

    /// The name and version of each crate.
    fn versions(&self) -> BTreeSet<(String, String)> {
        self.packages.values().map(|one| (text(&one["name"]), text(&one["version"]))).collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn rules() -> toml::Table {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deny.toml");
    std::fs::read_to_string(path).expect("deny.toml").parse().expect("TOML")
}

/// The values of `key` in the tables of an array.
fn each<'a>(tables: &'a toml::Value, key: &'a str) -> impl Iterator<Item = &'a str> {
    tables.as_array().into_iter().flatten().filter_map(move |table| table[key].as_str())
}

/// Whether a licence expression (SPDX, or the older form with slashes) is allowed.
fn is_allowed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let expression = expression.replace(['(', ')'], "").replace('/', " OR ");
    // Every part of a conjunction, or any part of an alternative, must be allowed. `AND` binds closer, and no crate
    // nests deeper.
    let parts = |part: &str| part.split(" AND ").all(|one| allowed.contains(one.trim()));
    expression.split(" OR ").any(parts)
        || expression.split(" AND ").all(|part| part.split(" OR ").any(|one| allowed.contains(one.trim())))
}

#[test]
fn every_licence_is_one_that_we_take() {
    let rules = rules();
    let allowed: BTreeSet<&str> = rules["licenses"]["allow"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(toml::Value::as_str)
        .collect();
    let clarified: BTreeMap<&str, &str> = each(&rules["licenses"]["clarify"], "crate")
        .zip(each(&rules["licenses"]["clarify"], "expression"))
        .collect();
    for package in Linked::read().packages.values() {
        let name = text(&package["name"]);
        let licence =
            clarified.get(name.as_str()).map_or_else(|| text(&package["license"]), |it| (*it).into());
        assert!(is_allowed(&licence, &allowed), "{name} is licensed under {licence:?}");
    }
}

#[test]
fn what_comes_twice_is_known() {
    let rules = rules();
    let mut skipped: BTreeSet<String> = each(&rules["bans"]["skip"], "crate").map(str::to_owned).collect();
    let mut newest = BTreeMap::<String, Vec<String>>::new();
    for (name, version) in Linked::read().versions() {
        newest.entry(name).or_default().push(version);
    }
    for (name, versions) in newest.iter().filter(|(_, versions)| versions.len() > 1) {
        let known = versions.iter().filter(|version| skipped.remove(&format!("{name}@{version}"))).count();
        assert!(known + 1 >= versions.len(), "{name} comes in the versions {versions:?}");
    }
    assert!(skipped.is_empty(), "deny.toml skips what comes once or not at all: {skipped:?}");
}

#[test]
fn what_is_banned_does_not_come() {
    let rules = rules();
    let linked: BTreeSet<String> = Linked::read().versions().into_iter().map(|(name, _)| name).collect();
    for banned in each(&rules["bans"]["deny"], "crate") {
        assert!(!linked.contains(banned), "{banned} is linked");
    }
}

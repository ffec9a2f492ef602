//! The engine's verbs take the parts that they need: only the edge of the service names the whole engine.

use std::path::Path;

use crate::unsafe_code::sources;

/// The files and folders of `services/engine/src` that may name it.
const EDGE: &[&str] = &["engine.rs", "verbs.rs", "app.rs", "data.rs", "server.rs", "server"];

/// Whether a line of Rust has the type's name, or a path into its module. A trait of another crate has the same name.
fn names_it(line: &str) -> bool {
    let mut words = line.split(|sign: char| !(sign.is_alphanumeric() || sign == '_'));
    let code = !line.trim_start().starts_with("//") && !line.contains("base64::Engine");
    code && (words.any(|word| word == "Engine") || line.contains("crate::engine"))
}

#[test]
fn only_its_edge_names_the_whole_engine() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let source = root.join("services/engine/src");
    let mut files = Vec::new();
    sources(&source, &mut files);
    let mut edge = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a source");
        let Some((number, line)) = text.lines().enumerate().find(|(_, line)| names_it(line)) else {
            continue;
        };
        let within = file.strip_prefix(&source).expect("below");
        let allowed = EDGE.iter().any(|part| within.starts_with(part));
        assert!(allowed, "{}:{} names the engine: {line}", within.display(), number + 1);
        edge += 1;
    }
    assert!(edge > EDGE.len(), "only {edge} files name it: this test reads the wrong ones");
}

#[test]
fn its_name_is_told_from_others() {
    for (line, named) in [
        ("impl Engine {", true),
        ("use crate::engine::{self, Shared};", true),
        ("    engine: &Engine,", true),
        ("/// Starts the `Engine`.", false),
        ("use base64::Engine;", false),
        ("use gantry_api::engine::Status;", false),
        ("struct EngineRecord;", false),
    ] {
        assert_eq!(names_it(line), named, "{line}");
    }
}

//! The points at which services can be made to fail (`gantry-failpoint`), as the sources have them.

use std::path::{Path, PathBuf};

/// One point.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// Service, operation, and what has just been done.
    pub name: String,
    /// Whether its function can fail, so that the point may be ordered to.
    pub fallible: bool,
    /// Where it stands, below the workspace.
    pub file: PathBuf,
}

impl Point {
    /// The service, or `shim`.
    pub fn service(&self) -> &str {
        self.name.split('.').next().unwrap_or_default()
    }
}

/// All points of the services and the shim, by name.
pub fn all() -> Vec<Point> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut points = Vec::new();
    let services = std::fs::read_dir(root.join("services")).expect("a folder").flatten();
    let folders = services.map(|entry| entry.path()).filter(|path| !path.ends_with("lib"));
    for folder in folders.chain([root.join("shim")]) {
        read(root, &folder.join("src"), &mut points);
    }
    points.sort();
    points
}

fn read(root: &Path, folder: &Path, points: &mut Vec<Point>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources").flatten() {
        let path = entry.path();
        if path.is_dir() {
            read(root, &path, points);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source");
            let file = path.strip_prefix(root).expect("below").to_owned();
            for rest in text.split("failpoint!(\"").skip(1) {
                let (name, rest) = rest.split_once('"').expect("a literal ends");
                points.push(Point {
                    name: name.to_owned(),
                    fallible: rest.starts_with(')'),
                    file: file.clone(),
                });
            }
        }
    }
}

//! The failpoints (`gantry-failpoint`) in the sources, and orders for them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A failpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// Its name: the service, the operation, and the step before it.
    pub name: String,
    /// Whether its function can return an error.
    pub fallible: bool,
    /// The source file, relative to the workspace.
    pub file: PathBuf,
}

impl Point {
    /// The service, or `shim`.
    pub fn service(&self) -> &str {
        self.name.split('.').next().unwrap_or_default()
    }
}

/// The orders for the failpoints of a node: files in a directory that all its services read.
#[derive(Debug, Clone)]
pub struct Orders(PathBuf);

impl Orders {
    /// The environment variable that names the directory.
    pub const VARIABLE: &'static str = "GANTRY_FAILPOINTS";

    /// The orders of the node with this root. The first order makes the directory.
    pub fn below(root: &Path) -> Self {
        Self(root.join("run/failpoints"))
    }

    /// The directory.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Orders a point: `kill`, `error` or `delay 250`, then perhaps `at 3` or `always`.
    pub fn give(&self, point: &str, order: &str) {
        let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
        fs::create_dir_all(&self.0).and_then(|()| open(&self.0, 0o777)).expect("a folder for everybody");
        // Renamed when it is complete: a point panics on an order that does not parse.
        let (path, new) = (self.0.join(point), self.0.join(format!(".{point}")));
        fs::write(&new, order).and_then(|()| open(&new, 0o666)).expect("an order");
        fs::rename(new, path).expect("an order");
    }

    /// Whether a point has carried out its order.
    pub fn was_reached(&self, point: &str) -> bool {
        self.0.join(format!("{point}.reached")).exists()
    }

    /// The points that have carried out their orders.
    pub fn reached(&self) -> Vec<String> {
        let names = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter_map(|name| name.strip_suffix(".reached").map(str::to_owned)).collect()
    }

    /// Removes all orders, and the marks of the reached points.
    pub fn withdraw(&self) {
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            // The point may be carrying it out.
            let _ = fs::remove_file(entry.path());
        }
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

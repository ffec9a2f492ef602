//! Mounts of a part of a directory. Containers may write to the directory, so the helper looks the part up without
//! leaving the directory, and mounts the file that it has opened, never a name.

use std::fs;
use std::path::Path;

use gantry_mount::{Recursive, attach, clone_at};
use gantry_rooted::{EntryKind, Root, kind_of};
use serde_json::{Value, json};

use super::Failure;
use super::launch::words_of;

/// The mount option with the path of the part, relative to the mount's source.
const OPTION: &str = "x-gantry.subpath=";

/// Mounts each such part inside the bundle, and makes that the mount's source.
pub fn pin(spec: &mut Value, bundle: &Path) -> Result<(), Failure> {
    let mounts = spec.get_mut("mounts").and_then(Value::as_array_mut).into_iter().flatten();
    for (number, mount) in mounts.enumerate() {
        let Some(part) = take(mount) else { continue };
        let source = mount.get("source").and_then(Value::as_str).unwrap_or_default();
        let place = bundle.join("subpaths").join(number.to_string());
        mount_part(Path::new(source), &part, &place)
            .map_err(|reason| format!("cannot access path {source}/{part}: {reason}"))?;
        mount["source"] = json!(place);
    }
    Ok(())
}

/// Takes the option out of a mount. Returns its value.
fn take(mount: &mut Value) -> Option<String> {
    let options = mount.get_mut("options")?.as_array_mut()?;
    let at =
        options.iter().position(|option| option.as_str().is_some_and(|text| text.starts_with(OPTION)))?;
    options.remove(at).as_str().map(|text| text[OPTION.len()..].to_string())
}

fn mount_part(source: &Path, part: &str, place: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| error.to_string().to_lowercase();
    let refused = |error: gantry_rooted::Error| words_of(&error);
    let inside =
        Root::open_path(source).and_then(|base| base.open_beneath(Path::new(part))).map_err(refused)?;
    let tree = clone_at(&inside, Recursive::Yes).map_err(refused)?;
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    match kind_of(&inside).map_err(refused)? {
        EntryKind::Directory => fs::create_dir_all(place).map_err(failed)?,
        _ => drop(fs::File::create(place).map_err(failed)?),
    }
    attach(&tree, place).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_taken_out() {
        let mut mount = json!({"source": "/v", "options": ["rbind", "x-gantry.subpath=a/b=c,d", "ro"]});
        assert_eq!(take(&mut mount), Some("a/b=c,d".into()));
        assert_eq!(mount["options"], json!(["rbind", "ro"]));
        assert_eq!(take(&mut mount), None);
    }
}

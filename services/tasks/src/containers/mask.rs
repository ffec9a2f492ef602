//! The update mask of containers: `labels[.k]`, `spec`, `extensions[.k]`, `image`, `snapshotkey`. An empty mask means
//! all of them.

use gantry_proto::containerd::services::containers::v1::Container;
use gantry_types::{Error as Argument, Labels};

use crate::error::Error;

const EVERYTHING: [&str; 5] = ["labels", "spec", "extensions", "image", "snapshotkey"];

/// The stored record, with the fields that the mask names replaced by those of the update.
pub fn apply(mut stored: Container, update: Container, mask: &[String]) -> Result<Container, Error> {
    let paths: Vec<&str> = if mask.is_empty() {
        unchanged(&stored, &update)?;
        EVERYTHING.to_vec()
    } else {
        mask.iter().map(String::as_str).collect()
    };
    for path in paths {
        apply_path(&mut stored, &update, path)?;
    }
    Ok(stored)
}

fn unchanged(stored: &Container, update: &Container) -> Result<(), Error> {
    let name = |container: &Container| {
        container.runtime.as_ref().map(|runtime| runtime.name.clone()).unwrap_or_default()
    };
    let changed = if stored.snapshotter != update.snapshotter {
        "snapshotter"
    } else if name(stored) != name(update) {
        "runtime.name"
    } else {
        return Ok(());
    };
    Err(Error::InvalidContainer { id: stored.id.clone(), reason: format!("{changed} cannot change") })
}

fn apply_path(stored: &mut Container, update: &Container, path: &str) -> Result<(), Error> {
    match path {
        "spec" => stored.spec = update.spec.clone(),
        "image" => stored.image = update.image.clone(),
        "snapshotkey" => stored.snapshot_key = update.snapshot_key.clone(),
        "extensions" => stored.extensions = update.extensions.clone(),
        path => {
            if let Some(key) = path.strip_prefix("extensions.") {
                match update.extensions.get(key) {
                    Some(value) => stored.extensions.insert(key.to_owned(), value.clone()),
                    None => stored.extensions.remove(key),
                };
                return Ok(());
            }
            let mut labels = Labels::from(std::mem::take(&mut stored.labels));
            let applied = labels.apply_path(&Labels::from(update.labels.clone()), path);
            stored.labels = labels.into();
            if !applied {
                return Err(Argument::UpdateMask { path: path.to_owned() }.into());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_proto::containerd::services::containers::v1::container::Runtime;

    fn container(image: &str, label: &str) -> Container {
        let runtime = Some(Runtime { name: "io.containerd.gantry.v2".into(), options: None });
        let labels = [("l".to_owned(), label.to_owned())].into();
        Container { id: "c".into(), image: image.into(), labels, runtime, ..Default::default() }
    }

    #[test]
    fn a_mask_changes_what_it_names() {
        let one = apply(container("a", "1"), container("b", "2"), &["labels.l".into()]).unwrap();
        assert_eq!((one.image.as_str(), one.labels["l"].as_str()), ("a", "2"));
        let all = apply(container("a", "1"), container("b", ""), &[]).unwrap();
        assert_eq!((all.image.as_str(), all.labels.len()), ("b", 0));
        assert!(apply(container("a", "1"), container("b", "2"), &["created_at".into()]).is_err());
    }

    #[test]
    fn snapshotter_and_runtime_stay() {
        let mut update = container("a", "1");
        update.snapshotter = "native".into();
        assert!(matches!(
            apply(container("a", "1"), update.clone(), &[]),
            Err(Error::InvalidContainer { .. })
        ));
        assert!(apply(container("a", "1"), update, &["image".into()]).is_ok());
    }
}

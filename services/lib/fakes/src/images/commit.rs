//! Makes images from containers: the parent's layers, and one that names the container's root.

use gantry_api::images::{Commit, CommitSpec};
use gantry_rpc::Code;
use gantry_types::{Descriptor, Digest, Namespace, media_type};
use serde_json::{Value, json};

use super::{Images, documents};
use crate::Refused;

/// The instructions that change an image's configuration. Only labels are interpreted here.
const INSTRUCTIONS: [&str; 11] = [
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

fn odd(object: impl ToString, reason: &'static str) -> Refused {
    Refused::new(Code::InvalidArgument, object, reason)
}

/// The configuration of the image.
fn config_of(spec: &CommitSpec) -> Result<Value, Refused> {
    let mut config: Value =
        serde_json::from_slice(&spec.config_json).map_err(|_| odd("config", "no JSON"))?;
    for change in &spec.changes {
        let (word, rest) = change.split_once(' ').unwrap_or((change, ""));
        if !INSTRUCTIONS.contains(&word.to_ascii_uppercase().as_str()) {
            return Err(odd(change, "no instruction that changes an image"));
        }
        if let (true, Some((key, value))) = (word.eq_ignore_ascii_case("LABEL"), rest.split_once('=')) {
            config["Labels"][key] = value.into();
        }
    }
    Ok(config)
}

impl Images {
    fn put(&self, namespace: &Namespace, media_type: &str, document: &Value) -> Descriptor {
        let bytes = document.to_string();
        Descriptor::new(media_type, self.content.put(namespace, bytes.as_bytes()), bytes.len() as u64)
    }
}

impl Commit for Images {
    async fn commit_image(&self, namespace: &Namespace, spec: CommitSpec) -> Result<Digest, Refused> {
        if spec.reference.as_ref().is_some_and(|reference| reference.digest().is_some()) {
            return Err(odd(&spec.parent, "a name has no digest"));
        }
        let config = config_of(&spec)?;
        self.find(namespace, &spec.parent)?;
        if !self.state.lock().roots.contains(&spec.snapshot) {
            return Err(Refused::new(Code::NotFound, &spec.snapshot, "no such root"));
        }
        let parent = documents::read(&self.content, namespace, &spec.manifest)?;
        let bytes = format!("of {}", spec.snapshot);
        let digest = self.content.put(namespace, bytes.as_bytes());
        let layer = Descriptor::new(media_type::OCI_LAYER, digest.clone(), bytes.len() as u64);
        let mut about: Value = serde_json::from_slice(&parent.config_json).expect("it was read before");
        about["config"] = config;
        about["created"] = chrono::Utc::now().to_rfc3339().into();
        let diff_ids = parent.layers.iter().map(|layer| layer.diff_id.to_string());
        about["rootfs"]["diff_ids"] = diff_ids.chain([digest.to_string()]).collect();
        let layers: Vec<Descriptor> =
            parent.layers.into_iter().map(|layer| layer.descriptor).chain([layer]).collect();
        let config = self.put(namespace, media_type::OCI_CONFIG, &about);
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers });
        let target = self.put(namespace, media_type::OCI_MANIFEST, &manifest);
        match spec.reference {
            Some(name) => self.point(namespace, &name.with_default_tag().to_string(), &target),
            None => self.state.lock().keep(namespace, &target),
        }
        Ok(target.digest)
    }
}

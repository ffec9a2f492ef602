//! The image store as a transfer names it: which names an image gets, and which platforms of it are meant.

use gantry_proto::containerd::types::{self, transfer as pb};
use gantry_types::{Descriptor, Labels, Namespace, Platform};
use std::collections::BTreeMap;

use crate::document::Entry;
use crate::error::Error;
use crate::names::Names;
use crate::record::Record;

/// By which an archive says what an image of it is called.
pub const IMAGE_NAME: &str = "io.containerd.image.name";
/// By which an OCI layout says so: a tag, or a whole name.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Which platforms of an image are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Platforms(Vec<Platform>);

/// Where one platform of an image is to be unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpack {
    /// What may be unpacked.
    pub platform: Platform,
    /// By which snapshotter; the service's own when none is named.
    pub snapshotter: Option<String>,
}

impl Platforms {
    /// Those of a message; none stand for all.
    pub fn of(messages: &[types::Platform]) -> Self {
        Self(messages.iter().map(platform).collect())
    }

    /// The host's alone.
    pub fn host() -> Self {
        Self(vec![Platform::host()])
    }

    /// All platforms.
    pub fn all() -> Self {
        Self::default()
    }

    /// How well an image's platform fits, the least the best; none when it is not meant.
    pub fn rank(&self, image: Option<&Platform>) -> Option<usize> {
        match image {
            Some(image) if !self.0.is_empty() => {
                let ranks =
                    self.0.iter().enumerate().filter_map(|(at, wanted)| Some((at, wanted.rank(image)?)));
                ranks.min().map(|(at, rank)| at * 100 + rank)
            }
            // A request for all platforms also takes manifests without a platform.
            _ => Some(0),
        }
    }

    /// Whether an entry of an index is meant. Statements about images are no images of a platform.
    pub fn includes(&self, entry: &Entry) -> bool {
        let stated = entry.platform();
        match self.0.is_empty() {
            true => true,
            false => !entry.is_attestation() && self.rank(stated.as_ref()).is_some(),
        }
    }
}

/// The platforms to unpack, with their snapshotters.
pub fn unpacks(store: &pb::ImageStore) -> Vec<Unpack> {
    let unpack = |wanted: &pb::UnpackConfiguration| Unpack {
        platform: wanted.platform.as_ref().map_or_else(Platform::host, platform),
        snapshotter: (!wanted.snapshotter.is_empty()).then(|| wanted.snapshotter.clone()),
    };
    store.unpacks.iter().map(unpack).collect()
}

fn platform(message: &types::Platform) -> Platform {
    Platform::new(&message.os, &message.architecture, &message.variant)
}

/// The names of an image that was fetched, or that an archive as a whole is to have.
pub fn names_of(store: &pb::ImageStore, target: &Descriptor) -> Vec<String> {
    let mut names = Vec::new();
    if !store.name.is_empty() {
        names.push(store.name.clone());
    }
    for reference in store.extra_references.iter().filter(|reference| !reference.is_prefix) {
        names.push(match reference.add_digest {
            true => format!("{}@{}", reference.name, target.digest),
            false => reference.name.clone(),
        });
    }
    names
}

/// The names of an image in an archive, by what the archive says and the prefixes that are asked for.
pub fn names_in_archive(store: &pb::ImageStore, target: &Descriptor) -> Vec<String> {
    let mut names = Vec::new();
    for reference in store.extra_references.iter().filter(|reference| reference.is_prefix) {
        let strict = !reference.allow_overwrite;
        let name = stated_name(&target.annotations, &reference.name, strict);
        let by_digest = format!("{}@{}", reference.name, target.digest);
        let digest_too = reference.add_digest && (name.is_none() || !reference.skip_named_digest);
        names.extend(name);
        if digest_too {
            names.push(by_digest);
        }
    }
    names
}

/// The name that annotations state. One that is whole has to begin with `prefix` when that is `strict`; a tag alone
/// comes behind it.
fn stated_name(annotations: &BTreeMap<String, String>, prefix: &str, strict: bool) -> Option<String> {
    if prefix.is_empty() {
        return None;
    }
    let begins = |name: &str| {
        name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':', '@']))
    };
    let is_whole = |name: &str| name.contains(['/', ':', '@']);
    let text = |key: &str| annotations.get(key).map(String::as_str).filter(|text| !text.is_empty());
    if let Some(name) = text(IMAGE_NAME) {
        return (is_whole(name) && (!strict || begins(name))).then(|| name.to_owned());
    }
    match text(REF_NAME)? {
        name if !is_whole(name) => Some(format!("{prefix}:{name}")),
        name => (!strict || begins(name)).then(|| name.to_owned()),
    }
}

/// Gives an image its names, each of which may have stood for another one.
pub async fn name(
    names: &Names,
    namespace: &Namespace,
    store: &pb::ImageStore,
    target: &Descriptor,
    wanted: &[String],
) -> Result<(), Error> {
    for name in wanted {
        let labels = Labels::from(store.labels.clone()).without_empty();
        names.replace(namespace, Record { labels, ..Record::new(name.clone(), target.clone()) }).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use gantry_types::{Digest, media_type};

    use super::*;

    fn target(annotations: &[(&str, &str)]) -> Descriptor {
        let mut target = Descriptor::new(media_type::OCI_INDEX, Digest::sha256(b"x"), 3);
        target.annotations =
            annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        target
    }

    fn prefix(name: &str, options: &[&str]) -> pb::ImageStore {
        let has = |option| options.contains(&option);
        let reference = pb::ImageReference {
            name: name.into(),
            is_prefix: true,
            allow_overwrite: has("overwrite"),
            add_digest: has("digest"),
            skip_named_digest: has("skip"),
        };
        pb::ImageStore { extra_references: vec![reference], ..Default::default() }
    }

    #[test]
    fn an_archives_image_is_called_as_it_says_or_as_it_is_told() {
        let digest = Digest::sha256(b"x");
        let whole = target(&[(IMAGE_NAME, "host/a/b:1"), (REF_NAME, "1")]);
        let tag = target(&[(REF_NAME, "latest")]);
        let nameless = target(&[]);
        // As ctr asks: any name, or a tag behind a name that it makes up.
        let any = prefix("import-2026-11-29", &["overwrite"]);
        assert_eq!(names_in_archive(&any, &whole), ["host/a/b:1"]);
        assert_eq!(names_in_archive(&any, &tag), ["import-2026-11-29:latest"]);
        assert!(names_in_archive(&any, &nameless).is_empty());
        // With --base-name: only what begins like that.
        assert!(names_in_archive(&prefix("foo/bar", &[]), &whole).is_empty());
        assert_eq!(names_in_archive(&prefix("host/a", &[]), &whole), ["host/a/b:1"]);
        assert!(
            names_in_archive(&prefix("host/a/b", &[]), &target(&[(IMAGE_NAME, "host/a/bc:1")])).is_empty()
        );
        // And with --digests.
        let by_digest = format!("foo/bar@{digest}");
        assert_eq!(
            names_in_archive(&prefix("foo/bar", &["digest"]), &whole),
            std::slice::from_ref(&by_digest)
        );
        assert_eq!(
            names_in_archive(&prefix("foo/bar", &["digest"]), &tag),
            ["foo/bar:latest".to_owned(), by_digest]
        );
        assert_eq!(names_in_archive(&prefix("foo/bar", &["digest", "skip"]), &tag), ["foo/bar:latest"]);
    }

    #[test]
    fn a_fetched_image_has_the_names_that_are_asked_for() {
        let mut store = prefix("p", &["overwrite"]);
        store.name = "n".into();
        store.extra_references.push(pb::ImageReference {
            name: "e".into(),
            add_digest: true,
            ..Default::default()
        });
        let target = target(&[]);
        assert_eq!(names_of(&store, &target), ["n".to_owned(), format!("e@{}", target.digest)]);
    }

    #[test]
    fn platforms_are_ranked_in_the_order_in_which_they_are_named() {
        let message = |architecture: &str| types::Platform {
            os: "linux".into(),
            architecture: architecture.into(),
            ..Default::default()
        };
        let amd64 = Platform::new("linux", "amd64", "");
        let platforms = Platforms::of(&[message("arm64"), message("amd64")]);
        let rank = |platform: &Platform| platforms.rank(Some(platform));
        assert!(rank(&Platform::new("linux", "arm64", "v8")) < rank(&amd64));
        assert_eq!(rank(&Platform::new("linux", "s390x", "")), None);
        assert!(platforms.rank(None).is_some() && Platforms::all().rank(Some(&amd64)).is_some());
    }
}

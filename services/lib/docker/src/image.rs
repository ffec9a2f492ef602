//! Images: their names, and what they take.

use std::collections::{BTreeSet, HashMap};

use gantry_proto::gantry::engine::v1::info_response::ImageUse;
use gantry_proto::gantry::images::v1::remove_request::Use;
use gantry_proto::gantry::images::v1::{Image, Layer};
use gantry_types::Reference;

use crate::Invalid;

/// A name as users write it.
pub fn familiar(canonical: &str) -> String {
    Reference::parse_normalized(canonical)
        .map_or_else(|_| canonical.to_owned(), |reference| reference.familiar())
}

/// A name that an image may be given; `tag` wins over that of the name.
pub fn new_name(name: &str, tag: &str) -> Result<Reference, Invalid> {
    let mut target = Reference::parse_normalized(name).map_err(|error| Invalid::new(error.to_string()))?;
    if target.digest().is_some() {
        return Err(Invalid::new("refusing to create a tag with a digest reference"));
    }
    // `sha256:1` would be the beginning of an id, by which it could not be removed again.
    if target.familiar_name() == "sha256" {
        return Err(Invalid::new("refusing to create an ambiguous tag using digest algorithm as name"));
    }
    if !tag.is_empty() {
        target = target.with_tag(tag).map_err(|_| Invalid::new(format!("invalid tag format: {tag:?}")))?;
    }
    Ok(target.with_default_tag())
}

/// What containers use, for who removes images: one that is used must not go.
pub fn uses(uses: Vec<ImageUse>) -> Vec<Use> {
    let use_of = |one: ImageUse| Use {
        container_id: one.container_id,
        reference: one.reference,
        image_id: one.image_id,
        running: one.running,
    };
    uses.into_iter().map(use_of).collect()
}

/// The size of a layer's blob.
pub fn layer_size(layer: &Layer) -> i64 {
    layer.descriptor.as_ref().map_or(0, |descriptor| descriptor.size)
}

/// What a layer takes on disk: its blob, and what was unpacked of it.
pub fn layer_usage(layer: &Layer) -> i64 {
    layer.unpacked_size.max(0).saturating_add(layer_size(layer))
}

/// What all images take: each layer once, and what an image has beside its layers.
pub fn layers_usage(all: &[Image]) -> i64 {
    let mut seen = BTreeSet::new();
    let layers = all.iter().flat_map(|image| &image.layers);
    let layers: i64 = layers.filter(|layer| seen.insert(layer.diff_id.as_str())).map(layer_usage).sum();
    let documents = |image: &Image| {
        let mut own = BTreeSet::new();
        let layers = image.layers.iter().filter(|layer| own.insert(layer.diff_id.as_str()));
        (image.size - layers.map(layer_usage).sum::<i64>()).max(0)
    };
    layers.saturating_add(all.iter().map(documents).sum())
}

/// How many images have a layer, by its diff-id.
pub fn layer_owners(all: &[Image]) -> HashMap<&str, usize> {
    let mut owners = HashMap::new();
    for of in all {
        let own: BTreeSet<_> = of.layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        for layer in own {
            *owners.entry(layer).or_default() += 1;
        }
    }
    owners
}

/// What an image's layers take that other images have too.
pub fn shared_size(of: &Image, owners: &HashMap<&str, usize>) -> i64 {
    let mut seen = BTreeSet::new();
    of.layers
        .iter()
        .filter(|layer| owners.get(layer.diff_id.as_str()).is_some_and(|count| *count > 1))
        .filter(|layer| seen.insert(layer.diff_id.as_str()))
        .map(layer_usage)
        .sum()
}

#[cfg(test)]
mod tests {
    use gantry_proto::containerd::types::Descriptor;

    use super::*;

    #[test]
    fn what_images_share_is_counted_once_in_each() {
        let layer = |diff_id: &str, unpacked_size| Layer {
            diff_id: diff_id.to_owned(),
            unpacked_size,
            descriptor: Some(Descriptor { size: 10, ..Default::default() }),
        };
        let of = |layers: &[Layer]| Image { layers: layers.to_vec(), size: 1000, ..Default::default() };
        let all = [
            of(&[layer("base", 100), layer("base", 100), layer("a", 7)]),
            of(&[layer("base", 100)]),
            of(&[layer("b", -1), layer("b", -1)]),
        ];
        let owners = layer_owners(&all);
        let shared: Vec<_> = all.iter().map(|of| shared_size(of, &owners)).collect();
        assert_eq!(shared, [110, 110, 0]);
        assert_eq!(layer_usage(&all[2].layers[0]), 10);
        // What is no layer's is the image's own.
        let own = [1000 - 127, 1000 - 110, 1000 - 10];
        assert_eq!(layers_usage(&all), 110 + 17 + 10 + own.iter().sum::<i64>());
    }

    #[test]
    fn names_that_images_may_be_given() {
        let name =
            |name, tag| new_name(name, tag).map(|name| name.to_string()).map_err(|error| error.to_string());
        assert_eq!(name("x", ""), Ok("docker.io/library/x:latest".to_owned()));
        assert_eq!(name("r:5000/x:1", "2"), Ok("r:5000/x:2".to_owned()));
        assert!(name("x", "no tag").unwrap_err().contains("invalid tag format"));
        assert!(name("sha256:1", "").unwrap_err().contains("ambiguous tag"));
        assert!(name(&format!("x@sha256:{}", "a".repeat(64)), "").unwrap_err().contains("digest reference"));
    }
}

//! Images: their names and sizes.

use std::collections::{BTreeSet, HashMap};

use gantry_api::engine::ImageUse;
use gantry_api::images::{Image, Layer, Use};
use gantry_types::{DiffId, Reference};

use crate::Invalid;

/// The familiar form of a name.
pub fn familiar(canonical: &str) -> String {
    Reference::parse_normalized(canonical)
        .map_or_else(|_| canonical.to_owned(), |reference| reference.familiar())
}

/// The new name of an image; `tag` replaces the tag in `name`.
pub fn new_name(name: &str, tag: &str) -> Result<Reference, Invalid> {
    let mut target = Reference::parse_normalized(name).map_err(|error| Invalid::new(error.to_string()))?;
    if target.digest().is_some() {
        return Err(Invalid::new("refusing to create a tag with a digest reference"));
    }
    // `sha256:1` would look like a prefix of an id, and could not be removed again.
    if target.familiar_name() == "sha256" {
        return Err(Invalid::new("refusing to create an ambiguous tag using digest algorithm as name"));
    }
    if !tag.is_empty() {
        target = target.with_tag(tag).map_err(|_| Invalid::new(format!("invalid tag format: {tag:?}")))?;
    }
    Ok(target.with_default_tag())
}

/// The images that containers use, for a removal of images.
pub fn uses(uses: Vec<ImageUse>) -> Vec<Use> {
    let use_of = |one: ImageUse| Use {
        container: one.container_id,
        reference: one.reference,
        image: one.image_id,
        running: one.running,
    };
    uses.into_iter().map(use_of).collect()
}

/// The disk usage of a layer in bytes: its blob and its snapshot.
pub fn layer_usage(layer: &Layer) -> u64 {
    layer.unpacked_size.unwrap_or(0).saturating_add(layer.descriptor.size)
}

/// The disk usage of all images in bytes: each layer once, and the other blobs of each image.
pub fn layers_usage(all: &[Image]) -> u64 {
    let mut seen = BTreeSet::new();
    let layers = all.iter().flat_map(|image| &image.layers);
    let layers: u64 = layers.filter(|layer| seen.insert(&layer.diff_id)).map(layer_usage).sum();
    let documents = |image: &Image| {
        let mut own = BTreeSet::new();
        let layers = image.layers.iter().filter(|layer| own.insert(&layer.diff_id));
        image.size.saturating_sub(layers.map(layer_usage).sum())
    };
    layers.saturating_add(all.iter().map(documents).sum())
}

/// How many images have a layer, by its diff-id.
pub fn layer_owners(all: &[Image]) -> HashMap<&DiffId, usize> {
    let mut owners = HashMap::new();
    for of in all {
        let own: BTreeSet<_> = of.layers.iter().map(|layer| &layer.diff_id).collect();
        for layer in own {
            *owners.entry(layer).or_default() += 1;
        }
    }
    owners
}

/// The size in bytes of an image's layers that other images have too.
pub fn shared_size(of: &Image, owners: &HashMap<&DiffId, usize>) -> u64 {
    let mut seen = BTreeSet::new();
    of.layers
        .iter()
        .filter(|layer| owners.get(&layer.diff_id).is_some_and(|count| *count > 1))
        .filter(|layer| seen.insert(&layer.diff_id))
        .map(layer_usage)
        .sum()
}

#[cfg(test)]
mod tests {
    use gantry_fakes::{image, layer};

    use super::*;

    fn of(layers: &[Layer]) -> Image {
        Image { layers: layers.to_vec(), size: 1000, ..image() }
    }

    #[test]
    fn what_images_share_is_counted_once_in_each() {
        let layer = |text: &str, unpacked_size| layer(text, 10, unpacked_size);
        let all = [
            of(&[layer("base", Some(100)), layer("base", Some(100)), layer("a", Some(7))]),
            of(&[layer("base", Some(100))]),
            of(&[layer("b", None), layer("b", None)]),
        ];
        let owners = layer_owners(&all);
        let shared: Vec<_> = all.iter().map(|of| shared_size(of, &owners)).collect();
        assert_eq!(shared, [110, 110, 0]);
        assert_eq!(layer_usage(&all[2].layers[0]), 10);
        // Blobs that are no layers are the image's own.
        let own = [1000 - 127, 1000 - 110, 1000 - 10];
        assert_eq!(layers_usage(&all), 110 + 17 + 10 + own.iter().sum::<u64>());
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

//! The media types of images.

/// OCI index of manifests for several platforms.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image config.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The two-byte config `{}` of artifacts.
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// OCI layer, plain tar.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// OCI layer, gzip.
pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// OCI layer, zstd.
pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// OCI layer that must not be distributed (deprecated), plain tar; `+gzip` and `+zstd` exist too.
pub const OCI_LAYER_FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar";
/// Docker's index ("manifest list").
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's manifest, version 2 schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's image config.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker's layer, plain tar.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// Docker's layer, gzip.
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// Docker's layer, zstd.
pub const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";
/// Docker's layer that must not be distributed, gzip.
pub const DOCKER_LAYER_FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/// Any bytes: some tools and registries use it for layers and configs.
pub const OCTET_STREAM: &str = "application/octet-stream";

/// The compression of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// None.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// Whether it is a manifest of one image.
pub fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST)
}

/// Whether it is an index of manifests.
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_INDEX)
}

/// Whether it is an image's config.
pub fn is_config(media_type: &str) -> bool {
    matches!(media_type, OCI_CONFIG | DOCKER_CONFIG | OCTET_STREAM)
}

/// Whether it may be a layer; its bytes tell the compression.
pub fn is_layer(media_type: &str) -> bool {
    compression(media_type).is_some() || media_type == OCTET_STREAM
}

/// The compression that a layer's media type names; `None` if it is not a layer's, or the compression is unknown.
pub fn compression(media_type: &str) -> Option<Compression> {
    let rest = [OCI_LAYER, OCI_LAYER_FOREIGN]
        .iter()
        .find_map(|base| media_type.strip_prefix(base))
        .map(|rest| rest.strip_prefix('+').unwrap_or(if rest.is_empty() { "" } else { "?" }))
        .or_else(|| {
            ["application/vnd.docker.image.rootfs.foreign.diff.tar", DOCKER_LAYER]
                .iter()
                .find_map(|base| media_type.strip_prefix(base))
                .map(|rest| rest.strip_prefix('.').unwrap_or(if rest.is_empty() { "" } else { "?" }))
        })?;
    match rest {
        "" => Some(Compression::None),
        "gzip" => Some(Compression::Gzip),
        "zstd" => Some(Compression::Zstd),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_tell_their_compression() {
        for (media_type, expected) in [
            (OCI_LAYER, Some(Compression::None)),
            (OCI_LAYER_GZIP, Some(Compression::Gzip)),
            (OCI_LAYER_ZSTD, Some(Compression::Zstd)),
            (OCI_LAYER_FOREIGN, Some(Compression::None)),
            (DOCKER_LAYER, Some(Compression::None)),
            (DOCKER_LAYER_GZIP, Some(Compression::Gzip)),
            (DOCKER_LAYER_ZSTD, Some(Compression::Zstd)),
            (DOCKER_LAYER_FOREIGN, Some(Compression::Gzip)),
            ("application/vnd.oci.image.layer.v1.tar+brotli", None),
            ("application/vnd.oci.image.layer.v1.tarball", None),
            (OCI_CONFIG, None),
            ("", None),
        ] {
            assert_eq!(compression(media_type), expected, "{media_type}");
            assert_eq!(is_layer(media_type), expected.is_some());
        }
        assert!(is_layer(OCTET_STREAM) && is_config(OCTET_STREAM) && compression(OCTET_STREAM).is_none());
    }

    #[test]
    fn documents_are_told_apart() {
        assert!(is_index(DOCKER_INDEX) && is_index(OCI_INDEX) && !is_index(OCI_MANIFEST));
        assert!(is_manifest(DOCKER_MANIFEST) && is_manifest(OCI_MANIFEST) && !is_manifest(OCI_INDEX));
        assert!(is_config(DOCKER_CONFIG) && is_config(OCI_CONFIG) && !is_config(OCI_EMPTY));
    }
}

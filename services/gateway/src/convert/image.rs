//! Images: rows, inspection, history.

use std::collections::BTreeMap;

use gantry_api::images;
use prost_types::Timestamp;

use crate::moment;
use crate::version::ApiVersion;
use crate::wire::container::{Config, GraphDriver};
use crate::wire::image::{
    Descriptor, History, ImageConfig, ImageDocument, ImageProperties, Inspect, InspectConfig, ManifestSize,
    ManifestSummary, Metadata, Platform, RootFs, Summary, UnpackedSize,
};
use crate::wire::registry::AuthConfig;

pub use gantry_docker::image::familiar;

/// A registry's credentials, for `images`.
pub fn credentials(auth: AuthConfig) -> images::Credentials {
    images::Credentials::of(auth.username, auth.password, auth.identitytoken, auth.registrytoken)
}

/// Bytes as clients read them.
pub fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// A descriptor, for a client.
pub fn descriptor(of: &gantry_types::Descriptor) -> Descriptor {
    Descriptor {
        media_type: of.media_type.clone(),
        digest: of.digest.to_string(),
        size: signed(of.size),
        annotations: of.annotations.clone().into_iter().collect(),
        platform: None,
    }
}

/// A platform, for a client.
pub fn platform(of: &gantry_types::Platform) -> Platform {
    Platform {
        architecture: of.architecture().to_owned(),
        os: of.os().to_owned(),
        os_version: String::new(),
        variant: of.variant().unwrap_or_default().to_owned(),
    }
}

/// Names and digests as users write them. Before API 1.43 Docker wrote placeholders for an image without them.
fn names(of: &images::Image, version: ApiVersion) -> (Vec<String>, Vec<String>) {
    let tags: Vec<_> = of.names.iter().map(|name| familiar(name)).collect();
    let digests: Vec<_> = of.digests.iter().map(|name| familiar(name)).collect();
    if tags.is_empty() && digests.is_empty() && !version.at_least(43) {
        return (vec!["<none>:<none>".to_owned()], vec!["<none>@<none>".to_owned()]);
    }
    (tags, digests)
}

/// What a row shows.
#[derive(Debug, Clone, Copy)]
pub struct RowOptions {
    /// The client's version.
    pub version: ApiVersion,
    /// Whether it lists manifests.
    pub manifests: bool,
    /// How many containers use the image, if the caller has counted them.
    pub containers: Option<i64>,
    /// How many of its bytes other images have too, if the caller has computed it.
    pub shared_size: Option<i64>,
}

/// A row of the list.
pub fn summary(of: &images::Image, options: RowOptions) -> Summary {
    let (repo_tags, repo_digests) = names(of, options.version);
    Summary {
        containers: options.containers.unwrap_or(-1),
        created: moment::unix_seconds(Some(&of.created_at.into())),
        id: of.id().to_string(),
        labels: Some(of.labels.clone().into_iter().collect::<BTreeMap<_, _>>())
            .filter(|labels| !labels.is_empty()),
        parent_id: String::new(),
        descriptor: options.version.at_least(48).then(|| descriptor(&of.target)),
        manifests: if options.manifests && options.version.at_least(47) { manifests(of) } else { Vec::new() },
        repo_digests,
        repo_tags,
        shared_size: options.shared_size.unwrap_or(-1),
        size: signed(of.size),
        virtual_size: (!options.version.at_least(44)).then_some(signed(of.size)),
    }
}

fn manifests(of: &images::Image) -> Vec<ManifestSummary> {
    let unpacked = of.layers.iter().filter_map(|layer| layer.unpacked_size).sum();
    let (content, total) = (signed(of.content_size), signed(of.content_size.saturating_add(unpacked)));
    vec![ManifestSummary {
        id: of.manifest.digest.to_string(),
        descriptor: Descriptor { platform: Some(platform(&of.platform)), ..descriptor(&of.manifest) },
        available: true,
        size: ManifestSize { content, total },
        kind: "image",
        image_data: Some(ImageProperties {
            platform: platform(&of.platform),
            size: UnpackedSize { unpacked: signed(unpacked) },
            containers: Vec::new(),
        }),
    }]
}

/// An image's inspection.
pub fn inspect(of: &images::Image, version: ApiVersion, with_manifests: bool) -> Inspect {
    let (repo_tags, repo_digests) = names(of, version);
    let document = ImageDocument::parse(&of.config_json);
    let comment = document
        .history
        .last()
        .map(|step| step.comment.clone())
        .filter(|comment| !comment.is_empty())
        .unwrap_or(document.comment);
    let config = if version.at_least(50) {
        let config = document.config;
        InspectConfig::Image(Box::new(ImageConfig {
            args_escaped: config.args_escaped,
            cmd: config.cmd,
            entrypoint: config.entrypoint,
            env: config.env,
            exposed_ports: config.exposed_ports,
            healthcheck: config.healthcheck,
            labels: config.labels,
            on_build: config.on_build,
            shell: config.shell,
            stop_signal: config.stop_signal,
            user: config.user,
            volumes: config.volumes,
            working_dir: config.working_dir,
        }))
    } else {
        let config = document.config;
        InspectConfig::Container(Box::new(Config {
            user: config.user,
            exposed_ports: config.exposed_ports,
            env: config.env,
            cmd: config.cmd,
            healthcheck: config.healthcheck,
            args_escaped: config.args_escaped,
            volumes: config.volumes,
            working_dir: config.working_dir,
            entrypoint: config.entrypoint,
            on_build: config.on_build,
            labels: config.labels.unwrap_or_default(),
            stop_signal: config.stop_signal,
            shell: config.shell,
            ..Config::default()
        }))
    };
    Inspect {
        id: of.id().to_string(),
        repo_tags,
        repo_digests,
        parent: String::new(),
        comment,
        created: document.created.unwrap_or_default(),
        docker_version: document.docker_version,
        author: document.author,
        config,
        architecture: document.architecture,
        variant: document.variant,
        os: document.os,
        os_version: document.os_version,
        size: signed(of.size),
        virtual_size: (!version.at_least(44)).then_some(signed(of.size)),
        graph_driver: GraphDriver { data: None, name: "overlayfs".to_owned() },
        root_fs: RootFs {
            kind: if document.rootfs.kind.is_empty() { "layers".to_owned() } else { document.rootfs.kind },
            layers: document.rootfs.diff_ids,
        },
        metadata: Metadata {
            last_tag_time: moment::rfc3339_nano(of.tagged_at.map(Timestamp::from).as_ref()),
        },
        descriptor: version.at_least(48).then(|| descriptor(&of.target)),
        manifests: if with_manifests && version.at_least(48) { manifests(of) } else { Vec::new() },
    }
}

/// The steps that made an image, newest first.
pub fn history(of: &images::Image) -> Vec<History> {
    let document = ImageDocument::parse(&of.config_json);
    let size = |layer: &images::Layer| signed(layer.unpacked_size.unwrap_or(layer.descriptor.size));
    let mut sizes = of.layers.iter().map(size);
    let mut rows: Vec<_> = document
        .history
        .iter()
        .map(|step| History {
            comment: step.comment.clone(),
            created: step.created.as_deref().map_or(0, seconds),
            created_by: step.created_by.clone(),
            id: "<missing>".to_owned(),
            size: if step.empty_layer { 0 } else { sizes.next().unwrap_or(0) },
            tags: None,
        })
        .collect();
    if rows.is_empty() {
        rows = sizes
            .map(|size| History {
                comment: String::new(),
                created: document.created.as_deref().map_or(0, seconds),
                created_by: String::new(),
                id: "<missing>".to_owned(),
                size,
                tags: None,
            })
            .collect();
    }
    rows.reverse();
    if let Some(newest) = rows.first_mut() {
        newest.id = of.id().to_string();
        newest.tags = super::or_null(of.names.iter().map(|name| familiar(name)).collect());
    }
    rows
}

fn seconds(text: &str) -> i64 {
    moment::parse(text, &moment::now()).ok().flatten().map_or(0, |at| at.seconds)
}

#[cfg(test)]
mod tests {
    use gantry_fakes::{image, layer};

    use super::*;

    fn busybox() -> images::Image {
        let config = r#"{"created":"2024-01-02T03:04:05Z","architecture":"amd64","os":"linux",
            "config":{"Cmd":["sh"],"Env":["PATH=/bin"],"Labels":null},
            "rootfs":{"type":"layers","diff_ids":["sha256:d1","sha256:d2"]},
            "history":[{"created":"2024-01-01T00:00:00Z","created_by":"ADD file"},
                       {"created":"2024-01-01T00:00:01Z","created_by":"CMD","empty_layer":true},
                       {"created":"2024-01-02T03:04:05Z","created_by":"COPY x"}]}"#;
        images::Image {
            names: vec!["docker.io/library/busybox:1".into()],
            config_json: config.as_bytes().to_vec().into(),
            layers: vec![layer("one", 10, Some(100)), layer("two", 10, Some(7))],
            size: 500,
            ..image()
        }
    }

    #[test]
    fn history_is_newest_first_and_counts_layers() {
        let (rows, id) = (history(&busybox()), busybox().id().to_string());
        let shown: Vec<_> =
            rows.iter().map(|row| (row.id.as_str(), row.created_by.as_str(), row.size)).collect();
        assert_eq!(
            shown,
            [(id.as_str(), "COPY x", 7), ("<missing>", "CMD", 0), ("<missing>", "ADD file", 100)]
        );
        assert_eq!(rows[0].tags.as_deref(), Some(&["busybox:1".to_owned()][..]));
        assert_eq!(rows[2].created, 1_704_067_200);
    }

    #[test]
    fn keys_follow_the_version() {
        let json = |minor, manifests| {
            serde_json::to_value(inspect(&busybox(), ApiVersion::v1(minor), manifests)).expect("json")
        };
        let new = json(51, false);
        assert_eq!(new["RepoTags"], serde_json::json!(["busybox:1"]));
        assert_eq!(
            new["Config"],
            serde_json::json!({"Cmd": ["sh"], "Entrypoint": null, "Env": ["PATH=/bin"], "Labels": null,
            "OnBuild": null, "User": "", "Volumes": null, "WorkingDir": ""})
        );
        assert!(new.get("VirtualSize").is_none() && new["Descriptor"]["digest"] == busybox().id().as_str());
        let old = json(41, false);
        assert_eq!(old["VirtualSize"], 500);
        assert_eq!(old["Config"]["AttachStdin"], false);
        assert!(old.get("Descriptor").is_none());
    }

    #[test]
    fn an_image_without_names_is_shown_by_version() {
        let dangling = images::Image { names: vec![], ..busybox() };
        let row = |minor| {
            let options = RowOptions {
                version: ApiVersion::v1(minor),
                manifests: false,
                containers: None,
                shared_size: None,
            };
            serde_json::to_value(summary(&dangling, options)).expect("json")
        };
        assert_eq!(row(51)["RepoTags"], serde_json::json!([]));
        assert_eq!(row(42)["RepoTags"], serde_json::json!(["<none>:<none>"]));
        assert_eq!((&row(51)["Containers"], &row(51)["SharedSize"]), (&(-1).into(), &(-1).into()));
    }
}

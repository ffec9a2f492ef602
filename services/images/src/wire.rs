//! Between the service's own types and `gantry.images.v1`.

use std::time::SystemTime;

use gantry_proto::containerd::types;
use gantry_proto::gantry::images::v1 as pb;
use gantry_types::Platform;

use crate::catalog::{Details, Found, Unpacked};
use crate::error::Error;
use crate::moments;
use crate::progress;
use crate::push;
use crate::record;
use gantry_distribution::Credentials;

/// A platform of a request; empty means none.
pub fn platform(text: &str) -> Result<Option<Platform>, Error> {
    match text.trim() {
        "" => Ok(None),
        text => Ok(Some(text.parse()?)),
    }
}

/// A platform for the wire.
pub fn platform_message(platform: &Platform) -> types::Platform {
    types::Platform {
        os: platform.os().to_owned(),
        architecture: platform.architecture().to_owned(),
        variant: platform.variant().unwrap_or_default().to_owned(),
        ..Default::default()
    }
}

/// The credentials of a request, the most specific first.
pub fn credentials(auth: Option<pb::Auth>) -> Credentials {
    match auth.unwrap_or_default() {
        pb::Auth { registry_token, .. } if !registry_token.is_empty() => {
            Credentials::RegistryToken(registry_token)
        }
        pb::Auth { identity_token, .. } if !identity_token.is_empty() => {
            Credentials::IdentityToken(identity_token)
        }
        pb::Auth { username, password, .. } if !username.is_empty() => {
            Credentials::Basic { username, password }
        }
        _ => Credentials::Anonymous,
    }
}

/// An image with all that is known of it.
pub fn image(found: &Found, details: &Details, unpacked: &Unpacked) -> pb::Image {
    let (document, config) = (&details.document, &details.config);
    let sizes = unpacked.sizes.iter().copied().chain(std::iter::repeat(None));
    let layers = document.layers.iter().zip(&config.rootfs.diff_ids).zip(sizes);
    let layers: Vec<pb::Layer> = layers
        .map(|((layer, diff_id), size)| pb::Layer {
            descriptor: Some(record::descriptor(layer)),
            diff_id: diff_id.to_string(),
            unpacked_size: size.map_or(-1, signed),
        })
        .collect();
    let unpacked_size: u64 = unpacked.sizes.iter().flatten().sum();
    let arrived = found.records.iter().map(|record| record.created).min();
    let created = moments::created(config.created.as_deref()).or(arrived).unwrap_or(SystemTime::UNIX_EPOCH);
    let tagged =
        found.records.iter().filter(|record| !record.is_dangling()).map(|record| record.updated).max();
    pb::Image {
        id: found.target.digest.to_string(),
        target: Some(record::descriptor(&found.target)),
        names: found.names(),
        digests: found.digests(),
        manifest: Some(record::descriptor(&details.manifest)),
        config: Some(record::descriptor(&document.config)),
        config_json: details.config_json.clone(),
        platform: Some(platform_message(&config.platform())),
        layers,
        chain_id: config.chain_id().map(|chain_id| chain_id.to_string()).unwrap_or_default(),
        size: signed(details.content_size().saturating_add(unpacked_size)),
        created_at: Some(created.into()),
        tagged_at: tagged.map(Into::into),
        unpacked: unpacked.complete,
        labels: config.labels().into_iter().collect(),
        content_size: signed(details.content_size()),
    }
}

/// A pull's event.
pub fn pull_progress(event: progress::Event) -> pb::PullProgress {
    use pb::pull_progress::{Event, Pulled, Resolving};
    let event = match event {
        progress::Event::Resolving { repository, tag } => Event::Resolving(Resolving { repository, tag }),
        progress::Event::Layer { .. } => Event::Layer(layer_progress(event)),
        progress::Event::Pulled { reference, digest, up_to_date } => {
            Event::Pulled(Pulled { reference, digest: digest.to_string(), up_to_date })
        }
    };
    pb::PullProgress { event: Some(event) }
}

/// A layer's event; other events say nothing of a layer.
pub fn layer_progress(event: progress::Event) -> pb::LayerProgress {
    use pb::layer_progress::State;
    let progress::Event::Layer { digest, state, current, total, retry } = event else {
        return pb::LayerProgress::default();
    };
    let state = match state {
        progress::State::Pulling => State::Pulling,
        progress::State::Waiting => State::Waiting,
        progress::State::Downloading => State::Downloading,
        progress::State::Verifying => State::Verifying,
        progress::State::Downloaded => State::Downloaded,
        progress::State::Extracting => State::Extracting,
        progress::State::Complete => State::Complete,
        progress::State::Exists => State::Exists,
        progress::State::Retrying => State::Retrying,
    };
    pb::LayerProgress {
        digest: digest.to_string(),
        state: state.into(),
        current: signed(current),
        total: signed(total),
        retry_seconds: u32::try_from(retry.as_secs()).unwrap_or(u32::MAX),
    }
}

/// A push's event.
pub fn push_progress(event: push::Event) -> pb::PushProgress {
    use pb::push_progress::{Event, Preparing, PushLayer, Pushed, push_layer::State};
    let event = match event {
        push::Event::Preparing { repository } => Event::Preparing(Preparing { repository }),
        push::Event::Layer { digest, state, current, total, mounted_from } => {
            let state = match state {
                push::State::Preparing => State::Preparing,
                push::State::Waiting => State::Waiting,
                push::State::Pushing => State::Pushing,
                push::State::Pushed => State::Pushed,
                push::State::Exists => State::Exists,
                push::State::Mounted => State::Mounted,
            };
            Event::Layer(PushLayer {
                digest: digest.to_string(),
                state: state.into(),
                current: signed(current),
                total: signed(total),
                mounted_from,
            })
        }
        push::Event::Pushed { tag, digest, size } => {
            Event::Pushed(Pushed { tag, digest: digest.to_string(), size: signed(size) })
        }
    };
    pb::PushProgress { event: Some(event) }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

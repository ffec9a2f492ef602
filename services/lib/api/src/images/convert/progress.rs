//! Conversions of the events of pulls and pushes.

use std::time::Duration;

use gantry_proto::gantry::images::v1 as pb;
use pb::layer_progress::State;
use pb::{pull_progress, push_progress};
use push_progress::push_layer::State as Sent;

use crate::images::{LayerProgress, LayerState, PullEvent, PushEvent, PushProgress, PushState};
use crate::wire::{self, Invalid};

const LAYER_STATES: [(LayerState, State); 9] = [
    (LayerState::Pulling, State::Pulling),
    (LayerState::Waiting, State::Waiting),
    (LayerState::Downloading, State::Downloading),
    (LayerState::Verifying, State::Verifying),
    (LayerState::Downloaded, State::Downloaded),
    (LayerState::Extracting, State::Extracting),
    (LayerState::Complete, State::Complete),
    (LayerState::Exists, State::Exists),
    (LayerState::Retrying, State::Retrying),
];

const PUSH_STATES: [(PushState, Sent); 6] = [
    (PushState::Preparing, Sent::Preparing),
    (PushState::Waiting, Sent::Waiting),
    (PushState::Pushing, Sent::Pushing),
    (PushState::Pushed, Sent::Pushed),
    (PushState::Exists, Sent::Exists),
    (PushState::Mounted, Sent::Mounted),
];

/// The wire's number of a state.
fn number<S: Copy + PartialEq, W: Copy + Into<i32>>(states: &[(S, W)], state: S) -> i32 {
    let known = states.iter().find(|(known, _)| *known == state);
    known.expect("every state is in the table").1.into()
}

fn state<S: Copy, W: Copy + Into<i32>>(states: &[(S, W)], number: i32) -> Result<S, Invalid> {
    let known = states.iter().find(|(_, known)| (*known).into() == number);
    known.map(|(state, _)| *state).ok_or(Invalid::Number { field: "state", value: number.into() })
}

pub(in crate::images) fn layer(layer: LayerProgress) -> pb::LayerProgress {
    pb::LayerProgress {
        digest: layer.digest.to_string(),
        state: number(&LAYER_STATES, layer.state),
        current: wire::signed(layer.current),
        total: wire::signed(layer.total),
        retry_seconds: u32::try_from(layer.retry.as_secs()).unwrap_or(u32::MAX),
    }
}

pub(in crate::images) fn parse_layer(layer: pb::LayerProgress) -> Result<LayerProgress, Invalid> {
    Ok(LayerProgress {
        digest: wire::digest(&layer.digest)?,
        state: state(&LAYER_STATES, layer.state)?,
        current: wire::number("current", layer.current)?,
        total: wire::number("total", layer.total)?,
        retry: Duration::from_secs(layer.retry_seconds.into()),
    })
}

pub(in crate::images) fn pull(event: PullEvent) -> pb::PullProgress {
    use pull_progress::{Event, Pulled, Resolving};
    let event = match event {
        PullEvent::Resolving { repository, tag } => Event::Resolving(Resolving { repository, tag }),
        PullEvent::Layer(progress) => Event::Layer(layer(progress)),
        PullEvent::Pulled { reference, digest, up_to_date } => {
            Event::Pulled(Pulled { reference, digest: digest.to_string(), up_to_date })
        }
    };
    pb::PullProgress { event: Some(event) }
}

pub(in crate::images) fn parse_pull(progress: pb::PullProgress) -> Result<PullEvent, Invalid> {
    use pull_progress::{Event, Pulled, Resolving};
    Ok(match progress.event.ok_or(Invalid::Missing { field: "event" })? {
        Event::Resolving(Resolving { repository, tag }) => PullEvent::Resolving { repository, tag },
        Event::Layer(layer) => PullEvent::Layer(parse_layer(layer)?),
        Event::Pulled(Pulled { reference, digest, up_to_date }) => {
            PullEvent::Pulled { reference, digest: wire::digest(&digest)?, up_to_date }
        }
    })
}

pub(in crate::images) fn push(event: PushEvent) -> pb::PushProgress {
    use push_progress::{Event, Preparing, PushLayer, Pushed};
    let event = match event {
        PushEvent::Preparing { repository } => Event::Preparing(Preparing { repository }),
        PushEvent::Layer(layer) => Event::Layer(PushLayer {
            digest: layer.digest.to_string(),
            state: number(&PUSH_STATES, layer.state),
            current: wire::signed(layer.current),
            total: wire::signed(layer.total),
            mounted_from: layer.mounted_from,
        }),
        PushEvent::Pushed { tag, digest, size } => {
            Event::Pushed(Pushed { tag, digest: digest.to_string(), size: wire::signed(size) })
        }
    };
    pb::PushProgress { event: Some(event) }
}

pub(in crate::images) fn parse_push(progress: pb::PushProgress) -> Result<PushEvent, Invalid> {
    use push_progress::{Event, Preparing, Pushed};
    Ok(match progress.event.ok_or(Invalid::Missing { field: "event" })? {
        Event::Preparing(Preparing { repository }) => PushEvent::Preparing { repository },
        Event::Layer(layer) => PushEvent::Layer(PushProgress {
            digest: wire::digest(&layer.digest)?,
            state: state(&PUSH_STATES, layer.state)?,
            current: wire::number("current", layer.current)?,
            total: wire::number("total", layer.total)?,
            mounted_from: layer.mounted_from,
        }),
        Event::Pushed(Pushed { tag, digest, size }) => {
            PushEvent::Pushed { tag, digest: wire::digest(&digest)?, size: wire::number("size", size)? }
        }
    })
}

#[cfg(test)]
mod tests {
    use gantry_types::Digest;

    use super::*;

    #[test]
    fn every_state_is_in_its_table_and_comes_back() {
        let digest = Digest::sha256(b"x");
        for number in 0..9 {
            let progress =
                pb::LayerProgress { state: number, digest: digest.to_string(), ..Default::default() };
            assert_eq!(layer(parse_layer(progress.clone()).expect("known")), progress);
        }
        for number in 0..6 {
            let layer =
                push_progress::PushLayer { state: number, digest: digest.to_string(), ..Default::default() };
            let progress = pb::PushProgress { event: Some(push_progress::Event::Layer(layer)) };
            assert_eq!(push(parse_push(progress.clone()).expect("known")), progress);
        }
        let odd = pb::LayerProgress { state: 9, digest: digest.to_string(), ..Default::default() };
        assert!(matches!(parse_layer(odd), Err(Invalid::Number { field: "state", value: 9 })));
    }
}

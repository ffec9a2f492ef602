//! The promise of events: control forwards a published event to every subscriber of that moment.
//!
//! ```text
//!   publish ──▶ event ──▶ every subscription whose filters it matches
//! ```
//!
//! - Events inform; nothing in Gantry depends on the arrival of one.
//! - A subscription receives the events of every namespace from its beginning on, in the order of publication, and no
//!   earlier ones.
//! - Publishing never waits for a subscriber. A subscriber that falls behind gets `RESOURCE_EXHAUSTED` once, and no
//!   more events.
//! - A topic is a path of identifiers (`/tasks/exit`), and an event has a message; otherwise publishing is
//!   `INVALID_ARGUMENT`.
//! - Filters know `namespace`, `topic`, and `event.<field>` for the texts and labels in the messages that containerd
//!   defines.

pub mod client;
mod convert;
mod event;
mod fields;
mod payload;
mod publisher;
pub mod server;

pub use client::Client;
pub use event::{Event, Topic};
pub use payload::Payload;
pub use publisher::Publisher;

use gantry_types::filter::FilterSet;

use crate::Promise;

/// Publishes events.
pub trait Publish: Promise {
    /// Publishes an event.
    fn publish(&self, event: Event) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Subscribes to events.
pub trait Subscribe: Promise {
    /// A subscription.
    type Subscription: Subscription<Error = Self::Error> + Send + 'static;

    /// Subscribes to the events that match the filters. The subscription receives every event that is published after
    /// this returns.
    fn subscribe(
        &self,
        filters: &FilterSet,
    ) -> impl Future<Output = Result<Self::Subscription, Self::Error>> + Send;
}

/// A stream of events.
pub trait Subscription {
    /// The error that may end the stream.
    type Error;

    /// The next event; `None` after the end.
    fn next(&mut self) -> impl Future<Output = Option<Result<Event, Self::Error>>> + Send;
}

/// The whole promise.
pub trait Service: Publish + Subscribe {}

impl<S: Publish + Subscribe> Service for S {}

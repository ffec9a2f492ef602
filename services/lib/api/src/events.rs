//! What control promises of events: what is published is told to everyone who listens at that moment.
//!
//! ```text
//!   publish ──▶ event ──▶ every subscription whose filters it passes
//! ```
//!
//! - Events tell, they do not decide: nothing in Gantry depends on one arriving.
//! - A subscription hears what is published from the moment at which it is there, in the order of publication, from every
//!   namespace; of what was before, nothing.
//! - Publishing never waits for a subscriber. One that falls behind is told so once (`RESOURCE_EXHAUSTED`), and hears no
//!   more.
//! - A topic is a path of identifiers (`/tasks/exit`), and an event has a message: what is otherwise is
//!   `INVALID_ARGUMENT`.
//! - Filters know `namespace`, `topic`, and `event.<field>` for the texts and labels in the messages that containerd
//!   defines.

pub mod client;
mod convert;
mod event;
mod fields;
mod publisher;
pub mod server;

pub use client::Client;
pub use event::{Event, Topic};
pub use publisher::Publisher;

use gantry_types::filter::FilterSet;

use crate::Promise;

/// Tells others what happened.
pub trait Publish: Promise {
    /// Publishes an event.
    fn publish(&self, event: Event) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Hears of what happens.
pub trait Subscribe: Promise {
    /// What is heard.
    type Subscription: Subscription<Error = Self::Error> + Send + 'static;

    /// Subscribes to the events that pass the filters: whatever is published after this returns is heard.
    fn subscribe(
        &self,
        filters: &FilterSet,
    ) -> impl Future<Output = Result<Self::Subscription, Self::Error>> + Send;
}

/// Events as they are heard.
pub trait Subscription {
    /// What it ends with when it does not end by itself.
    type Error;

    /// The next event; none after the end.
    fn next(&mut self) -> impl Future<Output = Option<Result<Event, Self::Error>>> + Send;
}

/// All of it.
pub trait Service: Publish + Subscribe {}

impl<S: Publish + Subscribe> Service for S {}

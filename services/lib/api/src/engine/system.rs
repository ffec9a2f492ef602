//! The interface to the engine as a whole: its facts and events.
//!
//! - Events are sent in the order in which they happened: first those of the past that are still kept, then new ones,
//!   until a given time or without end. An unknown filter or value is `INVALID_ARGUMENT`.
//! - The engine does not see changes of images and networks: the client that makes them publishes their events.

pub mod client;
pub mod server;

pub use client::Client;

use gantry_rpc::Coded;

use super::{Event, EventQuery, Info};
use crate::Promise;

/// Reads facts about the engine.
pub trait Inspect: Promise {
    /// Returns counts and settings, and the images that containers use.
    fn info(&self) -> impl Future<Output = Result<Info, Self::Error>> + Send;
}

/// Subscribes to events.
pub trait Subscribe: Promise {
    /// A subscription; dropping it ends it.
    type Events: Events<Error = Self::Error> + 'static;

    /// Begins a subscription.
    fn events(&self, query: EventQuery) -> impl Future<Output = Result<Self::Events, Self::Error>> + Send;
}

/// A subscription to events.
pub trait Events: Send {
    /// The error of a subscription.
    type Error: Coded + Send + Sync + 'static;

    /// The next event; `None` at the end.
    fn next(&mut self) -> impl Future<Output = Result<Option<Event>, Self::Error>> + Send;
}

/// Publishes events of other services.
pub trait Publish: Promise {
    /// Adds an event. The engine sets its time.
    fn publish(&self, event: Event) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// The complete interface.
pub trait Service: Inspect + Subscribe + Publish {}

impl<S: Inspect + Subscribe + Publish> Service for S {}

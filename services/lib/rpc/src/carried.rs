//! Values that spans carry.
//!
//! They are in spans, not in tasks: work that is spawned `in_current_span` carries them on. Without a subscriber that
//! keeps spans, nothing is carried.

use tracing::Span;
use tracing_subscriber::Registry;
use tracing_subscriber::registry::LookupSpan;

/// Attaches a value to `span`, for all spans below it.
pub(crate) fn attach<T: Send + Sync + 'static>(span: &Span, value: T) {
    span.with_subscriber(|(id, dispatch)| {
        let span = dispatch.downcast_ref::<Registry>().and_then(|registry| registry.span(id));
        if let Some(span) = span {
            span.extensions_mut().replace(value);
        }
    });
}

/// The value of the innermost span that has one.
pub(crate) fn current<T: Clone + Send + Sync + 'static>() -> Option<T> {
    let find = |(id, dispatch): (&tracing::span::Id, &tracing::Dispatch)| {
        let span = dispatch.downcast_ref::<Registry>()?.span(id)?;
        span.scope().find_map(|span| span.extensions().get::<T>().cloned())
    };
    Span::current().with_subscriber(find).flatten()
}

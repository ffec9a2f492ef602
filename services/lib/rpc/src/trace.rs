//! W3C trace context, in HTTP headers and in gRPC metadata.
//!
//! A server adds a request to its trace by attaching a [`Trace`] to the request's span ([`attach`]). Every call that
//! is made under the span carries the trace on ([`current`], used by [`Channel`](crate::Channel)). The trace is in
//! the span, not in the task: work that is spawned `in_current_span` stays in the trace.

use std::fmt;
use std::str::FromStr;

use tonic::codegen::http::{HeaderMap, HeaderValue};
use tracing::Span;

use crate::carried;

/// The header, in HTTP and in gRPC metadata.
pub const HEADER: &str = "traceparent";

/// A trace and the current span in it. Never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// The id of the trace.
    pub id: u128,
    /// The span that is the parent of further calls.
    pub span: u64,
    /// The flags, such as whether the trace is recorded.
    pub flags: u8,
}

/// The text is not a trace context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C trace context")]
pub struct Invalid;

impl Trace {
    /// A new trace.
    pub fn begin() -> Self {
        Self { id: rand::random_range(1..=u128::MAX), span: rand::random_range(1..=u64::MAX), flags: 1 }
    }

    /// The same trace with a new span.
    pub fn child(self) -> Self {
        Self { span: rand::random_range(1..=u64::MAX), ..self }
    }

    /// The trace that a request's headers name.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        headers.get(HEADER)?.to_str().ok()?.parse().ok()
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.id, self.span, self.flags)
    }
}

impl FromStr for Trace {
    type Err = Invalid;

    /// Parses `<version>-<trace id>-<span id>-<flags>`; versions after 00 may have more fields.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut parts = text.split('-');
        let mut hex = |length| {
            let part = parts.next().filter(|part| part.len() == length).ok_or(Invalid)?;
            match part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
                true => u128::from_str_radix(part, 16).map_err(|_| Invalid),
                false => Err(Invalid),
            }
        };
        let (version, id, span, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        let more = parts.next().is_some();
        if id == 0 || span == 0 || version == 0xff || (version == 0 && more) {
            return Err(Invalid);
        }
        let span = u64::try_from(span).map_err(|_| Invalid)?;
        Ok(Self { id, span, flags: u8::try_from(flags).map_err(|_| Invalid)? })
    }
}

/// Makes `span`, and all spans below it, part of `trace`. Does nothing without a subscriber.
pub fn attach(span: &Span, trace: Trace) {
    carried::attach(span, trace);
}

/// The trace of the current span.
pub fn current() -> Option<Trace> {
    carried::current()
}

/// Adds the current trace to the headers of a call, unless they have one.
pub fn inject(headers: &mut HeaderMap) {
    if headers.contains_key(HEADER) {
        return;
    }
    if let Some(trace) = current() {
        let value = HeaderValue::try_from(trace.to_string()).expect("digits and dashes are a header's value");
        headers.insert(HEADER, value);
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::Registry;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_context_round_trips() {
        let trace: Trace = PARENT.parse().expect("valid");
        assert_eq!(trace.to_string(), PARENT);
        assert_eq!(trace.child().id, trace.id);
        assert_ne!(trace.child().span, trace.span);
        let begun = Trace::begin();
        assert_eq!(begun.to_string().parse(), Ok(begun));
    }

    #[test]
    fn what_the_specification_forbids_is_refused() {
        for text in [
            "",
            "00-0-0-01",
            &PARENT.replace('f', "F"),
            &PARENT.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &PARENT.replace("b7ad6b7169203331", &"0".repeat(16)),
            &PARENT.replacen("00", "ff", 1),
            &format!("{PARENT}-more"),
        ] {
            assert_eq!(text.parse::<Trace>(), Err(Invalid), "{text}");
        }
        assert!(format!("{PARENT}-more").replacen("00", "01", 1).parse::<Trace>().is_ok(), "a later version");
    }

    #[test]
    fn calls_under_a_span_carry_its_trace() {
        let _subscriber = tracing::subscriber::set_default(Registry::default());
        let trace = Trace::begin();
        let request = tracing::error_span!("request");
        attach(&request, trace);
        let mut headers = HeaderMap::new();
        inject(&mut headers);
        assert!(headers.is_empty(), "outside");
        request.in_scope(|| tracing::error_span!("step").in_scope(|| inject(&mut headers)));
        assert_eq!(Trace::of(&headers), Some(trace));
    }
}

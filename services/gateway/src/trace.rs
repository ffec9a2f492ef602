//! One request, one trace: W3C trace context, taken from the client or begun here, and passed on to every peer.

use tonic::service::Interceptor;
use tonic::{Request, Status};

/// The header, in HTTP and in gRPC metadata.
pub const HEADER: &str = "traceparent";

tokio::task_local! {
    /// The trace of the request that this task answers.
    static CURRENT: Trace;
}

/// A trace parent: `00-<trace id>-<span id>-01`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace(String);

impl Trace {
    /// The client's trace, or a new one.
    pub fn of(header: Option<&str>) -> Self {
        match header.filter(|text| is_valid(text)) {
            Some(text) => Self(text.to_owned()),
            None => Self(format!("00-{:032x}-{:016x}-01", rand::random::<u128>(), rand::random::<u64>())),
        }
    }

    /// The id that all spans of the trace share.
    pub fn id(&self) -> &str {
        self.0.get(3..35).unwrap_or_default()
    }

    /// Runs `work`; its calls to peers belong to this trace.
    pub async fn scope<W: Future>(self, work: W) -> W::Output {
        CURRENT.scope(self, work).await
    }
}

fn is_valid(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let hex = |part: &str, length| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    matches!(parts.as_slice(), [version, trace, span, flags]
        if hex(version, 2) && hex(trace, 32) && hex(span, 16) && hex(flags, 2) && trace.bytes().any(|byte| byte != b'0'))
}

/// Puts the current trace into the metadata of calls.
#[derive(Debug, Clone, Copy)]
pub struct Propagate;

impl Interceptor for Propagate {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let value = CURRENT.try_with(|trace| trace.0.parse()).ok().and_then(Result::ok);
        if let Some(value) = value {
            request.metadata_mut().insert(HEADER, value);
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_valid_parent_is_kept_and_all_else_replaced() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(Trace::of(Some(parent)).id(), "0af7651916cd43dd8448eb211c80319c");
        for text in [
            None,
            Some(""),
            Some("00-0-0-01"),
            Some(&parent.replace('f', "F")),
            Some(&parent.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32))),
        ] {
            let trace = Trace::of(text);
            assert!(is_valid(&trace.0) && trace.0 != parent, "{text:?}");
        }
    }

    #[tokio::test]
    async fn calls_carry_the_trace() {
        let trace = Trace::of(None);
        let request = trace.clone().scope(async { Propagate.call(Request::new(())).expect("passed") }).await;
        assert_eq!(
            request.metadata().get(HEADER).and_then(|value| value.to_str().ok()),
            Some(trace.0.as_str())
        );
        assert!(Propagate.call(Request::new(())).expect("passed").metadata().is_empty());
    }
}

//! The deadline of a call.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};
use tonic::Status;
use tonic::codegen::http::Request;

/// Runs from the call until its whole response has arrived.
#[derive(Debug)]
pub(super) struct Timer {
    peer: &'static str,
    /// `Service/Method`.
    method: String,
    limit: Duration,
    deadline: Instant,
    /// Set while the body of the response is awaited.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    pub(super) fn new<B>(peer: &'static str, request: &Request<B>, limit: Duration) -> Self {
        let method = short(request.uri().path()).to_owned();
        Self { peer, method, limit, deadline: Instant::now() + limit, sleep: None }
    }

    /// The result of work, if it comes in time.
    pub(super) async fn bound<T>(&self, work: impl Future<Output = T>) -> Result<T, Status> {
        tokio::time::timeout_at(self.deadline, work).await.map_err(|_| self.late())
    }

    /// Ready when the deadline has passed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        let deadline = self.deadline;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        sleep.as_mut().poll(cx).map(|()| self.late())
    }

    /// The status of a call whose deadline has passed.
    pub(super) fn late(&self) -> Status {
        let Self { peer, method, limit, .. } = self;
        Status::deadline_exceeded(format!(
            "service {peer} did not answer {method} within {}",
            Seconds(*limit)
        ))
    }
}

/// The path of a method without its package.
fn short(path: &str) -> &str {
    let service = path.rfind('/').map_or(path, |end| &path[..end]);
    let start = service.rfind(['.', '/']).map_or(0, |dot| dot + 1);
    &path[start..]
}

/// A duration as text: `10s`, `9.5s`.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.subsec_millis() {
            0 => write!(f, "{}s", self.0.as_secs()),
            _ => write!(f, "{:.1?}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_and_times_are_told_in_short() {
        assert_eq!(short("/containerd.services.tasks.v1.Tasks/Get"), "Tasks/Get");
        assert_eq!(short("/Tasks/Get"), "Tasks/Get");
        assert_eq!(short("/metrics"), "/metrics");
        assert_eq!(short("*"), "*");
        assert_eq!(Seconds(Duration::from_secs(10)).to_string(), "10s");
        assert_eq!(Seconds(Duration::from_millis(9500)).to_string(), "9.5s");
    }
}

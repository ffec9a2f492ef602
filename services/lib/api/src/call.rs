//! The calls of a client: each failure names the service and the call.

use std::fmt;

use gantry_rpc::{Code, Coded, code_of};
use tonic::{Response, Status};

/// A call that failed.
#[derive(Debug)]
pub struct Failure {
    /// The service that was called.
    pub service: &'static str,
    /// What the call does, as an infinitive.
    pub call: &'static str,
    /// The service's status, or why there is no response.
    pub status: Box<Status>,
}

impl Failure {
    /// Whether the service itself did not answer: it is away, or was before its answer was whole. Then nobody knows how far
    /// the call has come. A service that answers that another one is away has refused the call: that came over the wire, and
    /// has no source of its own.
    pub fn is_unanswered(&self) -> bool {
        use std::error::Error as _;
        self.code() == Code::Unavailable && self.status.source().is_some()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} did not {}", self.service, self.call)
    }
}

impl std::error::Error for Failure {
    // The status itself: a caller that looks for a `Status` does not find it in its box.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.status)
    }
}

impl Coded for Failure {
    fn code(&self) -> Code {
        code_of(&self.status)
    }

    fn details(&self) -> Vec<u8> {
        self.status.details().to_vec()
    }
}

/// Makes the calls to one service. The channel limits how long they take: see [`terms`](crate::terms).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    service: &'static str,
}

impl Caller {
    pub(crate) fn new(service: &'static str) -> Self {
        Self { service }
    }

    /// A call with one response.
    pub(crate) async fn ask<T>(
        &self,
        call: &'static str,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Failure> {
        self.hear(call, answer).await.map(Response::into_inner)
    }

    /// A step of a call: the next message of a stream, or a step on a data socket.
    pub(crate) async fn hear<T>(
        &self,
        call: &'static str,
        news: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Failure> {
        news.await.map_err(|status| self.failed(call, status))
    }

    /// A response that breaks the service's contract.
    pub(crate) fn garbled<E: std::fmt::Display>(
        &self,
        call: &'static str,
    ) -> impl FnOnce(E) -> Failure + use<E> {
        let caller = *self;
        move |error| caller.failed(call, Status::internal(format!("an answer that does not parse: {error}")))
    }

    pub(crate) fn failed(&self, call: &'static str, status: Status) -> Failure {
        Failure { service: self.service, call, status: Box::new(status) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_away_has_not_answered_and_who_says_that_another_is_away_has() {
        use futures::future::ready;
        let folder = tempfile::tempdir().expect("a folder");
        let peers = crate::Peers::new(folder.path());
        let request = gantry_proto::gantry::engine::v1::ExecRequest::default();
        let caller = Caller::new("engine");
        let away =
            caller.ask("look up a process", peers.execs().get(request)).await.expect_err("nobody listens");
        let answer: Result<Response<()>, _> = Err(Status::unavailable("service tasks is away"));
        let answered = caller.ask("look up a process", ready(answer)).await.expect_err("refused");
        assert_eq!((away.code(), answered.code()), (Code::Unavailable, Code::Unavailable));
        assert_eq!((away.is_unanswered(), answered.is_unanswered()), (true, false));
    }

    #[test]
    fn a_failure_says_what_was_asked_of_whom_and_what_they_answered() {
        let failure = Caller::new("content").failed("open a blob", Status::not_found("no such blob"));
        assert_eq!(failure.code(), Code::NotFound);
        assert_eq!(gantry_rpc::chain(&failure), "content did not open a blob: no such blob");
    }
}

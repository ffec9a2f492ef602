//! A client's calls: each failure told with what was asked of whom.

use std::fmt;

use gantry_rpc::{Code, Coded, code_of};
use tonic::{Response, Status};

/// A call that a service did not carry out.
#[derive(Debug)]
pub struct Failure {
    /// The service that was called.
    pub service: &'static str,
    /// What it was asked for, as an infinitive.
    pub call: &'static str,
    /// What it answered, or why there is no answer.
    pub status: Box<Status>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} did not {}", self.service, self.call)
    }
}

impl std::error::Error for Failure {
    // The status and not its box, which nobody would know for one.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.status)
    }
}

impl Coded for Failure {
    fn code(&self) -> Code {
        code_of(&self.status)
    }
}

/// Makes the calls to one service. How long they may take is the channel's to say: see [`terms`](crate::terms).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    service: &'static str,
}

impl Caller {
    pub(crate) fn new(service: &'static str) -> Self {
        Self { service }
    }

    /// A call that is answered by one message.
    pub(crate) async fn ask<T>(
        &self,
        call: &'static str,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Failure> {
        self.hear(call, answer).await.map(Response::into_inner)
    }

    /// A part of a call: the next message of a stream, or a step by a data socket.
    pub(crate) async fn hear<T>(
        &self,
        call: &'static str,
        news: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Failure> {
        news.await.map_err(|status| self.failed(call, status))
    }

    /// An answer that is none of this service's contract.
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

    #[test]
    fn a_failure_says_what_was_asked_of_whom_and_what_they_answered() {
        let failure = Caller::new("content").failed("open a blob", Status::not_found("no such blob"));
        assert_eq!(failure.code(), Code::NotFound);
        assert_eq!(gantry_rpc::chain(&failure), "content did not open a blob: no such blob");
    }
}

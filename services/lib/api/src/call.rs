//! A client's calls: each failure told with what was asked of whom.

use gantry_rpc::{Code, Coded, code_of};
use tonic::{Response, Status};

/// A call that a service did not carry out.
#[derive(Debug, thiserror::Error)]
#[error("{service} did not {call}")]
pub struct Failure {
    /// The service that was called.
    pub service: &'static str,
    /// What it was asked for, as an infinitive.
    pub call: &'static str,
    /// What it answered, or why there is no answer.
    #[source]
    pub status: Box<Status>,
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

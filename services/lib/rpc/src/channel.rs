//! Channels to peers.
//!
//! A call is one HTTP/2 stream of a shared connection. A message that is there when the call is made leaves in one
//! piece with the call's head, so that the peer is woken once. Each call has a bound ([`Bound`](crate::terms::Bound)).

mod answer;
mod budget;
mod link;
mod pulse;
mod request;
#[cfg(test)]
mod tests;
mod timer;

use std::error::Error;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use h2::client::SendRequest;
use http_body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::{Code, Status};
use tower::Service;

use crate::terms::{Bound, Of, Terms};
use crate::{caller, deadline, trace};

pub use answer::Answer;
use budget::Budget;
use link::Link;
use pulse::Pulse;
use request::Sending;
use timer::Timer;

/// A channel to a gRPC server. Its calls carry the trace of the span under which they are made, and its caller. A call that got no
/// answer, because nobody listens or because the connection broke, fails with `UNAVAILABLE` and says which peer is away;
/// so does a stream of answers that breaks. One that found nobody listening is made
/// again for a moment, if its terms allow that. A call that got no answer in time fails with `DEADLINE_EXCEEDED`, and says
/// which peer did not answer what. A call whose answer is dropped is cancelled. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Channel {
    peer: &'static str,
    terms: Of,
    link: Arc<Link>,
    budget: Arc<Budget>,
}

impl Channel {
    /// A channel to the gRPC server at the unix socket `path`, on these terms. It connects when it is first used and
    /// again after the server was away; until then calls fail, naming `peer`.
    pub fn unix(peer: &'static str, path: PathBuf, terms: Of) -> Self {
        Self { peer, terms, link: Arc::new(Link::new(path)), budget: Arc::default() }
    }

    /// Sends a call as it is, but for its deadline, and waits for the head of the response. What a request says of its
    /// deadline goes before the terms.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` when there was no answer; `DEADLINE_EXCEEDED` when there was none in time; what the server reset the
    /// call with.
    pub async fn send<B>(&self, mut request: Request<B>) -> Result<Response<Answer>, Status>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let terms = (self.terms)(request.uri().path());
        let timer =
            limit(terms.bound, request.headers_mut()).map(|limit| Timer::new(self.peer, &request, limit));
        let begun = self.begin(request, terms);
        let mut response = match &timer {
            Some(timer) => timer.bound(begun).await??,
            None => begun.await?,
        };
        response.body_mut().timer = timer;
        Ok(response)
    }

    /// Does work beside a call, by a data socket of the same peer, as long as the peer shows that it is alive. Where no
    /// call can be made to it, the work alone tells whether it is there.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` when it is not alive; the work's own.
    pub async fn while_alive<T>(&self, work: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        let Ok((_, pulse)) = self.link.sender().await else { return work.await };
        let held = pulse.hold();
        tokio::select! {
            done = work => done,
            () = held.silence() => Err(away(self.peer, &pulse::Silence)),
        }
    }

    /// A sender, for a call that may be made again if nobody listens.
    async fn reach(&self, terms: Terms) -> Result<(SendRequest<Bytes>, Arc<Pulse>), Status> {
        let mut attempts = 1;
        loop {
            let error = match self.link.sender().await {
                Ok(reached) => {
                    self.budget.earn();
                    return Ok(reached);
                }
                Err(error) => error,
            };
            let pause = if terms.repeatable { self.budget.spend(attempts) } else { None };
            tokio::time::sleep(pause.ok_or_else(|| away(self.peer, &error))?).await;
            attempts += 1;
        }
    }

    async fn begin<B>(&self, request: Request<B>, terms: Terms) -> Result<Response<Answer>, Status>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let peer = self.peer;
        let (mut sender, pulse) = self.reach(terms).await?;
        let held = (terms.bound == Bound::Alive).then(|| pulse.hold());
        let (head, body) = request.into_parts();
        let head = request::addressed(Request::from_parts(head, ()));
        let lost = |error: h2::Error| unheard(peer, &pulse, error);
        let empty = body.is_end_stream();
        let (response, stream) = sender.send_request(head, empty).map_err(lost)?;
        let mut sending = Box::pin(request::send_body(body, stream));
        let rest = match empty || sending.as_mut().now_or_never().is_some() {
            true => None,
            false => Some(Sending(tokio::spawn(sending))),
        };
        let response = response.await.map_err(lost)?;
        Ok(response.map(|stream| Answer { peer, stream, pulse, timer: None, _held: held, _rest: rest }))
    }
}

impl Service<Request<tonic::body::Body>> for Channel {
    type Response = Response<Answer>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answer>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<tonic::body::Body>) -> Self::Future {
        trace::inject(request.headers_mut());
        caller::inject(request.headers_mut());
        let channel = self.clone();
        Box::pin(async move { channel.send(request).await })
    }
}

/// How long a call may last at most, which its peer is told; none for as long as it likes.
fn limit(bound: Bound, headers: &mut HeaderMap) -> Option<Duration> {
    if let Some(said) = deadline::of(headers) {
        return Some(deadline::left().map_or(said, |left| left.min(said)));
    }
    let limit = match (bound, deadline::left()) {
        (Bound::Open, _) => None,
        (Bound::Alive, left) => left,
        (Bound::Within(limit), left) => Some(left.map_or(limit, |left| left.min(limit))),
    };
    if let Some(limit) = limit {
        deadline::tell(headers, limit);
    }
    limit
}

/// Tells a connection that broke from an answer: an answer has no source, it came over the wire.
fn unheard(peer: &str, pulse: &Pulse, error: h2::Error) -> Status {
    if pulse.is_silent() {
        return away(peer, &pulse::Silence);
    }
    let status = Status::from_error(error.into());
    let Some(mut cause) = status.source() else { return status };
    if !matches!(status.code(), Code::Unavailable | Code::Cancelled | Code::Internal | Code::Unknown) {
        return status;
    }
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    away(peer, cause)
}

fn away(peer: &str, cause: &dyn Error) -> Status {
    Status::unavailable(format!("service {peer} is away: {cause}"))
}

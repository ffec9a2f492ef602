//! Sends batches to a collector and interprets its answers.

use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use prost::Message;
use tonic::Code;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use crate::options::{Options, Protocol};
use crate::wire::{self, Export, Exported};

/// Most bytes of an answer.
const ANSWER: usize = 1 << 20;

/// The outcome of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The collector has accepted the batch, except records that it refused for good.
    Taken {
        /// Number of records that it refused.
        refused: u64,
        /// The collector's reason.
        why: String,
    },
    /// The collector cannot take the batch now. If it named a time, the next attempt must not come earlier.
    Later(String, Option<Duration>),
    /// The collector refuses the batch for good.
    Never(String),
}

/// A connection to a collector.
pub struct Collector {
    way: Way,
    options: Options,
}

enum Way {
    Grpc(Channel),
    Http(Box<Client<HttpConnector, Full<Bytes>>>, String),
}

impl Collector {
    /// A collector that is connected when there is something to send.
    pub fn new(options: &Options) -> Collector {
        let way = match options.protocol {
            Protocol::Grpc => {
                let endpoint = Endpoint::from(options.endpoint.clone());
                Way::Grpc(endpoint.connect_timeout(options.timeout).connect_lazy())
            }
            Protocol::Http => {
                let mut connector = HttpConnector::new();
                connector.set_connect_timeout(Some(options.timeout));
                let base = options.endpoint.to_string();
                let url = format!("{}/{}", base.trim_end_matches('/'), wire::PATH);
                Way::Http(Box::new(Client::builder(TokioExecutor::new()).build(connector)), url)
            }
        };
        Collector { way, options: options.clone() }
    }

    /// Sends a batch.
    pub async fn export(&self, export: &Export) -> Outcome {
        let sending = async {
            match &self.way {
                Way::Grpc(channel) => self.call(channel.clone(), export).await,
                Way::Http(client, url) => self.post(client, url, export).await,
            }
        };
        match tokio::time::timeout(self.options.timeout, sending).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Later(format!("no answer within {:?}", self.options.timeout), None),
        }
    }

    async fn call(&self, channel: Channel, export: &Export) -> Outcome {
        let mut grpc = Grpc::new(channel);
        if let Err(error) = grpc.ready().await {
            return Outcome::Later(chain(&error), None);
        }
        let mut request = tonic::Request::new(export.clone());
        let headers = self.options.headers.iter().cloned().collect();
        *request.metadata_mut() = tonic::metadata::MetadataMap::from_headers(headers);
        let codec = ProstCodec::<Export, Exported>::default();
        match grpc.unary(request, PathAndQuery::from_static(wire::METHOD), codec).await {
            Ok(answer) => taken(answer.into_inner()),
            Err(status) => {
                let why = format!("{:?}: {}", status.code(), status.message());
                match status.code() {
                    Code::Cancelled
                    | Code::DeadlineExceeded
                    | Code::ResourceExhausted
                    | Code::Aborted
                    | Code::OutOfRange
                    | Code::Unavailable
                    | Code::DataLoss
                    | Code::Unknown => Outcome::Later(why, None),
                    _ => Outcome::Never(why),
                }
            }
        }
    }

    async fn post(&self, client: &Client<HttpConnector, Full<Bytes>>, url: &str, export: &Export) -> Outcome {
        let mut request = Request::post(url).header(header::CONTENT_TYPE, "application/x-protobuf");
        for (name, value) in &self.options.headers {
            request = request.header(name, value);
        }
        let request = match request.body(Full::from(export.encode_to_vec())) {
            Ok(request) => request,
            Err(error) => return Outcome::Never(error.to_string()),
        };
        let response = match client.request(request).await {
            Ok(response) => response,
            Err(error) => return Outcome::Later(chain(&error), None),
        };
        let (head, body) = response.into_parts();
        let body = match Limited::new(body, ANSWER).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return Outcome::Later(error.to_string(), None),
        };
        if head.status.is_success() {
            return taken(Exported::decode(body).unwrap_or_default());
        }
        let pause = head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let pause = pause.and_then(|text| text.parse().ok()).map(Duration::from_secs);
        match head.status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Outcome::Later(head.status.to_string(), pause),
            status => Outcome::Never(status.to_string()),
        }
    }
}

fn taken(answer: Exported) -> Outcome {
    let refused = answer.partial_success.unwrap_or_default();
    Outcome::Taken {
        refused: u64::try_from(refused.rejected_log_records).unwrap_or(0),
        why: refused.error_message,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

//! A collector for tests, which records what it gets, and is away or refuses when the test says so.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use parking_lot::Mutex;
use prost::Message;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::wire::{Export, Exported, KeyValue, PartialSuccess, Value};

/// A record that a collector got.
#[derive(Clone, Debug, PartialEq)]
pub struct Got {
    /// The resource that the records belong to.
    pub resource: BTreeMap<String, Value>,
    /// The line.
    pub line: Value,
    /// The attributes of the line.
    pub attributes: BTreeMap<String, Value>,
    /// The severity of the record.
    pub severity: i32,
    /// Nanoseconds since 1970.
    pub time: u64,
}

/// A collector over gRPC. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Collector {
    got: Arc<Mutex<Vec<Got>>>,
    headers: Arc<Mutex<Vec<String>>>,
    /// Whether it answers that it cannot take anything now.
    pub is_away: Arc<AtomicBool>,
    /// Whether it refuses all batches for good.
    pub refuses: Arc<AtomicBool>,
    /// Whether it refuses one record of each request.
    pub is_picky: Arc<AtomicBool>,
}

impl Collector {
    /// Serves on a port of the loopback interface until the process ends.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let serving = tonic::transport::Server::builder().add_service(self.clone());
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        // The task ends with the test's runtime.
        tokio::spawn(serving.serve_with_incoming(incoming));
        address
    }

    /// All records that it got.
    pub fn got(&self) -> Vec<Got> {
        self.got.lock().clone()
    }

    /// The lines of these records, without those that report losses.
    pub fn lines(&self) -> Vec<String> {
        let is_line = |got: &Got| !got.attributes.contains_key("log.lost");
        let line = |got: Got| match got.line {
            Value::Text(text) => text,
            other => format!("{other:?}"),
        };
        self.got().into_iter().filter(is_line).map(line).collect()
    }

    /// The number of lost records that it was told of.
    pub fn lost(&self) -> i64 {
        let told = |got: Got| match got.attributes.get("log.lost") {
            Some(Value::Number(count)) => *count,
            _ => 0,
        };
        self.got().into_iter().map(told).sum()
    }

    /// The header `x-test` of each request.
    pub fn headers(&self) -> Vec<String> {
        self.headers.lock().clone()
    }

    /// Takes a message of either protocol.
    pub fn take(&self, bytes: &[u8]) -> Result<Exported, Status> {
        let export = Export::decode(bytes).map_err(|error| Status::invalid_argument(error.to_string()))?;
        self.export(export)
    }

    fn export(&self, export: Export) -> Result<Exported, Status> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err(Status::new(Code::Unavailable, "away"));
        }
        if self.refuses.load(Ordering::Relaxed) {
            return Err(Status::new(Code::InvalidArgument, "not this"));
        }
        let mut got = self.got.lock();
        for resource_logs in export.resource_logs {
            let resource = map(resource_logs.resource.unwrap_or_default().attributes);
            for record in resource_logs.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
                got.push(Got {
                    resource: resource.clone(),
                    line: record.body.and_then(|body| body.value).unwrap_or(Value::Truth(false)),
                    attributes: map(record.attributes),
                    severity: record.severity_number,
                    time: record.time_unix_nano,
                });
            }
        }
        let refused = PartialSuccess { rejected_log_records: 1, error_message: "picky".to_owned() };
        let partial_success = self.is_picky.load(Ordering::Relaxed).then_some(refused);
        Ok(Exported { partial_success })
    }
}

fn map(attributes: Vec<KeyValue>) -> BTreeMap<String, Value> {
    let pair = |KeyValue { key, value }| Some((key, value?.value?));
    attributes.into_iter().filter_map(pair).collect()
}

impl NamedService for Collector {
    const NAME: &'static str = "opentelemetry.proto.collector.logs.v1.LogsService";
}

struct Method(Collector);

impl UnaryService<Export> for Method {
    type Response = Exported;
    type Future = std::future::Ready<Result<Response<Exported>, Status>>;

    fn call(&mut self, request: Request<Export>) -> Self::Future {
        if let Some(value) = request.metadata().get("x-test").and_then(|value| value.to_str().ok()) {
            self.0.headers.lock().push(value.to_owned());
        }
        std::future::ready(self.0.export(request.into_inner()).map(Response::new))
    }
}

impl tonic::codegen::Service<http::Request<Body>> for Collector {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = Method(self.clone());
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<Exported, Export>::default());
            Ok(grpc.unary(method, request).await)
        })
    }
}

//! Traces, exported to a collector.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::node::Node;

/// A collector that passes on each span with its service's name.
struct Collector(mpsc::UnboundedSender<(String, Span)>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for group in request.into_inner().resource_spans {
            let resource = group.resource.unwrap_or_default();
            let name = resource.attributes.iter().find(|one| one.key == "service.name");
            let name =
                name.and_then(|one| one.value.clone()).map(|value| format!("{value:?}")).unwrap_or_default();
            for span in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                self.0.send((name.clone(), span)).expect("the test waits");
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test]
async fn a_request_s_spans_reach_the_collector_as_one_trace() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    let (sender, spans) = mpsc::unbounded_channel();
    let collector = Server::builder()
        .add_service(TraceServiceServer::new(Collector(sender)))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(collector);
    request_is_one_trace(&endpoint, spans).await;
}

#[tokio::test]
async fn a_collector_at_a_unix_socket_needs_no_network() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("otlp.sock");
    let (sender, spans) = mpsc::unbounded_channel();
    let collector = Server::builder()
        .add_service(TraceServiceServer::new(Collector(sender)))
        .serve_with_incoming(UnixListenerStream::new(UnixListener::bind(&path).expect("bound")));
    tokio::spawn(collector);
    request_is_one_trace(&format!("unix://{}", path.display()), spans).await;
}

/// Asks the gateway something of which images answers, with a client's trace.
async fn request_is_one_trace(endpoint: &str, mut spans: mpsc::UnboundedReceiver<(String, Span)>) {
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    let node = Node::start(&["control", "content", "images", "gateway"], &environment).await;
    let header = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let answer = Node::get(&node.socket("docker.sock"), "/v1.51/images/json", header).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let (mut gateway, mut images) = (None, None);
    while gateway.is_none() || images.is_none() {
        let next = tokio::time::timeout(Duration::from_secs(10), spans.recv()).await;
        let (service, span) = next.expect("spans come").expect("the collector lives");
        assert!(service.contains("gantry-"), "{service}");
        match span.name.as_str() {
            "/v1.51/images/json" => gateway = Some(span),
            "/gantry.images.v1.ImageStore/List" => images = Some(span),
            _ => {}
        }
    }
    let (gateway, images) = (gateway.expect("found"), images.expect("found"));
    assert_eq!(gateway.trace_id, 0x0af7651916cd43dd8448eb211c80319c_u128.to_be_bytes());
    assert_eq!(gateway.parent_span_id, 0xb7ad6b7169203331_u64.to_be_bytes());
    assert_eq!((images.trace_id, images.parent_span_id), (gateway.trace_id, gateway.span_id));
    assert_eq!(images.kind, 2, "a server's span");
}

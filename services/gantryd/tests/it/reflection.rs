//! gRPC reflection, as grpcurl asks for it.

use tokio_stream::once;
use tonic::transport::Endpoint;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::node::Node;

#[tokio::test]
async fn services_are_listed_and_described() {
    let node = Node::start(&["control"], &[]).await;
    let endpoint = format!("unix://{}", node.socket("control.sock").display());
    let channel = Endpoint::from_shared(endpoint).expect("an address").connect().await.expect("connected");
    let mut client = ServerReflectionClient::new(channel);
    // Made at the first question, kept for the second.
    for _ in 0..2 {
        let question = MessageRequest::ListServices(String::new());
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
        let mut answers = client.server_reflection_info(once(request)).await.expect("answered").into_inner();
        let answer = answers.message().await.expect("a message").expect("one").message_response;
        let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
        assert!(list.service.iter().any(|service| service.name == "gantry.gc.v1.Gc"), "{list:?}");
    }
}

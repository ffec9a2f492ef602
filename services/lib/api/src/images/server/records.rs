//! containerd's Images service, served by any implementation of the records' interface.

use gantry_proto::containerd::services::images::v1 as pb;
use gantry_proto::containerd::services::images::v1::images_server::{Images, ImagesServer};
use gantry_rpc::{context, status};
use tonic::{Request, Response, Status};

use crate::images::convert;
use crate::images::records::{Collect, Store};
use crate::peers::MESSAGE_LIMIT;
use crate::to_the_end;
use crate::wire;

/// The service over a store.
pub fn records<S: Store + Clone + 'static>(store: S) -> ImagesServer<Records<S>> {
    ImagesServer::new(Records(store)).max_decoding_message_size(MESSAGE_LIMIT)
}

/// Parses requests, calls the implementation, converts answers. A change continues if its client disconnects.
#[derive(Debug, Clone)]
pub struct Records<S>(S);

#[tonic::async_trait]
impl<S: Store + Clone + 'static> Images for Records<S> {
    async fn get(
        &self,
        request: Request<pb::GetImageRequest>,
    ) -> Result<Response<pb::GetImageResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let record = self.0.record(&namespace, &request.get_ref().name).await.map_err(status)?;
        Ok(Response::new(pb::GetImageResponse { image: Some(convert::record(record)) }))
    }

    async fn list(
        &self,
        request: Request<pb::ListImagesRequest>,
    ) -> Result<Response<pb::ListImagesResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let filters = wire::filters(&request.get_ref().filters).map_err(status)?;
        let records = self.0.records(&namespace, &filters).await.map_err(status)?;
        Ok(Response::new(pb::ListImagesResponse {
            images: records.into_iter().map(convert::record).collect(),
        }))
    }

    async fn create(
        &self,
        request: Request<pb::CreateImageRequest>,
    ) -> Result<Response<pb::CreateImageResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let record = convert::parse_new_record(request.into_inner()).map_err(status)?;
        let store = self.0.clone();
        let made = to_the_end(async move { store.create_record(&namespace, record).await }).await?;
        Ok(Response::new(pb::CreateImageResponse { image: Some(convert::record(made)) }))
    }

    async fn update(
        &self,
        request: Request<pb::UpdateImageRequest>,
    ) -> Result<Response<pb::UpdateImageResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let (name, update) = convert::parse_update(request.into_inner()).map_err(status)?;
        let store = self.0.clone();
        let updated = to_the_end(async move { store.update_record(&namespace, &name, update).await }).await?;
        Ok(Response::new(pb::UpdateImageResponse { image: Some(convert::record(updated)) }))
    }

    async fn delete(&self, request: Request<pb::DeleteImageRequest>) -> Result<Response<()>, Status> {
        let namespace = context::namespace(&request)?;
        let pb::DeleteImageRequest { name, sync, target } = request.into_inner();
        let expected = target.map(|target| wire::digest(&target.digest)).transpose().map_err(status)?;
        let collect = if sync { Collect::Now } else { Collect::Later };
        let store = self.0.clone();
        let deleting =
            async move { store.delete_record(&namespace, &name, expected.as_ref(), collect).await };
        to_the_end(deleting).await.map(Response::new)
    }
}

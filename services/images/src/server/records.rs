//! `containerd.services.images.v1.Images`.

use gantry_proto::containerd::services::images::v1 as pb;
use gantry_proto::containerd::services::images::v1::images_server::Images;
use gantry_proto::containerd::types;
use gantry_rpc::{context, status};
use gantry_types::filter::FilterSet;
use tonic::{Request, Response, Status};

use crate::catalog::Catalog;
use crate::error::Error;
use crate::names::Names;
use crate::record::{self, Record};

/// Serves the records to containerd's clients.
pub struct Records {
    names: Names,
    catalog: Catalog,
}

impl Records {
    /// Serves `names`; `catalog` is told when clients may have brought more of an image.
    pub fn new(names: Names, catalog: Catalog) -> Self {
        Self { names, catalog }
    }
}

/// The record of a request, stamped with the time that the request names, or now.
fn stamped(image: Option<pb::Image>, epoch: Option<prost_types::Timestamp>) -> Result<Record, Error> {
    let image = image.ok_or_else(|| Error::Request("an image is required".into()))?;
    let at = epoch.map_or_else(std::time::SystemTime::now, |epoch| record::moment(Some(epoch)));
    Ok(Record { created: at, updated: at, ..Record::try_from(image)? })
}

#[tonic::async_trait]
impl Images for Records {
    async fn get(
        &self,
        request: Request<pb::GetImageRequest>,
    ) -> Result<Response<pb::GetImageResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let record = self.names.store().get(&namespace, &request.get_ref().name).map_err(status)?;
        Ok(Response::new(pb::GetImageResponse { image: Some(record.into()) }))
    }

    async fn list(
        &self,
        request: Request<pb::ListImagesRequest>,
    ) -> Result<Response<pb::ListImagesResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let filters = FilterSet::parse(&request.get_ref().filters).map_err(Error::from).map_err(status)?;
        let records = self.names.store().list(&namespace).map_err(status)?;
        let images =
            records.into_iter().filter(|record| filters.matches(record)).map(pb::Image::from).collect();
        Ok(Response::new(pb::ListImagesResponse { images }))
    }

    async fn create(
        &self,
        request: Request<pb::CreateImageRequest>,
    ) -> Result<Response<pb::CreateImageResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let record = stamped(request.image, request.source_date_epoch).map_err(status)?;
        let record = self.names.create_ahead(&namespace, record).await.map_err(status)?;
        self.catalog.forget(&namespace, &record.target.digest);
        Ok(Response::new(pb::CreateImageResponse { image: Some(record.into()) }))
    }

    async fn update(
        &self,
        request: Request<pb::UpdateImageRequest>,
    ) -> Result<Response<pb::UpdateImageResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let mask = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
        let mut image = request.image.unwrap_or_default();
        // What the mask does not name is not looked at: who changes labels sends an empty target.
        if !mask.is_empty() && !mask.iter().any(|path| path == "target") {
            let known = self.names.store().get(&namespace, &image.name).map_err(status)?;
            let annotations = image.target.map(|target| target.annotations).unwrap_or_default();
            image.target = Some(types::Descriptor { annotations, ..record::descriptor(&known.target) });
        }
        let record = stamped(Some(image), request.source_date_epoch).map_err(status)?;
        let record = self.names.update_ahead(&namespace, record, &mask).await.map_err(status)?;
        self.catalog.forget(&namespace, &record.target.digest);
        Ok(Response::new(pb::UpdateImageResponse { image: Some(record.into()) }))
    }

    async fn delete(&self, request: Request<pb::DeleteImageRequest>) -> Result<Response<()>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let expected = request.target.map(|target| target.digest.parse()).transpose();
        let expected = expected.map_err(Error::from).map_err(status)?;
        self.names.delete(&namespace, &request.name, expected.as_ref()).await.map_err(status)?;
        if request.sync {
            self.names.collect(&namespace).await.map_err(status)?;
        }
        Ok(Response::new(()))
    }
}

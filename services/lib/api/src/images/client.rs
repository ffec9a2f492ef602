//! A client of the images service, over its socket.

mod progress;
mod records;

use gantry_proto::gantry::images::v1 as pb;
use gantry_proto::gantry::images::v1::image_store_client::ImageStoreClient;
use gantry_rpc::{Channel, context};
use gantry_types::{Digest, Namespace, Platform, Reference};

pub use progress::{Pulling, Pushing};

use super::{
    Commit, CommitSpec, Credentials, Distribution, Filter, Image, Inspect, Look, Manage, PullSpec, PushSpec,
    Registries, Registry, Removal, Removed, Transfer, Unpack, Use, convert,
};
use crate::Failure;
use crate::wire::{self, Invalid};

client!(
    /// A client of images. Cheap to clone.
    "images", images: ImageStoreClient<Channel>
);

impl Client {
    fn read(&self, call: &'static str, image: Option<pb::Image>) -> Result<Image, Failure> {
        let image = image.ok_or(Invalid::Missing { field: "image" }).and_then(convert::parse_image);
        image.map_err(self.caller.garbled(call))
    }
}

impl Inspect for Client {
    async fn image(
        &self,
        namespace: &Namespace,
        text: &str,
        platform: Option<&Platform>,
        look: Look,
    ) -> Result<Image, Failure> {
        const CALL: &str = "find an image";
        let request = pb::ResolveRequest {
            reference: text.to_owned(),
            platform: convert::platform_text(platform),
            documents_only: look == Look::Documents,
        };
        let request = context::with_namespace(request, namespace);
        self.read(CALL, Some(self.caller.ask(CALL, self.rpc().resolve(request)).await?))
    }

    async fn images(&self, namespace: &Namespace, filters: &[Filter]) -> Result<Vec<Image>, Failure> {
        const CALL: &str = "list images";
        let request = pb::ListRequest { filters: convert::filters(filters) };
        let request = context::with_namespace(request, namespace);
        let answer = self.caller.ask(CALL, self.rpc().list(request)).await?;
        let images = answer.images.into_iter().map(convert::parse_image).collect::<Result<_, _>>();
        images.map_err(self.caller.garbled(CALL))
    }
}

impl Manage for Client {
    async fn tag_image(&self, namespace: &Namespace, text: &str, name: &Reference) -> Result<Image, Failure> {
        const CALL: &str = "tag an image";
        let request = pb::TagRequest { source: text.to_owned(), target: name.to_string() };
        let request = context::with_namespace(request, namespace);
        self.read(CALL, self.caller.ask(CALL, self.rpc().tag(request)).await?.image)
    }

    async fn remove_image(&self, namespace: &Namespace, removal: Removal) -> Result<Removed, Failure> {
        const CALL: &str = "remove an image";
        let request = context::with_namespace(convert::removal(&removal), namespace);
        let removed = self.caller.ask(CALL, self.rpc().remove(request)).await?;
        convert::parse_removed(removed).map_err(self.caller.garbled(CALL))
    }

    async fn prune_images(
        &self,
        namespace: &Namespace,
        filters: &[Filter],
        in_use: &[Use],
    ) -> Result<Removed, Failure> {
        const CALL: &str = "prune images";
        let request = pb::PruneRequest { filters: convert::filters(filters), in_use: convert::uses(in_use) };
        let request = context::with_namespace(request, namespace);
        let removed = self.caller.ask(CALL, self.rpc().prune(request)).await?;
        convert::parse_removed(removed).map_err(self.caller.garbled(CALL))
    }
}

impl Unpack for Client {
    async fn unpack_image(
        &self,
        namespace: &Namespace,
        text: &str,
        platform: Option<&Platform>,
        snapshotter: Option<&str>,
    ) -> Result<Image, Failure> {
        const CALL: &str = "unpack an image";
        let request = pb::EnsureUnpackedRequest {
            reference: text.to_owned(),
            platform: convert::platform_text(platform),
            snapshotter: snapshotter.unwrap_or_default().to_owned(),
        };
        let request = context::with_namespace(request, namespace);
        self.read(CALL, self.caller.ask(CALL, self.rpc().ensure_unpacked(request)).await?.image)
    }
}

impl Commit for Client {
    async fn commit_image(&self, namespace: &Namespace, spec: CommitSpec) -> Result<Digest, Failure> {
        const CALL: &str = "make an image of a container";
        let request = context::with_namespace(convert::commit(spec), namespace);
        let answer = self.caller.ask(CALL, self.rpc().commit(request)).await?;
        wire::digest(&answer.id).map_err(self.caller.garbled(CALL))
    }
}

impl Transfer for Client {
    type Pulling = Pulling;
    type Pushing = Pushing;

    async fn pull_image(&self, namespace: &Namespace, spec: PullSpec) -> Result<Pulling, Failure> {
        let request = context::with_namespace(convert::pull_spec(&spec), namespace);
        let stream = self.caller.ask(progress::PULL, self.rpc().pull(request)).await?;
        Ok(Pulling::new(self.caller, stream))
    }

    async fn push_image(&self, namespace: &Namespace, spec: PushSpec) -> Result<Pushing, Failure> {
        let request = context::with_namespace(convert::push_spec(&spec), namespace);
        let stream = self.caller.ask(progress::PUSH, self.rpc().push(request)).await?;
        Ok(Pushing::new(self.caller, stream))
    }
}

impl Registries for Client {
    async fn distribution(
        &self,
        reference: &Reference,
        credentials: &Credentials,
    ) -> Result<Distribution, Failure> {
        const CALL: &str = "ask a registry for a name";
        let auth = Some(convert::auth(credentials, ""));
        let request = pb::DistributionRequest { reference: reference.to_string(), auth };
        let answer = self.caller.ask(CALL, self.rpc().distribution(request)).await?;
        convert::parse_distribution(answer).map_err(self.caller.garbled(CALL))
    }

    async fn login(&self, address: &str, credentials: &Credentials) -> Result<(), Failure> {
        let request = pb::LoginRequest { auth: Some(convert::auth(credentials, address)) };
        self.caller.ask("log in to a registry", self.rpc().login(request)).await.map(drop)
    }

    async fn registries(&self) -> Result<Vec<Registry>, Failure> {
        const CALL: &str = "tell the registries";
        let answer = self.caller.ask(CALL, self.rpc().registries(pb::RegistriesRequest {})).await?;
        Ok(answer.registries.into_iter().map(convert::parse_registry).collect())
    }
}

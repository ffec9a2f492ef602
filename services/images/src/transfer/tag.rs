//! Tags: an image of the store under another name.

use gantry_proto::containerd::types::transfer as pb;
use gantry_types::Namespace;

use super::{Transfers, storage};
use crate::error::Error;

impl Transfers {
    /// Points the names of `to` at what `from` names, whatever they stood for.
    pub(super) async fn tag(
        &self,
        namespace: &Namespace,
        from: &pb::ImageStore,
        to: &pb::ImageStore,
    ) -> Result<(), Error> {
        let target = self.names.store().get(namespace, &from.name)?.target;
        let names = storage::names_of(to, &target);
        if names.is_empty() {
            return Err(Error::Request("a tag needs a name".into()));
        }
        storage::name(&self.names, namespace, to, &target, &names).await
    }
}

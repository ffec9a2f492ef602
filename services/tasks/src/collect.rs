//! The records as garbage collection sees them. Containers and sandboxes are roots. A container keeps its snapshot
//! and its image by name; both keep what their labels refer to. This service has nothing to collect, so its sweep
//! does nothing.

use std::collections::BTreeSet;

use gantry_api::Promise;
use gantry_api::gc::{Collector, Mark, Node, Resource, Swept};
use gantry_proto::containerd::services::containers::v1::Container;
use gantry_proto::containerd::types::Sandbox;
use gantry_types::{Labels, Namespace};

use crate::containers::Containers;
use crate::error::Error;
use crate::sandboxes::Sandboxes;

const CONTAINERS: &str = "containers";
const SANDBOXES: &str = "sandboxes";

/// The records of containers and sandboxes. Cheap to clone.
#[derive(Clone)]
pub struct Roots {
    containers: Containers,
    sandboxes: Sandboxes,
}

impl Roots {
    /// The roots of these records.
    pub fn new(containers: Containers, sandboxes: Sandboxes) -> Roots {
        Roots { containers, sandboxes }
    }

    fn is_there(&self, namespace: &Namespace, resource: &Resource) -> bool {
        match resource.kind.as_str() {
            CONTAINERS => self.containers.get(namespace, &resource.key).is_ok(),
            SANDBOXES => self.sandboxes.get(namespace, &resource.key).is_ok(),
            _ => false,
        }
    }
}

fn container(container: Container) -> Node {
    let resource = Resource::new(CONTAINERS, container.id);
    let mut node = Node { root: true, ..Node::labelled(resource, &Labels::from(container.labels)) };
    if !container.snapshot_key.is_empty() {
        node.references.push(Resource::snapshot(&container.snapshotter, &container.snapshot_key));
    }
    if !container.image.is_empty() {
        node.references.push(Resource::image(&container.image));
    }
    node
}

fn sandbox(sandbox: Sandbox) -> Node {
    let resource = Resource::new(SANDBOXES, sandbox.sandbox_id);
    Node { root: true, ..Node::labelled(resource, &Labels::from(sandbox.labels)) }
}

impl Promise for Roots {
    type Error = Error;
}

impl Collector for Roots {
    async fn namespaces(&self) -> Result<BTreeSet<Namespace>, Error> {
        let names = self.containers.namespaces()?.into_iter().chain(self.sandboxes.namespaces()?);
        names.map(|name| Ok(name.parse()?)).collect()
    }

    async fn begin(&self, _: &Namespace) -> Result<Mark, Error> {
        Ok(Mark::default())
    }

    async fn scan(&self, namespace: &Namespace) -> Result<Vec<Node>, Error> {
        let containers = self.containers.list(namespace.as_str(), &[])?;
        let sandboxes = self.sandboxes.list(namespace.as_str(), &[])?;
        Ok(containers.into_iter().map(container).chain(sandboxes.into_iter().map(sandbox)).collect())
    }

    async fn sweep(&self, _: &Namespace, _: Mark, _: Vec<Resource>) -> Result<Swept, Error> {
        Ok(Swept::default())
    }

    async fn touch(
        &self,
        namespace: &Namespace,
        mut resources: Vec<Resource>,
    ) -> Result<Vec<Resource>, Error> {
        resources.retain(|resource| !self.is_there(namespace, resource));
        Ok(resources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_keeps_its_snapshot_and_image() {
        let node = container(Container {
            id: "c".into(),
            image: "docker.io/library/x:1".into(),
            snapshotter: "overlayfs".into(),
            snapshot_key: "c".into(),
            ..Default::default()
        });
        assert!(node.root);
        let expected = [Resource::snapshot("overlayfs", "c"), Resource::image("docker.io/library/x:1")];
        assert_eq!(node.references, expected);
    }
}

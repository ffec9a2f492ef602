//! The records as garbage collection sees them. Containers and sandboxes are roots. A container keeps its snapshot
//! and its image by name; both keep what their labels refer to. This service has nothing to collect, so its sweep
//! does nothing.

use std::collections::BTreeSet;

use gantry_api::Promise;
use gantry_api::gc::{Collector, Mark, Node, Resource, Swept};
use gantry_api::tasks::records::Container;
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

    fn is_there(&self, namespace: &Namespace, resource: &Resource) -> Result<bool, Error> {
        match resource.kind.as_str() {
            CONTAINERS => match resource.key.parse() {
                Ok(id) => self.containers.contains(namespace, &id),
                Err(_) => Ok(false),
            },
            SANDBOXES => Ok(self.sandboxes.get(namespace, &resource.key).is_ok()),
            _ => Ok(false),
        }
    }
}

fn container(container: Container) -> Node {
    let resource = Resource::new(CONTAINERS, container.id.as_str());
    let mut node = Node { root: true, ..Node::labelled(resource, &container.labels) };
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
        let mut namespaces = self.containers.namespaces()?;
        for name in self.sandboxes.namespaces()? {
            namespaces.insert(name.parse()?);
        }
        Ok(namespaces)
    }

    async fn begin(&self, _: &Namespace) -> Result<Mark, Error> {
        Ok(Mark::default())
    }

    async fn scan(&self, namespace: &Namespace) -> Result<Vec<Node>, Error> {
        let containers = self.containers.all(namespace)?.into_iter().map(|record| record.container);
        let sandboxes = self.sandboxes.list(namespace.as_str(), &[])?;
        Ok(containers.map(container).chain(sandboxes.into_iter().map(sandbox)).collect())
    }

    async fn sweep(&self, _: &Namespace, _: Mark, _: Vec<Resource>) -> Result<Swept, Error> {
        Ok(Swept::default())
    }

    async fn touch(&self, namespace: &Namespace, resources: Vec<Resource>) -> Result<Vec<Resource>, Error> {
        let mut missing = Vec::new();
        for resource in resources {
            if !self.is_there(namespace, &resource)? {
                missing.push(resource);
            }
        }
        Ok(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_keeps_its_snapshot_and_image() {
        let node = container(Container {
            image: "docker.io/library/x:1".into(),
            snapshotter: "overlayfs".into(),
            snapshot_key: "c".into(),
            ..Container::new(&"c".parse().expect("an id"), "io.containerd.gantry.v2", Default::default())
        });
        assert!(node.root);
        let expected = [Resource::snapshot("overlayfs", "c"), Resource::image("docker.io/library/x:1")];
        assert_eq!(node.references, expected);
    }
}

//! Commits: images made of containers.

use gantry_api::images::{CommitSpec, Image, Service};
use gantry_rpc::Code;

use super::{NOTHING, World, moby, number, reference, refused};

impl<S> World<S> {
    fn commit_of(&self, parent: &Image) -> CommitSpec {
        CommitSpec {
            parent: parent.id().to_string(),
            manifest: parent.manifest.clone(),
            snapshotter: "overlayfs".to_owned(),
            snapshot: self.root.clone(),
            reference: None,
            comment: "changed".to_owned(),
            author: "ada".to_owned(),
            changes: vec!["LABEL n=9".to_owned()],
            config_json: br#"{"Cmd":["sh"],"Labels":{"n":"0"}}"#.to_vec().into(),
            created_by: "sh".to_owned(),
        }
    }
}

/// The image has its parent's layers and one more, with a name or without.
pub async fn an_image_is_made_of_a_container<S: Service>(world: &World<S>) {
    let [parent] = world.have([0]).await;
    let named = CommitSpec { reference: Some(reference("mine")), ..world.commit_of(&parent) };
    let id = world.images.commit_image(&moby(), named).await.expect("made");
    let made = world.find("mine:latest").await.expect("there");
    assert_eq!((made.id(), number(&made)), (&id, "9"));
    assert_eq!((made.layers.len(), made.platform), (parent.layers.len() + 1, parent.platform.clone()));
    let base = made.layers.iter().zip(&parent.layers);
    assert!(base.into_iter().all(|(own, below)| own.diff_id == below.diff_id));
    let id = world.images.commit_image(&moby(), world.commit_of(&parent)).await.expect("made");
    assert!(world.find(id.as_str()).await.expect("there").names.is_empty());
}

/// A missing parent or root is refused, and so is an unknown instruction.
pub async fn what_no_image_can_be_made_of_is_refused<S: Service>(world: &World<S>) {
    let [parent] = world.have([0]).await;
    let spec = || world.commit_of(&parent);
    let digest = format!("mine@{}", parent.id());
    for (spec, code) in [
        (CommitSpec { parent: NOTHING.to_owned(), ..spec() }, Code::NotFound),
        (CommitSpec { snapshot: "no-such-root".to_owned(), ..spec() }, Code::NotFound),
        (CommitSpec { changes: vec!["FROM scratch".to_owned()], ..spec() }, Code::InvalidArgument),
        (CommitSpec { config_json: "{".into(), ..spec() }, Code::InvalidArgument),
        (CommitSpec { reference: Some(reference(&digest)), ..spec() }, Code::InvalidArgument),
    ] {
        refused(world.images.commit_image(&moby(), spec).await, code);
    }
    assert_eq!(world.list(&[]).await, ["0"]);
}

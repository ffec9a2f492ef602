//! Images: names, targets, and transfers from and to registries.

mod bundle;
mod commits;
mod names;
mod records;
mod removals;
mod transfers;

use gantry_api::images::{Filter, Image, Look, Progress, PullEvent, PullSpec, Service};
use gantry_rpc::{Code, Coded};
use gantry_types::{Namespace, Reference};

pub use bundle::{Bundle, bundles};
pub use commits::*;
pub use names::*;
pub use records::*;
pub use removals::*;
pub use transfers::*;

/// A service without images, and a registry.
#[derive(Debug)]
pub struct World<S> {
    /// The implementation, with its records.
    pub images: S,
    /// The host of a registry that accepts every push. It has [`bundles`] as `team/app:0`, `team/app:1`, …
    pub registry: String,
    /// The key of a container's root in `overlayfs`.
    pub root: String,
}

/// Tests of `gantry_api::images::Service` and of its records.
#[macro_export]
macro_rules! images {
    ($world:expr) => {
        $crate::suite!(
            images,
            $world,
            [
                an_image_is_found_by_whatever_it_is_called,
                what_is_not_there_is_not_found,
                images_are_listed_newest_first_by_the_filters,
                an_image_gets_another_name,
                a_name_that_moves_leaves_its_image_without_one,
                namespaces_have_their_own_images,
                a_name_goes_alone_while_there_are_others,
                what_is_used_goes_only_when_that_is_forced,
                an_image_of_several_repositories_goes_by_its_id_only_when_forced,
                what_is_here_for_a_platform_is_removed,
                a_prune_takes_what_nobody_uses,
                a_pull_tells_how_it_goes_and_leaves_an_image,
                what_is_here_is_up_to_date,
                a_repository_is_pulled_with_all_its_tags,
                what_a_registry_has_not_is_not_found,
                a_registry_that_does_not_answer_is_unavailable,
                what_was_pushed_can_be_pulled,
                registries_are_asked_for_names_and_credentials,
                an_image_is_unpacked_as_often_as_somebody_likes,
                an_image_is_made_of_a_container,
                what_no_image_can_be_made_of_is_refused,
                a_record_is_there_from_its_creation_to_its_deletion,
                an_update_changes_what_it_names,
                a_record_that_points_elsewhere_is_not_deleted,
                records_are_listed_by_the_filters,
            ]
        );
    };
}

/// A name of no image.
const NOTHING: &str = "nothing:1";

fn moby() -> Namespace {
    Namespace::moby()
}

#[track_caller]
fn refused<T, E: Coded + 'static>(outcome: Result<T, E>, code: Code) {
    match outcome {
        Ok(_) => panic!("it did not fail, but should have with {code:?}"),
        Err(error) => assert_eq!(error.code(), code, "{}", gantry_rpc::chain(&error)),
    }
}

fn reference(text: &str) -> Reference {
    Reference::parse_normalized(text).expect("a reference")
}

fn filter(key: &str, value: &str) -> Filter {
    Filter { key: key.to_owned(), values: vec![value.to_owned()] }
}

/// The label `n` of a bundle.
fn number(image: &Image) -> &str {
    image.labels.get("n").map_or("none", String::as_str)
}

impl<S> World<S> {
    /// The name of a bundle.
    fn name(&self, number: usize) -> String {
        format!("{}/team/app:{number}", self.registry)
    }
}

impl<S: Service> World<S> {
    /// Pulls to the end. Returns the events.
    async fn pull(&self, spec: PullSpec) -> Result<Vec<PullEvent>, S::Error> {
        told(self.images.pull_image(&moby(), spec).await?).await
    }

    /// Pulls these bundles.
    async fn have<const N: usize>(&self, numbers: [usize; N]) -> [Image; N] {
        for number in numbers {
            let spec = PullSpec::of(reference(&self.name(number)));
            self.pull(spec).await.unwrap_or_else(|error| panic!("pull: {}", gantry_rpc::chain(&error)));
        }
        let mut images = Vec::new();
        for number in numbers {
            images.push(self.find(&self.name(number)).await.expect("it was pulled"));
        }
        images.try_into().expect("one of each")
    }

    async fn find(&self, text: &str) -> Result<Image, S::Error> {
        self.images.image(&moby(), text, None, Look::Everything).await
    }

    /// The labels `n` of the images that match the filters.
    async fn list(&self, filters: &[Filter]) -> Vec<String> {
        let images = self.images.images(&moby(), filters).await.expect("listed");
        images.iter().map(|image| number(image).to_owned()).collect()
    }
}

async fn told<P: Progress>(mut progress: P) -> Result<Vec<P::Event>, P::Error> {
    let mut events = Vec::new();
    while let Some(event) = progress.next().await? {
        events.push(event);
    }
    Ok(events)
}

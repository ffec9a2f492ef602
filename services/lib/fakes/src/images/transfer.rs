//! Pulls and pushes between this content and the registries' content. Each request for progress makes one step.

use std::collections::VecDeque;
use std::time::Duration;

use gantry_api::images::{
    LayerProgress, LayerState, Look, Progress, PullEvent, PullSpec, PushEvent, PushProgress, PushSpec,
    PushState, Transfer,
};
use gantry_rpc::Code;
use gantry_types::{Descriptor, Digest, Namespace, Platform, Reference};

use super::find::Found;
use super::{Images, SNAPSHOTTER, documents};
use crate::{Content, Refused};

/// A pull or push in progress. Dropping it leaves the remaining steps undone.
#[derive(Debug)]
pub struct Moving<E> {
    images: Images,
    namespace: Namespace,
    rest: VecDeque<Step<E>>,
}

#[derive(Debug)]
enum Step<E> {
    Tell(E),
    /// Fetch a blob from the registries.
    Fetch(Digest),
    /// Send a blob to the registries.
    Send(Digest),
    /// The pull is complete: set this name and unpack with this snapshotter.
    Name(Reference, Descriptor, String),
    /// The push is complete: set this name.
    Offer(String, Descriptor),
}

fn copy(from: (&Content, &Namespace), to: (&Content, &Namespace), digest: &Digest) -> Result<(), Refused> {
    let bytes = from.0.get(from.1, digest);
    let bytes = bytes.ok_or_else(|| Refused::new(Code::NotFound, digest, "no such blob"))?;
    to.0.put(to.1, &bytes);
    Ok(())
}

impl<E: Send + 'static> Progress for Moving<E> {
    type Event = E;
    type Error = Refused;

    async fn next(&mut self) -> Result<Option<E>, Refused> {
        let Self { images, namespace, rest } = self;
        // Registries have no namespaces.
        let (here, there) = ((&images.content, &*namespace), (&images.remote, &Namespace::moby()));
        while let Some(step) = rest.pop_front() {
            match step {
                Step::Tell(event) => return Ok(Some(event)),
                Step::Fetch(digest) => copy(there, here, &digest)?,
                Step::Send(digest) => copy(here, there, &digest)?,
                Step::Name(name, target, snapshotter) => {
                    let found = Found { target: target.clone(), records: Vec::new(), by_name: None };
                    let image = images.describe(namespace, &found, None, Look::Documents)?;
                    images.note_unpacked(namespace, &snapshotter, &image);
                    images.point(namespace, &name.to_string(), &target);
                }
                Step::Offer(name, target) => {
                    images.state.lock().offered.insert(name, target);
                }
            }
        }
        Ok(None)
    }
}

fn layer(blob: &Descriptor, state: LayerState) -> Step<PullEvent> {
    let (digest, total) = (blob.digest.clone(), blob.size);
    let current = if state == LayerState::Pulling { 0 } else { total };
    Step::Tell(PullEvent::Layer(LayerProgress { digest, state, current, total, retry: Duration::ZERO }))
}

fn sent(blob: &Descriptor, state: PushState) -> Step<PushEvent> {
    let (digest, total) = (blob.digest.clone(), blob.size);
    let current = if state == PushState::Preparing { 0 } else { total };
    let mounted_from = String::new();
    Step::Tell(PushEvent::Layer(PushProgress { digest, state, current, total, mounted_from }))
}

impl Images {
    /// What the registries have under a name.
    fn offers(&self, spec: &PullSpec) -> Result<Vec<(Reference, Descriptor)>, Refused> {
        self.answers(spec.reference.domain())?;
        let state = self.state.lock();
        let wanted = spec.reference.clone().with_default_tag();
        let offered = state.offered.iter().filter_map(|(name, target)| {
            let name = Reference::parse_normalized(name).ok()?;
            let is_it = match (spec.all_tags, wanted.digest()) {
                (true, _) => name.name() == wanted.name(),
                (false, Some(digest)) => name.name() == wanted.name() && target.digest == *digest,
                (false, None) => name == wanted,
            };
            let name = if wanted.digest().is_some() { wanted.clone() } else { name };
            is_it.then(|| (name, target.clone()))
        });
        let offered: Vec<_> = offered.collect();
        match offered.is_empty() {
            true => Err(Refused::new(Code::NotFound, wanted, "the registry has it not")),
            false => Ok(offered),
        }
    }

    /// Whether a target at a registry has something for a platform.
    fn fits(&self, target: &Descriptor, platform: Option<&Platform>) -> Result<(), Refused> {
        let Some(platform) = platform else { return Ok(()) };
        for manifest in documents::manifests(&self.remote, &Namespace::moby(), target)? {
            let of = documents::read(&self.remote, &Namespace::moby(), &manifest)?.platform;
            if platform.rank(&of).is_some() {
                return Ok(());
            }
        }
        Err(Refused::new(Code::NotFound, platform, "the registry has nothing for it"))
    }

    fn pull_steps(
        &self,
        namespace: &Namespace,
        spec: &PullSpec,
        (name, target): (Reference, Descriptor),
    ) -> Result<Vec<Step<PullEvent>>, Refused> {
        let digest = target.digest.clone();
        let tag =
            name.digest().map(ToString::to_string).or(name.tag().map(str::to_owned)).unwrap_or_default();
        let resolving = PullEvent::Resolving { repository: name.path().to_owned(), tag };
        let pulled = |up_to_date| PullEvent::Pulled {
            reference: name.to_string(),
            digest: digest.clone(),
            up_to_date,
        };
        let mut steps = vec![Step::Tell(resolving)];
        if self.find(namespace, &name.to_string()).is_ok_and(|known| known.target.digest == digest) {
            steps.push(Step::Tell(pulled(true)));
            return Ok(steps);
        }
        self.fits(&target, spec.platform.as_ref())?;
        let parts = documents::parts(&self.remote, &Namespace::moby(), &target)?;
        steps.extend(parts.documents.into_iter().map(Step::Fetch));
        for blob in parts.layers {
            if self.content.has(namespace, &blob.digest) {
                steps.push(layer(&blob, LayerState::Exists));
                continue;
            }
            steps.push(layer(&blob, LayerState::Pulling));
            steps.push(Step::Fetch(blob.digest.clone()));
            steps.extend([LayerState::Downloaded, LayerState::Complete].map(|state| layer(&blob, state)));
        }
        let snapshotter = spec.snapshotter.as_deref().unwrap_or(SNAPSHOTTER).to_owned();
        steps.push(Step::Name(name.clone(), target, snapshotter));
        steps.push(Step::Tell(pulled(false)));
        Ok(steps)
    }

    /// The tags (or the digest) to push.
    fn pushed(
        &self,
        namespace: &Namespace,
        wanted: &Reference,
    ) -> Result<Vec<(String, Descriptor)>, Refused> {
        if wanted.tag().is_some() || wanted.digest().is_some() {
            return Ok(vec![(wanted.to_string(), self.find(namespace, &wanted.to_string())?.target)]);
        }
        let state = self.state.lock();
        let all = state.records.iter().filter(|((of, name), _)| {
            of == namespace
                && Reference::parse_normalized(name).is_ok_and(|name| name.name() == wanted.name())
        });
        let all: Vec<_> = all.map(|((_, name), record)| (name.clone(), record.target.clone())).collect();
        match all.is_empty() {
            true => Err(Refused::new(Code::NotFound, wanted, "nothing of that name is here")),
            false => Ok(all),
        }
    }
}

impl Transfer for Images {
    type Pulling = Moving<PullEvent>;
    type Pushing = Moving<PushEvent>;

    async fn pull_image(&self, namespace: &Namespace, spec: PullSpec) -> Result<Self::Pulling, Refused> {
        let mut rest = VecDeque::new();
        for offer in self.offers(&spec)? {
            rest.extend(self.pull_steps(namespace, &spec, offer)?);
        }
        Ok(Moving { images: self.clone(), namespace: namespace.clone(), rest })
    }

    async fn push_image(&self, namespace: &Namespace, spec: PushSpec) -> Result<Self::Pushing, Refused> {
        let tags = self.pushed(namespace, &spec.reference)?;
        self.answers(spec.reference.domain())?;
        let repository = spec.reference.name();
        let mut rest = VecDeque::from([Step::Tell(PushEvent::Preparing { repository })]);
        for (name, target) in tags {
            let parts = documents::parts(&self.content, namespace, &target)?;
            for blob in &parts.layers {
                rest.push_back(sent(blob, PushState::Preparing));
                if self.remote.has(&Namespace::moby(), &blob.digest) {
                    rest.push_back(sent(blob, PushState::Exists));
                    continue;
                }
                rest.push_back(Step::Send(blob.digest.clone()));
                rest.push_back(sent(blob, PushState::Pushed));
            }
            rest.extend(parts.documents.into_iter().map(Step::Send));
            let tag = Reference::parse_normalized(&name).ok().and_then(|name| name.tag().map(str::to_owned));
            let (digest, size) = (target.digest.clone(), target.size);
            rest.push_back(Step::Offer(name.clone(), target));
            rest.push_back(Step::Tell(PushEvent::Pushed { tag: tag.unwrap_or(name), digest, size }));
        }
        Ok(Moving { images: self.clone(), namespace: namespace.clone(), rest })
    }
}

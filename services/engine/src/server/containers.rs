//! Implements the interface of containers.

use std::sync::Arc;
use std::time::Duration;

use gantry_api::engine::containers::{
    self, Attach, Before, Connect, Force, Inspect, Manage, Run, Sampling, Sizes, Wait, Watch,
};
use gantry_api::engine::{
    AttachPoint, AttachSpec, Change, CommitSpec, Condition, CreateSpec, Created, EndpointSettings, Exit,
    Filter, ListQuery, Listing, Opened, Pruned, RemoveSpec, Sample, Stats, StopSpec, Top, Update, Window,
};

use crate::container::Container;
use crate::container::attach::Attachment;
use crate::container::wait::Waiting;
use crate::engine::Engine;
use crate::error::{Error, Result};

/// Time between two samples.
const PERIOD: Duration = Duration::from_secs(1);

impl Inspect for Engine {
    async fn container(&self, name: &str, sizes: Sizes) -> Result<gantry_api::engine::Container> {
        self.get(name, sizes == Sizes::Measured).await
    }

    async fn containers(&self, query: ListQuery) -> Result<Listing> {
        self.list(&query).await
    }

    async fn top(&self, name: &str, ps_args: &str) -> Result<Top> {
        Engine::top(self, name, ps_args).await
    }

    async fn changes(&self, name: &str) -> Result<Vec<Change>> {
        Engine::changes(self, name).await
    }
}

impl Manage for Engine {
    async fn create_container(&self, spec: CreateSpec) -> Result<Created> {
        self.create(spec).await
    }

    async fn rename_container(&self, name: &str, to: &str) -> Result<()> {
        self.rename(name, to).await
    }

    async fn update_container(&self, name: &str, update: Update) -> Result<Vec<String>> {
        self.update(name, update).await
    }

    async fn remove_container(&self, spec: RemoveSpec) -> Result<()> {
        self.remove(&spec).await
    }

    async fn prune_containers(&self, filters: &[Filter]) -> Result<Pruned> {
        self.prune(filters).await
    }

    async fn commit_container(&self, spec: CommitSpec) -> Result<String> {
        self.commit(spec).await
    }
}

/// Whether the container was in the requested state before.
fn before(done: bool) -> Before {
    if done { Before::Otherwise } else { Before::Already }
}

impl Run for Engine {
    async fn start_container(&self, name: &str) -> Result<Before> {
        self.start(name).await.map(before)
    }

    async fn stop_container(&self, spec: StopSpec) -> Result<Before> {
        self.stop(&spec).await.map(before)
    }

    async fn restart_container(&self, spec: StopSpec) -> Result<()> {
        self.restart(&spec).await
    }

    async fn kill_container(&self, name: &str, signal: &str) -> Result<()> {
        self.kill(name, signal).await
    }

    async fn pause_container(&self, name: &str) -> Result<()> {
        self.pause(name).await
    }

    async fn unpause_container(&self, name: &str) -> Result<()> {
        self.unpause(name).await
    }

    async fn resize_container(&self, name: &str, size: Window) -> Result<()> {
        self.resize(name, size).await
    }
}

impl Wait for Engine {
    type Waiting = Waiting;

    async fn wait_for(&self, name: &str, condition: Condition) -> Result<Waiting> {
        self.wait(name, condition)
    }
}

impl containers::Waiting for Waiting {
    type Error = Error;

    async fn exit(self) -> Result<Option<Exit>> {
        Ok(Some(self.result().await))
    }
}

/// Samples the resource usage of a container.
pub struct Samples {
    engine: Engine,
    container: Arc<Container>,
    sampling: Sampling,
    next: Next,
    previous: Option<Sample>,
}

/// What follows the present sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// A sample at once.
    Now,
    /// A sample after [`PERIOD`].
    Later,
    /// No further sample.
    Nothing,
}

impl Watch for Engine {
    type Samples = Samples;

    async fn stats(&self, name: &str, sampling: Sampling) -> Result<Samples> {
        let container = self.containers.find(name)?;
        Ok(Samples { engine: self.clone(), container, sampling, next: Next::Now, previous: None })
    }
}

impl Samples {
    fn stats(&mut self, current: Option<Sample>) -> Stats {
        Stats {
            id: self.container.id().to_owned(),
            name: self.container.name(),
            previous: std::mem::replace(&mut self.previous, current.clone()),
            current,
        }
    }
}

impl containers::Samples for Samples {
    type Error = Error;

    async fn next(&mut self) -> Result<Option<Stats>> {
        match self.next {
            Next::Now => {}
            Next::Later => tokio::time::sleep(PERIOD).await,
            Next::Nothing => return Ok(None),
        }
        let mut current = self.engine.sample(&self.container).await?;
        // A single sample contains two moments, unless the container does not run.
        if self.sampling == Sampling::Once && current.is_some() {
            self.previous = current;
            tokio::time::sleep(PERIOD).await;
            current = self.engine.sample(&self.container).await?;
        }
        let goes_on = self.sampling == Sampling::Stream && !self.container.life().is_removed();
        self.next = if goes_on { Next::Later } else { Next::Nothing };
        Ok(Some(self.stats(current)))
    }
}

impl Attach for Engine {
    type Attachment = Attachment;

    async fn attach(&self, spec: AttachSpec) -> Result<(Opened, Attachment)> {
        Engine::attach(self, &spec)
    }
}

impl containers::Attachment for Attachment {
    type Error = Error;

    async fn point(&mut self) -> Result<Option<AttachPoint>> {
        Ok(Attachment::point(self).await)
    }

    async fn connected(&mut self) {
        self.announced.arrived();
    }
}

impl Connect for Engine {
    async fn connect_container(&self, name: &str, network: &str, settings: EndpointSettings) -> Result<()> {
        self.connect(name, network, settings).await
    }

    async fn disconnect_container(&self, name: &str, network: &str, force: Force) -> Result<()> {
        self.disconnect(name, network, force == Force::Yes).await
    }
}

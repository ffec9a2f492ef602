//! One container of the fake engine.

use std::collections::{BTreeMap, HashMap};

use gantry_api::engine::{
    self as api, ContainerSummary, CreateSpec, EndpointSettings, Event, ExecSpec, LogConfig, NamedEndpoint,
    State, Status,
};
use gantry_types::Signal;

use super::files::Files;
use super::logs::Line;

/// The phase of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Created,
    /// The process is created, and the start waits for clients that attach.
    Starting,
    Running,
    Paused,
    Exited,
}

#[derive(Debug)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) created_at: i64,
    /// The request, with the image's values and later changes.
    pub(super) spec: CreateSpec,
    pub(super) image_id: String,
    pub(super) networks: BTreeMap<String, EndpointSettings>,
    pub(super) phase: Phase,
    pub(super) started_at: i64,
    pub(super) finished_at: i64,
    pub(super) exit_code: i32,
    /// The error of the last start.
    pub(super) error: String,
    /// Whether a client asked for the end.
    pub(super) by_hand: bool,
    pub(super) restarts: u32,
    /// Number of ends.
    pub(super) ends: u64,
    /// Number of failed starts.
    pub(super) failures: u64,
    /// Number of clients that attach and are not connected yet.
    pub(super) attaching: usize,
    pub(super) execs: BTreeMap<String, Exec>,
    pub(super) printed: Vec<Line>,
    pub(super) files: Files,
}

/// An exec.
#[derive(Debug)]
pub(super) struct Exec {
    pub(super) view: api::Exec,
    pub(super) started: bool,
}

impl Exec {
    pub(super) fn new(id: &str, container: &str, spec: ExecSpec) -> Self {
        let view =
            api::Exec { id: id.to_owned(), container_id: container.to_owned(), spec, ..Default::default() };
        Self { view, started: false }
    }
}

impl Container {
    pub(super) fn status(&self) -> Status {
        match self.phase {
            Phase::Created => Status::Created,
            Phase::Starting if self.ends == 0 => Status::Created,
            Phase::Starting | Phase::Exited => Status::Exited,
            Phase::Running => Status::Running,
            Phase::Paused => Status::Paused,
        }
    }

    pub(super) fn has_process(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Paused)
    }

    pub(super) fn is_attachable(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Running)
    }

    /// The program and its arguments.
    pub(super) fn arguments(&self) -> Vec<String> {
        let config = &self.spec.config;
        let entrypoint = config.entrypoint.iter().flatten().filter(|word| !word.is_empty());
        entrypoint.chain(config.cmd.iter().flatten()).cloned().collect()
    }

    pub(super) fn stop_signal(&self) -> Signal {
        self.spec.config.stop_signal.parse().unwrap_or(Signal::TERM)
    }

    pub(super) fn log_driver(&self) -> &str {
        self.spec.host.log_config.as_ref().map_or("json-file", |log| log.r#type.as_str())
    }

    pub(super) fn event(&self, action: &str) -> Event {
        let mut attributes: HashMap<String, String> = self.spec.config.labels.clone();
        attributes.insert("image".to_owned(), self.spec.config.image.clone());
        attributes.insert("name".to_owned(), self.name.clone());
        let (kind, action) = ("container".to_owned(), action.to_owned());
        Event { kind, action, actor_id: self.id.clone(), attributes, time: 0, probe: false }
    }

    fn state(&self) -> State {
        State {
            status: self.status(),
            oom_killed: false,
            pid: if self.has_process() { std::process::id() } else { 0 },
            exit_code: self.exit_code,
            error: self.error.clone(),
            started_at: self.started_at,
            finished_at: self.finished_at,
            health: None,
        }
    }

    pub(super) fn view(&self) -> api::Container {
        let mut arguments = self.arguments().into_iter();
        let mut host = self.spec.host.clone();
        host.log_config = Some(LogConfig {
            r#type: self.log_driver().to_owned(),
            config: host.log_config.map(|log| log.config).unwrap_or_default(),
        });
        let live = |exec: &&Exec| exec.view.exit_code.is_none();
        api::Container {
            id: self.id.clone(),
            name: self.name.clone(),
            created_at: self.created_at,
            state: self.state(),
            config: self.spec.config.clone(),
            host,
            networks: self.networks.clone().into_iter().collect(),
            image_id: self.image_id.clone(),
            path: arguments.next().unwrap_or_default(),
            args: arguments.collect(),
            restart_count: self.restarts,
            platform: "linux".to_owned(),
            exec_ids: self.execs.values().filter(live).map(|exec| exec.view.id.clone()).collect(),
            ..api::Container::default()
        }
    }

    pub(super) fn summary(&self) -> ContainerSummary {
        let mut arguments = self.arguments().into_iter();
        let networks = self.networks.iter();
        ContainerSummary {
            id: self.id.clone(),
            name: self.name.clone(),
            created_at: self.created_at,
            state: self.state(),
            image: self.spec.config.image.clone(),
            image_id: self.image_id.clone(),
            path: arguments.next().unwrap_or_default(),
            args: arguments.collect(),
            labels: self.spec.config.labels.clone(),
            network_mode: self.spec.host.network_mode.clone(),
            networks: networks
                .map(|(name, settings)| NamedEndpoint { network: name.clone(), settings: settings.clone() })
                .collect(),
            ..ContainerSummary::default()
        }
    }
}

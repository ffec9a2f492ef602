//! The state of the fake engine.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use gantry_api::engine::Event;
use gantry_api::tasks::Cause;
use gantry_rpc::Code;
use gantry_types::Reference;
use tokio::sync::broadcast;

use super::container::{Container, Exec, Phase};
use super::names::{new_id, now};
use crate::{Program, Refused};

/// Number of events that are kept.
const KEPT: usize = 512;
/// The exit code of a killed process.
pub(super) const KILLED: i32 = 137;

#[derive(Debug)]
pub(super) struct State {
    /// Oldest first.
    pub(super) containers: Vec<Container>,
    /// Exit codes of removed containers, by id.
    pub(super) removed: BTreeMap<String, i32>,
    /// Those of them that removed themselves: who asks late is still told of these.
    pub(super) removed_themselves: BTreeSet<String>,
    /// Image ids by canonical name.
    pub(super) images: BTreeMap<String, String>,
    pub(super) networks: BTreeSet<String>,
    pub(super) programs: BTreeMap<String, Program>,
    pub(super) events: VecDeque<Event>,
    pub(super) generation: u64,
    /// The path of the attach socket.
    pub(super) attach: PathBuf,
    pub(super) listed: usize,
    pub(super) waiting: usize,
    pub(super) telling: usize,
    pub(super) taking: usize,
}

impl Default for State {
    fn default() -> Self {
        /// Generations of different engines never coincide.
        static ENGINES: AtomicU64 = AtomicU64::new(1);
        Self {
            containers: Vec::new(),
            removed: BTreeMap::new(),
            removed_themselves: BTreeSet::new(),
            images: BTreeMap::from([("docker.io/library/busybox:latest".to_owned(), image_id())]),
            networks: ["bridge", "host", "none"].map(str::to_owned).into(),
            programs: BTreeMap::new(),
            events: VecDeque::new(),
            generation: ENGINES.fetch_add(1, Ordering::Relaxed) << 32,
            attach: PathBuf::new(),
            listed: 0,
            waiting: 0,
            telling: 0,
            taking: 0,
        }
    }
}

pub(super) fn image_id() -> String {
    format!("sha256:{}", new_id())
}

pub(super) fn missing(name: &str) -> Refused {
    Refused::new(Code::NotFound, name, "no such container")
}

pub(super) fn conflict<T>(name: &str, reason: &'static str) -> Result<T, Refused> {
    Err(Refused::new(Code::Aborted, name, reason))
}

impl State {
    /// Finds a container by id, name, or the beginning of its id.
    pub(super) fn find(&mut self, text: &str) -> Result<&mut Container, Refused> {
        let name = text.strip_prefix('/').unwrap_or(text);
        let whole = |one: &Container| one.id == text || one.name == name;
        let begins = |one: &Container| !text.is_empty() && one.id.starts_with(text);
        let position = self.containers.iter().position(whole);
        let position = match position {
            Some(found) => found,
            None => {
                let mut found = self.containers.iter().enumerate().filter(|(_, one)| begins(one));
                let (first, _) = found.next().ok_or_else(|| missing(text))?;
                if found.next().is_some() {
                    return Err(Refused::new(Code::InvalidArgument, text, "several ids begin so"));
                }
                first
            }
        };
        Ok(&mut self.containers[position])
    }

    pub(super) fn by_id(&mut self, id: &str) -> Option<&mut Container> {
        self.containers.iter_mut().find(|container| container.id == id)
    }

    pub(super) fn running(&mut self, text: &str) -> Result<&mut Container, Refused> {
        let container = self.find(text)?;
        if !container.has_process() {
            return conflict(text, "it does not run");
        }
        Ok(container)
    }

    pub(super) fn exec(&mut self, id: &str) -> Result<&mut Exec, Refused> {
        let found = self.containers.iter_mut().find_map(|container| container.execs.get_mut(id));
        found.ok_or_else(|| Refused::new(Code::NotFound, id, "no such exec"))
    }

    pub(super) fn image(&self, text: &str) -> Result<String, Refused> {
        let invalid = |_| Refused::new(Code::InvalidArgument, text, "no name of an image");
        let named = Reference::parse_normalized(text).map_err(invalid)?.with_default_tag();
        let by_id = || self.images.values().find(|id| **id == text);
        let missing = || Refused::new(Code::NotFound, text, "no such image");
        self.images.get(&named.to_string()).or_else(by_id).cloned().ok_or_else(missing)
    }

    pub(super) fn known_network(&self, name: &str) -> Result<(), Refused> {
        let missing = || Refused::new(Code::NotFound, name, "no such network");
        self.networks.contains(name).then_some(()).ok_or_else(missing)
    }

    /// What a program does. The error has the exit code of a program that cannot be started.
    pub(super) fn program(&self, arguments: &[String]) -> Result<Program, (i32, Refused)> {
        let line = arguments.join(" ");
        match self.programs.get(&line).copied().unwrap_or(Program::Runs) {
            Program::Fails(failure) => {
                let (code, kind, reason) = match failure.cause {
                    Cause::NotFound => (127, Code::InvalidArgument, "executable file not found in $PATH"),
                    Cause::NotPermitted => (126, Code::InvalidArgument, "permission denied"),
                    Cause::NoSuchUser | Cause::Other => (128, Code::Internal, "it cannot be started"),
                };
                Err((code, Refused::new(kind, line, reason)))
            }
            runs => Ok(runs),
        }
    }

    /// Adds an event with the present time. An event of a container changes the list's generation.
    pub(super) fn publish(&mut self, event: Event, live: &broadcast::Sender<Event>) {
        if event.kind == "container" {
            self.generation += 1;
        }
        let time = self.events.back().map_or(0, |last| last.time + 1).max(now());
        let event = Event { time, ..event };
        if self.events.len() == KEPT {
            self.events.pop_front();
        }
        self.events.push_back(event.clone());
        // An error only means that there is no subscriber.
        let _ = live.send(event);
    }

    /// Sends an event of a container.
    pub(super) fn tell(&mut self, id: &str, action: &str, live: &broadcast::Sender<Event>) {
        self.tell_more(id, action, &[], live);
    }

    pub(super) fn tell_more(
        &mut self,
        id: &str,
        action: &str,
        more: &[(&str, String)],
        live: &broadcast::Sender<Event>,
    ) {
        let Some(container) = self.by_id(id) else { return };
        let mut event = container.event(action);
        event.attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        self.publish(event, live);
    }

    /// Starts a container's process, or fails.
    pub(super) fn run(&mut self, id: &str, live: &broadcast::Sender<Event>) -> Result<(), Refused> {
        let arguments = self.by_id(id).ok_or_else(|| missing(id))?.arguments();
        let program = self.program(&arguments);
        let container = self.by_id(id).ok_or_else(|| missing(id))?;
        container.exit_code = 0;
        container.error = String::new();
        match program {
            Ok(program) => {
                container.phase = Phase::Running;
                container.started_at = now();
                container.by_hand = false;
                self.tell(id, "start", live);
                if let Program::Ends(code) = program {
                    self.end(id, i32::try_from(code).unwrap_or(255), live);
                }
                Ok(())
            }
            Err((code, refused)) => {
                let ran = container.ends > 0;
                container.phase = if ran { Phase::Exited } else { Phase::Created };
                container.exit_code = code;
                container.error = refused.to_string();
                container.failures += 1;
                if container.spec.host.auto_remove {
                    self.remove(id, live);
                }
                Err(refused)
            }
        }
    }

    /// Takes in the end of a container's process.
    pub(super) fn end(&mut self, id: &str, code: i32, live: &broadcast::Sender<Event>) {
        let Some(container) = self.by_id(id) else { return };
        container.phase = Phase::Exited;
        container.ends += 1;
        container.exit_code = code;
        container.finished_at = now();
        let running = |exec: &&mut Exec| exec.view.exit_code.is_none() && exec.started;
        for exec in container.execs.values_mut().filter(running) {
            exec.view.running = false;
            exec.view.pid = 0;
            exec.view.exit_code = Some(KILLED);
        }
        let policy = container.spec.host.restart_policy.clone().unwrap_or_default();
        let tried = i64::from(container.restarts);
        let again = !container.by_hand
            && match policy.name.as_str() {
                "always" | "unless-stopped" => true,
                "on-failure" => {
                    code != 0 && (policy.maximum_retry_count == 0 || tried < policy.maximum_retry_count)
                }
                _ => false,
            };
        let (auto_remove, ends) = (container.spec.host.auto_remove, container.ends);
        self.tell_more(id, "die", &[("exitCode", code.to_string())], live);
        if auto_remove {
            self.remove(id, live);
        } else if again && let Some(container) = self.by_id(id) {
            container.restarts += 1;
            // Limits the restarts of a program that ends at once.
            if ends < 100 {
                let _ = self.run(id, live);
            }
        }
    }

    /// Takes in the end of an exec's process.
    pub(super) fn end_exec(&mut self, id: &str, code: i32, live: &broadcast::Sender<Event>) {
        let Ok(exec) = self.exec(id) else { return };
        exec.view.running = false;
        exec.view.pid = 0;
        exec.view.exit_code = Some(code);
        let container = exec.view.container_id.clone();
        let more = [("execID", id.to_owned()), ("exitCode", code.to_string())];
        self.tell_more(&container, "exec_die", &more, live);
    }

    /// Removes a container.
    pub(super) fn remove(&mut self, id: &str, live: &broadcast::Sender<Event>) {
        self.tell(id, "destroy", live);
        if let Some(position) = self.containers.iter().position(|container| container.id == id) {
            let container = self.containers.remove(position);
            if container.spec.host.auto_remove {
                self.removed_themselves.insert(container.id.clone());
            }
            self.removed.insert(container.id, container.exit_code);
        }
    }
}

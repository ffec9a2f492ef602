//! Reads, creates, changes and removes the fake engine's containers.

use gantry_api::engine::containers::{Connect, Force, Inspect, Manage, Sizes, lacking_image};
use gantry_api::engine::{
    self as api, Change, CommitSpec, CreateSpec, Created, EndpointSettings, Filter, ListQuery, Listing,
    Pruned, RemoveSpec, Resources, Top, Update,
};
use gantry_rpc::{Code, Coded};
use gantry_types::Reference;

use super::Engine;
use super::container::{Container, Phase};
use super::files::Files;
use super::list::{by_label, chosen};
use super::names::{name, new_id, now};
use super::state::{KILLED, State, conflict, image_id};
use crate::Refused;

/// The least memory limit, bytes.
const LEAST_MEMORY: i64 = 6 << 20;

impl Inspect for Engine {
    async fn container(&self, name: &str, sizes: Sizes) -> Result<api::Container, Refused> {
        self.edit(|state| {
            let container = state.find(name)?;
            let size = (sizes == Sizes::Measured).then(|| container.files.size());
            Ok(api::Container { size_rw: size, size_root_fs: size, ..container.view() })
        })
    }

    async fn containers(&self, query: ListQuery) -> Result<Listing, Refused> {
        self.edit(|state| {
            let depends = query.size || query.filters.iter().any(|filter| filter.key == "ancestor");
            let ids = chosen(state, &query)?;
            let generation = if depends { 0 } else { state.generation };
            if generation != 0 && generation == query.newer_than {
                return Ok(Listing { generation, unchanged: true, ..Listing::default() });
            }
            state.listed += 1;
            let mut containers = Vec::new();
            for id in ids {
                let Some(container) = state.by_id(&id) else { continue };
                let size = query.size.then(|| container.files.size());
                let listed = container.summary();
                containers.push(api::ContainerSummary { size_rw: size, size_root_fs: size, ..listed });
            }
            Ok(Listing { containers, generation, unchanged: false })
        })
    }

    async fn top(&self, name: &str, ps_args: &str) -> Result<Top, Refused> {
        if !ps_args.is_empty() {
            return Err(Refused::new(Code::Unimplemented, ps_args, "a fake has one kind of table"));
        }
        self.edit(|state| {
            let command = state.running(name)?.arguments().join(" ");
            let titles = ["PID", "CMD"].map(str::to_owned).into();
            Ok(Top { titles, processes: vec![vec![std::process::id().to_string(), command]] })
        })
    }

    async fn changes(&self, name: &str) -> Result<Vec<Change>, Refused> {
        self.edit(|state| Ok(state.find(name)?.files.changes()))
    }
}

/// Checks limits as the interface requires, and replaces those that are given.
fn overlay(own: &mut Resources, asked: &Resources) -> Result<(), Refused> {
    if asked.memory != 0 && asked.memory < LEAST_MEMORY {
        return Err(Refused::new(Code::InvalidArgument, asked.memory, "too little memory"));
    }
    let numbers = [
        (&mut own.memory, asked.memory),
        (&mut own.memory_swap, asked.memory_swap),
        (&mut own.memory_reservation, asked.memory_reservation),
        (&mut own.cpu_shares, asked.cpu_shares),
        (&mut own.cpu_quota, asked.cpu_quota),
        (&mut own.cpu_period, asked.cpu_period),
        (&mut own.nano_cpus, asked.nano_cpus),
    ];
    for (own, asked) in numbers {
        if asked != 0 {
            *own = asked;
        }
    }
    if let Some(limit) = asked.pids_limit {
        own.pids_limit = Some(limit.max(0));
    }
    Ok(())
}

fn check_policy(name: &str) -> Result<(), Refused> {
    match name {
        "" | "no" | "always" | "unless-stopped" | "on-failure" => Ok(()),
        odd => Err(Refused::new(Code::InvalidArgument, odd, "no such restart policy")),
    }
}

impl State {
    fn refuse_taken(&self, name: &str) -> Result<(), Refused> {
        match self.containers.iter().any(|container| container.name == name) {
            true => Err(Refused::new(Code::AlreadyExists, name, "another container has this name")),
            false => Ok(()),
        }
    }

    /// A container from a request and its image.
    fn container(&mut self, mut spec: CreateSpec) -> Result<Container, Refused> {
        let id = new_id();
        let name = match spec.name.as_str() {
            "" => format!("fake_{}", &id[..8]),
            named => name(named)?.to_owned(),
        };
        self.refuse_taken(&name)?;
        let policy = spec.host.restart_policy.as_ref();
        check_policy(policy.map_or("", |policy| policy.name.as_str()))?;
        overlay(&mut Resources::default(), spec.host.resources.as_ref().unwrap_or(&Resources::default()))?;
        if spec.config.image.is_empty() {
            return Err(Refused::new(Code::InvalidArgument, name, "no image is named"));
        }
        let reference = spec.config.image.clone();
        let image_id = self.image(&reference).map_err(|refused| match refused.code {
            Code::NotFound => {
                let details = lacking_image(&reference, refused.code(), &refused.to_string());
                refused.with_details(details)
            }
            _ => refused,
        })?;
        if spec.config.entrypoint.is_none() && spec.config.cmd.is_none() {
            spec.config.cmd = Some(vec!["sh".to_owned()]);
        }
        let mut networks = spec.networks.clone();
        let mode = match spec.host.network_mode.as_str() {
            "" | "default" => "bridge",
            named => named,
        };
        networks.entry(mode.to_owned()).or_default();
        for network in networks.keys() {
            self.known_network(network)?;
        }
        let created_at = self.containers.last().map_or(0, |last| last.created_at + 1).max(now());
        Ok(Container {
            id,
            name,
            created_at,
            spec,
            image_id,
            networks: networks.into_iter().collect(),
            phase: Phase::Created,
            started_at: 0,
            finished_at: 0,
            exit_code: 0,
            error: String::new(),
            by_hand: false,
            restarts: 0,
            ends: 0,
            failures: 0,
            attaching: 0,
            execs: Default::default(),
            printed: Vec::new(),
            files: Files::default(),
        })
    }
}

impl Manage for Engine {
    async fn create_container(&self, spec: CreateSpec) -> Result<Created, Refused> {
        self.edit(|state| {
            let container = state.container(spec)?;
            let id = container.id.clone();
            state.containers.push(container);
            state.tell(&id, "create", &self.0.live);
            Ok(Created { id, warnings: Vec::new() })
        })
    }

    async fn rename_container(&self, text: &str, to: &str) -> Result<(), Refused> {
        self.edit(|state| {
            let container = state.find(text)?;
            let (id, old) = (container.id.clone(), container.name.clone());
            let new = name(to)?;
            if new == old {
                return Err(Refused::new(Code::InvalidArgument, to, "that is its name"));
            }
            state.refuse_taken(new)?;
            state.find(&id)?.name = new.to_owned();
            state.tell_more(&id, "rename", &[("oldName", format!("/{old}"))], &self.0.live);
            Ok(())
        })
    }

    async fn update_container(&self, name: &str, update: Update) -> Result<Vec<String>, Refused> {
        self.edit(|state| {
            let container = state.find(name)?;
            let mut resources = container.spec.host.resources.clone().unwrap_or_default();
            if let Some(asked) = &update.resources {
                overlay(&mut resources, asked)?;
            }
            if let Some(policy) = update.restart_policy.filter(|policy| !policy.name.is_empty()) {
                check_policy(&policy.name)?;
                if container.spec.host.auto_remove && policy.name != "no" {
                    return conflict(name, "it is removed at its end");
                }
                container.spec.host.restart_policy = Some(policy);
            }
            container.spec.host.resources = Some(resources);
            let id = container.id.clone();
            state.tell(&id, "update", &self.0.live);
            Ok(Vec::new())
        })
    }

    async fn remove_container(&self, spec: RemoveSpec) -> Result<(), Refused> {
        let name = &spec.container;
        if spec.link {
            return Err(Refused::new(Code::Unimplemented, name, "a fake has no links"));
        }
        self.edit(|state| {
            let container = state.find(name)?;
            let id = container.id.clone();
            if container.has_process() {
                if !spec.force {
                    return conflict(name, "it runs");
                }
                container.by_hand = true;
                state.end(&id, KILLED, &self.0.live);
            }
            // The container may have been removed at its end.
            if state.by_id(&id).is_some() {
                state.remove(&id, &self.0.live);
            }
            Ok(())
        })
    }

    async fn prune_containers(&self, filters: &[Filter]) -> Result<Pruned, Refused> {
        let known = |filter: &&Filter| ["label", "label!"].contains(&filter.key.as_str());
        if let Some(odd) = filters.iter().find(|filter| !known(filter)) {
            let code = if odd.key == "until" { Code::Unimplemented } else { Code::InvalidArgument };
            return Err(Refused::new(code, &odd.key, "no filter of a fake's removals"));
        }
        self.edit(|state| {
            let unused = |one: &&Container| matches!(one.phase, Phase::Created | Phase::Exited);
            let wanted =
                |one: &&Container| filters.iter().all(|filter| by_label(filter, one).unwrap_or(true));
            let gone = state.containers.iter().filter(unused).filter(wanted);
            let deleted: Vec<String> = gone.map(|container| container.id.clone()).collect();
            for id in &deleted {
                state.remove(id, &self.0.live);
            }
            Ok(Pruned { deleted, space_reclaimed: 0 })
        })
    }

    async fn commit_container(&self, spec: CommitSpec) -> Result<String, Refused> {
        self.edit(|state| {
            let container = state.find(&spec.container)?.id.clone();
            let image = image_id();
            if !spec.reference.is_empty() {
                let invalid = |_| Refused::new(Code::InvalidArgument, &spec.reference, "no name of an image");
                let named = Reference::parse_normalized(&spec.reference).map_err(invalid)?;
                state.images.insert(named.with_default_tag().to_string(), image.clone());
            }
            state.tell(&container, "commit", &self.0.live);
            Ok(image)
        })
    }
}

impl Connect for Engine {
    async fn connect_container(
        &self,
        name: &str,
        network: &str,
        settings: EndpointSettings,
    ) -> Result<(), Refused> {
        self.edit(|state| {
            state.find(name)?;
            state.known_network(network)?;
            let container = state.find(name)?;
            let runs = container.has_process();
            if container.networks.contains_key(network) && runs {
                return Err(Refused::new(Code::PermissionDenied, network, "it has an endpoint there"));
            }
            // The settings of the first request are kept.
            container.networks.entry(network.to_owned()).or_insert(settings);
            state.generation += 1;
            Ok(())
        })
    }

    async fn disconnect_container(&self, name: &str, network: &str, _: Force) -> Result<(), Refused> {
        self.edit(|state| {
            state.known_network(network)?;
            let container = state.find(name)?;
            let was = container.networks.remove(network).is_some();
            if !was {
                return Err(Refused::new(Code::Internal, network, "it has no endpoint there"));
            }
            state.generation += 1;
            Ok(())
        })
    }
}

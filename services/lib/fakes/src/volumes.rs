//! A fake of volumes, which have names and no content. No container has one, unless a test says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use gantry_api::Promise;
use gantry_api::engine::volumes::{Force, Inspect, Manage, Usage, server};
use gantry_api::engine::{Filter, Pruned, Volume, VolumeSpec};
use gantry_rpc::Code;
use parking_lot::Mutex;
use tonic::service::Routes;

use crate::Refused;

/// The volumes of an engine. Clones share their state.
#[derive(Debug, Clone, Default)]
pub struct Volumes(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    volumes: BTreeMap<String, Volume>,
    used: BTreeSet<String>,
    /// Number of names that were generated.
    names: u64,
}

impl Volumes {
    /// The gRPC services of volumes.
    pub fn routes(&self) -> Routes {
        Routes::new(server::service(self.clone()))
    }

    /// Records that a container has this volume.
    pub fn use_volume(&self, name: &str) {
        self.edit(|state| state.used.insert(name.to_owned()));
    }

    fn edit<T>(&self, edit: impl FnOnce(&mut State) -> T) -> T {
        edit(&mut self.0.lock())
    }
}

fn missing(name: &str) -> Refused {
    Refused::new(Code::NotFound, name, "no such volume")
}

impl State {
    fn passing(&self, filters: &[Filter], known: &[&str]) -> Result<Vec<Volume>, Refused> {
        if let Some(odd) = filters.iter().find(|filter| !known.contains(&filter.key.as_str())) {
            return Err(Refused::new(Code::InvalidArgument, &odd.key, "no such filter"));
        }
        let passes = |volume: &&Volume| {
            filters.iter().all(|filter| match filter.key.as_str() {
                "name" => filter.values.iter().any(|value| volume.name.contains(value)),
                "driver" => filter.values.contains(&volume.driver),
                "label" => filter.values.iter().all(|value| has_label(volume, value)),
                "label!" => !filter.values.iter().any(|value| has_label(volume, value)),
                "dangling" => filter.values.iter().all(|value| {
                    let free = !self.used.contains(&volume.name);
                    free == matches!(value.as_str(), "true" | "1")
                }),
                _ => true,
            })
        };
        Ok(self.volumes.values().filter(passes).cloned().collect())
    }
}

fn has_label(volume: &Volume, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((key, value)) => volume.labels.get(key).is_some_and(|label| label == value),
        None => volume.labels.contains_key(wanted),
    }
}

impl Promise for Volumes {
    type Error = Refused;
}

impl Inspect for Volumes {
    async fn volume(&self, name: &str) -> Result<Volume, Refused> {
        self.edit(|state| state.volumes.get(name).cloned()).ok_or_else(|| missing(name))
    }

    async fn volumes(&self, filters: &[Filter], usage: Usage) -> Result<Vec<Volume>, Refused> {
        self.edit(|state| {
            let mut volumes = state.passing(filters, &["dangling", "driver", "label", "label!", "name"])?;
            if usage == Usage::Measured {
                for volume in &mut volumes {
                    volume.size = 0;
                    volume.ref_count = i64::from(state.used.contains(&volume.name));
                }
            }
            Ok(volumes)
        })
    }
}

impl Manage for Volumes {
    async fn create_volume(&self, spec: VolumeSpec) -> Result<Volume, Refused> {
        self.edit(|state| {
            let anonymous = spec.name.is_empty();
            let name = if anonymous {
                state.names += 1;
                format!("{:064x}", state.names)
            } else {
                spec.name
            };
            if name.len() < 2
                || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
            {
                return Err(Refused::new(Code::InvalidArgument, name, "no name of a volume"));
            }
            if let Some(known) = state.volumes.get(&name) {
                let same = spec.driver_opts.is_empty() || spec.driver_opts == known.options;
                return match same {
                    true => Ok(known.clone()),
                    false => Err(Refused::new(Code::AlreadyExists, name, "it has other options")),
                };
            }
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let volume = Volume {
                name: name.clone(),
                driver: if spec.driver.is_empty() { "local".to_owned() } else { spec.driver },
                mountpoint: format!("/volumes/{name}/_data"),
                created_at: i64::try_from(now.as_nanos()).unwrap_or(i64::MAX),
                labels: spec.labels,
                options: spec.driver_opts,
                scope: "local".to_owned(),
                size: -1,
                ref_count: -1,
                anonymous,
                status: String::new(),
            };
            state.volumes.insert(name, volume.clone());
            Ok(volume)
        })
    }

    async fn remove_volume(&self, name: &str, _: Force) -> Result<(), Refused> {
        self.edit(|state| {
            if state.used.contains(name) {
                return Err(Refused::new(Code::Aborted, name, "a container has it"));
            }
            state.volumes.remove(name).map(drop).ok_or_else(|| missing(name))
        })
    }

    async fn prune_volumes(&self, filters: &[Filter]) -> Result<Pruned, Refused> {
        self.edit(|state| {
            let all = filters.iter().any(|filter| {
                filter.key == "all"
                    && filter.values.iter().all(|value| matches!(value.as_str(), "true" | "1"))
            });
            let passing = state.passing(filters, &["all", "label", "label!"])?;
            let unused = passing.into_iter().filter(|volume| !state.used.contains(&volume.name));
            let gone = unused.filter(|volume| volume.options.is_empty() && (all || volume.anonymous));
            let gone = gone.map(|volume| volume.name);
            let deleted: Vec<String> = gone.collect();
            for name in &deleted {
                state.volumes.remove(name);
            }
            Ok(Pruned { deleted, space_reclaimed: 0 })
        })
    }
}

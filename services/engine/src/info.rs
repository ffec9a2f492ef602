//! Facts about the engine.

use gantry_api::engine::{ImageUse, Info, Status};
use gantry_host::apparmor::{self, DEFAULT_PROFILE};

use crate::engine::Engine;

impl Engine {
    /// The counts, and the facts about this machine.
    pub(crate) fn info(&self) -> Info {
        let containers = self.containers.all();
        let count = |wanted: &[Status]| {
            let matching = containers.iter().filter(|container| wanted.contains(&container.status()));
            u32::try_from(matching.count()).unwrap_or(u32::MAX)
        };
        let mut warnings = Vec::new();
        if !self.facts.swap_limit {
            warnings.push("WARNING: No swap limit support".to_owned());
        }
        Info {
            id: self.identity.clone(),
            containers: u32::try_from(containers.len()).unwrap_or(u32::MAX),
            running: count(&[Status::Running, Status::Restarting]),
            paused: count(&[Status::Paused]),
            stopped: count(&[Status::Created, Status::Exited, Status::Dead, Status::Removing]),
            // As in Docker, the directories `containers` and `volumes` are below it.
            root: self.context.state().display().to_string(),
            snapshotter: self.snapshotter.clone(),
            cgroup_version: if self.facts.cgroup_v2 { "2" } else { "1" }.to_owned(),
            seccomp: self.facts.seccomp,
            cgroup_driver: if self.facts.systemd { "systemd" } else { "cgroupfs" }.to_owned(),
            // The default profile may have failed to load.
            apparmor: self.facts.apparmor && apparmor::is_loaded(DEFAULT_PROFILE).unwrap_or(false),
            runtimes: vec!["io.containerd.runc.v2".to_owned(), "runc".to_owned()],
            default_runtime: "runc".to_owned(),
            warnings,
            volume_drivers: self.volumes.drivers().names(),
            log_drivers: self.logs.drivers.names(),
            image_uses: containers
                .iter()
                .map(|container| {
                    let record = container.record();
                    ImageUse {
                        container_id: record.id.clone(),
                        reference: if record.image_name.is_empty() {
                            record.config.image.clone()
                        } else {
                            record.image_name.clone()
                        },
                        image_id: record.image_id.clone(),
                        running: container.life().has_process(),
                    }
                })
                .collect(),
        }
    }
}

//! Facts about the engine.

use std::path::PathBuf;

use gantry_api::engine::{ImageUse, Info, Status};
use gantry_host::apparmor::{self, DEFAULT_PROFILE};
use gantry_spec::Facts;

use crate::containers::Containers;
use crate::logs::Logs;
use crate::volumes::Volumes;

/// What does not change as long as the engine runs.
pub struct About {
    /// The engine's id.
    pub identity: String,
    /// The engine's directory.
    pub root: PathBuf,
    /// The snapshotter of new containers.
    pub snapshotter: String,
    /// Facts about this machine.
    pub facts: Facts,
}

/// The counts, and the facts about this machine.
pub fn info(containers: &Containers, volumes: &Volumes, logs: &Logs, about: &About) -> Info {
    let (containers, facts) = (containers.all(), &about.facts);
    let count = |wanted: &[Status]| {
        let matching = containers.iter().filter(|container| wanted.contains(&container.status()));
        u32::try_from(matching.count()).unwrap_or(u32::MAX)
    };
    let mut warnings = Vec::new();
    if !facts.swap_limit {
        warnings.push("WARNING: No swap limit support".to_owned());
    }
    Info {
        id: about.identity.clone(),
        containers: u32::try_from(containers.len()).unwrap_or(u32::MAX),
        running: count(&[Status::Running, Status::Restarting]),
        paused: count(&[Status::Paused]),
        stopped: count(&[Status::Created, Status::Exited, Status::Dead, Status::Removing]),
        root: about.root.display().to_string(),
        snapshotter: about.snapshotter.clone(),
        cgroup_version: if facts.cgroup_v2 { "2" } else { "1" }.to_owned(),
        seccomp: facts.seccomp,
        cgroup_driver: if facts.systemd { "systemd" } else { "cgroupfs" }.to_owned(),
        // The default profile may have failed to load.
        apparmor: facts.apparmor && apparmor::is_loaded(DEFAULT_PROFILE).unwrap_or(false),
        runtimes: vec!["io.containerd.runc.v2".to_owned(), "runc".to_owned()],
        default_runtime: "runc".to_owned(),
        warnings,
        volume_drivers: volumes.drivers().names(),
        log_drivers: logs.drivers.names(),
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

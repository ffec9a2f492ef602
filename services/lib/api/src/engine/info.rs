//! What the engine says of itself.

/// Counts and settings that `docker info` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// Persistent.
    pub id: String,
    /// All.
    pub containers: u32,
    /// Also those that wait for their restart.
    pub running: u32,
    /// Frozen.
    pub paused: u32,
    /// The others.
    pub stopped: u32,
    /// Its state directory.
    pub root: String,
    /// Who keeps roots.
    pub snapshotter: String,
    /// `1` or `2`.
    pub cgroup_version: String,
    /// The kernel has it.
    pub seccomp: bool,
    /// Containers are confined by it.
    pub apparmor: bool,
    /// Who may run containers.
    pub runtimes: Vec<String>,
    /// Who does.
    pub default_runtime: String,
    /// What the machine lacks.
    pub warnings: Vec<String>,
    /// What containers use, for the images service.
    pub image_uses: Vec<ImageUse>,
    /// `systemd` or `cgroupfs`.
    pub cgroup_driver: String,
    /// `local`, and plugins that were in use.
    pub volume_drivers: Vec<String>,
}

/// A container's image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageUse {
    /// The container.
    pub container_id: String,
    /// As it was asked for.
    pub reference: String,
    /// What it was then.
    pub image_id: String,
    /// The container has a process.
    pub running: bool,
}

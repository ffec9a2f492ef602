//! Facts about the engine as a whole.

/// The counts and settings that `docker info` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// The engine's id, a UUID that stays the same for the life of the state directory.
    pub id: String,
    /// Number of containers.
    pub containers: u32,
    /// Number of containers that run or wait for their restart.
    pub running: u32,
    /// Number of containers that are frozen.
    pub paused: u32,
    /// Number of all other containers.
    pub stopped: u32,
    /// The engine's state directory.
    pub root: String,
    /// The snapshotter for new root file systems.
    pub snapshotter: String,
    /// The cgroup version: `1` or `2`.
    pub cgroup_version: String,
    /// Whether the kernel has seccomp.
    pub seccomp: bool,
    /// Whether AppArmor confines containers.
    pub apparmor: bool,
    /// The names of runtimes that a container may have.
    pub runtimes: Vec<String>,
    /// The runtime of containers that name none.
    pub default_runtime: String,
    /// Sentences for the user about what the host lacks.
    pub warnings: Vec<String>,
    /// The images that containers use. The gateway passes them to the images service.
    pub image_uses: Vec<ImageUse>,
    /// The cgroup driver: `systemd` or `cgroupfs`.
    pub cgroup_driver: String,
    /// `local`, and the plugins that have been used since the engine's start.
    pub volume_drivers: Vec<String>,
    /// The log drivers that are built in, but for `none`, in order.
    pub log_drivers: Vec<String>,
}

/// A container's use of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageUse {
    /// The container's id.
    pub container_id: String,
    /// The image as the user named it.
    pub reference: String,
    /// The image's id at the container's creation.
    pub image_id: String,
    /// Whether the container has a process.
    pub running: bool,
}

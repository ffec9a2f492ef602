//! The kernel: mounts, paths inside a root, processes, capabilities, cgroups.

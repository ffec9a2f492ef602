//! Mounts in containerd's form, `{type, source, target, options}`, made with the new mount API.
//!
//! A mount is made detached (`fsopen`/`fsconfig`/`fsmount`, or `open_tree` for binds), and only then, if at all,
//! attached to a path. The files of a detached mount are reached through its descriptor. It vanishes with the last
//! descriptor, so a process that dies leaves nothing behind.
//!
//! Long lists of overlay layers need no page-sized option string: each layer is configured separately (`lowerdir+`,
//! Linux 6.5). Older kernels get one string of `/proc/self/fd` paths.
//!
//! | module | contains |
//! | --- | --- |
//! | [`Mount`] | making a mount, attached or detached |
//! | [`Options`] | options as text, sorted by the part of the kernel that takes them |
//! | [`Overlay`] | overlay's directories among the options |
//! | [`Attributes`] | attributes of an existing mount |
//! | [`mount_each`] | lists of mounts, with mapped ids |
//! | [`attach`], [`clone_tree`], [`detach`] | attaching to paths, copying, detaching |
//! | [`classic`] | mount(2) with the options of an fstab line |
//! | [`table`] | the mount table |
//!
//! Only `attributes` has `unsafe` code.

mod attributes;
pub mod classic;
mod idmap;
mod legacy;
mod mount;
mod options;
mod overlay;
mod place;
pub mod table;

pub use attributes::{Attributes, Recursive, change as change_attributes, change_at as change_attributes_at};
pub use gantry_host::{Error, Result};
pub use idmap::Namespaces;
pub use mount::{Mount, mount_all, mount_each, open_detached};
pub use options::{Options, Propagation};
pub use overlay::{Overlay, Upper};
pub use place::{
    attach, attach_at, clone_at, clone_tree, detach, detach_all, is_mount_point, mount_point_of,
    set_propagation, unmount,
};

//! Mounts in containerd's form, `{type, source, target, options}`, made with the new mount API.
//!
//! A mount is first made detached (`fsopen`/`fsconfig`/`fsmount`, or `open_tree` for binds) and only then, if at all,
//! moved to a place in the mount table. Files of a detached mount are reached through its descriptor; it vanishes
//! with the last descriptor, so a process that dies leaves nothing behind.
//!
//! Long lists of overlay layers need no page-sized option string: each layer is configured on its own
//! (`lowerdir+`, Linux 6.5); older kernels get one string of `/proc/self/fd` names.
//!
//! | module | for |
//! | --- | --- |
//! | [`Mount`] | making a mount, attached or detached |
//! | [`Options`] | options as text: who reads which word |
//! | [`Overlay`] | overlay's directories among the options: nobody else reads or writes them |
//! | [`Attributes`] | what a mount allows, changed after it was made |
//! | [`mount_each`] | lists of mounts, with files shown as other ids' |
//! | [`attach`], [`clone_tree`], [`detach`] | places in the mount table |
//! | [`classic`] | mount(2) with the options of an fstab line |
//! | [`table`] | the mount table |
//!
//! `unsafe` lives in `attributes` alone.

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

//! Paths that never leave a root directory, and work on whole trees below one.
//!
//! Every path is resolved by `openat2(2)` with `RESOLVE_IN_ROOT` (Linux 5.6): `..` stops at the root, absolute
//! symbolic links start at the root, and magic links are refused. An entry to create or remove is named by its open
//! parent and one last component that is never followed, so that a symbolic link that another process makes meanwhile
//! cannot redirect the call.
//!
//! | type | for |
//! | --- | --- |
//! | [`Root`] | paths of several components, in a directory or the root of a detached mount |
//! | [`Dir`] | many entries of one directory, one system call each |
//! | [`View`] | a root with files and directories mounted over it, as a container sees it |
//! | [`tree`] | usage, copies and removal of whole trees |
//! | [`clean`] | paths as they are written, without a look at any file system |
//!
//! This crate knows no service, no protocol and no asynchronous runtime: every call blocks.

mod clean;
mod dir;
mod entry;
mod remove;
mod root;
pub mod tree;
mod view;
mod xattr;

pub use clean::clean;
pub use dir::{Dir, FileStat, Time, set_file_mode, set_file_owner, set_file_times, set_file_xattr};
pub use entry::{Entry, EntryKind, entries};
pub use gantry_host::{Error, Result};
pub use remove::{clear_directory, remove_at};
pub use root::{Root, kind_of, open_in, open_path, path_of, proc_path};
pub use view::{Access, Last, Spot, View, Walked};
pub use xattr::{get_xattr_at, list_xattrs_at, set_xattr_at};

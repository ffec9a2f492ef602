//! Paths that can never leave a root directory, and work on whole trees below one.
//!
//! Every name is resolved by `openat2(2)` with `RESOLVE_IN_ROOT` (Linux 5.6): `..` stops at the root, absolute
//! symlinks start at it, and magic links are refused. What is created or removed is named by its resolved parent and
//! one last part that is never followed, so that a symlink planted meanwhile cannot redirect the call.
//!
//! | type | for |
//! | --- | --- |
//! | [`Root`] | paths of several parts, inside a directory or the root of a detached mount |
//! | [`Dir`] | many entries of one directory, one system call each |
//! | [`View`] | a root with other files and directories over it, as a container sees it |
//! | [`tree`] | usage, copies and removal of whole trees |
//!
//! Nothing here knows a service, a protocol or an asynchronous runtime: all calls block.

mod dir;
mod entry;
mod remove;
mod root;
pub mod tree;
mod view;
mod xattr;

pub use dir::{Dir, FileStat, Time, set_file_mode, set_file_owner, set_file_times, set_file_xattr};
pub use entry::{Entry, EntryKind, entries};
pub use gantry_host::{Error, Result};
pub use remove::{clear_directory, remove_at};
pub use root::{Root, kind_of, open_in, open_path, path_of, proc_path};
pub use view::{Access, Last, Spot, View, Walked};
pub use xattr::{get_xattr_at, list_xattrs_at, set_xattr_at};

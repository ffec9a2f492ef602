//! Requests and answers of lists.

use super::ContainerSummary;
pub use crate::filter::Filter;

/// A selection of containers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ListQuery {
    /// Whether containers that do not run are included.
    pub all: bool,
    /// The number of newest containers to list, in any state; 0 for no limit.
    pub limit: i64,
    /// Whether to determine the sizes of the containers' roots.
    pub size: bool,
    /// Filters, all of which a container must match.
    pub filters: Vec<Filter>,
    /// The generation of the answer that the caller has cached; 0 for none.
    pub newer_than: u64,
}

/// A list of containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Newest first.
    pub containers: Vec<ContainerSummary>,
    /// The generation of the list; 0 if the answer depends on more than the containers.
    pub generation: u64,
    /// Whether the caller's cached answer is still valid; `containers` is then empty.
    pub unchanged: bool,
}

/// The outcome of a prune.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Ids or names of the objects that were removed.
    pub deleted: Vec<String>,
    /// Bytes that were freed.
    pub space_reclaimed: u64,
}

/// Processes of a container in the columns of ps(1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Top {
    /// The titles of the columns.
    pub titles: Vec<String>,
    /// One row per process.
    pub processes: Vec<Vec<String>>,
}

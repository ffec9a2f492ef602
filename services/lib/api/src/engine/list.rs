//! What lists are asked for, and answer.

use super::ContainerSummary;

/// One of Docker's filters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// What it is about.
    pub key: String,
    /// Any of which will do, or all, as Docker has it.
    pub values: Vec<String>,
}

/// Which containers are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Also those that do not run.
    pub all: bool,
    /// The newest so many, whether they run or not; 0: no limit.
    pub limit: i64,
    /// With the sizes of their roots.
    pub size: bool,
    /// Which all have to choose them.
    pub filters: Vec<Filter>,
    /// The generation of the answer that the caller has; 0: it has none.
    pub newer_than: u64,
}

/// The containers that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Newest first.
    pub containers: Vec<ContainerSummary>,
    /// Of the containers as they are listed here. 0 when the answer depends on more than containers.
    pub generation: u64,
    /// The caller has this answer: `containers` is empty.
    pub unchanged: bool,
}

/// What went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Ids or names.
    pub deleted: Vec<String>,
    /// Bytes.
    pub space_reclaimed: u64,
}

/// Processes, in the columns of ps(1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Top {
    /// Of the columns.
    pub titles: Vec<String>,
    /// A row for each.
    pub processes: Vec<Vec<String>>,
}

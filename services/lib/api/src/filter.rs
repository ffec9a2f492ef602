//! Docker's filters of lists and prunes.

/// One of Docker's filters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// The filter's name.
    pub key: String,
    /// Whether an object must match one of the values or all depends on the key, as in Docker.
    pub values: Vec<String>,
}

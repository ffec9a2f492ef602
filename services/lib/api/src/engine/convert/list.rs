//! Lists.

use gantry_proto::gantry::engine::v1 as pb;

use super::words;
use crate::engine::{Filter, ListQuery, Listing, Pruned, Top};

impl From<Filter> for pb::Filter {
    fn from(filter: Filter) -> Self {
        pb::Filter { key: filter.key, values: filter.values }
    }
}

impl From<pb::Filter> for Filter {
    fn from(filter: pb::Filter) -> Self {
        Filter { key: filter.key, values: filter.values }
    }
}

impl From<ListQuery> for pb::ListRequest {
    fn from(query: ListQuery) -> Self {
        pb::ListRequest {
            all: query.all,
            limit: query.limit,
            size: query.size,
            filters: query.filters.into_iter().map(Into::into).collect(),
            newer_than: query.newer_than,
        }
    }
}

impl From<pb::ListRequest> for ListQuery {
    fn from(query: pb::ListRequest) -> Self {
        ListQuery {
            all: query.all,
            limit: query.limit,
            size: query.size,
            filters: query.filters.into_iter().map(Into::into).collect(),
            newer_than: query.newer_than,
        }
    }
}

impl From<Listing> for pb::ListResponse {
    fn from(listing: Listing) -> Self {
        pb::ListResponse {
            containers: listing.containers.into_iter().map(Into::into).collect(),
            generation: listing.generation,
            unchanged: listing.unchanged,
        }
    }
}

impl From<pb::ListResponse> for Listing {
    fn from(listing: pb::ListResponse) -> Self {
        Listing {
            containers: listing.containers.into_iter().map(Into::into).collect(),
            generation: listing.generation,
            unchanged: listing.unchanged,
        }
    }
}

impl From<Pruned> for pb::PruneResponse {
    fn from(pruned: Pruned) -> Self {
        pb::PruneResponse { deleted: pruned.deleted, space_reclaimed: pruned.space_reclaimed }
    }
}

impl From<pb::PruneResponse> for Pruned {
    fn from(pruned: pb::PruneResponse) -> Self {
        Pruned { deleted: pruned.deleted, space_reclaimed: pruned.space_reclaimed }
    }
}

impl From<Top> for pb::TopResponse {
    fn from(top: Top) -> Self {
        pb::TopResponse { titles: top.titles, processes: top.processes.into_iter().map(words).collect() }
    }
}

impl From<pb::TopResponse> for Top {
    fn from(top: pb::TopResponse) -> Self {
        Top { titles: top.titles, processes: top.processes.into_iter().map(|words| words.values).collect() }
    }
}

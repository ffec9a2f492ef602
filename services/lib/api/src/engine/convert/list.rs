//! Conversions of list requests and answers.

use gantry_proto::gantry::engine::v1 as pb;

use super::{values, words};
use crate::engine::{Filter, ListQuery, Listing, Pruned, Top};

alike!(Filter, pb::Filter { key, values });

alike!(ListQuery, pb::ListRequest { all, limit, size, filters: each, newer_than });

alike!(Listing, pb::ListResponse { containers: each, generation, unchanged });

alike!(Pruned, pb::PruneResponse { deleted, space_reclaimed });

alike!(Top, pb::TopResponse { titles, processes: each(words, values) });

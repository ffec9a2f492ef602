//! Volumes.

use std::collections::BTreeMap;

use gantry_api::{engine, time};

use crate::moment;
use crate::wire::volume::{UsageData, Volume};

/// Whether to show sizes and references.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    Shown,
    Hidden,
}

/// A volume, for a client.
pub fn from_engine(of: engine::Volume, usage: Usage) -> Volume {
    let or_null = |map: BTreeMap<String, String>| (!map.is_empty()).then_some(map);
    Volume {
        created_at: moment::rfc3339(time::timestamp(of.created_at).as_ref()),
        driver: of.driver,
        labels: or_null(of.labels.into_iter().collect()),
        mountpoint: of.mountpoint,
        name: of.name,
        options: or_null(of.options.into_iter().collect()),
        scope: if of.scope.is_empty() { "local".to_owned() } else { of.scope },
        status: serde_json::from_str(&of.status).ok(),
        usage_data: (usage == Usage::Shown).then_some(UsageData { ref_count: of.ref_count, size: of.size }),
    }
}

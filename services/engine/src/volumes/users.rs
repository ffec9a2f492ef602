//! Which containers have a volume, by their records.

use std::collections::HashMap;

use crate::containers::Containers;

/// All volumes that containers have, by name, with the ids of those containers.
pub(crate) fn of_all(containers: &Containers) -> HashMap<String, Vec<String>> {
    let mut users: HashMap<String, Vec<String>> = HashMap::new();
    for container in containers.all() {
        for mount in &container.record().mounts {
            if mount.point.r#type == "volume" {
                users.entry(mount.point.name.clone()).or_default().push(container.id().to_owned());
            }
        }
    }
    users
}

/// The ids of the containers that have a volume.
pub(crate) fn of(containers: &Containers, name: &str) -> Vec<String> {
    let mut found = containers.all();
    found.retain(|container| {
        let record = container.record();
        record.mounts.iter().any(|mount| mount.point.r#type == "volume" && mount.point.name == name)
    });
    found.iter().map(|container| container.id().to_owned()).collect()
}

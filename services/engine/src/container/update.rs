//! New limits and a new restart policy, for a container at rest or running.

use std::collections::BTreeMap;

use gantry_proto::gantry::engine::v1 as pb;

use super::validate;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::Record;
use crate::spec;

impl Engine {
    /// Changes what is given and not zero; the answer is what the user should know.
    pub async fn update(&self, request: pb::UpdateRequest) -> Result<Vec<String>> {
        let container = self.index.find(&request.container)?;
        let _turn = container.operate().await;
        container.refuse_if_removing()?;
        let mut changed = Record::clone(&container.record());
        let mut warnings = Vec::new();
        let resources = changed.host.resources.get_or_insert_default();
        if let Some(asked) = &request.resources {
            overlay(resources, asked);
        }
        validate::resources(resources, &mut warnings)?;
        if let Some(policy) = request.restart_policy.filter(|policy| !policy.name.is_empty()) {
            changed.host.restart_policy = Some(policy);
            let policy = validate::policy_of(&changed.host)?;
            if changed.host.auto_remove && policy != crate::restart::Policy::No {
                return Err(Error::Invalid(
                    "Restart policy cannot be updated because AutoRemove is enabled for the container"
                        .to_owned(),
                ));
            }
        }
        if request.resources.is_some() && container.live().state.has_process() {
            let resources = changed.host.resources.clone().unwrap_or_default();
            let mut linux = spec::linux_resources(&resources, changed.host.privileged, &self.facts)?;
            // Devices do not change while the container runs.
            linux.set_devices(None);
            self.peers.update_task(container.id(), &linux).await?;
        }
        self.write_record(&container, changed).await?;
        self.publish_container(&container, "update", BTreeMap::new());
        Ok(warnings)
    }
}

/// Lays the values that are given over those that are there.
fn overlay(own: &mut pb::Resources, asked: &pb::Resources) {
    macro_rules! numbers {
        ($($field:ident)*) => { $(if asked.$field != 0 { own.$field = asked.$field; })* };
    }
    macro_rules! texts {
        ($($field:ident)*) => { $(if !asked.$field.is_empty() { own.$field.clone_from(&asked.$field); })* };
    }
    macro_rules! options {
        ($($field:ident)*) => { $(if asked.$field.is_some() { own.$field = asked.$field; })* };
    }
    // A limit by processors and one by quota exclude each other: the newer one holds.
    if asked.nano_cpus != 0 {
        own.cpu_period = 0;
        own.cpu_quota = 0;
    } else if asked.cpu_period != 0 || asked.cpu_quota != 0 {
        own.nano_cpus = 0;
    }
    numbers!(cpu_shares memory nano_cpus blkio_weight cpu_period cpu_quota cpu_realtime_period
        cpu_realtime_runtime memory_reservation memory_swap kernel_memory_tcp);
    texts!(cpuset_cpus cpuset_mems ulimits blkio_weight_device blkio_device_read_bps blkio_device_write_bps
        blkio_device_read_iops blkio_device_write_iops);
    options!(oom_kill_disable);
    if asked.memory_swappiness.is_some_and(|value| value >= 0) {
        own.memory_swappiness = asked.memory_swappiness;
    }
    match asked.pids_limit {
        Some(limit @ 1..) => own.pids_limit = Some(limit),
        Some(limit) if limit < 0 => own.pids_limit = None,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_leaves_things_as_they_are() {
        let mut own = pb::Resources { memory: 5, cpu_quota: 7, pids_limit: Some(9), ..Default::default() };
        overlay(&mut own, &pb::Resources { nano_cpus: 1, pids_limit: Some(0), ..Default::default() });
        assert_eq!((own.memory, own.cpu_quota, own.nano_cpus, own.pids_limit), (5, 0, 1, Some(9)));
        overlay(&mut own, &pb::Resources { pids_limit: Some(-1), ..Default::default() });
        assert_eq!(own.pids_limit, None);
    }
}

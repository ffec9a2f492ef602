//! Changes the limits and the restart policy of a container, at rest or running.

use std::collections::BTreeMap;

use gantry_api::engine::{Resources, Update};
use gantry_spec::Facts;

use super::validate;
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::peers::Tasks;
use crate::record::Record;
use crate::spec;

/// Changes what the request sets to a value other than zero. Returns warnings for the user.
pub async fn update(
    containers: &Containers,
    tasks: &Tasks,
    events: &Events,
    facts: &Facts,
    name: &str,
    asked: Update,
) -> Result<Vec<String>> {
    let container = containers.find(name)?;
    let _turn = container.operate().await;
    container.refuse_if_removing()?;
    let mut changed = Record::clone(&container.record());
    let mut warnings = Vec::new();
    let cannot = |error| Error::cannot(format!("Cannot update container {}", container.id()), error);
    let resources = changed.host.resources.get_or_insert_default();
    if let Some(asked) = &asked.resources {
        validate::resources(asked, &mut warnings)?;
        check_against(resources, asked).map_err(cannot)?;
        overlay(resources, asked);
    }
    // The warnings are for what the user asked, so this second check drops them.
    validate::resources(resources, &mut Vec::new()).map_err(cannot)?;
    if let Some(policy) = asked.restart_policy.filter(|policy| !policy.name.is_empty()) {
        changed.host.restart_policy = Some(policy);
        let policy = validate::policy_of(&changed.host)?;
        if changed.host.auto_remove && policy != crate::restart::Policy::No {
            return Err(cannot(Error::Conflict(
                "Restart policy cannot be updated because AutoRemove is enabled for the container".to_owned(),
            )));
        }
    }
    if asked.resources.is_some() && container.life().has_process() {
        let resources = changed.host.resources.clone().unwrap_or_default();
        let mut linux = spec::linux_resources(&resources, changed.host.privileged, facts)?;
        // An update does not change devices.
        linux.set_devices(None);
        tasks.update(container.task(), &linux).await?;
    }
    containers.write(&container, changed).await?;
    events.publish_container(&container, "update", BTreeMap::new());
    Ok(warnings)
}

/// Refuses a limit that contradicts one that the container keeps.
fn check_against(own: &Resources, asked: &Resources) -> Result<()> {
    let conflict = |what: &str| Err(Error::Conflict(format!("Conflicting options: {what}")));
    if own.nano_cpus > 0 && asked.nano_cpus == 0 {
        if asked.cpu_period > 0 {
            return conflict("CPU Period cannot be updated as NanoCPUs has already been set");
        }
        if asked.cpu_quota > 0 {
            return conflict("CPU Quota cannot be updated as NanoCPUs has already been set");
        }
    }
    if asked.nano_cpus > 0 && own.cpu_period > 0 {
        return conflict("Nano CPUs cannot be updated as CPU Period has already been set");
    }
    if asked.nano_cpus > 0 && own.cpu_quota > 0 {
        return conflict("Nano CPUs cannot be updated as CPU Quota has already been set");
    }
    // Also applies if no limit is set or all swap is allowed, because dockerd compares in the same way.
    if asked.memory > 0 && asked.memory_swap == 0 && asked.memory > own.memory_swap {
        return Err(Error::Conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Replaces the container's values by those that are given.
fn overlay(own: &mut Resources, asked: &Resources) {
    macro_rules! numbers {
        ($($field:ident)*) => { $(if asked.$field != 0 { own.$field = asked.$field; })* };
    }
    macro_rules! texts {
        ($($field:ident)*) => { $(if !asked.$field.is_empty() { own.$field.clone_from(&asked.$field); })* };
    }
    macro_rules! options {
        ($($field:ident)*) => { $(if asked.$field.is_some() { own.$field = asked.$field; })* };
    }
    numbers!(cpu_shares memory nano_cpus blkio_weight cpu_period cpu_quota cpu_realtime_period
        cpu_realtime_runtime memory_reservation memory_swap kernel_memory_tcp);
    texts!(cpuset_cpus cpuset_mems ulimits blkio_weight_device blkio_device_read_bps blkio_device_write_bps
        blkio_device_read_iops blkio_device_write_iops);
    options!(oom_kill_disable);
    if asked.memory_swappiness.is_some_and(|value| value >= 0) {
        own.memory_swappiness = asked.memory_swappiness;
    }
    // Docker shows a limit that was removed as zero.
    if let Some(limit) = asked.pids_limit {
        own.pids_limit = Some(limit.max(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_leaves_things_as_they_are() {
        let mut own = Resources { memory: 5, cpu_quota: 7, pids_limit: Some(9), ..Default::default() };
        overlay(&mut own, &Resources { cpu_shares: 1, ..Default::default() });
        assert_eq!((own.memory, own.cpu_quota, own.cpu_shares, own.pids_limit), (5, 7, 1, Some(9)));
    }

    #[test]
    fn limits_of_the_same_thing_are_changed_together() {
        let by_cpus = Resources { nano_cpus: 1, ..Default::default() };
        let by_quota = Resources { cpu_quota: 5000, ..Default::default() };
        let swap = Resources { memory: 10, memory_swap: 20, ..Default::default() };
        let memory = |memory| Resources { memory, ..Default::default() };
        assert!(check_against(&by_cpus, &by_quota).is_err());
        assert!(check_against(&by_quota, &by_cpus).is_err());
        assert!(check_against(&by_cpus, &by_cpus).is_ok());
        assert!(check_against(&swap, &memory(30)).is_err());
        assert!(check_against(&swap, &memory(15)).is_ok());
        assert!(check_against(&Resources::default(), &memory(30)).is_err());
        assert!(check_against(&Resources { memory_swap: -1, ..Default::default() }, &memory(30)).is_err());
    }

    #[test]
    fn a_limit_of_processes_is_lifted_by_zero_and_below() {
        for limit in [0, -1] {
            let mut own = Resources { pids_limit: Some(9), ..Default::default() };
            overlay(&mut own, &Resources { pids_limit: Some(limit), ..Default::default() });
            assert_eq!(own.pids_limit, Some(0));
        }
    }
}

//! Conversions of host configurations.

use gantry_proto::gantry::engine::v1 as pb;

use super::{values, words};
use crate::engine::{HostConfig, LogConfig, PortBinding, RestartPolicy};

alike!(
    HostConfig,
    pb::HostConfig {
        binds,
        container_id_file,
        log_config: maybe,
        network_mode,
        port_bindings: entries(bindings, unbound),
        restart_policy: maybe,
        auto_remove,
        volume_driver,
        volumes_from,
        console_height,
        console_width,
        annotations,
        cap_add,
        cap_drop,
        cgroupns_mode,
        dns,
        dns_options,
        dns_search,
        extra_hosts,
        group_add,
        ipc_mode,
        cgroup,
        links,
        oom_score_adj,
        pid_mode,
        privileged,
        publish_all_ports,
        readonly_rootfs,
        security_opt,
        storage_opt,
        tmpfs,
        uts_mode,
        userns_mode,
        shm_size,
        sysctls,
        runtime,
        isolation,
        resources: maybe,
        mounts: each,
        masked_paths: maybe(words, values),
        readonly_paths: maybe(words, values),
        init,
    }
);

alike!(PortBinding, pb::PortBinding { host_ip, host_port });

alike!(RestartPolicy, pb::RestartPolicy { name, maximum_retry_count });

alike!(LogConfig, pb::LogConfig { r#type, config });

fn bindings(of: Vec<PortBinding>) -> pb::PortBindings {
    pb::PortBindings { bindings: of.into_iter().map(Into::into).collect() }
}

fn unbound(of: pb::PortBindings) -> Vec<PortBinding> {
    of.bindings.into_iter().map(Into::into).collect()
}

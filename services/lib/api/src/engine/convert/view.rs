//! Conversions of containers as they are shown.

use gantry_proto::gantry::engine::v1 as pb;

use super::{nanoseconds, timestamp};
use crate::engine::{Container, ContainerSummary, Health, HealthResult, NamedEndpoint, PublishedPort, State};

impl From<State> for pb::State {
    fn from(state: State) -> Self {
        pb::State {
            status: pb::Status::from(state.status).into(),
            oom_killed: state.oom_killed,
            pid: state.pid,
            exit_code: state.exit_code,
            error: state.error,
            started_at: timestamp(state.started_at),
            finished_at: timestamp(state.finished_at),
            health: state.health.map(Into::into),
        }
    }
}

impl From<pb::State> for State {
    fn from(state: pb::State) -> Self {
        State {
            status: state.status().into(),
            oom_killed: state.oom_killed,
            pid: state.pid,
            exit_code: state.exit_code,
            error: state.error,
            started_at: nanoseconds(state.started_at),
            finished_at: nanoseconds(state.finished_at),
            health: state.health.map(Into::into),
        }
    }
}

alike!(Health, pb::Health { status, failing_streak, log: each });

alike!(
    HealthResult,
    pb::HealthResult {
        start: by(timestamp, nanoseconds),
        end: by(timestamp, nanoseconds),
        exit_code,
        output,
    }
);

alike!(PublishedPort, pb::PublishedPort { protocol, container_port, host_ip, host_port });

alike!(NamedEndpoint, pb::NamedEndpoint { network, settings: required });

alike!(
    ContainerSummary,
    pb::ContainerSummary {
        id,
        name,
        created_at: by(timestamp, nanoseconds),
        state: required,
        image,
        image_id,
        manifest_digest,
        manifest_size,
        manifest_media_type,
        path,
        args,
        labels,
        network_mode,
        annotations,
        networks: each,
        mounts: each,
        ports: each,
        exposed_ports,
        size_rw,
        size_root_fs,
        further_names,
    }
);

impl From<Container> for pb::Container {
    fn from(container: Container) -> Self {
        pb::Container {
            id: container.id,
            name: container.name,
            created_at: timestamp(container.created_at),
            state: Some(container.state.into()),
            config: Some(container.config.into()),
            host_config: Some(container.host.into()),
            networks: container.networks.into_iter().map(|(name, one)| (name, one.into())).collect(),
            mounts: container.mounts.into_iter().map(Into::into).collect(),
            image_id: container.image_id,
            manifest_digest: container.manifest_digest,
            path: container.path,
            args: container.args,
            restart_count: container.restart_count,
            platform: container.platform,
            log_path: container.log_path,
            hosts_path: container.hosts_path,
            hostname_path: container.hostname_path,
            resolv_conf_path: container.resolv_conf_path,
            exec_ids: container.exec_ids,
            ports: container.ports.into_iter().map(Into::into).collect(),
            sandbox_key: container.sandbox_key,
            snapshotter: container.snapshotter,
            size_rw: container.size_rw,
            size_root_fs: container.size_root_fs,
            graph_data: container.graph_data,
            manifest_size: container.manifest_size,
            manifest_media_type: container.manifest_media_type,
            apparmor_profile: container.apparmor_profile,
        }
    }
}

impl From<pb::Container> for Container {
    fn from(container: pb::Container) -> Self {
        Container {
            id: container.id,
            name: container.name,
            created_at: nanoseconds(container.created_at),
            state: container.state.unwrap_or_default().into(),
            config: container.config.unwrap_or_default().into(),
            host: container.host_config.unwrap_or_default().into(),
            networks: container.networks.into_iter().map(|(name, one)| (name, one.into())).collect(),
            mounts: container.mounts.into_iter().map(Into::into).collect(),
            image_id: container.image_id,
            manifest_digest: container.manifest_digest,
            path: container.path,
            args: container.args,
            restart_count: container.restart_count,
            platform: container.platform,
            log_path: container.log_path,
            hosts_path: container.hosts_path,
            hostname_path: container.hostname_path,
            resolv_conf_path: container.resolv_conf_path,
            exec_ids: container.exec_ids,
            ports: container.ports.into_iter().map(Into::into).collect(),
            sandbox_key: container.sandbox_key,
            snapshotter: container.snapshotter,
            size_rw: container.size_rw,
            size_root_fs: container.size_root_fs,
            graph_data: container.graph_data,
            manifest_size: container.manifest_size,
            manifest_media_type: container.manifest_media_type,
            apparmor_profile: container.apparmor_profile,
        }
    }
}

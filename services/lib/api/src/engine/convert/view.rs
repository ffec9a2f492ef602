//! Containers as they are shown.

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

impl From<Health> for pb::Health {
    fn from(health: Health) -> Self {
        pb::Health {
            status: health.status,
            failing_streak: health.failing_streak,
            log: health.log.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<pb::Health> for Health {
    fn from(health: pb::Health) -> Self {
        Health {
            status: health.status,
            failing_streak: health.failing_streak,
            log: health.log.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<HealthResult> for pb::HealthResult {
    fn from(result: HealthResult) -> Self {
        pb::HealthResult {
            start: timestamp(result.start),
            end: timestamp(result.end),
            exit_code: result.exit_code,
            output: result.output,
        }
    }
}

impl From<pb::HealthResult> for HealthResult {
    fn from(result: pb::HealthResult) -> Self {
        HealthResult {
            start: nanoseconds(result.start),
            end: nanoseconds(result.end),
            exit_code: result.exit_code,
            output: result.output,
        }
    }
}

impl From<PublishedPort> for pb::PublishedPort {
    fn from(port: PublishedPort) -> Self {
        pb::PublishedPort {
            protocol: port.protocol,
            container_port: port.container_port,
            host_ip: port.host_ip,
            host_port: port.host_port,
        }
    }
}

impl From<pb::PublishedPort> for PublishedPort {
    fn from(port: pb::PublishedPort) -> Self {
        PublishedPort {
            protocol: port.protocol,
            container_port: port.container_port,
            host_ip: port.host_ip,
            host_port: port.host_port,
        }
    }
}

impl From<NamedEndpoint> for pb::NamedEndpoint {
    fn from(endpoint: NamedEndpoint) -> Self {
        pb::NamedEndpoint { network: endpoint.network, settings: Some(endpoint.settings.into()) }
    }
}

impl From<pb::NamedEndpoint> for NamedEndpoint {
    fn from(endpoint: pb::NamedEndpoint) -> Self {
        NamedEndpoint { network: endpoint.network, settings: endpoint.settings.unwrap_or_default().into() }
    }
}

impl From<ContainerSummary> for pb::ContainerSummary {
    fn from(summary: ContainerSummary) -> Self {
        pb::ContainerSummary {
            id: summary.id,
            name: summary.name,
            created_at: timestamp(summary.created_at),
            state: Some(summary.state.into()),
            image: summary.image,
            image_id: summary.image_id,
            manifest_digest: summary.manifest_digest,
            manifest_size: summary.manifest_size,
            manifest_media_type: summary.manifest_media_type,
            path: summary.path,
            args: summary.args,
            labels: summary.labels,
            network_mode: summary.network_mode,
            annotations: summary.annotations,
            networks: summary.networks.into_iter().map(Into::into).collect(),
            mounts: summary.mounts.into_iter().map(Into::into).collect(),
            ports: summary.ports.into_iter().map(Into::into).collect(),
            exposed_ports: summary.exposed_ports,
            size_rw: summary.size_rw,
            size_root_fs: summary.size_root_fs,
            further_names: summary.further_names,
        }
    }
}

impl From<pb::ContainerSummary> for ContainerSummary {
    fn from(summary: pb::ContainerSummary) -> Self {
        ContainerSummary {
            id: summary.id,
            name: summary.name,
            created_at: nanoseconds(summary.created_at),
            state: summary.state.unwrap_or_default().into(),
            image: summary.image,
            image_id: summary.image_id,
            manifest_digest: summary.manifest_digest,
            manifest_size: summary.manifest_size,
            manifest_media_type: summary.manifest_media_type,
            path: summary.path,
            args: summary.args,
            labels: summary.labels,
            network_mode: summary.network_mode,
            annotations: summary.annotations,
            networks: summary.networks.into_iter().map(Into::into).collect(),
            mounts: summary.mounts.into_iter().map(Into::into).collect(),
            ports: summary.ports.into_iter().map(Into::into).collect(),
            exposed_ports: summary.exposed_ports,
            size_rw: summary.size_rw,
            size_root_fs: summary.size_root_fs,
            further_names: summary.further_names,
        }
    }
}

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

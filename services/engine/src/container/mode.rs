//! Docker's namespace modes: `host`, `container:x`, and a few more words for each kind of namespace.
//!
//! [`super::validate`] refuses an invalid mode when the container is created. A recorded mode is read without
//! failing.

/// The container that a mode of the form `container:x` names, for any kind of namespace.
pub fn container_of(mode: &str) -> Option<&str> {
    mode.strip_prefix("container:")
}

/// Which network namespace a container uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkMode<'a> {
    /// The host's namespace.
    Host,
    /// Its own namespace with only a loopback device.
    None,
    /// Another container's namespace.
    Container(&'a str),
    /// Its own namespace, with this network as the main one.
    Network(&'a str),
}

impl NetworkMode<'_> {
    /// Reads a mode; a word that is no other mode names a network.
    pub fn of(mode: &str) -> NetworkMode<'_> {
        match mode {
            "host" => NetworkMode::Host,
            "none" => NetworkMode::None,
            _ => container_of(mode).map_or(NetworkMode::Network(mode), NetworkMode::Container),
        }
    }

    /// Whether the container has no network namespace of its own.
    pub fn is_shared(self) -> bool {
        matches!(self, NetworkMode::Host | NetworkMode::Container(_))
    }
}

/// Which process namespace a container uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PidMode<'a> {
    /// Its own namespace.
    #[default]
    Own,
    /// The host's namespace.
    Host,
    /// Another container's namespace.
    Container(&'a str),
}

impl PidMode<'_> {
    /// Reads a mode; `None` for an invalid one.
    pub fn parse(mode: &str) -> Option<PidMode<'_>> {
        match mode {
            "" => Some(PidMode::Own),
            "host" => Some(PidMode::Host),
            _ => container_of(mode).filter(|name| !name.is_empty()).map(PidMode::Container),
        }
    }

    /// Reads a recorded mode; an invalid one counts as the default.
    pub fn of(mode: &str) -> PidMode<'_> {
        PidMode::parse(mode).unwrap_or_default()
    }
}

/// Which namespace of shared memory and message queues a container uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpcMode<'a> {
    /// Its own namespace.
    #[default]
    Own,
    /// Its own namespace, without a `/dev/shm`.
    None,
    /// Its own namespace, which other containers may join.
    Shareable,
    /// The host's namespace.
    Host,
    /// Another container's namespace.
    Container(&'a str),
}

impl IpcMode<'_> {
    /// Reads a mode; `None` for an invalid one.
    pub fn parse(mode: &str) -> Option<IpcMode<'_>> {
        match mode {
            "" | "private" => Some(IpcMode::Own),
            "none" => Some(IpcMode::None),
            "shareable" => Some(IpcMode::Shareable),
            "host" => Some(IpcMode::Host),
            _ => container_of(mode).filter(|name| !name.is_empty()).map(IpcMode::Container),
        }
    }

    /// Reads a recorded mode; an invalid one counts as the default.
    pub fn of(mode: &str) -> IpcMode<'_> {
        IpcMode::parse(mode).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_words_or_containers() {
        assert_eq!(NetworkMode::of("container:x"), NetworkMode::Container("x"));
        assert_eq!(NetworkMode::of("mine"), NetworkMode::Network("mine"));
        assert!(NetworkMode::of("host").is_shared() && !NetworkMode::of("none").is_shared());
        assert_eq!(PidMode::parse("private"), None);
        assert_eq!(PidMode::parse("container:"), None);
        assert_eq!(IpcMode::parse("container:x"), Some(IpcMode::Container("x")));
        assert_eq!(IpcMode::of("nonsense"), IpcMode::Own);
    }
}

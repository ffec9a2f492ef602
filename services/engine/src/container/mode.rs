//! Whose namespaces a container is in, as Docker's modes say: `host`, `container:x`, and for each kind of namespace a few
//! words more.
//!
//! What makes no sense is refused when the container is made ([`super::validate`]); what is recorded is read without failing.

/// The container that a mode of the form `container:x` names, of whatever kind the namespace is.
pub fn container_of(mode: &str) -> Option<&str> {
    mode.strip_prefix("container:")
}

/// Whose network a container is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkMode<'a> {
    /// The host's.
    Host,
    /// None but its own loopback device.
    None,
    /// Another container's.
    Container(&'a str),
    /// Its own, which is on this network first.
    Network(&'a str),
}

impl NetworkMode<'_> {
    /// Reads it; every word is a network's name at least.
    pub fn of(mode: &str) -> NetworkMode<'_> {
        match mode {
            "host" => NetworkMode::Host,
            "none" => NetworkMode::None,
            _ => container_of(mode).map_or(NetworkMode::Network(mode), NetworkMode::Container),
        }
    }

    /// Whether there is no namespace of its own.
    pub fn is_shared(self) -> bool {
        matches!(self, NetworkMode::Host | NetworkMode::Container(_))
    }
}

/// Whose processes a container sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PidMode<'a> {
    /// Its own.
    #[default]
    Own,
    /// The host's.
    Host,
    /// Another container's.
    Container(&'a str),
}

impl PidMode<'_> {
    /// Reads it; nothing where it makes no sense.
    pub fn parse(mode: &str) -> Option<PidMode<'_>> {
        match mode {
            "" => Some(PidMode::Own),
            "host" => Some(PidMode::Host),
            _ => container_of(mode).filter(|name| !name.is_empty()).map(PidMode::Container),
        }
    }

    /// As it is recorded.
    pub fn of(mode: &str) -> PidMode<'_> {
        PidMode::parse(mode).unwrap_or_default()
    }
}

/// Whose shared memory and message queues a container has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpcMode<'a> {
    /// Its own.
    #[default]
    Own,
    /// Its own, without a `/dev/shm`.
    None,
    /// Its own, which other containers may join.
    Shareable,
    /// The host's.
    Host,
    /// Another container's.
    Container(&'a str),
}

impl IpcMode<'_> {
    /// Reads it; nothing where it makes no sense.
    pub fn parse(mode: &str) -> Option<IpcMode<'_>> {
        match mode {
            "" | "private" => Some(IpcMode::Own),
            "none" => Some(IpcMode::None),
            "shareable" => Some(IpcMode::Shareable),
            "host" => Some(IpcMode::Host),
            _ => container_of(mode).filter(|name| !name.is_empty()).map(IpcMode::Container),
        }
    }

    /// As it is recorded.
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

//! A service's entries in containerd's list of plugins.

/// One of containerd's plugins, as clients look it up.
#[derive(Debug)]
pub struct Plugin {
    /// Its type, as `io.containerd.content.v1`.
    pub kind: &'static str,
    /// Its name among those of the type.
    pub id: &'static str,
    /// Its capabilities.
    pub capabilities: &'static [&'static str],
    /// A further property.
    pub export: Option<Export>,
    /// Whether it names the platform of this host.
    pub on_platform: bool,
}

/// A property of a plugin.
#[derive(Debug, Clone, Copy)]
pub enum Export {
    /// The property `root`: a directory below the state directory.
    Root(&'static str),
    /// A key and its value.
    Value(&'static str, &'static str),
}

/// The plugin that clients ask about runtimes.
pub const RUNTIME: Plugin = Plugin::new("io.containerd.runtime.v2", "task").on_platform();

impl Plugin {
    /// A plugin without properties.
    pub(crate) const fn new(kind: &'static str, id: &'static str) -> Self {
        Self { kind, id, capabilities: &[], export: None, on_platform: false }
    }

    /// A gRPC plugin.
    pub(crate) const fn grpc(id: &'static str) -> Self {
        Self::new("io.containerd.grpc.v1", id)
    }

    /// The service plugin behind a gRPC plugin.
    pub(crate) const fn service(id: &'static str) -> Self {
        Self::new("io.containerd.service.v1", id)
    }

    pub(crate) const fn able(self, capabilities: &'static [&'static str]) -> Self {
        Self { capabilities, ..self }
    }

    pub(crate) const fn exporting(self, export: Export) -> Self {
        Self { export: Some(export), ..self }
    }

    pub(crate) const fn on_platform(self) -> Self {
        Self { on_platform: true, ..self }
    }
}

//! A service in the words of containerd's plugins.

/// One of containerd's plugins, as clients look for it.
#[derive(Debug)]
pub struct Plugin {
    /// Its type, as `io.containerd.content.v1`.
    pub kind: &'static str,
    /// Its name among those of the type.
    pub id: &'static str,
    /// What it can do.
    pub capabilities: &'static [&'static str],
    /// What else it says of itself.
    pub export: Option<Export>,
    /// Whether it is for this machine's platform.
    pub on_platform: bool,
}

/// What a plugin says of itself.
#[derive(Debug, Clone, Copy)]
pub enum Export {
    /// `root`: a directory below the state directory.
    Root(&'static str),
    /// A key and its value.
    Value(&'static str, &'static str),
}

/// The one that clients ask about runtimes.
pub const RUNTIME: Plugin = Plugin::new("io.containerd.runtime.v2", "task").on_platform();

impl Plugin {
    /// A plugin that says nothing of itself.
    pub(crate) const fn new(kind: &'static str, id: &'static str) -> Self {
        Self { kind, id, capabilities: &[], export: None, on_platform: false }
    }

    /// What answers clients' gRPC.
    pub(crate) const fn grpc(id: &'static str) -> Self {
        Self::new("io.containerd.grpc.v1", id)
    }

    /// What containerd has behind that.
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

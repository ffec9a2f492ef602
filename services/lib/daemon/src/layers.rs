//! The layers between a service's socket and its methods, from the outside in: they find the caller, trace the call,
//! record it, limit concurrency, and ask the policy.

use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::audit::{self, Rotation};
use crate::caller::Trusted;
use crate::settings::{Common, Size};
use crate::{BoxError, Policy, Socket};

/// How many changes a service carries out at a time; the default.
const CHANGES: usize = 1024;
/// The size of a file of the audit record; the default.
const AUDIT_SIZE: u64 = 16 << 20;
/// How many files of the audit record are kept; the default.
const AUDIT_FILES: u32 = 4;

/// The parameters of the layers. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Layers {
    pub(crate) trusted: Trusted,
    pub(crate) audit: Option<audit::Record>,
    /// A permit for each change under way.
    pub(crate) places: Arc<Semaphore>,
    pub(crate) policy: Arc<dyn Policy>,
}

impl Layers {
    /// The layers of a service without settings. To be called before the process is confined.
    pub(crate) fn new() -> Self {
        let places = Arc::new(Semaphore::new(CHANGES));
        Self { trusted: Trusted::find(), audit: None, places, policy: Arc::new(Socket) }
    }

    /// Adds what the settings ask for; `state` is the service's directory. To be called after the process is
    /// confined, because it starts a thread.
    ///
    /// # Errors
    ///
    /// When the audit record cannot be opened: without it, the service carries out no change.
    pub(crate) fn with(self, settings: &Common, state: &Path) -> Result<Self, BoxError> {
        let rotation = Rotation {
            size: settings.audit_size.map_or(AUDIT_SIZE, Size::into),
            files: settings.audit_files.unwrap_or(AUDIT_FILES),
        };
        let wanted = settings.audit.unwrap_or(false);
        let audit = wanted.then(|| audit::Record::open(state, rotation)).transpose();
        let audit = audit.map_err(|error| format!("audit record in {}: {error}", state.display()))?;
        let places = Arc::new(Semaphore::new(settings.changes.map_or(CHANGES, NonZero::get)));
        Ok(Self { audit, places, ..self })
    }
}

//! What stands between a service's socket and its methods, from the outside in: who is calling, what is seen of the call, its
//! record, its turn, and whether it is permitted.

use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::audit::{self, Rotation};
use crate::caller::Trusted;
use crate::settings::{Common, Size};
use crate::{BoxError, Policy, Socket};

/// How many changes a service works on at once, where the settings do not say.
const CHANGES: usize = 1024;
/// Where the settings do not say how large a file of the audit record becomes.
const AUDIT_SIZE: u64 = 16 << 20;
/// Nor how many files are kept.
const AUDIT_FILES: u32 = 4;

/// What the layers are made with. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Layers {
    pub(crate) trusted: Trusted,
    pub(crate) audit: Option<audit::Record>,
    /// Places for changes that are under way.
    pub(crate) places: Arc<Semaphore>,
    pub(crate) policy: Arc<dyn Policy>,
}

impl Layers {
    /// Those of a service without settings. To be called before the process is confined.
    pub(crate) fn new() -> Self {
        let places = Arc::new(Semaphore::new(CHANGES));
        Self { trusted: Trusted::find(), audit: None, places, policy: Arc::new(Socket) }
    }

    /// The same with what the settings ask for, of a service whose directory is `state`. To be called when it is confined:
    /// it starts a thread.
    ///
    /// # Errors
    ///
    /// When the audit record cannot be opened: what is to be recorded is not done without.
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

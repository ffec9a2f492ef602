//! AppArmor profiles. A container runs under the profile that its spec names, or without one.
//!
//! This service has the privilege to load profiles. It loads the default profile when it starts, and again when a
//! container is created and the kernel no longer has the profile: a package manager that reloads AppArmor unloads
//! profiles that it does not know.

use std::time::Instant;

use gantry_host::apparmor::{self, DEFAULT_PROFILE, UNCONFINED};
use gantry_rpc::carry;
use serde::Deserialize;

use crate::error::Error;

/// Loads the default profile where the kernel has AppArmor. Logs when containers run without it.
pub async fn load() {
    let begun = Instant::now();
    let loaded = carry::blocking(|| match (apparmor::is_supported(), apparmor::is_enabled()) {
        (true, _) => apparmor::ensure_default().map(|()| true),
        (false, true) => {
            tracing::warn!("apparmor_parser is not installed: containers are not confined by AppArmor");
            Ok(false)
        }
        (false, false) => Ok(false),
    });
    match loaded.await.unwrap_or(Ok(false)) {
        Ok(true) => {
            let elapsed = begun.elapsed();
            tracing::info!(profile = DEFAULT_PROFILE, ?elapsed, "containers are confined by AppArmor");
        }
        Ok(false) => {}
        Err(error) => {
            let error = gantry_rpc::chain(&error);
            tracing::error!(error, "the AppArmor profile of containers was not loaded: they do not start");
        }
    }
}

/// Ensures that the kernel has the profile that a spec names; loads the default profile when it is missing.
pub async fn require(spec: &[u8]) -> Result<(), Error> {
    let Some(profile) = profile_of(spec) else { return Ok(()) };
    let required = carry::blocking(move || {
        if profile == DEFAULT_PROFILE {
            return apparmor::ensure_default().map_err(Error::AppArmor);
        }
        match apparmor::is_loaded(&profile) {
            Ok(false) => Err(Error::ProfileMissing(profile)),
            // Where the lookup fails, the kernel's own error at the container's start says more.
            Ok(true) | Err(_) => Ok(()),
        }
    });
    required.await.unwrap_or(Err(Error::ShuttingDown))
}

/// The profile that a spec names, if this service can check it. The kernel judges profiles of other policy namespaces
/// and stacked profiles.
fn profile_of(spec: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Spec {
        process: Option<Process>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Process {
        apparmor_profile: Option<String>,
    }
    let profile = serde_json::from_slice::<Spec>(spec).ok()?.process?.apparmor_profile?;
    let plain = !profile.starts_with(':') && !profile.contains("//");
    (plain && !profile.is_empty() && profile != UNCONFINED).then_some(profile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_profile_that_can_be_looked_up_is() {
        let named = |profile: &str| {
            profile_of(format!(r#"{{"process":{{"apparmorProfile":"{profile}"}}}}"#).as_bytes())
        };
        assert_eq!(named("a b").as_deref(), Some("a b"));
        for other in ["", "unconfined", ":ns:a", "a//&b"] {
            assert_eq!(named(other), None, "{other}");
        }
        assert_eq!(profile_of(b"{}"), None);
    }
}

//! AppArmor profiles: containers run under those that their specs name, or not at all.
//!
//! This service has the privileges to load one. It loads the default profile when it starts, and again before a
//! container that has lost it: package managers unload what they do not know.

use std::time::Instant;

use gantry_host::apparmor::{self, DEFAULT_PROFILE, UNCONFINED};
use serde::Deserialize;

use crate::error::Error;

/// Loads the default profile, where the machine has AppArmor; says so where containers go without.
pub async fn load() {
    let begun = Instant::now();
    let loaded = tokio::task::spawn_blocking(|| match (apparmor::is_supported(), apparmor::is_enabled()) {
        (true, _) => apparmor::ensure_default().map(|()| true),
        (false, true) => {
            tracing::warn!("apparmor_parser is not installed: containers are not confined by AppArmor");
            Ok(false)
        }
        (false, false) => Ok(false),
    });
    match loaded.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())) {
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

/// Sees to it that the kernel has the profile that a spec names.
pub async fn require(spec: &[u8]) -> Result<(), Error> {
    let Some(profile) = profile_of(spec) else { return Ok(()) };
    let required = tokio::task::spawn_blocking(move || {
        if profile == DEFAULT_PROFILE {
            return apparmor::ensure_default().map_err(Error::AppArmor);
        }
        match apparmor::is_loaded(&profile) {
            Ok(false) => Err(Error::ProfileMissing(profile)),
            // What cannot be looked up, the kernel says when the container starts.
            Ok(true) | Err(_) => Ok(()),
        }
    });
    required.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// The profile that a spec names, where there is something to see to. Profiles of other policy namespaces and stacks of
/// profiles are the kernel's to judge.
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

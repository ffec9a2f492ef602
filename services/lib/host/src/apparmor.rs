//! AppArmor: whether the kernel has it, which profiles are loaded, and the profile of containers.
//!
//! Only apparmor_parser(8) compiles a profile's text for the kernel. A host without that program, or without a
//! mounted `securityfs`, counts as one without AppArmor.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Error, Result};

/// The profile of containers that name none.
pub const DEFAULT_PROFILE: &str = "docker-default";

/// The name that means "no profile".
pub const UNCONFINED: &str = "unconfined";

const TEXT: &str = include_str!("apparmor/docker-default");
const PROFILES: &str = "/sys/kernel/security/apparmor/profiles";
const PARSERS: [&str; 3] = ["/usr/sbin/apparmor_parser", "/sbin/apparmor_parser", "/usr/bin/apparmor_parser"];

/// Whether the kernel has AppArmor enabled.
pub fn is_enabled() -> bool {
    let enabled = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    enabled.is_ok_and(|text| text.starts_with('Y')) && Path::new(PROFILES).exists()
}

/// Whether containers can be confined: the default profile is loaded or can be.
pub fn is_supported() -> bool {
    is_enabled() && (parser().is_some() || is_loaded(DEFAULT_PROFILE).unwrap_or(false))
}

/// Whether the profile is loaded.
pub fn is_loaded(profile: &str) -> Result<bool> {
    let text = std::fs::read_to_string(PROFILES).map_err(|error| Error::path("read", PROFILES, error))?;
    Ok(lists(&text, profile))
}

/// Searches lines of `name (mode)`; a name may have spaces.
fn lists(text: &str, profile: &str) -> bool {
    text.lines().filter_map(|line| line.rsplit_once(" (")).any(|(name, _)| name == profile)
}

fn parser() -> Option<&'static str> {
    PARSERS.into_iter().find(|path| Path::new(path).exists())
}

/// Loads the default profile unless it is loaded, because another program may have unloaded it. Runs
/// apparmor_parser(8).
pub fn ensure_default() -> Result<()> {
    if is_loaded(DEFAULT_PROFILE)? {
        return Ok(());
    }
    let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
    let parser = parser().ok_or_else(|| Error::path("run", PARSERS[0], missing()))?;
    let failed = |error| Error::path("run", parser, error);
    let text = format!("{}{TEXT}", preamble());
    let mut child = Command::new(parser)
        // Without the cache, and replacing a profile of the same name.
        .args(["--skip-cache", "--replace"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let written = child.stdin.take().map_or(Ok(()), |mut input| input.write_all(text.as_bytes()));
    let output = child.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let reason = said.trim().replace('\n', "; ");
        return Err(Error::os("load AppArmor profile", DEFAULT_PROFILE, std::io::Error::other(reason)));
    }
    written.map_err(failed)
}

/// The beginning of a profile: includes the host's own variables, if it has them, else defines the one that the
/// profile uses.
fn preamble() -> &'static str {
    match Path::new("/etc/apparmor.d/tunables/global").exists() {
        true => "#include <tunables/global>\n",
        false => "@{PROC}=/proc/\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_found_by_their_whole_names() {
        let text = "/usr/bin/man (enforce)\nman groff (complain)\ndocker-default (enforce)\n";
        assert!(lists(text, DEFAULT_PROFILE) && lists(text, "man groff"));
        assert!(!lists(text, "docker") && !lists(text, "man") && !lists("", DEFAULT_PROFILE));
    }

    #[test]
    fn the_profile_is_named_as_it_says() {
        assert!(TEXT.contains(&format!("\nprofile {DEFAULT_PROFILE} ")));
    }
}

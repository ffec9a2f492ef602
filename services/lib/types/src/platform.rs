//! Platforms: operating system, architecture, variant.
//!
//! A [`Platform`] is always normalised as in containerd and Docker: `x86_64` and `aarch64` become Go's names,
//! `arm64/v8` is `arm64`, `arm` is `arm/v7`. So two values are equal if they mean the same platform.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// An operating system, an architecture and perhaps a variant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

const KNOWN_OS: [&str; 8] =
    ["linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris", "plan9"];
const KNOWN_ARCHITECTURE: [&str; 13] = [
    "amd64", "386", "arm", "arm64", "ppc64", "ppc64le", "mips", "mipsle", "mips64", "mips64le", "riscv64",
    "s390x", "loong64",
];

impl Platform {
    /// Normalises the parts as an image config or an index entry has them; an empty one is unknown.
    pub fn new(os: &str, architecture: &str, variant: &str) -> Self {
        let os = match os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let (architecture, variant) =
            normalise(&architecture.to_ascii_lowercase(), &variant.to_ascii_lowercase());
        Platform { os, architecture, variant: Some(variant).filter(|v| !v.is_empty()) }
    }

    /// The platform that this program was built for.
    pub fn host() -> Self {
        Platform::new(std::env::consts::OS, std::env::consts::ARCH, "")
    }

    /// The operating system, in Go's names.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// The architecture, in Go's names.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The variant, unless it is the default one.
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    /// Whether an image of the platform `image` is exactly for this platform.
    pub fn matches(&self, image: &Platform) -> bool {
        self == image
    }

    /// How well a host of this platform runs images of the platform `image`: 0 is exact, higher is worse, `None` is
    /// not at all. 64-bit x86 and ARM run 32-bit images, newer ARM runs older variants.
    pub fn rank(&self, image: &Platform) -> Option<usize> {
        if self.os != image.os {
            return None;
        }
        let same = (self.architecture.as_str(), self.variant.as_deref().unwrap_or(""));
        let runs: &[(&str, &str)] = match same {
            ("amd64", "") => &[("386", "")],
            ("amd64", "v2") => &[("amd64", ""), ("386", "")],
            ("amd64", "v3") => &[("amd64", "v2"), ("amd64", ""), ("386", "")],
            ("amd64", "v4") => &[("amd64", "v3"), ("amd64", "v2"), ("amd64", ""), ("386", "")],
            ("arm64", "") => &[("arm", "v8"), ("arm", "v7"), ("arm", "v6"), ("arm", "v5")],
            ("arm", "v8") => &[("arm", "v7"), ("arm", "v6"), ("arm", "v5")],
            ("arm", "v7") => &[("arm", "v6"), ("arm", "v5")],
            ("arm", "v6") => &[("arm", "v5")],
            _ => &[],
        };
        let wanted = (image.architecture.as_str(), image.variant.as_deref().unwrap_or(""));
        std::iter::once(&same).chain(runs).position(|candidate| *candidate == wanted)
    }
}

fn normalise(architecture: &str, variant: &str) -> (String, String) {
    let (architecture, variant) = match (architecture, variant) {
        ("i386" | "i686" | "x86", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64" | "amd64", v) => ("amd64", v),
        ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
        ("aarch64" | "arm64", v) => ("arm64", v),
        ("armhf", _) => ("arm", "v7"),
        ("armel", _) => ("arm", "v6"),
        ("arm", "" | "7") => ("arm", "v7"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "6") => ("arm", "v6"),
        ("arm", "8") => ("arm", "v8"),
        ("powerpc64le", v) => ("ppc64le", v),
        ("loongarch64", v) => ("loong64", v),
        other => other,
    };
    (architecture.to_owned(), variant.to_owned())
}

impl FromStr for Platform {
    type Err = Error;

    /// Parses `os/arch[/variant]`; `os` or `arch` alone is completed by the host's.
    fn from_str(value: &str) -> Result<Self> {
        let refuse = |reason| Error::Platform { value: value.chars().take(160).collect(), reason };
        let parts: Vec<&str> = value.split('/').collect();
        let is_word = |s: &&str| {
            !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        if !parts.iter().all(is_word) {
            return Err(refuse("its parts must be words of letters, digits, '_', '-' and '.'"));
        }
        match parts[..] {
            [one] => {
                let host = Platform::host();
                let as_os = Platform::new(one, &host.architecture, host.variant.as_deref().unwrap_or(""));
                let as_architecture = Platform::new(&host.os, one, "");
                if KNOWN_OS.contains(&as_os.os.as_str()) {
                    Ok(as_os)
                } else if KNOWN_ARCHITECTURE.contains(&as_architecture.architecture.as_str()) {
                    Ok(as_architecture)
                } else {
                    Err(refuse("it is neither a known operating system nor a known architecture"))
                }
            }
            [os, architecture] => Ok(Platform::new(os, architecture, "")),
            [os, architecture, variant] => Ok(Platform::new(os, architecture, variant)),
            _ => Err(refuse("it must be os/arch or os/arch/variant")),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn other_spellings_are_the_same_platform() {
        for (text, normal) in [
            ("linux/x86_64", "linux/amd64"),
            ("Linux/AMD64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm64/8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/6", "linux/arm/v6"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/i386", "linux/386"),
            ("macos/arm64", "darwin/arm64"),
        ] {
            assert_eq!(platform(text).to_string(), normal, "{text}");
            assert!(platform(text).matches(&platform(normal)));
        }
    }

    #[test]
    fn one_part_takes_the_rest_from_the_host() {
        assert_eq!(platform("linux").os(), "linux");
        assert_eq!(platform("linux").architecture(), Platform::host().architecture());
        assert_eq!(platform("s390x"), Platform::new(std::env::consts::OS, "s390x", ""));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", "/", "linux/", "linux//v7", "a/b/c/d", "linux/a b", "neverheardof"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_machine_ranks_what_it_runs() {
        let arm64 = platform("linux/arm64");
        assert_eq!(arm64.rank(&platform("linux/arm64/v8")), Some(0));
        assert!(arm64.rank(&platform("linux/arm/v7")) < arm64.rank(&platform("linux/arm/v6")));
        assert_eq!(arm64.rank(&platform("linux/amd64")), None);
        assert_eq!(platform("linux/amd64").rank(&platform("linux/386")), Some(1));
        assert_eq!(platform("linux/amd64").rank(&platform("linux/amd64/v3")), None);
        assert_eq!(platform("linux/amd64").rank(&platform("windows/amd64")), None);
    }
}

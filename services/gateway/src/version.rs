//! Versions of the API, and the `/vX.Y` prefix of paths.

use std::fmt;

use crate::error::Error;

/// A version of Docker's Engine API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    major: u16,
    minor: u16,
}

impl ApiVersion {
    /// The version of a path that names none.
    pub const CURRENT: Self = Self::v1(51);
    /// The oldest version that the gateway supports.
    pub const OLDEST: Self = Self::v1(24);

    /// Version 1.`minor`.
    pub const fn v1(minor: u16) -> Self {
        Self { major: 1, minor }
    }

    /// Whether this version is at least 1.`minor`.
    pub fn at_least(self, minor: u16) -> bool {
        self >= Self::v1(minor)
    }

    /// Takes the version off a path: `/v1.41/info` is `/info` at 1.41.
    pub fn strip(path: &str) -> Result<(Self, &str), Error> {
        let Some((version, rest)) = prefix(path) else { return Ok((Self::CURRENT, path)) };
        let parsed =
            Self::parse(version).ok_or_else(|| Error::bad(format!("invalid API version {version:?}")))?;
        if parsed < Self::OLDEST {
            return Err(Error::bad(format!(
                "client version {version} is too old. Minimum supported API version is {}, please upgrade your client to a newer version",
                Self::OLDEST
            )));
        }
        if parsed > Self::CURRENT {
            return Err(Error::bad(format!(
                "client version {version} is too new. Maximum supported API version is {}",
                Self::CURRENT
            )));
        }
        Ok((parsed, rest))
    }

    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

fn prefix(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix("/v")?;
    let end = rest.find('/')?;
    let version = &rest[..end];
    let shaped = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    shaped.then(|| (version, &rest[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        let rows = [
            ("/info", Ok((ApiVersion::CURRENT, "/info"))),
            ("/v1.41/info", Ok((ApiVersion::v1(41), "/info"))),
            ("/v1.24/containers/x/json", Ok((ApiVersion::v1(24), "/containers/x/json"))),
            ("/volumes", Ok((ApiVersion::CURRENT, "/volumes"))),
            ("/v1.x/info", Ok((ApiVersion::CURRENT, "/v1.x/info"))),
            ("/v1.23/info", Err("is too old. Minimum supported API version is 1.24")),
            ("/v1.52/info", Err("is too new. Maximum supported API version is 1.51")),
            ("/v2.0/info", Err("is too new")),
            ("/v1.99999/info", Err("invalid API version")),
        ];
        for (path, expected) in rows {
            match (ApiVersion::strip(path), expected) {
                (Ok(got), Ok(expected)) => assert_eq!(got, expected),
                (Err(error), Err(fragment)) => {
                    assert_eq!(error.status().as_u16(), 400);
                    assert!(error.to_string().contains(fragment), "{error}");
                }
                (got, expected) => panic!("{path}: {got:?}, expected {expected:?}"),
            }
        }
    }
}

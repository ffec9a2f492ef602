//! Credentials, and a registry's description of an image.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

use super::image::{Descriptor, Platform};

/// Credentials for one registry.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AuthConfig {
    pub username: String,
    pub password: String,
    /// Base64 of `username:password`.
    pub auth: String,
    pub serveraddress: String,
    pub identitytoken: String,
    pub registrytoken: String,
}

impl std::fmt::Debug for AuthConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthConfig")
            .field("username", &self.username)
            .field("serveraddress", &self.serveraddress)
            .finish_non_exhaustive()
    }
}

impl AuthConfig {
    /// Reads `X-Registry-Auth`: URL-safe base64 of this as JSON. Unreadable credentials count as none.
    pub fn from_header(value: Option<&[u8]>) -> Self {
        let Some(value) = value.filter(|value| !value.is_empty()) else { return Self::default() };
        let Some(json) = decode(value) else { return Self::default() };
        super::read::<Self>(&json).unwrap_or_default().completed()
    }

    /// Takes name and password from the `auth` field if the client sent them only there.
    pub fn completed(mut self) -> Self {
        if self.username.is_empty() && self.password.is_empty() && !self.auth.is_empty() {
            let pair = decode(self.auth.as_bytes()).and_then(|pair| String::from_utf8(pair).ok());
            if let Some((name, password)) = pair.as_deref().and_then(|pair| pair.split_once(':')) {
                self.username = name.to_owned();
                self.password = password.trim_end_matches('\0').to_owned();
            }
        }
        self
    }
}

/// Decodes both alphabets, padded or not, because clients differ.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let url_safe = GeneralPurpose::new(&alphabet::URL_SAFE, config);
    let standard = GeneralPurpose::new(&alphabet::STANDARD, config);
    url_safe.decode(text).or_else(|_| standard.decode(text)).ok()
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LoginResponse {
    pub identity_token: String,
    pub status: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Distribution {
    pub descriptor: Descriptor,
    pub platforms: Vec<Platform>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};

    #[test]
    fn headers_in_every_base64() {
        let json = r#"{"username":"who?>","password":"pa~ss","email":null,"serveraddress":"localhost:5000"}"#;
        for header in [URL_SAFE.encode(json), URL_SAFE_NO_PAD.encode(json), STANDARD.encode(json)] {
            let auth = AuthConfig::from_header(Some(header.as_bytes()));
            assert_eq!(
                (auth.username.as_str(), auth.password.as_str(), auth.serveraddress.as_str()),
                ("who?>", "pa~ss", "localhost:5000")
            );
        }
    }

    #[test]
    fn nothing_and_nonsense_are_anonymous() {
        for header in [None, Some(&b""[..]), Some(b"e30="), Some(b"%%%"), Some(b"bm90IGpzb24=")] {
            assert_eq!(AuthConfig::from_header(header), AuthConfig::default());
        }
    }

    #[test]
    fn the_auth_field_holds_name_and_password() {
        let auth = AuthConfig { auth: STANDARD.encode("me:se:cret"), ..AuthConfig::default() }.completed();
        assert_eq!((auth.username.as_str(), auth.password.as_str()), ("me", "se:cret"));
    }
}

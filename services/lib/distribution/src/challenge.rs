//! Parses `WWW-Authenticate` (RFC 9110 §11.6.1).

/// The authorization that a registry wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User name and password with every request.
    Basic,
    /// A token from the server at `realm`.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// Picks the best challenge of all header lines: a token server before a password.
    pub(crate) fn pick<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut basic = None;
        for (scheme, parameters) in headers.flat_map(parse) {
            let parameter = |name: &str| {
                parameters
                    .iter()
                    .find(|(key, _)| key.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.clone())
            };
            if scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = parameter("realm")
            {
                return Some(Self::Bearer {
                    realm,
                    service: parameter("service"),
                    scope: parameter("scope"),
                });
            }
            if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Self::Basic);
            }
        }
        basic
    }
}

type Parameters = Vec<(String, String)>;

/// Splits one header line into its challenges. Never fails; leaves out what it cannot parse.
fn parse(line: &str) -> Vec<(String, Parameters)> {
    let mut found: Vec<(String, Parameters)> = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let end = rest.find([' ', '=', ',']).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        let tail = tail.trim_start();
        match tail.strip_prefix('=') {
            Some(value) if !word.is_empty() => {
                let (value, tail) = take_value(value.trim_start());
                if let Some((_, parameters)) = found.last_mut() {
                    parameters.push((word.to_owned(), value));
                }
                rest = tail;
            }
            _ => {
                if !word.is_empty() {
                    found.push((word.to_owned(), Vec::new()));
                }
                rest = tail;
            }
        }
        rest = rest.trim_start_matches([' ', ',', '=']);
    }
    found
}

/// Removes a token or a quoted string from the front.
fn take_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_with_commas_in_quotes() {
        let line = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        assert_eq!(
            Challenge::pick([line].into_iter()),
            Some(Challenge::Bearer {
                realm: "https://auth.docker.io/token".into(),
                service: Some("registry.docker.io".into()),
                scope: Some("repository:a/b:pull,push".into()),
            })
        );
    }

    #[test]
    fn bearer_is_preferred_in_any_order() {
        let lines = ["Basic realm=\"x y\"", "bearer realm=https://t"];
        assert!(matches!(Challenge::pick(lines.into_iter()), Some(Challenge::Bearer { .. })));
        let one = r#"Basic realm="x, y", Bearer realm="https://t", service=s"#;
        assert!(matches!(
            Challenge::pick([one].into_iter()),
            Some(Challenge::Bearer { service: Some(_), .. })
        ));
    }

    #[test]
    fn nonsense_is_no_challenge() {
        for line in ["", ",,,", "=", "Bearer", "Digest realm=\"x\"", "Bearer realm", "\"", "a=\"\\"] {
            assert_eq!(Challenge::pick([line].into_iter()), None, "{line}");
        }
    }
}

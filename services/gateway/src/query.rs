//! Query strings: repeated keys, Docker's booleans, percent and plus decoding.

use crate::error::Error;

/// The parameters of one request, in order.
#[derive(Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the part after the `?`.
    pub fn parse(text: Option<&str>) -> Self {
        let pairs = text.unwrap_or("").split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(key, Plus::Space), decode(value, Plus::Space))
                })
                .collect(),
        )
    }

    /// The first value of a key, or an empty text.
    pub fn text(&self, key: &str) -> &str {
        self.find(key).unwrap_or("")
    }

    /// The first value of a key.
    pub fn find(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// All values of a key.
    pub fn all(&self, key: &str) -> Vec<String> {
        self.0.iter().filter(|(name, _)| name == key).map(|(_, value)| value.clone()).collect()
    }

    /// Docker's boolean: absent, empty, `0`, `no`, `false` and `none` are false, anything else is true.
    pub fn flag(&self, key: &str) -> bool {
        !matches!(self.text(key).trim().to_ascii_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
    }

    /// A boolean whose default is given.
    pub fn flag_or(&self, key: &str, default: bool) -> bool {
        if self.find(key).is_some() { self.flag(key) } else { default }
    }

    /// A number; none when absent or empty.
    pub fn number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>, Error> {
        match self.text(key) {
            "" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|_| Error::bad(format!("strconv.Atoi: parsing {text:?}: invalid syntax"))),
        }
    }
}

/// What a plus sign means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Plus {
    /// In queries a plus stands for a space.
    Space,
    /// In paths a plus stands for itself.
    Plus,
}

/// Undoes percent encoding, and replaces what is not valid UTF-8 afterwards.
pub fn decode(text: &str, plus: Plus) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'%' => match (hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    at += 2;
                }
                _ => out.push(byte),
            },
            b'+' if plus == Plus::Space => out.push(b' '),
            _ => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex(digit: Option<&u8>) -> Option<u8> {
    char::from(*digit?).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans() {
        let rows = [
            ("1", true),
            ("true", true),
            ("yes", true),
            ("on", true),
            ("0", false),
            ("False", false),
            ("no", false),
            ("NONE", false),
            ("", false),
        ];
        for (text, truth) in rows {
            assert_eq!(Query::parse(Some(&format!("all={text}"))).flag("all"), truth, "{text}");
        }
        assert!(!Query::parse(None).flag("all"));
        assert!(Query::parse(None).flag_or("stream", true));
        assert!(!Query::parse(Some("stream=0")).flag_or("stream", true));
    }

    #[test]
    fn decoding_and_repeats() {
        let query = Query::parse(Some("names=a%3Ab&names=c+d&x=%zz&filters=%7B%22a%22%3A%5B%5D%7D"));
        assert_eq!(query.all("names"), ["a:b", "c d"]);
        assert_eq!(query.text("x"), "%zz");
        assert_eq!(query.text("filters"), r#"{"a":[]}"#);
        assert_eq!(decode("a+b%2Fc", Plus::Plus), "a+b/c");
    }

    #[test]
    fn numbers() {
        let query = Query::parse(Some("h=24&w=x&t=-1"));
        assert_eq!(query.number::<u32>("h").expect("number"), Some(24));
        assert!(query.number::<u32>("w").is_err());
        assert_eq!(query.number::<i64>("t").expect("number"), Some(-1));
        assert_eq!(query.number::<i64>("none").expect("none"), None);
    }
}

//! Container names and ids: which are valid, and how they are generated.

use std::fmt;

use rand::Rng;

const ADJECTIVES: &[&str] = &[
    "able", "amber", "apt", "bold", "brave", "bright", "brisk", "calm", "candid", "clear", "clever", "cosy",
    "crisp", "daring", "deft", "eager", "early", "earnest", "fair", "fervent", "fine", "firm", "fleet",
    "fond", "frank", "fresh", "gentle", "gifted", "glad", "golden", "grand", "hardy", "hearty", "honest",
    "humble", "jolly", "jovial", "keen", "kind", "lively", "loyal", "lucid", "lucky", "mellow", "merry",
    "mild", "modest", "neat", "nimble", "noble", "patient", "placid", "plucky", "polite", "proud", "quick",
    "quiet", "radiant", "ready", "robust", "serene", "sharp", "silent", "sincere", "sleek", "smart", "snug",
    "sober", "solid", "spry", "steady", "stoic", "sturdy", "sunny", "sure", "swift", "tender", "tidy",
    "tranquil", "trusty", "upbeat", "valiant", "vivid", "warm", "wise", "witty", "zealous", "zesty",
];

const SURNAMES: &[&str] = &[
    "abel",
    "adams",
    "agnesi",
    "ampere",
    "archimedes",
    "babbage",
    "banneker",
    "bernoulli",
    "blackwell",
    "bohr",
    "boole",
    "bose",
    "brahe",
    "carson",
    "carver",
    "cauchy",
    "cerf",
    "chandrasekhar",
    "clarke",
    "copernicus",
    "curie",
    "darwin",
    "diffie",
    "dijkstra",
    "dirac",
    "einstein",
    "engelbart",
    "euclid",
    "euler",
    "faraday",
    "fermat",
    "fermi",
    "feynman",
    "fourier",
    "franklin",
    "galileo",
    "galois",
    "gauss",
    "germain",
    "goodall",
    "hamilton",
    "hawking",
    "heisenberg",
    "hellman",
    "herschel",
    "hertz",
    "hilbert",
    "hodgkin",
    "hopper",
    "hypatia",
    "johnson",
    "joule",
    "kepler",
    "khayyam",
    "knuth",
    "kovalevskaya",
    "lagrange",
    "lamarr",
    "laplace",
    "leavitt",
    "leibniz",
    "liskov",
    "lovelace",
    "maxwell",
    "mayer",
    "mcclintock",
    "meitner",
    "mendel",
    "mendeleev",
    "milner",
    "mirzakhani",
    "newton",
    "noether",
    "pascal",
    "pasteur",
    "payne",
    "perlman",
    "planck",
    "poincare",
    "ptolemy",
    "ramanujan",
    "ride",
    "riemann",
    "ritchie",
    "rubin",
    "sagan",
    "shannon",
    "somerville",
    "tesla",
    "thompson",
    "torvalds",
    "turing",
    "volta",
    "wiles",
    "wing",
    "wu",
    "yonath",
    "zeno",
];

/// Makes an id of 64 digits. Its short form is never all digits, because some tools would read it as a number.
pub fn new_id() -> String {
    loop {
        let bytes: [u8; 32] = rand::rng().random();
        let id = hex(&bytes);
        if !id[..12].bytes().all(|digit| digit.is_ascii_digit()) {
            return id;
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        use fmt::Write;
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Makes a random UUID.
pub fn new_uuid() -> String {
    let mut bytes: [u8; 16] = rand::rng().random();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let digits = hex(&bytes);
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

/// Makes a name; from the second attempt on, a digit is appended.
pub fn made_up(attempt: u32) -> String {
    let mut random = rand::rng();
    let adjective = ADJECTIVES[random.random_range(0..ADJECTIVES.len())];
    let surname = SURNAMES[random.random_range(0..SURNAMES.len())];
    if attempt == 0 {
        format!("{adjective}_{surname}")
    } else {
        format!("{adjective}_{surname}{}", random.random_range(0..10))
    }
}

/// Whether a name is valid: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
pub fn is_valid(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name.len() >= 2
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// The first twelve digits of an id.
pub fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// Whether a text may be an id or the beginning of one.
pub fn is_id_prefix(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_sixty_four_digits() {
        let id = new_id();
        assert_eq!(id.len(), 64);
        assert!(is_id_prefix(&id));
    }

    #[test]
    fn names_need_two_plain_characters() {
        assert!(is_valid("web-1.a_b"));
        assert!(!is_valid("w"));
        assert!(!is_valid("-web"));
        assert!(!is_valid("we b"));
        assert!(!is_valid(""));
    }

    #[test]
    fn made_up_names_are_valid() {
        assert!(is_valid(&made_up(0)));
        assert!(is_valid(&made_up(3)));
    }
}

//! The subject of a certificate as text.
//!
//! ```text
//! Certificate ::= SEQUENCE { TBSCertificate, … }                                        RFC 5280, 4.1
//! TBSCertificate ::= SEQUENCE { [0] version, serialNumber, signature, issuer, validity, subject, … }
//! Name ::= SEQUENCE OF SET OF SEQUENCE { type OBJECT IDENTIFIER, value ANY }
//! ```
//!
//! The certificate is verified, and with it its encoding. Where the encoding is unexpected, there is no subject, and
//! never a wrong one.

use std::fmt::Write;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const INTEGER: u8 = 0x02;
/// `[0] EXPLICIT`
const VERSION: u8 = 0xa0;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const TELETEX_STRING: u8 = 0x14;
const IA5_STRING: u8 = 0x16;
const BMP_STRING: u8 = 0x1e;

/// The short names of attributes (RFC 4514, section 3, and RFC 2985's address), by the bytes of their identifiers.
const NAMES: [(&[u8], &str); 9] = [
    (&[0x55, 0x04, 0x03], "CN"),
    (&[0x55, 0x04, 0x07], "L"),
    (&[0x55, 0x04, 0x08], "ST"),
    (&[0x55, 0x04, 0x0a], "O"),
    (&[0x55, 0x04, 0x0b], "OU"),
    (&[0x55, 0x04, 0x06], "C"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19], "DC"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01], "UID"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01], "emailAddress"),
];

/// The subject's distinguished name (RFC 4514), the last attribute first; `None` when the certificate has none.
pub fn of(certificate: &[u8]) -> Option<String> {
    let mut certificate = Der(Der(certificate).expect(SEQUENCE)?);
    let mut fields = Der(certificate.expect(SEQUENCE)?);
    if fields.0.first() == Some(&VERSION) {
        fields.expect(VERSION)?;
    }
    fields.expect(INTEGER)?;
    for _signature_issuer_validity in 0..3 {
        fields.expect(SEQUENCE)?;
    }
    name(fields.expect(SEQUENCE)?)
}

fn name(mut names: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    while !names.is_empty() {
        let mut rest = Der(names);
        let mut attributes = Der(rest.expect(SET)?);
        names = rest.0;
        let mut part = String::new();
        while !attributes.0.is_empty() {
            if !part.is_empty() {
                part.push('+');
            }
            let mut attribute = Der(attributes.expect(SEQUENCE)?);
            let identifier = attribute.expect(OBJECT_IDENTIFIER)?;
            let (kind, value) = attribute.next()?;
            write_attribute(&mut part, identifier, kind, value);
        }
        parts.push(part);
    }
    parts.reverse();
    (!parts.is_empty()).then(|| parts.join(","))
}

fn write_attribute(part: &mut String, identifier: &[u8], kind: u8, value: &[u8]) {
    match NAMES.iter().find(|(known, _)| *known == identifier) {
        Some((_, short)) => part.push_str(short),
        None => part.push_str(&dotted(identifier)),
    }
    part.push('=');
    match text(kind, value) {
        Some(text) => escape(part, &text),
        None => {
            part.push('#');
            for byte in value {
                // Writing to a string does not fail.
                let _ = write!(part, "{byte:02x}");
            }
        }
    }
}

fn text(kind: u8, value: &[u8]) -> Option<String> {
    match kind {
        UTF8_STRING | PRINTABLE_STRING | IA5_STRING => String::from_utf8(value.to_vec()).ok(),
        TELETEX_STRING => Some(value.iter().map(|byte| char::from(*byte)).collect()),
        BMP_STRING => {
            let units: Vec<u16> = value
                .chunks(2)
                .map(|two| two.iter().fold(0, |unit, byte| unit << 8 | u16::from(*byte)))
                .collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

/// Escapes characters that would end a value or hide in it (RFC 4514, section 2.4).
fn escape(part: &mut String, text: &str) {
    let last = text.chars().count().saturating_sub(1);
    for (at, character) in text.chars().enumerate() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => part.extend(['\\', character]),
            ' ' if at == 0 || at == last => part.push_str("\\ "),
            '#' if at == 0 => part.push_str("\\#"),
            control if control.is_control() => {
                for byte in control.encode_utf8(&mut [0; 4]).bytes() {
                    // Writing to a string does not fail.
                    let _ = write!(part, "\\{byte:02x}");
                }
            }
            other => part.push(other),
        }
    }
}

/// An object identifier as numbers.
fn dotted(identifier: &[u8]) -> String {
    let mut numbers = Vec::new();
    let mut number = 0_u64;
    for byte in identifier {
        number = number.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            numbers.push(number);
            number = 0;
        }
    }
    // The first two numbers are encoded as one.
    let first = numbers.first().map_or(0, |both| (both / 40).min(2));
    let second = numbers.first().map_or(0, |both| both - 40 * first);
    let all = [first, second].into_iter().chain(numbers.into_iter().skip(1));
    all.map(|number| number.to_string()).collect::<Vec<_>>().join(".")
}

/// A sequence of values in the distinguished encoding (X.690).
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The tag and the contents of the next value.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let [tag, length, rest @ ..] = self.0 else { return None };
        let (length, rest) = match length {
            short @ 0..=0x7f => (usize::from(*short), rest),
            long @ 0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(long - 0x80))?;
                (digits.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, contents))
    }

    /// The contents of the next value, which must have this tag.
    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, contents)| contents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(tag: u8, contents: &[u8]) -> Vec<u8> {
        let length = contents.len();
        let head = match u8::try_from(length) {
            Ok(short @ 0..=0x7f) => vec![tag, short],
            Ok(long) => vec![tag, 0x81, long],
            Err(_) => vec![tag, 0x82, (length >> 8) as u8, (length & 0xff) as u8],
        };
        [head, contents.to_vec()].concat()
    }

    fn attribute(identifier: &[u8], kind: u8, value: &[u8]) -> Vec<u8> {
        let both = [encoded(OBJECT_IDENTIFIER, identifier), encoded(kind, value)].concat();
        encoded(SEQUENCE, &both)
    }

    /// A certificate with the fields that are read.
    fn certificate(names: &[Vec<Vec<u8>>]) -> Vec<u8> {
        let subject: Vec<u8> = names.iter().flat_map(|set| encoded(SET, &set.concat())).collect();
        let fields = [
            encoded(VERSION, &encoded(INTEGER, &[2])),
            encoded(INTEGER, &[1; 20]),
            encoded(SEQUENCE, &[]),
            encoded(SEQUENCE, &encoded(SET, &attribute(&[0x55, 0x04, 0x03], UTF8_STRING, b"the issuer"))),
            encoded(SEQUENCE, &[]),
            encoded(SEQUENCE, &subject),
        ];
        encoded(SEQUENCE, &encoded(SEQUENCE, &fields.concat()))
    }

    const CN: &[u8] = &[0x55, 0x04, 0x03];
    const O: &[u8] = &[0x55, 0x04, 0x0a];

    #[test]
    fn the_last_attribute_comes_first() {
        let names =
            [vec![attribute(O, PRINTABLE_STRING, b"Example")], vec![attribute(CN, UTF8_STRING, b"deploy")]];
        assert_eq!(of(&certificate(&names)).as_deref(), Some("CN=deploy,O=Example"));
        let both = vec![attribute(CN, UTF8_STRING, b"a"), attribute(O, IA5_STRING, b"b")];
        assert_eq!(of(&certificate(&[both])).as_deref(), Some("CN=a+O=b"));
        let long = [vec![attribute(CN, UTF8_STRING, &[b'x'; 300])]];
        assert_eq!(of(&certificate(&long)), Some(format!("CN={}", "x".repeat(300))));
    }

    #[test]
    fn no_value_passes_for_another_attribute() {
        for (value, written) in [
            ("root,O=Example", r"CN=root\,O=Example".to_owned()),
            (" #a+b ", r"CN=\ #a\+b\ ".to_owned()),
            ("#1", r"CN=\#1".to_owned()),
            ("a\nb", r"CN=a\0ab".to_owned()),
            ("grün", "CN=grün".to_owned()),
        ] {
            let names = [vec![attribute(CN, UTF8_STRING, value.as_bytes())]];
            assert_eq!(of(&certificate(&names)), Some(written), "{value:?}");
        }
        let names = [vec![attribute(&[0x2a, 0x86, 0x48, 0x01], 0x04, &[0xab, 0x01])]];
        assert_eq!(of(&certificate(&names)).as_deref(), Some("1.2.840.1=#ab01"));
        let names = [vec![attribute(CN, BMP_STRING, &[0, b'h', 0, b'i'])]];
        assert_eq!(of(&certificate(&names)).as_deref(), Some("CN=hi"));
    }

    #[test]
    fn what_is_no_certificate_has_no_subject() {
        let whole = certificate(&[vec![attribute(CN, UTF8_STRING, b"a")]]);
        for length in 0..whole.len() {
            assert_eq!(of(&whole[..length]), None, "{length} bytes");
        }
        assert_eq!(of(&certificate(&[])), None);
        assert_eq!(of(&[0x30, 0x80, 0, 0]), None);
    }
}

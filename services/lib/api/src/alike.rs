//! Types and their messages that have the same fields.

/// Makes each of two structs of the other: a type of a promise and its message, on the wire or on a disk. Each field is
/// named once, with how it goes over:
///
/// | | there, and back |
/// | --- | --- |
/// | `field` | as it is |
/// | `field: into` | by `Into` |
/// | `field: maybe` | what is in an `Option`, by `Into` |
/// | `field: each` | what is in a list, by `Into` |
/// | `field: entries` | the values of a map, by `Into`, into a map of another kind |
/// | `field: collected` | into a map of another kind |
/// | `field: required` | by `Into`, as a field that a message always has: an `Option` there |
/// | `field: by(there, back)` | by these functions; likewise `maybe(there, back)`, `each(there, back)`, `entries(there, back)` |
///
/// A field that either has and the list has not does not compile. Where a field's name, number or meaning differs, both
/// directions are written out instead.
#[macro_export]
macro_rules! alike {
    ($one:ty, $other:ty { $($field:ident $(: $how:ident $(($there:expr, $back:expr))?)?),+ $(,)? }) => {
        impl From<$one> for $other {
            fn from(of: $one) -> Self {
                Self { $($field: $crate::alike!(@there of.$field $(, $how $(($there))?)?)),+ }
            }
        }

        impl From<$other> for $one {
            fn from(of: $other) -> Self {
                Self { $($field: $crate::alike!(@back of.$field $(, $how $(($back))?)?)),+ }
            }
        }
    };
    (@there $value:expr, required) => { Some($value.into()) };
    (@back $value:expr, required) => { $value.unwrap_or_default().into() };
    (@$way:ident $value:expr) => { $value };
    (@$way:ident $value:expr, into) => { $value.into() };
    (@$way:ident $value:expr, maybe) => { $value.map(Into::into) };
    (@$way:ident $value:expr, each) => { $value.into_iter().map(Into::into).collect() };
    (@$way:ident $value:expr, entries) => { $value.into_iter().map(|(key, value)| (key, value.into())).collect() };
    (@$way:ident $value:expr, collected) => { $value.into_iter().collect() };
    (@$way:ident $value:expr, by($by:expr)) => { $by($value) };
    (@$way:ident $value:expr, maybe($by:expr)) => { $value.map($by) };
    (@$way:ident $value:expr, each($by:expr)) => { $value.into_iter().map($by).collect() };
    (@$way:ident $value:expr, entries($by:expr)) => { $value.into_iter().map(|(key, value)| (key, $by(value))).collect() };
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    #[derive(Clone, Debug, Default, PartialEq)]
    struct Part(u8);

    #[derive(Clone, Debug, Default, PartialEq)]
    struct Piece(u8);

    impl From<Part> for Piece {
        fn from(part: Part) -> Self {
            Self(part.0 + 1)
        }
    }

    impl From<Piece> for Part {
        fn from(piece: Piece) -> Self {
            Self(piece.0 - 1)
        }
    }

    #[derive(Clone, Debug, PartialEq)]
    struct Whole {
        same: String,
        part: Part,
        maybe: Option<Part>,
        each: Vec<Part>,
        entries: HashMap<u8, Part>,
        collected: HashMap<u8, u8>,
        required: Part,
        by: u8,
        words: Option<u8>,
        lists: Vec<u8>,
        ports: HashMap<u8, u8>,
    }

    #[derive(Debug, PartialEq)]
    struct Message {
        same: String,
        part: Piece,
        maybe: Option<Piece>,
        each: Vec<Piece>,
        entries: BTreeMap<u8, Piece>,
        collected: BTreeMap<u8, u8>,
        required: Option<Piece>,
        by: u16,
        words: Option<u16>,
        lists: Vec<u16>,
        ports: BTreeMap<u8, u16>,
    }

    fn doubled(value: u8) -> u16 {
        u16::from(value) * 2
    }

    fn halved(value: u16) -> u8 {
        u8::try_from(value / 2).expect("it was doubled")
    }

    alike!(
        Whole,
        Message {
            same,
            part: into,
            maybe: maybe,
            each: each,
            entries: entries,
            collected: collected,
            required: required,
            by: by(doubled, halved),
            words: maybe(doubled, halved),
            lists: each(doubled, halved),
            ports: entries(doubled, halved),
        }
    );

    #[test]
    fn each_field_goes_over_as_it_says_and_comes_back() {
        let whole = Whole {
            same: "same".to_owned(),
            part: Part(1),
            maybe: Some(Part(2)),
            each: vec![Part(3)],
            entries: [(0, Part(4))].into(),
            collected: [(0, 5)].into(),
            required: Part(6),
            by: 200,
            words: Some(7),
            lists: vec![8],
            ports: [(0, 9)].into(),
        };
        let message = Message::from(whole.clone());
        let expected = Message {
            same: "same".to_owned(),
            part: Piece(2),
            maybe: Some(Piece(3)),
            each: vec![Piece(4)],
            entries: [(0, Piece(5))].into(),
            collected: [(0, 5)].into(),
            required: Some(Piece(7)),
            by: 400,
            words: Some(14),
            lists: vec![16],
            ports: [(0, 18)].into(),
        };
        assert_eq!(message, expected);
        assert_eq!(Whole::from(message), whole);
    }
}

//! Finds members of JSON objects whatever the case of their names, as Go's `encoding/json` does for the fields of a struct.
//!
//! In a struct, a member belongs to the field of the same name, or else to a field whose name differs only in the case of letters. The
//! keys of maps are data, and stay as they are.
//!
//! A struct with flattened fields does not tell serde the names of its fields. Such a struct derives its reading with `remote = "Self"`,
//! leaves the flattened fields out, and reads them from the same object ([`object`]).

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::{Error, Map, Value};

/// Reads a value, whatever the case of its members' names.
pub fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Error> {
    T::deserialize(CaseInsensitive(value))
}

/// Reads an object, for a struct and for the structs that are flattened into it.
pub fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Map::deserialize(deserializer).map(Value::Object)
}

/// A value as a deserializer.
#[derive(Clone, Copy, Debug)]
pub struct CaseInsensitive<'a>(pub &'a Value);

impl<'de> IntoDeserializer<'de, Error> for CaseInsensitive<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for CaseInsensitive<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(truth) => visitor.visit_bool(*truth),
            Value::Number(number) => number.deserialize_any(visitor),
            Value::String(text) => visitor.visit_str(text),
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.iter().map(CaseInsensitive))),
            Value::Object(members) => {
                let members = members.iter().map(|(key, value)| (key.as_str(), CaseInsensitive(value)));
                visitor.visit_map(MapDeserializer::new(members))
            }
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::Object(members) => {
                let chosen = fields
                    .iter()
                    .filter_map(|field| Some((*field, CaseInsensitive(member(members, field)?))));
                visitor.visit_map(MapDeserializer::new(chosen))
            }
            Value::Array(_) => Err(Error::invalid_type(serde::de::Unexpected::Seq, &"an object")),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.clone().deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

/// The member for a field: the one of exactly its name, or else the last whose name differs only in case.
fn member<'a>(members: &'a Map<String, Value>, field: &str) -> Option<&'a Value> {
    let similar =
        || members.iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(field)).map(|(_, value)| value);
    members.get(field).or_else(similar)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, PartialEq, Eq, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Outer {
        image: String,
        labels: BTreeMap<String, String>,
        inner: Vec<Inner>,
        #[serde(rename = "ID")]
        id: Option<u8>,
    }

    #[derive(Debug, Default, PartialEq, Eq, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Inner {
        host_port: String,
    }

    #[test]
    fn fields_are_found_without_case_at_every_depth() {
        let value =
            json!({"image": "x", "LABELS": {"Key": "V", "key": "v"}, "iNNer": [{"HostPort": "80"}], "id": 3});
        let outer: Outer = read(&value).expect("valid");
        assert_eq!((outer.image.as_str(), outer.id), ("x", Some(3)));
        assert_eq!(outer.inner, [Inner { host_port: "80".to_owned() }]);
        assert_eq!(outer.labels.len(), 2, "keys of maps are data");
    }

    #[test]
    fn the_very_name_counts_first() {
        let outer: Outer = read(&json!({"image": "a", "Image": "b", "IMAGE": "c"})).expect("valid");
        assert_eq!(outer.image, "b");
    }

    #[test]
    fn types_are_as_strict_as_ever() {
        for value in [json!({"image": 1}), json!([]), json!("x"), json!({"id": 300})] {
            read::<Outer>(&value).expect_err(&value.to_string());
        }
    }
}

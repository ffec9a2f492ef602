//! Fields that the messages of several promises have: parsed strictly, written without errors.

use std::time::SystemTime;

use gantry_rpc::{Code, Coded};
use gantry_types::Digest;
use gantry_types::filter::FilterSet;
use prost_types::Timestamp;

use crate::time;

/// A message that cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A required field is missing.
    #[error("the message has no {field}")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A number is negative that must not be, or an enumeration has no such value.
    #[error("{field} cannot be {value}")]
    Number {
        /// The field.
        field: &'static str,
        /// Its value.
        value: i64,
    },
    /// A text that does not parse.
    #[error("invalid {what} {value:?}")]
    Text {
        /// What it should be.
        what: &'static str,
        /// The text.
        value: String,
    },
    /// An ingest without a ref.
    #[error("the first message must have a ref")]
    NoReference,
    /// A digest, a label, a filter or a namespace that does not parse.
    #[error(transparent)]
    Argument(#[from] gantry_types::Error),
}

impl Coded for Invalid {
    fn code(&self) -> Code {
        match self {
            Invalid::Missing { .. }
            | Invalid::Number { .. }
            | Invalid::Text { .. }
            | Invalid::NoReference
            | Invalid::Argument(_) => Code::InvalidArgument,
        }
    }
}

/// A digest.
///
/// # Errors
///
/// When it does not parse.
pub fn digest(text: &str) -> Result<Digest, Invalid> {
    Ok(text.parse()?)
}

/// An optional digest.
///
/// # Errors
///
/// When it does not parse.
pub fn optional_digest(text: &str) -> Result<Option<Digest>, Invalid> {
    match text {
        "" => Ok(None),
        text => digest(text).map(Some),
    }
}

/// A size or an offset.
///
/// # Errors
///
/// When it is negative.
pub fn number(field: &'static str, value: i64) -> Result<u64, Invalid> {
    u64::try_from(value).map_err(|_| Invalid::Number { field, value })
}

/// A size; 0 means unknown.
///
/// # Errors
///
/// When it is negative.
pub fn optional_number(field: &'static str, value: i64) -> Result<Option<u64>, Invalid> {
    Ok(Some(number(field, value)?).filter(|value| *value > 0))
}

/// A size or an offset for a message.
pub fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The filters of a request.
///
/// # Errors
///
/// When one does not parse.
pub fn filters(texts: &[String]) -> Result<FilterSet, Invalid> {
    Ok(FilterSet::parse(texts)?)
}

/// Filters for a message.
pub fn filter_texts(filters: &FilterSet) -> Vec<String> {
    filters.texts().map(str::to_owned).collect()
}

/// A time; the epoch when it is missing.
pub fn moment(timestamp: Option<&Timestamp>) -> SystemTime {
    timestamp.map_or(SystemTime::UNIX_EPOCH, time::system_time)
}

//! Names and ids.

use std::time::{SystemTime, UNIX_EPOCH};

use gantry_rpc::Code;

use crate::Refused;

/// Makes an id that is unique in this process.
pub(super) fn new_id() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static GIVEN: AtomicU64 = AtomicU64::new(1);
    // The beginnings differ too, because ids are abbreviated.
    let number = GIVEN.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{number:016x}{number:048x}")
}

/// A container's name without the leading slash that it may have.
pub(super) fn name(text: &str) -> Result<&str, Refused> {
    let name = text.strip_prefix('/').unwrap_or(text);
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let mut rest = bytes.clone();
    if !first || bytes.len() == 0 || !rest.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
    {
        return Err(Refused::new(Code::InvalidArgument, text, "no name of a container"));
    }
    Ok(name)
}

/// The present time, nanoseconds since 1970.
pub(super) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

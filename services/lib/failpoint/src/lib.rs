//! Places in the services at which a test makes them fail: between what was made durable or visible, and what comes next.
//!
//! ```text
//! failpoint!("engine.create.recorded");               may kill the process, fail as its function fails, or take long
//! failpoint!("engine.exit.recorded", infallible);     where the function cannot fail: may kill, or take long
//! ```
//!
//! A name says the service, the operation and what has just been done. Names are literals, each stands once in the
//! sources, and that is how the fault tests find all of them.
//!
//! Without the feature `enabled`, which only test builds have, a point is no code at all, and its name is not in the
//! binary. With it a point looks into the folder that `GANTRY_FAILPOINTS` names, where somebody may have put an *order*:
//! a file of the point's name.
//!
//! ```text
//! <folder>/engine.create.recorded             "kill", "error" or "delay 250" (milliseconds), then perhaps
//!                                             "at 3" (not before the third time) or "always" (not only once)
//! <folder>/engine.create.recorded.reached     the point was reached, and did as it was told
//! ```
//!
//! An order that was carried out is gone: who is started again after it was killed goes on. The folder is one that every
//! service may write to, as `<root>/run/…`.

#[cfg(feature = "enabled")]
mod order;

#[cfg(feature = "enabled")]
pub use order::{FOLDER, pass, reach};

use std::fmt;

/// What a function fails with whose point was ordered to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault(&'static str);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed at {}, as ordered", self.0)
    }
}

impl std::error::Error for Fault {}

/// A point. In a function that fails with an error made from [`Fault`]; with `infallible`, in any.
#[cfg(feature = "enabled")]
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {
        $crate::reach($name)?
    };
    ($name:literal, infallible) => {
        $crate::pass($name)
    };
}

/// A point: nothing, in this build.
#[cfg(not(feature = "enabled"))]
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {};
    ($name:literal, infallible) => {};
}
